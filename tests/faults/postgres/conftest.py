"""A server of its own for each test that does something to it; in `make faults` one of every version."""

from collections.abc import Iterator

import pytest
from tests.clusters import PLACES, Cluster, is_there
from tests.faults.conftest import LONG

VERSIONS = sorted(PLACES, reverse=True)


@pytest.fixture(params=VERSIONS if LONG else VERSIONS[:1])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A server that may be stopped, crashed and filled."""
    if not is_there(request.param):
        pytest.skip(f"NO POSTGRESQL {request.param} ON THIS MACHINE: what it does in faults was not tested")
    cluster = Cluster(request.param)
    cluster.make()
    cluster.start()
    yield cluster
    cluster.remove()
