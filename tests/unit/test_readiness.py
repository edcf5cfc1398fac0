"""What an application says of itself: ready or not, and what somebody should look after."""

from datetime import UTC, datetime
from typing import ClassVar

import pytest

from diptych import Diptych, ParkedKey, ProjectionStatus, RecordedEvent, TableProjection
from diptych.app import Running
from diptych.testing import in_process
from diptych.testing.conformance.accounts import Account, Opened
from diptych.testing.conformance.case import until


class Prompt(TableProjection[Account, Opened]):
    """May not lag."""

    max_lag_s: ClassVar[float | None] = 0.05

    def evolve(self, row: Account | None, event: RecordedEvent[Opened]) -> Account | None:
        return Account(event.data.account, event.data.owner)


async def test_a_projection_that_is_late_is_named_and_the_application_is_ready_all_the_same() -> None:
    async with in_process(Diptych(projections=[Prompt])) as running:

        async def is_late() -> bool:
            return (await status(running)).state == "late"

        async with running.read_db.begin():  # the only writer of the file, so that nothing is applied meanwhile
            await append(running)
            await until(is_late)
            ready, notes = await running.ready()
        await running.caught_up()

        assert ready
        assert notes.startswith("ready; prompt is late: 0.")
        assert notes.endswith(" s behind, 0.05 s are allowed")
        assert await running.ready() == (True, "ready")


async def test_a_projection_that_is_paused_is_named() -> None:
    async with in_process(Diptych(projections=[Prompt])) as running:
        await running.caught_up()
        await running.synchronizer.pause("prompt")

        assert await running.ready() == (True, "ready; prompt is paused")


@pytest.mark.parametrize(
    ("state", "parked", "note"),
    [("no owner", 0, "a has no owner"), ("running", 1, "a has parked 1 key"), ("running", 2, "a has parked 2 keys")],
)
def test_a_note_is_a_sentence(state: str, parked: int, note: str) -> None:
    keys = tuple(ParkedKey(str(each), 1, "Paid", 1, "a bug", 4, datetime.now(UTC)) for each in range(parked))

    assert ProjectionStatus("a", 1, 1, served=True, state=state, checkpoint=0, head=0, parked=keys).note == note


async def status(running: Running) -> ProjectionStatus:
    [found] = await running.synchronizer.status()
    return found


async def append(running: Running) -> None:
    opened = Opened(account="a", owner="ann")
    await running.event_store.append_events(stream_id="a", stream_type="Account", events=[opened])
