"""The `eventsourcing` library as the other side: new aggregates of one event, saved from threads."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

THREADS = 16


class Note(Aggregate):
    """A small fact."""

    @event("Noted")
    def __init__(self, text: str, number: int) -> None:
        self.text, self.number = text, number


@contextmanager
def on_sqlite(path: Path) -> Iterator["Saver"]:
    """An application on a file of its own; SQLite's default there is synchronous=FULL, as ours."""
    with _saver(
        {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(path), "SQLITE_LOCK_TIMEOUT": "60"}
    ) as saver:
        yield saver


@contextmanager
def on_postgres(port: int) -> Iterator["Saver"]:
    """An application in the database `postgres` of a server on this machine."""
    with _saver(
        {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": "postgres",
            "POSTGRES_HOST": "127.0.0.1",
            "POSTGRES_PORT": str(port),
            "POSTGRES_USER": "postgres",
            "POSTGRES_PASSWORD": "unused",
            "POSTGRES_POOL_SIZE": str(THREADS),
        }
    ) as saver:
        yield saver


@contextmanager
def _saver(settings: Mapping[str, str]) -> Iterator["Saver"]:
    application: Application[UUID] = Application(env=settings)
    with ThreadPoolExecutor(THREADS) as threads:
        yield Saver(application, threads)
    application.close()


class Saver:
    """Saves notes from many threads."""

    def __init__(self, application: Application[UUID], threads: ThreadPoolExecutor) -> None:
        self._application, self._threads = application, threads

    def save(self, count: int) -> float:
        """Notes a second."""
        began = perf_counter()
        for done in [self._threads.submit(self._save_some, count // THREADS) for _ in range(THREADS)]:
            done.result()
        return count // THREADS * THREADS / (perf_counter() - began)

    def _save_some(self, count: int) -> None:
        for number in range(count):
            self._application.save(Note("hello", number))
