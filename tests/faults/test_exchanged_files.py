"""Files that are put back, exchanged, copied or taken away: noticed by name, and mended by what the error says."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from tests.faults.checks import check_read_models, check_sound
from tests.faults.tallies import Tallied
from tests.faults.test_cancellation import place
from tests.faults.waiting import until

from diptych import BadDatabase, LogRewound, Unavailable, log_adopt, log_restored, open_store
from diptych.app import Running
from orders.app import app
from orders.messages import SearchOrders

NOBODY = 65_534
NAMES = {"orders", "history", "sales_by_day"}
ALL = {*NAMES, "mail_on_shipping"}


def urls(folder: Path) -> tuple[str, str]:
    return f"sqlite:///{folder}/log.db", f"sqlite:///{folder}/read.db"


async def fill(folder: Path, *ids: str) -> str:
    """Place orders and let the read models follow; a token for the last."""
    async with app.open(*urls(folder)) as running:
        for id in ids:
            await place(running, id)
        await running.caught_up()
        return (await running.ask(SearchOrders())).token


async def ids_in(running: Running) -> set[str]:
    return {order.order_id for order in (await running.ask(SearchOrders(), timeout_s=30)).data.items}


async def test_a_log_put_back_to_an_earlier_point_is_refused_by_name_and_mended(tmp_path: Path) -> None:
    await fill(tmp_path, "a", "b")
    backup = (tmp_path / "log.db").read_bytes()
    late = await fill(tmp_path, "c", "d")
    (tmp_path / "log.db").write_bytes(backup)

    async with app.open(*urls(tmp_path)) as running:
        await place(running, "new")
        with pytest.raises(Unavailable, match=r"a later state of this log.*log_restored .*and rebuild the projection"):
            await running.caught_up(10)
        assert (await running.ask(SearchOrders())).reason == "rewound"

    mended = await log_restored(*urls(tmp_path))
    assert {of.projection for of in mended.to_rebuild} == NAMES
    assert mended.identity.incarnation == 2
    async with app.open(*urls(tmp_path)) as running:
        with pytest.raises(LogRewound, match="before this one was restored"):
            await running.ask(SearchOrders(), after=late)
        for name in NAMES:
            await running.synchronizer.rebuild_projection(name)
        await running.caught_up()
        await check_read_models(running)
        assert await ids_in(running) == {"a", "b", "new"}


async def test_read_models_that_fit_an_earlier_point_are_taken_along(tmp_path: Path) -> None:
    await fill(tmp_path, "a", "b")
    shutil.copytree(tmp_path, tmp_path / "backup")
    await fill(tmp_path, "c")

    mended = await log_restored(*urls(tmp_path / "backup"))

    assert ({of.projection for of in mended.kept}, mended.to_rebuild) == (ALL, ())
    await fill(tmp_path / "backup", "e")
    async with app.open(*urls(tmp_path / "backup")) as running:
        await running.caught_up()
        await check_read_models(running)
        assert await ids_in(running) == {"a", "b", "e"}


async def test_another_log_under_them_is_refused_by_name_and_mended(tmp_path: Path) -> None:
    await fill(tmp_path / "one", "a", "b")
    await fill(tmp_path / "other", "x")
    shutil.copy(tmp_path / "other" / "log.db", tmp_path / "one" / "log.db")

    async with app.open(*urls(tmp_path / "one")) as running:
        with pytest.raises(Unavailable, match="built from another log"):
            await running.caught_up(10)
        assert (await running.ask(SearchOrders())).reason == "another log"
        for name in ALL:
            await running.synchronizer.rebuild_projection(name)
        await running.caught_up()
        await check_read_models(running)
        assert await ids_in(running) == {"x"}


async def test_a_clone_becomes_a_log_of_its_own(tmp_path: Path) -> None:
    token = await fill(tmp_path / "live", "a")
    shutil.copytree(tmp_path / "live", tmp_path / "staging")

    mended = await log_adopt(*urls(tmp_path / "staging"))

    assert {of.projection for of in mended.kept} == ALL
    async with app.open(*urls(tmp_path / "staging")) as running:
        with pytest.raises(LogRewound, match="given by another log"):
            await running.ask(SearchOrders(), after=token)
        await place(running, "only-here")
        await running.caught_up()
        await check_read_models(running)
    async with app.open(*urls(tmp_path / "live")) as running:
        assert (await running.ask(SearchOrders(), after=token)).data.total == 1


async def test_a_log_copied_without_its_wal_is_an_earlier_point(tmp_path: Path) -> None:
    await fill(tmp_path / "live", "a")
    async with app.open(*urls(tmp_path / "live")) as running:
        await place(running, "in-the-wal")
        await running.caught_up()
        (tmp_path / "copy").mkdir()
        shutil.copy(tmp_path / "live" / "log.db", tmp_path / "copy" / "log.db")
    shutil.copy(tmp_path / "live" / "read.db", tmp_path / "copy" / "read.db")

    check_sound(tmp_path / "copy" / "log.db")
    async with app.open(*urls(tmp_path / "copy")) as running:
        assert (await running.ask(SearchOrders())).reason == "rewound"
        with pytest.raises(Unavailable, match="a later state of this log"):
            await running.caught_up(10)


async def test_a_log_replaced_under_a_running_application_takes_nothing_that_would_be_lost(tmp_path: Path) -> None:
    await fill(tmp_path / "other", "x")
    log = tmp_path / "log.db"
    async with app.open(*urls(tmp_path)) as running:
        await place(running, "before")
        await running.caught_up()
        log.rename(tmp_path / "aside.db")
        with pytest.raises(Unavailable, match="was moved, removed or replaced while it was open"):
            await place(running, "lost")
        shutil.copy(tmp_path / "other" / "log.db", log)
        with pytest.raises(Unavailable, match="was moved, removed or replaced while it was open"):
            await place(running, "lost")
        assert (await running.ready())[0] is False
        os.replace(tmp_path / "aside.db", log)

        await place(running, "after")
        await running.caught_up()
        await check_read_models(running)
        assert await ids_in(running) == {"before", "after"}


async def test_a_log_that_may_not_be_written_is_named_and_works_when_it_may() -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder)
        await fill(path, "a")
        with a_user_who_may_only_read(path / "log.db"), pytest.raises((BadDatabase, Unavailable), match=r"log\.db"):
            await fill(path, "refused")

        await fill(path, "b")
        async with app.open(*urls(path)) as running:
            assert await ids_in(running) == {"a", "b"}


async def test_read_models_that_may_not_be_written_answer_and_go_on_when_they_may(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with TemporaryDirectory() as folder, ExitStack() as unprivileged:
        path = Path(folder)
        await fill(path, "a")
        unprivileged.enter_context(a_user_who_may_only_read(path / "read.db"))
        async with app.open(*urls(path)) as running:
            await place(running, "b")
            await until(lambda: "read.db can't be used now: attempt to write a readonly" in caplog.text, "not named")
            assert await ids_in(running) == {"a"}
            unprivileged.close()

            await running.caught_up(60)
            await check_read_models(running)
            assert await ids_in(running) == {"a", "b"}


@contextmanager
def a_user_who_may_only_read(path: Path) -> Iterator[None]:
    """Whoever runs this; root, whom no mode stops, becomes nobody for a while."""
    path.parent.chmod(0o777)
    for file in path.parent.iterdir():
        file.chmod(0o666)
    path.chmod(0o444)
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
        path.chmod(0o666)


async def test_nothing_is_appended_to_a_file_that_was_taken_away(tmp_path: Path) -> None:
    log = tmp_path / "log.db"
    append: dict[str, Any] = {"stream_id": "S-1", "stream_type": "S"}
    async with open_store(f"sqlite:///{log}", [Tallied]) as event_store:
        await event_store.append_events(**append, events=[Tallied(name="x", number=1)])
        log.rename(tmp_path / "aside.db")
        with pytest.raises(Unavailable, match="was moved, removed or replaced while it was open"):
            await event_store.append_events(**append, events=[Tallied(name="x", number=2)])
        (tmp_path / "aside.db").rename(log)

        assert [event.data.number for event in await event_store.read_all()] == [1]
