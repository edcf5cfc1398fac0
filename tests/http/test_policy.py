"""Who may do and see what: one policy, asked for every message on both buses."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select
from tests.serving import serving

from diptych import (
    Aggregate,
    Command,
    CommandBus,
    Diptych,
    Event,
    Forbidden,
    Indexed,
    Key,
    Misuse,
    Only,
    PaginatedResult,
    Policy,
    Query,
    QueryBus,
    ReadModel,
    RecordedEvent,
    Repository,
    TableProjection,
    acting,
    current_scope,
)
from diptych.app import Running
from diptych.fastapi import Endpoint, api
from diptych.message import Message
from diptych.read.ask.scope import within


class Opened(Event):
    box: str
    owner: str


class Box(Aggregate[Opened]):
    pass


@dataclass(frozen=True)
class BoxRow:
    box: Key[str]
    owner: Indexed[str]


class Boxes(TableProjection[BoxRow, Opened]):
    def evolve(self, row: BoxRow | None, event: RecordedEvent[Opened]) -> BoxRow | None:
        return BoxRow(event.data.box, event.data.owner)


class Open(Command[str]):
    box: str
    owner: str


class BoxById(Query[BoxRow | None]):
    box: str


class AllBoxes(Query[PaginatedResult[BoxRow]]):
    owner: str | None = None
    cursor: str | None = None
    page_size: int = 20


class HowMany(Query[int]):
    as_told: bool = False


commands, queries = CommandBus(), QueryBus()


@commands.handler
async def open_box(command: Open, boxes: Repository[Box]) -> str:
    box = Box(command.box)
    box.record(Opened(box=command.box, owner=command.owner))
    await boxes.save(box)
    return box.id


@queries.handler
async def box_by_id(query: BoxById, boxes: ReadModel[BoxRow]) -> BoxRow | None:
    return await boxes.get(query.box)


@queries.handler
async def all_boxes(query: AllBoxes, boxes: ReadModel[BoxRow]) -> PaginatedResult[BoxRow]:
    return await boxes.page({"owner": query.owner}, cursor=query.cursor, page_size=query.page_size)


@queries.handler
async def how_many(query: HowMany, boxes: ReadModel[BoxRow]) -> int:
    async with boxes.snapshot(all_rows=query.as_told) as at:
        statement = select(func.count()).select_from(at.table)
        for column, value in current_scope().items():
            statement = statement.where(at.table.c[column] == value)
        return (await at.conn.execute(statement)).scalar_one()


async def policy(principal: str | None, message: Message) -> bool | Only | None:
    match message:
        case Open(owner=owner):
            return principal == owner
        case BoxById() | AllBoxes() | HowMany():
            return principal == "admin" or Only(owner=principal)
    return None


def application(authorize: Policy = policy) -> Diptych:
    return Diptych(commands, queries, projections=[Boxes], authorize=authorize)


@pytest.fixture
def http() -> FastAPI:
    return api(
        application(),
        {
            "POST /boxes": Endpoint(Open, status=201, location="/boxes/{result}"),
            "GET /boxes/{box}": BoxById,
            "GET /boxes": AllBoxes,
            "GET /number-of-boxes": HowMany,
        },
        log="memory://",
        read="sqlite:///:memory:",
        principal=lambda request: request.headers.get("X-User"),
    )


@pytest.fixture
async def client(http: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(http) as url, httpx.AsyncClient(base_url=url, timeout=60) as client:
        for owner in ("ann", "bea"):
            for number in range(3):
                body = {"box": f"{owner}-{number}", "owner": owner}
                assert (await client.post("/boxes", json=body, headers={"X-User": owner})).status_code == 201
        await http.state.diptych.caught_up()
        yield client


async def seen(client: httpx.AsyncClient, path: str, who: str | None) -> httpx.Response:
    return await client.get(path, headers={} if who is None else {"X-User": who})


async def test_a_command_is_taken_of_those_who_may(client: httpx.AsyncClient) -> None:
    for who in ({"X-User": "bea"}, {}):
        refused = await client.post("/boxes", json={"box": "new", "owner": "ann"}, headers=who)
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:diptych:problem:forbidden")
        assert refused.json()["message"] == "Open"


async def test_the_description_says_that_something_may_not_be_allowed(http: FastAPI) -> None:
    answers = [set(each["responses"]) for path in http.openapi()["paths"].values() for each in path.values()]
    assert len(answers) > 3
    assert [("403" in codes) for codes in answers if "202" in codes or "409" in codes] == [True] * 4


async def test_rows_of_others_are_as_good_as_not_there(client: httpx.AsyncClient) -> None:
    assert (await seen(client, "/boxes/ann-1", "ann")).status_code == 200
    assert (await seen(client, "/boxes/ann-1", "bea")).status_code == 404
    assert (await seen(client, "/boxes/ann-1", "admin")).status_code == 200
    page = (await seen(client, "/boxes", "ann")).json()
    assert (page["total"], {each["owner"] for each in page["items"]}) == (3, {"ann"})
    assert (await seen(client, "/boxes?owner=bea", "ann")).json()["total"] == 0
    assert (await seen(client, "/boxes", "admin")).json()["total"] == 6


async def test_nobody_in_particular_sees_nothing(client: httpx.AsyncClient) -> None:
    for path in ("/boxes/ann-1", "/boxes", "/number-of-boxes?as_told=true"):
        assert (await seen(client, path, None)).status_code == 403


async def test_a_cursor_of_another_leads_nowhere(client: httpx.AsyncClient) -> None:
    first = (await seen(client, "/boxes?page_size=1", "ann")).json()

    assert (await seen(client, f"/boxes?page_size=1&cursor={first['next_cursor']}", "ann")).status_code == 200
    assert (await seen(client, f"/boxes?page_size=1&cursor={first['next_cursor']}", "bea")).status_code == 422


async def test_a_statement_of_ones_own_must_say_that_it_keeps_to_the_scope(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await seen(client, "/number-of-boxes?as_told=true", "ann")).json() == 3
    assert (await seen(client, "/number-of-boxes", "admin")).json() == 6
    assert (await seen(client, "/number-of-boxes", "ann")).status_code == 500
    assert "say snapshot(all_rows=True)" in caplog.text


async def opened(authorize: Policy) -> AsyncIterator[Running]:
    async with application(authorize).open(log="memory://", read="sqlite:///:memory:") as running:
        yield running


async def test_what_a_policy_does_not_allow_is_denied_inside_too() -> None:
    for verdict in (None, False, 1, "yes"):
        async for running in opened(lambda principal, message, answer=verdict: answer):  # type: ignore[misc]
            with pytest.raises(Forbidden, match="Open is not allowed"):
                await running.dispatch(Open(box="a", owner="a"))
            with pytest.raises(Forbidden, match="BoxById is not allowed"):
                await running.queries.dispatch(BoxById(box="a"))


async def test_a_policy_sees_who_asks_and_what() -> None:
    asked: list[tuple[str | None, Message]] = []

    def noting(principal: str | None, message: Message) -> bool:
        asked.append((principal, message))
        return True

    command, query = Open(box="a", owner="a"), AllBoxes()
    async for running in opened(noting):
        with acting(actor="ann"):
            await running.execute(command)
            await running.ask(query)

    assert asked == [("ann", command), ("ann", query)]


async def test_a_scope_that_nothing_can_keep_to_is_a_fault_of_the_program() -> None:
    async for running in opened(lambda principal, message: Only(colour="red")):
        with pytest.raises(Misuse, match="rows with a certain colour, and boxes has no such column"):
            await running.queries.dispatch(AllBoxes())
        with pytest.raises(Misuse, match="a command sees no rows"):
            await running.dispatch(Open(box="a", owner="a"))


async def test_a_scope_may_name_several_values() -> None:
    def only(principal: str | None, message: Message) -> bool | Only:
        return True if isinstance(message, Command) else Only(owner=["ann", "bea"])

    async for running in opened(only):
        for owner in ("ann", "bea", "eve"):
            await running.dispatch(Open(box=owner, owner=owner))
        await running.caught_up()
        assert (await running.queries.dispatch(AllBoxes())).total == 2
        assert await running.queries.dispatch(BoxById(box="eve")) is None
        assert await running.queries.dispatch(BoxById(box="bea")) is not None


async def test_a_query_inside_a_query_sees_what_both_may_see() -> None:
    def only(principal: str | None, message: Message) -> bool | Only:
        return True if isinstance(message, Command) else Only(owner="ann")

    async for running in opened(only):
        for owner in ("ann", "bea"):
            await running.dispatch(Open(box=owner, owner=owner))
        await running.caught_up()
        for outer, inner in (({"owner": ["ann", "bea"]}, 1), ({"owner": "bea"}, 0), ({"owner": ["eve"]}, 0)):
            with within(outer):
                assert (await running.queries.dispatch(AllBoxes())).total == inner
