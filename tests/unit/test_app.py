import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from diptych import (
    Aggregate,
    BadDatabase,
    BadProjection,
    Behind,
    Command,
    CommandBus,
    ConsistentQueryHandler,
    Diptych,
    Event,
    EventStore,
    Indexed,
    Key,
    LogRewound,
    Malformed,
    MissingDependencies,
    NotFound,
    PaginatedResult,
    Query,
    QueryBus,
    QueryInCommand,
    ReadModel,
    RecordedEvent,
    Repository,
    TableProjection,
    Token,
    Unavailable,
    acting,
)
from diptych.testing import in_process


class Noted(Event):
    note_id: str
    text: str


class Note(Aggregate[Noted]):
    def write(self, text: str) -> None:
        self.record(Noted(note_id=self.id, text=text))

    def apply(self, event: Noted) -> None:
        self.text = event.text


@dataclass(frozen=True)
class NoteRow:
    note_id: Key[str]
    text: Indexed[str]


class Notes(TableProjection[NoteRow, Noted]):
    broken = False

    def evolve(self, row: NoteRow | None, event: RecordedEvent[Noted]) -> NoteRow | None:
        if self.broken:
            raise RuntimeError("a bug")
        return NoteRow(event.data.note_id, event.data.text)


@dataclass(frozen=True)
class WiderRow:
    note_id: Key[str]
    text: str
    colour: str = "white"


class WiderNotes(TableProjection[WiderRow, Noted]):
    name = "notes"
    version = 1

    def evolve(self, row: WiderRow | None, event: RecordedEvent[Noted]) -> WiderRow | None:
        return WiderRow(event.data.note_id, event.data.text)


class Write(Command[str]):
    text: str
    note_id: str | None = None


class Ask(Command[int]):
    pass


class One(Query[NoteRow]):
    note_id: str


class All(Query[PaginatedResult[NoteRow]]):
    pass


class Mailer(Protocol):
    def send(self, text: str) -> None: ...


class Post:
    def __init__(self) -> None:
        self.sent: list[str] = []

    def send(self, text: str) -> None:
        self.sent.append(text)


commands, queries = CommandBus(), QueryBus()


@commands.handler
async def write(command: Write, notes: Repository[Note]) -> str:
    note = Note(command.note_id) if command.note_id else Note()
    note.write(command.text)
    await notes.save(note)
    return note.id


@queries.handler
async def every(query: All, notes: ReadModel[NoteRow]) -> PaginatedResult[NoteRow]:
    return await notes.page()


@queries.handler
async def one(query: One, notes: ReadModel[NoteRow]) -> NoteRow:
    found = await notes.get(query.note_id)
    if found is None:
        raise NotFound("note", query.note_id)
    return found


app = Diptych(commands, queries, projections=[Notes])


async def test_an_answer_contains_what_its_caller_just_wrote() -> None:
    async with in_process(app) as running:
        for n in range(20):
            receipt = await running.execute(Write(text=str(n)))
            answer = await running.ask(All(), after=receipt.token, timeout_s=30)

            assert not answer.stale
            assert answer.position is not None
            assert answer.position >= receipt.position
            assert answer.data.items[0] == NoteRow(receipt.result, str(n))


async def test_the_token_of_an_answer_leads_to_nothing_older() -> None:
    async with in_process(app) as running:
        receipt = await running.execute(Write(text="x"))
        first = await running.ask(All(), after=receipt.token, timeout_s=30)
        second = await running.ask(All(), after=first.token)

    assert second.position is not None
    assert first.position is not None
    assert second.position >= first.position


async def test_an_answer_that_comes_too_early_says_so_and_why() -> None:
    async with in_process(app) as running:
        receipt = await running.execute(Write(text="x"))
        later = await running.ask(All(), position=receipt.position + 1000, timeout_s=0.05)

    assert (later.stale, later.reason) == (True, "timeout")


async def test_nothing_is_called_missing_by_an_answer_that_comes_too_early() -> None:
    async with in_process(app) as running:
        receipt = await running.execute(Write(text="x"))
        with pytest.raises(Behind, match="may be on its way, ask again"):
            await running.ask(One(note_id="later"), position=receipt.position + 1000, timeout_s=0.05)
        with pytest.raises(NotFound):
            await running.ask(One(note_id="nobody"), after=receipt.token, timeout_s=30)


