"""
Answer queries: no earlier than what the client has seen, and only what it doesn't have yet.
"""

from collections.abc import Coroutine, Mapping
from functools import partial
from typing import Any

from fastapi import Request, Response

from diptych.context import acting
from diptych.edge.fastapi.answers import json_response
from diptych.edge.fastapi.commands import Values
from diptych.edge.fastapi.conditions import condition_of, etag_of, is_known
from diptych.edge.fastapi.exports import Export, form_asked
from diptych.edge.fastapi.models import has_version, output, own_fields, result_type
from diptych.edge.fastapi.paging import CURSOR, links_of
from diptych.edge.fastapi.positions import POSITION, position_of
from diptych.edge.fastapi.preferences import preferences_of
from diptych.edge.fastapi.settings import Endpoint, Settings, running_of
from diptych.edge.fastapi.waiting import awaited
from diptych.errors import NotFound
from diptych.read.ask.consistency import Answer
from diptych.read.ask.page import PaginatedResult

STALE = "Diptych-Stale"
# An answer is for its asker and this moment; who keeps it asks again, and may be told that it still holds.
CACHING = {"Cache-Control": "private, no-cache"}


class QueryAnswers:
    """Answers the requests that carry a query."""

    def __init__(self, endpoint: Endpoint, settings: Settings) -> None:
        self._endpoint, self._settings = endpoint, settings
        self._is_versioned = has_version(result_type(endpoint.message))
        self._export, self._fields = Export.of(endpoint.message), own_fields(endpoint.message)

    async def __call__(self, request: Request, values: Values, in_path: Mapping[str, Any]) -> Response:
        """Hand a query of these values to its bus."""
        running, preferences, longest_s = running_of(request), preferences_of(request), self._settings.limits.wait_s
        after = position_of(request, await running.logs())
        wait_s = preferences.waiting(self._settings.wait_s, longest_s)
        media_type = form_asked(request) if self._export is not None else None
        if self._export is not None and media_type is not None:
            values = self._export.whole(values)
        query: Any = self._endpoint.message(**values)
        with acting(actor=self._settings.principal(request)):
            asking: Coroutine[Any, Any, Answer[Any]] = running.ask(query, after=after, timeout_s=wait_s)
            found = await (awaited(request, asking, self._settings.waiting) if after is not None and wait_s else asking)
        if found.data is None:
            raise NotFound(self._endpoint.message.__name__, ", ".join(map(str, in_path.values())))
        headers = {**CACHING, **preferences.applied(longest_s, waited=after is not None)}
        headers |= {POSITION: found.token} if found.token else {}
        if found.stale and found.reason:
            headers[STALE] = found.reason
        headers |= {"Vary": "Accept"} if self._export is not None else {}
        if self._export is not None and media_type is not None:
            return self._export.response(media_type, found.data, partial(self._behind, request, values), headers)
        if isinstance(found.data, PaginatedResult):
            headers |= links_of(request, found.data, self._fields)
        if self._is_versioned:
            return self._versioned(request, found.data, headers)
        return json_response(output(found.data), self._endpoint.status, headers)

    async def _behind(self, request: Request, values: Values, cursor: str) -> Any:
        """The page behind a cursor, of a result that is sent as a whole."""
        query: Any = self._endpoint.message(**{**values, CURSOR: cursor})
        with acting(actor=self._settings.principal(request)):
            return (await running_of(request).ask(query)).data

    def _versioned(self, request: Request, row: Any, headers: dict[str, str]) -> Response:
        """A row with its version as a tag; nothing but the tag for a client that has that version."""
        version: int = row.version
        headers["ETag"] = etag_of(version)
        condition = condition_of(request)
        if condition is not None and version not in condition.only:  # first If-Match, as RFC 9110 has it
            condition.insist(self._endpoint.message.__name__, version)
        if is_known(request, version):
            return Response(None, 304, headers)
        return json_response(row, self._endpoint.status, headers)
