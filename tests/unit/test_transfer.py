"""A log is the same wherever it was carried, and however often it was cut short on the way."""

import asyncio
import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from diptych import transfer
from diptych.errors import BadDatabase, BadFile
from diptych.log import open_store
from diptych.read.tend.identity import log_adopt
from diptych.store import open_store_backend
from diptych.store.port import LogIdentity, StoredCommand, StoredEvent
from diptych.testing.conformance.case import a_command, an_append, everything, to
from diptych.transfer import export_log, import_log

T0 = 1_700_000_000_000_000


def history(number: int) -> list[StoredEvent]:
    """Events of some streams, with holes between their positions."""
    return [
        StoredEvent(
            position=at * 2 + 1,
            stream=f"Order-{at % 7}",
            category="Order",
            version=at // 7 + 1,
            type="Placed",
            schema_version=1,
            id=f"event-{at}",
            payload=b'{"n":%d,"price":1.50,"text":"Gr\xc3\xb6\xc3\x9fe \xf0\x9f\x98\x80"}' % at,
            metadata=b'{"actor":"ann"}',
            recorded_at=T0 + at,
        )
        for at in range(number)
    ]


def records(number: int) -> list[StoredCommand]:
    return [
        StoredCommand(f"command-{at}", bytes([at % 256]) * 16 if at % 3 else None, b'"done\\n"', "Order-0", 1, 1, T0)
        for at in range(number)
    ]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "BATCH", 10)


@pytest.fixture
async def log(tmp_path: Path) -> str:
    """A log with 95 events and 25 commands."""
    url = f"sqlite:///{tmp_path}/log.db"
    async with open_store_backend(url) as store:
        await store.put(history(95), records(25))
    return url


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


async def contents(url: str) -> tuple[LogIdentity, list[StoredEvent], list[StoredCommand]]:
    async with open_store_backend(url) as store:
        return store.identity, list(await everything(store)), list(await store.commands(limit=1000))


async def test_a_log_is_the_same_in_another_file_and_in_its_next_export(log: str, file: Path, tmp_path: Path) -> None:
    new = f"sqlite:///{tmp_path}/new.db"
    exported = await export_log(log, file)
    imported = await import_log(new, file)
    await export_log(new, tmp_path / "again.jsonl")

    assert (exported.events, exported.commands, exported.position) == (95, 25, 189)
    assert imported == exported
    assert await contents(new) == await contents(log)
    assert (tmp_path / "again.jsonl").read_bytes() == file.read_bytes()


async def test_a_log_moves_to_postgresql_and_back(
    log: str, file: Path, tmp_path: Path, postgres: Callable[[int], str]
) -> None:
    there, back = postgres(18), f"sqlite:///{tmp_path}/back.db"
    await export_log(log, file)
    await import_log(there, file)
    assert await contents(there) == await contents(log)

    await export_log(there, tmp_path / "back.jsonl")
    await import_log(back, tmp_path / "back.jsonl")

    assert await contents(back) == await contents(log)
    assert (tmp_path / "back.jsonl").read_bytes() == file.read_bytes()


async def test_repeats_are_known_where_a_log_was_carried_to(log: str, file: Path, tmp_path: Path) -> None:
    new = f"sqlite:///{tmp_path}/new.db"
    await export_log(log, file)
    await import_log(new, file)

    async with open_store_backend(new) as store:
        again = await store.append(an_append(to("Order-0"), command=a_command("command-3", digest=None)))
        assert (again.repeated, again.command and again.command.result) == (True, b'"done\\n"')
        behind = await store.append(an_append(to("Order-0", expected=14)))
        assert behind.position > 189


class Killed(Exception):
    pass


def killed_after(calls: int) -> Callable[[int, int], None]:
    left = iter(range(calls))

    def progress(done: int, of: int) -> None:
        if next(left, None) is None:
            raise Killed

    return progress


