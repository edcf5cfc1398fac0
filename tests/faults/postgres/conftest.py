"""A server of its own for each test that does something to it."""

from collections.abc import Iterator

import pytest
from tests.clusters import Cluster


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A server that may be stopped, crashed and filled."""
    cluster = Cluster()
    cluster.make()
    cluster.start()
    yield cluster
    cluster.remove()
