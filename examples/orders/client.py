"""
Talk to the Orders API as a client that doesn't give up easily.

A lost connection, a 503 and a stale answer are asked again with growing pauses
until patience ends. A command keeps its key, so asking again never does it twice.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import httpx
import msgspec

T = TypeVar("T")
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0


class Failed(Exception):
    """The server refused, or could not be reached for too long."""


class Page(msgspec.Struct, Generic[T]):
    """One page of a list."""

    items: list[T]
    next_cursor: str | None = None


@dataclass(frozen=True)
class Answer(Generic[T]):
    """What a query was answered, and a token of the position it was answered at."""

    value: T
    token: str


@asynccontextmanager
async def connected(url: str, *, in_flight: int = 1, patience_s: float = 30.0) -> "AsyncIterator[Client]":
    """A client of the API at *url*, with a connection for each call in flight."""
    limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=10.0) as http:
        yield Client(http, patience_s)


class Client:
    """Commands and queries over HTTP; every call lasts *patience_s* at most, give or take one answer."""

    def __init__(self, http: httpx.AsyncClient, patience_s: float) -> None:
        self._http = http
        self._patience_s = patience_s

    async def why_away(self) -> str | None:
        """Why the server can't be reached now; None where it can."""
        answer, why = await self._sent(self._http.build_request("GET", "/orders/search", params={"page_size": "1"}))
        return None if answer is not None else why

    async def command(self, path: str, *, key: str, body: Mapping[str, Any]) -> str:
        """Post a command under its key; return the token to read it back with."""
        content = msgspec.json.encode(body)
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        response = await self._answered(self._http.build_request("POST", path, content=content, headers=headers))
        return response.headers["Diptych-Position"]

    async def ask(
        self, path: str, kind: type[T], *, after: str | None = None, params: Mapping[str, str] | None = None
    ) -> Answer[T]:
        """Ask for a *kind* of value that is no older than the token *after*."""
        headers = {"Diptych-Position": after} if after else {}
        response = await self._answered(self._http.build_request("GET", path, params=params, headers=headers))
        return Answer(msgspec.json.decode(response.content, type=kind), response.headers["Diptych-Position"])

    async def items(self, path: str, kind: type[T], *, after: str, params: Mapping[str, str] | None = None) -> list[T]:
        """All items of a paged list."""
        asked, items = {"page_size": "100", **(params or {})}, []
        while True:
            page = (await self.ask(path, Page[kind], after=after, params=asked)).value  # type: ignore[valid-type]
            items += page.items
            if page.next_cursor is None:
                return items
            asked["cursor"] = page.next_cursor

    async def _answered(self, request: httpx.Request) -> httpx.Response:
        deadline, pause_s = time.monotonic() + self._patience_s, SHORTEST_PAUSE_S
        while True:
            response, why = await self._sent(request)
            if response is not None:
                return response
            if time.monotonic() + pause_s > deadline:
                raise Failed(f"{request.method} {request.url}: {why}, for {self._patience_s:g} s")
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _sent(self, request: httpx.Request) -> tuple[httpx.Response | None, str]:
        """The response, or None and the reason to ask again."""
        try:
            response = await self._http.send(request)
        except httpx.TransportError as error:
            return None, str(error) or type(error).__name__
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            return None, response.text
        if response.is_error:
            raise Failed(f"{request.method} {request.url}: {response.status_code} {response.text}")
        stale = response.headers.get("Diptych-Stale")
        return (None, f"stale: {stale}") if stale else (response, "")