async def test_an_export_goes_on_where_it_was_cut_short(log: str, file: Path, tmp_path: Path) -> None:
    await export_log(log, tmp_path / "whole.jsonl")
    whole = (tmp_path / "whole.jsonl").read_bytes()

    for size in {0, 1, 50, len(whole) // 3, len(whole) - 1, *lines_ends(whole)}:
        file.write_bytes(whole[:size])
        await export_log(log, file)
        assert file.read_bytes() == whole, size


def lines_ends(text: bytes) -> Iterator[int]:
    for number in (1, 2, 50, 96, 97, 120):
        yield sum(len(line) for line in text.splitlines(keepends=True)[:number])


async def test_an_export_that_is_gone_on_with_ends_where_it_was_to_end(log: str, file: Path) -> None:
    with pytest.raises(Killed):
        await export_log(log, file, progress=killed_after(3))
    async with open_store_backend(log) as store:
        await store.append(an_append(to("Order-0"), command=a_command("later")))

    assert (await export_log(log, file)).events == 95
    assert b"later" not in file.read_bytes()


async def test_an_import_goes_on_where_it_was_cut_short(log: str, file: Path, tmp_path: Path) -> None:
    new = f"sqlite:///{tmp_path}/new.db"
    await export_log(log, file)

    for calls in (0, 1, 3, 9):
        with pytest.raises(Killed):
            await import_log(new, file, progress=killed_after(calls))
    await import_log(new, file)

    assert await contents(new) == await contents(log)


async def test_nobody_opens_a_log_whose_import_was_cut_short(log: str, file: Path, tmp_path: Path) -> None:
    new = f"sqlite:///{tmp_path}/new.db"
    await export_log(log, file)
    with pytest.raises(Killed):
        await import_log(new, file, progress=killed_after(2))

    with pytest.raises(BadDatabase, match="import the same file again"):
        async with open_store(new, ()):
            pass
    with pytest.raises(BadDatabase, match="import the same file again"):
        await export_log(new, tmp_path / "half.jsonl")

    await import_log(new, file)
    async with open_store(new, ()) as event_store:
        assert await event_store.head() == 189


async def test_a_log_that_went_on_is_imported_behind_its_beginning(log: str, file: Path, tmp_path: Path) -> None:
    new = f"sqlite:///{tmp_path}/new.db"
    await export_log(log, file)
    await import_log(new, file)
    async with open_store_backend(log) as store:
        await store.append(an_append(to("Order-0"), command=a_command("later")))
    await export_log(log, tmp_path / "later.jsonl")

    await import_log(new, tmp_path / "later.jsonl")

    assert await contents(new) == await contents(log)
    with pytest.raises(BadDatabase, match="differ from position 190 on"):
        await import_log(new, file)


async def test_an_import_into_another_log_is_refused_and_changes_nothing(log: str, file: Path, tmp_path: Path) -> None:
    await export_log(log, file)
    other = f"sqlite:///{tmp_path}/other.db"
    async with open_store_backend(other) as store:
        await store.append(an_append(to("Order-0")))
    before = await contents(other)

    with pytest.raises(BadDatabase, match="import into an empty one"):
        await import_log(other, file)

    assert await contents(other) == before


async def test_a_log_that_lacks_an_event_of_the_file_is_refused(log: str, file: Path, tmp_path: Path) -> None:
    await export_log(log, file)
    lacking = f"sqlite:///{tmp_path}/lacking.db"
    async with open_store_backend(lacking) as store:
        await store.put([event for event in history(95) if event.stream != "Order-3"])
        await store.become((await contents(log))[0])

    with pytest.raises(BadDatabase, match="they differ from position 7 on"):
        await import_log(lacking, file)


@pytest.mark.parametrize("place", [0, 9, 10, 50, 94])
async def test_a_log_that_differs_in_one_event_is_refused(log: str, file: Path, tmp_path: Path, place: int) -> None:
    await export_log(log, file)
    different = f"sqlite:///{tmp_path}/different.db"
    events = history(95)
    events[place] = replace(events[place], payload=b"{}")
    async with open_store_backend(different) as store:
        await store.put(events)
        await store.become((await contents(log))[0])
    before = await contents(different)

    with pytest.raises(BadDatabase, match=f"they differ from position {place * 2 + 1} on"):
        await import_log(different, file)

    assert (await contents(different))[1:] == before[1:]


async def test_a_copy_becomes_a_log_of_its_own_and_takes_no_more_of_the_original(
    log: str, file: Path, tmp_path: Path
) -> None:
    copy = f"sqlite:///{tmp_path}/copy.db"
    await export_log(log, file)
    await import_log(copy, file)
    await log_adopt(copy)

    with pytest.raises(BadDatabase, match="holds log"):
        await import_log(copy, file)


async def test_a_file_that_lost_its_end_or_a_line_is_noticed(log: str, file: Path, tmp_path: Path) -> None:
    await export_log(log, file)
    lines = file.read_bytes().splitlines(keepends=True)

    for number, kept in enumerate((lines[:-1], lines[:50], lines[:1], lines[:-3] + lines[-2:])):
        file.write_bytes(b"".join(kept))
        with pytest.raises(BadFile, match="go on with its export"):
            await import_log(f"sqlite:///{tmp_path}/new{number}.db", file)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no log\n",
        '{"is":"end","events":0,"commands":0}\n',
        '{"is":"log","format":99,"log_id":"x","incarnation":1,"through":1}\n',
    ],
)
async def test_a_file_that_holds_something_else_is_refused(tmp_path: Path, file: Path, log: str, text: str) -> None:
    file.write_text(text)

    with pytest.raises(BadFile):
        await import_log(f"sqlite:///{tmp_path}/new.db", file)
    if text:
        with pytest.raises(BadFile):
            await export_log(log, file)
        assert file.read_text() == text
    assert not (tmp_path / "new.db").exists()


