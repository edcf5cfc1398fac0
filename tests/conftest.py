"""What tests of every folder may ask for."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Before anything imports it: the suite's assertions are explained as those of a test file are.
pytest.register_assert_rewrite("diptych.testing.conformance")

from tests.clusters import Cluster, is_there  # noqa: E402
from tests.serving import Served, environment  # noqa: E402


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """One more than there are processors: the tests wait for servers, disks and leases as much as they compute."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None  # as it says
    return (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1) + 1


@pytest.fixture(autouse=True)
def mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the mails of the Orders application go."""
    monkeypatch.setenv("ORDERS_MAIL", str(tmp_path / "mail"))
    return tmp_path / "mail"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Start a Python program as a server; it ends with the test."""
    started: list[Served] = []

    def start(*command: str, **variables: str) -> Served:
        server = Served(list(command), tmp_path, **variables)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.kill()


@pytest.fixture(scope="session")
def clusters() -> Iterator[Callable[[int], Cluster]]:
    """The PostgreSQL server of a version, started when it is first asked for; it ends with the session."""
    started: dict[int, Cluster] = {}

    def running(version: int) -> Cluster:
        if not is_there(version):
            pytest.skip(f"NO POSTGRESQL {version} ON THIS MACHINE: what is tested with it was not tested")
        if version not in started:
            cluster = started[version] = Cluster(version)
            cluster.make()
            cluster.start()
        return started[version]

    yield running
    for cluster in started.values():
        cluster.remove()


@pytest.fixture
def postgres(clusters: Callable[[int], Cluster]) -> Callable[[int], str]:
    """The URL of a new, empty schema on the server of a version."""
    return lambda version: clusters(version).new_schema()


@pytest.fixture
def load() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start `python -m orders.load` with arguments; it ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "orders.load", *arguments]
        started.append(
            subprocess.Popen(
                command,
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
            )
        )
        return started[-1]

    yield start
    for loading in started:
        loading.kill()
        loading.communicate()
