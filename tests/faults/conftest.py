"""Short fault tests in `make test`, long ones in `make faults`; after each, nothing is left running."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.faults.waiting import until

LONG = os.environ.get("DIPTYCH_FAULTS") == "long"


@pytest.fixture
def amount() -> Callable[..., Any]:
    """How much of a fault: a few in `make test`, many in `make faults`."""
    return lambda *, short, long: long if LONG else short


@pytest.fixture(autouse=True)
async def nothing_leaks() -> AsyncIterator[None]:
    """Every task, thread and open database that a test began has ended with it."""
    tasks, threads, files = asyncio.all_tasks(), set(threading.enumerate()), open_databases()
    yield
    await until(lambda: not open_databases() - files, "databases are still open")
    await until(lambda: not _ours(set(threading.enumerate()) - threads), "threads go on")
    left = asyncio.all_tasks() - tasks - {asyncio.current_task()}
    assert not left


def open_databases() -> set[str]:
    """The database files that this process has open."""
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        return set()
    return {name for fd in descriptors.iterdir() if ".db" in (name := _target(fd))}


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:  # closed meanwhile
        return ""


def _ours(threads: set[threading.Thread]) -> set[threading.Thread]:
    return {thread for thread in threads if thread.name.startswith("diptych")}
