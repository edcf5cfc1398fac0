"""Run a whole application in a test: a log in memory, read models in a file that goes again."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from diptych.app import Diptych, Running

TO_START_S = 30.0


@asynccontextmanager
async def in_process(app: Diptych, *, provide: Mapping[Any, object] | None = None) -> AsyncIterator[Running]:
    """
    Open an application for a test; its read models are served from the beginning.

        async with in_process(app) as running:
            await running.dispatch(PlaceOrder(...))
            await running.caught_up()
            assert await running.queries.dispatch(OrdersOf(...)) == ...

    Args:
        provide: Dependencies to replace, such as a mailer that only remembers.
    """
    async with app.open(log="memory://", read="sqlite:///:memory:", provide=provide) as running:
        for projection in running.projections:
            await running.synchronizer.wait_for(projection.name, 0, TO_START_S)
        yield running
