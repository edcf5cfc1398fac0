"""
Write answers: JSON by msgspec, and headers.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import Response

_encode = msgspec.json.Encoder().encode


def json_response(value: Any, status: int, headers: Mapping[str, str]) -> Response:
    """A value as JSON; nothing where the status says that there is no content."""
    if status == HTTPStatus.NO_CONTENT:
        return Response(None, status, headers)
    return Response(_encode(value), status, headers, "application/json")
