"""
Wait for an answer for as long as its client does, and no longer than the application goes on.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from diptych.edge.fastapi.settings import Crowd, running_of
from diptych.errors import Unavailable

T = TypeVar("T")

QUICK_S = 0.1  # who waits no longer takes nobody's place
LOOK_S = 0.5


async def awaited(request: Request, answering: Awaitable[T], crowd: Crowd) -> T:
    """
    What a request is answered; where that takes a while it is one of a crowd meanwhile.

    Raises:
        Overloaded: As many wait as may.
        ClientDisconnect: Its client is gone, so that nobody wants it any more.
        Unavailable: The application is about to end.
    """
    task = asyncio.ensure_future(answering)
    try:
        await asyncio.wait([task], timeout=QUICK_S)
        if not task.done():
            with crowd.joined():
                await _with_its_client(request, task)
        return task.result()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _with_its_client(request: Request, task: "asyncio.Future[Any]") -> None:
    running, leaving = running_of(request), asyncio.create_task(_left(request))
    try:
        while not task.done():
            await asyncio.wait([task, leaving], timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
            if leaving.done() and not task.done():
                raise ClientDisconnect
            if running.stopping and not task.done():
                raise Unavailable("the server is about to end: send the request again")
    finally:
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    said = ""
    while said != "http.disconnect":  # what is left of its body says nothing to a query
        said = (await request.receive())["type"]
