"""
Check that a store keeps the promise of `diptych.store.port`.

Subclass `StoreConformance`, say how the store is opened, and let pytest (with
pytest-asyncio in auto mode) collect it; `DurableStoreConformance` is for a store
that outlives its process:

    class TestMyStore(DurableStoreConformance):
        def open_store(self, folder: Path) -> AbstractAsyncContextManager[Store]:
            return open_my_store(folder / "log")

`diptych.testing.store_machine` drives it at random besides.
"""

from diptych.testing.conformance.appending import Appending, Expecting, SeveralStreams
from diptych.testing.conformance.durable import Reopening, Sharing
from diptych.testing.conformance.living import Leaving, Together, Waiting
from diptych.testing.conformance.moving import Listing, Pruning, Putting
from diptych.testing.conformance.reading import Filtering, Reading, Streams
from diptych.testing.conformance.repeating import Commands, Repeating


class StoreConformance(
    Appending,
    Expecting,
    SeveralStreams,
    Repeating,
    Commands,
    Reading,
    Filtering,
    Streams,
    Listing,
    Putting,
    Pruning,
    Waiting,
    Together,
    Leaving,
):
    """What holds for every store: subclass it and say how to open yours with `open_store(folder)`."""


class DurableStoreConformance(StoreConformance, Reopening, Sharing):
    """What holds besides for a store that keeps its log in *folder* when it is closed."""
