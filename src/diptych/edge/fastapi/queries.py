"""
Answer queries: no earlier than what the client has seen, and only what it doesn't have yet.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response

from diptych.context import acting
from diptych.edge.fastapi.answers import json_response
from diptych.edge.fastapi.commands import Values
from diptych.edge.fastapi.conditions import condition_of, etag_of, is_known
from diptych.edge.fastapi.models import has_version, output, result_type
from diptych.edge.fastapi.positions import POSITION, position_of
from diptych.edge.fastapi.preferences import preferences_of
from diptych.edge.fastapi.settings import Endpoint, Settings, running_of
from diptych.errors import NotFound
from diptych.read.consistency import Answer

STALE = "Diptych-Stale"
# An answer is for its asker and this moment; who keeps it asks again, and may be told that it still holds.
CACHING = {"Cache-Control": "private, no-cache"}


class QueryAnswers:
    """Answers the requests that carry a query."""

    def __init__(self, endpoint: Endpoint, settings: Settings) -> None:
        self._endpoint, self._settings = endpoint, settings
        self._is_versioned = has_version(result_type(endpoint.message))

    async def __call__(self, request: Request, values: Values, in_path: Mapping[str, Any]) -> Response:
        """Hand a query of these values to its bus."""
        running, preferences, longest_wait_s = (
            running_of(request),
            preferences_of(request),
            self._settings.longest_wait_s,
        )
        after = position_of(request, running.event_store.identity)
        wait_s = preferences.waiting(self._settings.wait_s, longest_wait_s)
        query: Any = self._endpoint.message(**values)
        with acting(actor=self._settings.principal(request)):
            found: Answer[Any] = await running.ask(query, after=after, timeout_s=wait_s)
        if found.data is None:
            raise NotFound(self._endpoint.message.__name__, ", ".join(map(str, in_path.values())))
        headers = {**CACHING, **preferences.applied(longest_wait_s, waited=after is not None)}
        headers |= {POSITION: found.token} if found.token else {}
        if found.stale and found.reason:
            headers[STALE] = found.reason
        if self._is_versioned:
            return self._versioned(request, found.data, headers)
        return json_response(output(found.data), self._endpoint.status, headers)

    def _versioned(self, request: Request, row: Any, headers: dict[str, str]) -> Response:
        """A row with its version as a tag; nothing but the tag for a client that has that version."""
        version: int = row.version
        headers["ETag"] = etag_of(version)
        if is_known(request, version):
            return Response(None, 304, headers)
        condition = condition_of(request)
        if condition is not None:
            condition.insist(self._endpoint.message.__name__, version)
        return json_response(row, self._endpoint.status, headers)