async def test_an_answer_of_a_faulted_projection_says_so_at_once() -> None:
    notes = Notes()
    notes.broken = True
    async with in_process(Diptych(commands, queries, projections=[notes])) as running:
        await running.caught_up()
        receipt = await running.execute(Write(text="x"))
        async with asyncio.timeout(60):
            answer = await running.ask(All(), after=receipt.token, timeout_s=600)

        assert (answer.stale, answer.reason, answer.data.items) == (True, "faulted", [])
        unasked = await running.ask(All())
        assert (unasked.stale, unasked.reason) == (True, "faulted")
        assert await running.ready() == (True, "ready; notes is faulted: RuntimeError: a bug")
        with pytest.raises(Unavailable, match="faulted, RuntimeError: a bug"):
            await running.caught_up()


async def test_a_query_waits_for_a_version_that_is_not_there_yet() -> None:
    async with in_process(app) as running:
        consistent = ConsistentQueryHandler(running.queries, running.event_store)
        asked = asyncio.create_task(
            consistent.query_after_command(All(), expected_version=1, stream_id="Note-n", timeout=60)
        )
        await running.dispatch(Write(text="late", note_id="n"))
        answer = await asked

        assert answer.data.items == [NoteRow("n", "late")]
        assert not answer.stale
        never = await consistent.query_after_command(All(), expected_version=9, stream_id="Note-n", timeout=0.05)
        assert (never.stale, never.reason) == (True, "timeout")


async def test_a_token_of_another_log_is_refused_and_one_of_nobody_too() -> None:
    async with in_process(app) as running:
        with pytest.raises(LogRewound, match="given by another log"):
            await running.ask(All(), after=Token(1, "", "elsewhere", 1))
        with pytest.raises(Malformed):
            await running.ask(All(), after="nonsense")


async def test_a_query_inside_a_command_handler_is_refused() -> None:
    asks = CommandBus()

    @asks.handler
    async def ask(command: Ask, bus: QueryBus) -> int:
        return (await bus.dispatch(All())).total or 0

    async with in_process(Diptych(asks, queries, projections=[Notes])) as running:
        with pytest.raises(QueryInCommand, match="query All was dispatched inside a command handler"):
            await running.dispatch(Ask())


async def test_dependencies_are_found_by_type_and_missing_ones_named_together() -> None:
    sends = CommandBus()

    @sends.handler
    async def send(command: Ask, mailer: Mailer, number: int) -> int:
        mailer.send("hello")
        return number

    post = Post()
    async with in_process(Diptych(sends, provide={Mailer: post, int: 7})) as running:
        assert await running.dispatch(Ask()) == 7
    assert post.sent == ["hello"]

    with pytest.raises(MissingDependencies, match=r"Mailer.*int"):
        async with in_process(Diptych(sends)):
            pass


async def test_several_buses_make_one_application() -> None:
    more = CommandBus()

    @more.handler
    async def count(command: Ask, event_store: EventStore) -> int:
        return len(await event_store.read_all())

    async with in_process(Diptych([commands, more], [queries], projections=[Notes])) as running:
        await running.dispatch(Write(text="x"))
        assert await running.dispatch(Ask()) == 1


async def test_who_acted_and_in_the_course_of_what_is_recorded_with_the_event() -> None:
    async with in_process(app) as running:
        with acting(actor="ann", correlation_id="c-1", tenant="north"):
            await running.dispatch(Write(text="x", command_id="cmd-1"))
        recorded = (await running.event_store.read_all())[0]

    assert recorded.metadata.actor == "ann"
    assert recorded.metadata.correlation_id == "c-1"
    assert recorded.metadata.causation_id == "cmd-1"
    assert recorded.metadata.command_id == "cmd-1"
    assert recorded.metadata.extra == {"tenant": "north"}


async def test_everything_is_there_again_after_a_restart(tmp_path: Path) -> None:
    log, read = f"sqlite:///{tmp_path}/log.db", f"sqlite:///{tmp_path}/read.db"
    async with app.open(log, read) as running:
        await running.dispatch(Write(text="kept", note_id="n"))

    async with app.open(log, read) as running:
        await running.caught_up()
        assert (await running.ask(All())).data.items == [NoteRow("n", "kept")]
        assert (await running.ready()) == (True, "ready")


