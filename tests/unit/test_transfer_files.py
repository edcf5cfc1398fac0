"""A file is looked at before anything is written into it, or taken out of it."""

import re
from pathlib import Path

import pytest
from tests.unit.test_transfer import history, records

from diptych.errors import BadFile
from diptych.store import open_store_backend
from diptych.store.port import LogIdentity
from diptych.testing.conformance.case import an_append, to
from diptych.transfer import export_log, import_log


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


@pytest.mark.parametrize(
    "text",
    [
        '{"my":"config"}',
        "no line ends here",
        "one line\nand one cut short",
        "\n",
        '{"is":"log","format":1,"log_id":"x","incarnation":1,"through":1',
        '{"is":"log","format":1,"log_id":"x","incarnation":1,"through":1}\nand',
        '{"is":"end","events":0,"commands":0}\n{',
    ],
)
async def test_a_file_that_is_no_beginning_of_the_export_is_refused_and_keeps_every_byte(
    log: str, file: Path, text: str
) -> None:
    file.write_text(text)

    with pytest.raises(BadFile, match="name"):
        await export_log(log, file)

    assert file.read_text() == text


@pytest.mark.parametrize("behind", ["{", "a note", "a note\n", '{"is":"end","events":95,"commands":25}\n'])
async def test_what_somebody_wrote_behind_a_whole_export_is_kept(log: str, file: Path, behind: str) -> None:
    await export_log(log, file)
    file.write_text(before := file.read_text() + behind)

    with pytest.raises(BadFile):
        await export_log(log, file)

    assert file.read_text() == before


async def test_a_line_that_was_cut_short_is_kept_where_the_rest_is_another_log(
    log: str, file: Path, tmp_path: Path
) -> None:
    await export_log(log, file)
    file.write_bytes(before := file.read_bytes()[:-10])

    with pytest.raises(BadFile, match="holds another log"):
        await export_log(f"sqlite:///{tmp_path}/other.db", file)

    assert file.read_bytes() == before


@pytest.mark.parametrize("ending", ["", "-wal", "-shm"])
async def test_a_log_is_not_exported_into_itself(log: str, tmp_path: Path, ending: str) -> None:
    async with open_store_backend(log) as store:
        await store.append(an_append(to("Order-0")))
        before = (tmp_path / "log.db").read_bytes()

        with pytest.raises(BadFile, match="the log itself"):
            await export_log(log, tmp_path / f"log.db{ending}")

        assert (tmp_path / "log.db").read_bytes() == before
        assert (await store.read(0, limit=1)).events


async def test_a_first_line_that_was_cut_short_is_gone_on_with_though_the_log_went_on(log: str, file: Path) -> None:
    await export_log(log, file)
    first = file.read_bytes().partition(b"\n")[0]
    async with open_store_backend(log) as store:
        await store.append(an_append(to("Order-0")))

    for cut in (first[:20], first[:-3], first[:-1], first):
        file.write_bytes(cut)
        assert (await export_log(log, file)).events == 96


async def test_an_export_up_to_where_the_log_never_was_is_not_gone_on_with(log: str, file: Path) -> None:
    await export_log(log, file)
    file.write_bytes(before := file.read_bytes().replace(b'"through":189', b'"through":999').rpartition(b'{"is"')[0])

    with pytest.raises(BadFile, match="position 999"):
        await export_log(log, file)

    assert file.read_bytes() == before


async def test_an_export_into_what_is_no_file_is_refused(log: str) -> None:
    with pytest.raises(BadFile, match="/dev/full is no file"):
        await export_log(log, "/dev/full")


@pytest.mark.parametrize(
    ("number", "part", "hostile"),
    [
        (1, b'"incarnation":1', b'"incarnation":0'),
        (1, b'"incarnation":1', b'"incarnation":-1'),
        (1, b'"log_id":"log"', b'"log_id":""'),
        (1, b'"log_id":"log"', b'"log_id":"\\u0000"'),
        (1, b'"through":1', b'"through":9223372036854775807'),
        (1, b'"through":1', b'"through":%s' % (b"9" * 5000)),
        (2, b'"price":1.50', b'"price":"\xff"'),
        (2, b'"stream":"Order-0"', b'"stream":"\xff"'),
        (2, b'"stream":"Order-0"', b'"stream":"Order\\u0000"'),
        (2, b'"stream":"Order-0"', b'"stream":""'),
        (2, b'"stream":"Order-0"', b'"stream":"%s"' % (b"x" * 2001)),
        (2, b'"type":"Placed"', b'"type":""'),
        (2, b'"id":"event-0"', b'"id":"\\u0000"'),
        (2, b'"category":"Order"', b'"category":""'),
        (2, b'"schema_version":1', b'"schema_version":-1'),
        (2, b'"schema_version":1', b'"schema_version":2147483648'),
        (2, b'"version":1', b'"version":0'),
        (2, b'"position":1', b'"position":9223372036854775807'),
        (2, b'"position":1', b'"position":99999999999999999999'),
        (2, b'"position":1', b'"position":0'),
        (2, b'"recorded_at":17', b'"recorded_at":4611686018427387904'),
        (2, b'"recorded_at":17', b'"recorded_at":-17'),
        (2, b'"price":1.50', b'"price":' + b"[" * 5000 + b"]" * 5000),
        (2, b'"metadata":{', b'"as_text":true,"metadata":{'),
        (3, b'"id":"command-0"', b'"id":""'),
        (3, b'"position":1', b'"position":9223372036854775807'),
        (3, b'"result":"', b'"result":"\xff'),
    ],
)
async def test_a_line_that_no_log_can_hold_is_refused_by_its_number(
    file: Path, tmp_path: Path, number: int, part: bytes, hostile: bytes
) -> None:
    log, new = f"sqlite:///{tmp_path}/log.db", f"sqlite:///{tmp_path}/new.db"
    async with open_store_backend(log) as store:
        await store.become(LogIdentity("log", 1))
        await store.put(history(1), records(1))
    await export_log(log, file)
    lines = file.read_bytes().splitlines(keepends=True)
    assert part in lines[number - 1]
    lines[number - 1] = lines[number - 1].replace(part, hostile, 1)
    file.write_bytes(b"".join(lines))

    with pytest.raises(
        BadFile, match="is no export of a log" if number == 1 else f"line {number} of .* none of a log's"
    ):
        await import_log(new, file)


async def test_json_too_deep_to_be_read_is_refused_as_text_too(log: str, file: Path, tmp_path: Path) -> None:
    await export_log(log, file)
    as_text = b'"as_text":true,"payload":"{}","metadata":"%s"' % (b"[" * 5000 + b"]" * 5000)
    file.write_bytes(re.sub(rb'"payload":\{[^}]*\},"metadata":\{[^}]*\}', as_text, file.read_bytes(), count=1))

    with pytest.raises(BadFile, match="line 2 of .*recursion"):
        await import_log(f"sqlite:///{tmp_path}/new.db", file)
