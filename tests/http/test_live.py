"""Server-Sent Events: what happens is told while it happens, in order, once, and from where a client stopped."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from tests.faults.waiting import until
from tests.serving import serving

from diptych import BadMessage, Diptych, EventStore, NoHandler, Only
from diptych.edge.fastapi import live
from diptych.fastapi import Events, Limits, Live, Routes, api

from .conftest import AllNotes, Noted, Write, app

ROUTES: Routes = {"GET /notes/events": Events("Note"), "GET /notes/live": Live(AllNotes, every_s=0.01)}


@dataclass
class Block:
    """What one event of a stream says."""

    event: str = ""
    id: str = ""
    data: Any = None
    comment: str = ""


@asynccontextmanager
async def watching(client: httpx.AsyncClient, path: str, **headers: str) -> AsyncIterator[AsyncIterator[Block]]:
    """The blocks of a stream, as they come."""
    async with client.stream("GET", path, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["Content-Type"].startswith("text/event-stream")
        yield blocks(response)


async def blocks(response: httpx.Response) -> AsyncIterator[Block]:
    block = Block()
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        match name:
            case "event" | "id":
                setattr(block, name, value)
            case "data":
                block.data = json.loads(value)
            case "" if line:
                block.comment = value
            case "":
                yield block
                block = Block()


async def told(stream: AsyncIterator[Block], number: int) -> list[Block]:
    """The next blocks that carry something."""
    found: list[Block] = []
    async with asyncio.timeout(30):
        while len(found) < number:
            if (block := await anext(stream)).data is not None:
                found.append(block)
    return found


async def write(client: httpx.AsyncClient, *texts: str) -> None:
    for text in texts:
        assert (await client.post("/notes", json={"text": text})).status_code == 201


async def positions(event_store: EventStore) -> list[str]:
    """The positions of all events, as ids."""
    return [str(event.global_position) for event in await event_store.read_all()]


async def test_events_are_told_as_they_are_appended_with_their_place(
    client: httpx.AsyncClient, event_store: EventStore
) -> None:
    await write(client, "before")
    async with watching(client, "/notes/events") as stream:
        begun = await anext(stream)
        await write(client, "one", "two\nlines")
        one, two = await told(stream, 2)

    assert [begun.id, one.id, two.id] == await positions(event_store)
    assert (begun.data, one.event) == (None, "Noted")
    assert (str(one.data["position"]), one.data["version"], one.data["type"]) == (one.id, 1, "Noted")
    assert one.data["data"]["text"] == "one"
    assert two.data["data"]["text"] == "two\nlines"


async def test_a_stream_goes_on_behind_the_last_event_that_was_seen(
    client: httpx.AsyncClient, event_store: EventStore
) -> None:
    await write(client, *map(str, range(250)))
    there = await positions(event_store)

    async with watching(client, "/notes/events", **{"Last-Event-ID": there[9]}) as stream:
        behind = await told(stream, 240)
        await write(client, "more")
        (more,) = await told(stream, 1)
    async with watching(client, f"/notes/events?after={there[248]}") as stream:
        (last, _) = await told(stream, 2)

    assert [block.data["data"]["text"] for block in behind] == [str(n) for n in range(10, 250)]
    assert [block.id for block in behind] == there[10:]
    assert int(more.id) > int(last.id) == int(there[249])


async def test_many_watch_and_each_is_told_everything_once(client: httpx.AsyncClient) -> None:
    async def watch(first: asyncio.Event) -> list[str]:
        async with watching(client, "/notes/events?after=0") as stream:
            await anext(stream)
            first.set()
            return [block.data["data"]["text"] for block in await told(stream, 60)]

    ready = [asyncio.Event() for _ in range(20)]
    watchers = [asyncio.create_task(watch(each)) for each in ready]
    await asyncio.gather(*(each.wait() for each in ready))
    await asyncio.gather(*(write(client, *(f"{writer} {n}" for n in range(20))) for writer in range(3)))

    first, *others = await asyncio.gather(*watchers)
    assert len(set(first)) == 60
    assert all(other == first for other in others)


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 30, "²"])
async def test_a_last_event_that_is_none_is_malformed(client: httpx.AsyncClient, last: str) -> None:
    for path in ("/notes/events", "/notes/live"):
        response = await client.get(path, headers=httpx.Headers({b"Last-Event-ID": last.encode()}))

        assert response.status_code == 400
        assert response.headers["Content-Type"] == "application/problem+json"


async def test_a_last_event_behind_the_end_says_that_the_log_was_put_back(client: httpx.AsyncClient) -> None:
    response = await client.get("/notes/events", headers={"Last-Event-ID": "7"})

    assert response.status_code == 409
    assert response.json()["title"] == "Log rewound"


async def test_a_result_is_told_again_when_it_changes_and_only_then(
    client: httpx.AsyncClient, event_store: EventStore
) -> None:
    async with watching(client, "/notes/live?q=lamp") as stream:
        (nothing,) = await told(stream, 1)
        await write(client, "oak", "lamp")
        (one,) = await told(stream, 1)
        await write(client, "table", "another lamp")
        (two,) = await told(stream, 1)

    assert nothing.data["items"] == []
    assert [item["text"] for item in one.data["items"]] == ["lamp"]
    assert [item["text"] for item in two.data["items"]] == ["another lamp", "lamp"]
    assert int(nothing.id) < int(one.id) < int(two.id) <= await event_store.head()


async def test_a_result_is_not_older_than_what_the_client_has_seen(
    client: httpx.AsyncClient, event_store: EventStore
) -> None:
    await write(client, *map(str, range(20)))
    seen = (await positions(event_store))[-1]

    async with watching(client, "/notes/live", **{"Last-Event-ID": seen}) as stream:
        (result,) = await told(stream, 1)

    assert int(result.id) >= int(seen)
    assert result.data["total"] == 20


async def test_a_question_that_is_wrong_is_a_problem_and_no_stream(client: httpx.AsyncClient) -> None:
    assert (await client.get("/notes/live?page=0")).status_code == 422
    assert (await client.get("/notes/events?after=-1")).status_code == 422


async def test_a_quiet_stream_has_heart_beats(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.05)
    for path in ("/notes/events", "/notes/live"):
        async with watching(client, path) as stream, asyncio.timeout(30):
            while not (await anext(stream)).comment:
                pass


async def test_a_client_that_takes_nothing_is_cut_off_and_goes_on_where_it_was(
    client: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    event_store: EventStore,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "diptych.http")
    monkeypatch.setattr(live, "STALLED_S", 0.3)
    with socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.connect((client.base_url.host, client.base_url.port))
        lazy.sendall(b"GET /notes/events?after=0 HTTP/1.1\r\nHost: notes\r\n\r\n")
        for _ in range(40):
            event = Noted(note_id="n", text="x" * 500_000, price=Decimal(0), at=None)
            await event_store.append_events(stream_id="n", stream_type="Note", events=[event])

        await until(lambda: "cut off" in caplog.text, "the client keeps its stream")

    there = await positions(event_store)
    async with watching(client, "/notes/events", **{"Last-Event-ID": there[2]}) as stream:
        assert [block.id for block in await told(stream, 37)] == there[3:]


async def test_streams_end_when_the_application_does(client: httpx.AsyncClient, http: FastAPI) -> None:
    async with watching(client, "/notes/events") as events, watching(client, "/notes/live") as results:
        await anext(events)
        await anext(results)
        http.state.diptych.stopping = True

        async with asyncio.timeout(30):
            assert [block async for block in events] == [block async for block in results] == []


async def test_events_are_told_by_a_process_that_has_a_log() -> None:
    http = api(app, {"GET /notes/events": Events("Note")}, log="none", read="sqlite:///:memory:")
    async with serving(http) as url, httpx.AsyncClient(base_url=url, timeout=60) as client:
        assert (await client.get("/notes/events")).status_code == 405


async def test_there_are_no_more_streams_than_may_be() -> None:
    http = api(app, ROUTES, log="memory://", read="sqlite:///:memory:", limits=Limits(streams=1))
    async with (
        serving(http) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as client,
        watching(client, "/notes/events") as stream,
    ):
        await anext(stream)
        for path in ("/notes/events", "/notes/live"):
            assert (await client.get(path)).status_code == 503


async def test_a_policy_is_asked_about_streams() -> None:
    def policy(principal: str | None, message: Any) -> bool | Only | None:
        return Only(note_id="n") if principal == "some" else principal == "all"

    guarded = Diptych(app.commands, app.queries, app.projections, authorize=policy)
    http = api(
        guarded,
        ROUTES,
        log="memory://",
        read="sqlite:///:memory:",
        principal=lambda request: request.headers.get("X-User"),
    )
    async with serving(http) as url, httpx.AsyncClient(base_url=url, timeout=60) as client:
        for path in ("/notes/events", "/notes/live"):
            assert (await client.get(path, headers={"X-User": "none"})).status_code == 403
            async with watching(client, path, **{"X-User": "all"}) as stream:
                await anext(stream)
        # Events can't be kept to some rows, so whoever may see only those may see none of them.
        assert (await client.get("/notes/events", headers={"X-User": "some"})).status_code == 403
        async with watching(client, "/notes/live", **{"X-User": "some"}) as stream:
            assert (await told(stream, 1))[0].data["total"] == 0


def test_a_route_that_can_watch_nothing_is_refused() -> None:
    wrong: list[tuple[str, Events | Live]] = [
        ("POST /live", Live(AllNotes)),
        ("GET /events", Events()),
        ("GET /{x}/events", Events("Note")),
        ("GET /{x}/live", Live(AllNotes)),
    ]
    for route, found in wrong:
        with pytest.raises(BadMessage):
            api(app, {route: found})
    with pytest.raises((BadMessage, NoHandler)):
        api(app, {"GET /live": Live(Write)})  # type: ignore[arg-type]


async def test_a_browser_that_comes_back_is_told_nothing_twice(
    client: httpx.AsyncClient, event_store: EventStore
) -> None:
    """It comes back to the URL that it was given, and says what it has seen."""
    await write(client, "one", "two")
    first, second = await positions(event_store)

    async with watching(client, "/notes/events?after=0", **{"Last-Event-ID": first}) as stream:
        (block,) = await told(stream, 1)
    assert block.id == second


async def test_those_who_come_at_once_are_no_more_than_may_be() -> None:
    http = api(app, ROUTES, log="memory://", read="sqlite:///:memory:", limits=Limits(streams=1))
    async with serving(http) as url, httpx.AsyncClient(base_url=url, timeout=60) as client:

        async def status() -> int:
            async with client.stream("GET", "/notes/events") as response:
                if response.status_code == 200:
                    await anext(blocks(response))
                    await is_full.wait()
                return response.status_code

        is_full = asyncio.Event()
        asked = [asyncio.create_task(status()) for _ in range(4)]
        done: set[asyncio.Task[int]] = set()
        async with asyncio.timeout(30):
            while len(done) < 3:
                done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED, timeout=0.1)
        is_full.set()

        assert sorted(await asyncio.gather(*asked)) == [200, 503, 503, 503]
        async with watching(client, "/notes/events") as stream, asyncio.timeout(30):
            await anext(stream)