async def test_a_file_that_is_not_there_is_told(tmp_path: Path, log: str) -> None:
    with pytest.raises(BadFile, match="can't be read"):
        await import_log(log, tmp_path / "none.jsonl")
    with pytest.raises(BadFile, match="can't be written"):
        await export_log(log, tmp_path / "none" / "file.jsonl")


async def test_a_whole_export_is_not_taken_for_one_of_today(log: str, file: Path) -> None:
    await export_log(log, file)
    before = file.read_bytes()
    await export_log(log, file)
    async with open_store_backend(log) as store:
        await store.append(an_append(to("Order-0")))

    with pytest.raises(BadFile, match="name another file"):
        await export_log(log, file)

    assert file.read_bytes() == before


async def test_an_export_of_another_log_is_not_gone_on_with(log: str, file: Path, tmp_path: Path) -> None:
    await export_log(f"sqlite:///{tmp_path}/other.db", file)

    with pytest.raises(BadFile, match="holds another log"):
        await export_log(log, file)


@pytest.mark.parametrize(
    "payload",
    [
        b'{\n "n": 1\r\n}',
        b"no json",
        b"",
        b' {"a": 1} ',
        b'{"a":1} {"b":2}',
        b'{"n":10000000000000000000000,"m":1e400}',
    ],
)
async def test_payloads_come_back_byte_by_byte(file: Path, tmp_path: Path, payload: bytes) -> None:
    log, new = f"sqlite:///{tmp_path}/log.db", f"sqlite:///{tmp_path}/new.db"
    async with open_store_backend(log) as store:
        await store.put([replace(history(1)[0], payload=payload)], [replace(records(1)[0], result=payload)])

    await export_log(log, file)
    await import_log(new, file)

    assert await contents(new) == await contents(log)
    assert all(json.loads(line) for line in file.read_bytes().split(b"\n") if line)


async def test_memory_does_not_grow_with_the_log(file: Path, tmp_path: Path) -> None:
    most = []
    for number in (500, 5_000):
        log = f"sqlite:///{tmp_path}/{number}.db"
        async with open_store_backend(log) as store:
            await store.put(history(number), records(number))
        file.unlink(missing_ok=True)
        tracemalloc.start()
        await asyncio.gather(export_log(log, file))
        await asyncio.gather(import_log(f"sqlite:///{tmp_path}/new{number}.db", file))
        most.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert most[1] < most[0] + 200_000