async def test_read_models_of_another_log_are_refused_by_name(tmp_path: Path) -> None:
    read = f"sqlite:///{tmp_path}/read.db"
    async with app.open(log=f"sqlite:///{tmp_path}/log.db", read=read) as running:
        await running.dispatch(Write(text="kept"))
        await running.caught_up()

    async with app.open(log=f"sqlite:///{tmp_path}/other.db", read=read) as running:
        await running.dispatch(Write(text="other"))
        with pytest.raises(Unavailable, match="built from another log: put the log back"):
            await running.caught_up()


async def test_a_row_that_changed_its_shape_without_a_new_version_is_named_at_the_start(tmp_path: Path) -> None:
    log, read = f"sqlite:///{tmp_path}/log.db", f"sqlite:///{tmp_path}/read.db"
    async with app.open(log, read) as running:
        await running.dispatch(Write(text="kept", note_id="n"))
        await running.caught_up()

    wider = Diptych(commands, projections=[WiderNotes])
    with pytest.raises(BadProjection, match="projection 'notes' version 1 was built .*Raise its version, version = 2"):
        async with wider.open(log, read):
            pass
    WiderNotes.version = 2
    async with Diptych(commands, projections=[WiderNotes]).open(log, read) as running:
        await running.caught_up()


@pytest.mark.parametrize("spelt", ["a.db", "../{name}/a.db", "./a.db"])
async def test_one_file_can_not_hold_both(tmp_path: Path, spelt: str) -> None:
    with pytest.raises(BadDatabase, match="give each a file of its own"):
        async with app.open(f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/{spelt.format(name=tmp_path.name)}"):
            pass


async def test_answers_say_so_when_the_log_was_put_back_to_an_earlier_point(tmp_path: Path) -> None:
    log, read = tmp_path / "log.db", f"sqlite:///{tmp_path}/read.db"
    async with app.open(f"sqlite:///{log}", read) as running:
        await running.dispatch(Write(text="early", note_id="n"))
        await running.caught_up()
    copy = log.read_bytes()
    async with app.open(f"sqlite:///{log}", read) as running:
        for n in range(5):
            await running.dispatch(Write(text=str(n), note_id=f"lost-{n}"))
        await running.caught_up()
    log.write_bytes(copy)

    async with app.open(f"sqlite:///{log}", read) as running:
        receipt = await running.execute(Write(text="new", note_id="m"))
        answer = await running.ask(All(), after=receipt.token, timeout_s=0.1)
        assert (answer.stale, answer.reason) == (True, "rewound")
        assert (await running.ask(All())).reason == "rewound"
        await running.synchronizer.rebuild_projection("notes")
        fresh = await running.ask(All(), after=receipt.token, timeout_s=30)

    assert not fresh.stale
    assert [row.note_id for row in fresh.data.items] == ["m", "n"]


async def test_a_version_that_never_comes_is_never_said_to_be_there() -> None:
    async with in_process(app) as running:
        await running.dispatch(Write(text="x", note_id="n"))
        consistent = ConsistentQueryHandler(running.queries, running.event_store)
        asked = asyncio.create_task(
            consistent.query_after_command(All(), expected_version=2, stream_id="Note-n", timeout=0.2)
        )
        while not asked.done():
            await running.dispatch(Write(text="of another stream"))

        assert ((await asked).stale, (await asked).reason) == (True, "timeout")


async def test_an_empty_stream_is_there_at_once() -> None:
    async with in_process(app) as running:
        consistent = ConsistentQueryHandler(running.queries, running.event_store)
        async with asyncio.timeout(30):
            answer = await consistent.query_after_command(All(), expected_version=0, stream_id="Note-n", timeout=600)

        assert not answer.stale


async def test_queries_that_hold_several_snapshots_do_not_wait_for_each_other() -> None:
    nested = QueryBus()

    @nested.handler
    async def twice(query: All, notes: ReadModel[NoteRow]) -> PaginatedResult[NoteRow]:
        async with notes.snapshot():
            return await notes.page()

    async with in_process(Diptych(commands, nested, projections=[Notes])) as running, asyncio.timeout(30):
        answers = await asyncio.gather(*[running.ask(All(), timeout_s=30) for _ in range(20)])

    assert len(answers) == 20


async def test_an_application_tells_what_its_handlers_decide_about() -> None:
    assert app.aggregates == {"Note": Note}
