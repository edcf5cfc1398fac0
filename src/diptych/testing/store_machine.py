"""
Drive a store at random against a model of what it promises. Needs hypothesis.

    class MyMachine(StoreMachine):
        durable = True

        def open_store(self, folder: Path) -> AbstractAsyncContextManager[Store]:
            return open_my_store(folder / "log")

    TestMyMachine = MyMachine.TestCase

The model is a list of events and a dictionary of commands: what a store does more
than that, it does to be fast and to survive, and nobody may notice.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from msgspec.structs import replace

from diptych.errors import CommandIdReused, WrongVersion
from diptych.store.port import ANY, EXISTS, NO_STREAM, Append, CommandRecord, Expected, Outcome, Store, StoredEvent
from diptych.testing.conformance.case import an_append, event, everything, to

T = TypeVar("T")
STREAMS = ("Order-1", "Order-2", "Invoice-1")
CATEGORIES = ("Order", "Invoice")
TYPES = ("Placed", "Shipped", "Sent")
EXPECTATIONS = ("any", "none", "some", "right", "wrong")


class StoreMachine(RuleBasedStateMachine):
    """A store and its model, side by side; `durable` where the store may be closed and opened again."""

    durable: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.Runner()
        self._folder = TemporaryDirectory()
        self._log: list[StoredEvent] = []
        self._sent: list[tuple[Append, Outcome]] = []
        self._commands: dict[str, tuple[bytes, Outcome]] = {}
        self._open()

    @abstractmethod
    def open_store(self, folder: Path) -> AbstractAsyncContextManager[Store]:
        """The store under test; a durable one keeps its log in *folder*."""

    def teardown(self) -> None:
        """Close everything that was opened."""
        self._close()
        self._loop.close()
        self._folder.cleanup()

    @rule(
        streams=st.lists(st.sampled_from(STREAMS), min_size=1, unique=True),
        types=st.lists(st.sampled_from(TYPES), min_size=1, max_size=3),
        expectation=st.sampled_from(EXPECTATIONS),
    )
    def append(self, streams: list[str], types: list[str], expectation: str) -> None:
        """Append to streams: all, or nothing where one of them is elsewhere than expected."""
        parts = [to(name, *map(event, types), expected=self._expected(name, expectation)) for name in streams]
        append = an_append(*parts)
        refused = [part.stream for part in parts if not self._allows(part.stream, part.expected)]
        if refused:
            with pytest.raises(WrongVersion) as raised:
                self._run(self._store.append(append))
            assert raised.value.stream == refused[0]
            assert raised.value.actual == self._version(refused[0])
        else:
            outcome = self._run(self._store.append(append))
            self._take(append, outcome)
            self._sent.append((append, outcome))
        self._check_log(7)

    @precondition(lambda self: self._sent)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """Send an append again: it gets its first outcome, and nothing changes."""
        append, first = data.draw(st.sampled_from(self._sent))
        assert self._run(self._store.append(append)) == replace(first, repeated=True)
        self._check_log(5)

    @rule(
        id=st.sampled_from(("c1", "c2", "c3")),
        digest=st.sampled_from((b"one", b"two")),
        streams=st.lists(st.sampled_from(STREAMS), unique=True, max_size=2),
    )
    def command(self, id: str, digest: bytes, streams: list[str]) -> None:
        """Send a command: the first of an id is taken, a repeat answered, another body refused."""
        append = Append(id, [to(name, event(TYPES[0])) for name in streams], CommandRecord(id, digest, b"1"))
        if id not in self._commands:
            outcome = self._run(self._store.append(append))
            self._take(append, outcome)
            self._commands[id] = (digest, outcome)
        elif self._commands[id][0] == digest:
            again = self._run(self._store.append(append))
            assert (again.position, again.repeated) == (self._commands[id][1].position, True)
        else:
            with pytest.raises(CommandIdReused):
                self._run(self._store.append(append))
        found = self._run(self._store.command(id))
        assert found is not None
        assert found.command == self._commands[id][1].command
        self._check_log(3)

    @rule(
        size=st.integers(1, 5),
        types=st.sets(st.sampled_from(TYPES)),
        categories=st.sets(st.sampled_from(CATEGORIES)),
    )
    def read(self, size: int, types: set[str], categories: set[str]) -> None:
        """Read page by page through a filter: everything that it takes, once and in order."""
        found: list[StoredEvent] = []
        after, head = 0, self._run(self._store.head())
        while after < head:
            page = self._run(self._store.read(after, limit=size, types=types, categories=categories))
            assert len(page.events) <= size
            assert page.through > after
            found += page.events
            after = page.through
        assert found == [
            each for each in self._log if each.type in (types or TYPES) and each.category in (categories or CATEGORIES)
        ]

    @rule(stream=st.sampled_from(STREAMS), after=st.integers(0, 4))
    def read_stream(self, stream: str, after: int) -> None:
        """Read a stream; each of its versions has its place."""
        events = self._run(self._store.read_stream(stream, after=after))
        assert list(events) == [each for each in self._log if each.stream == stream and each.version > after]
        for each in events:
            assert self._run(self._store.position_of(stream, each.version)) == each.position
            assert self._run(self._store.event_at(each.position)) == each
        assert self._run(self._store.position_of(stream, self._version(stream) + 1)) is None

    @precondition(lambda self: self.durable)
    @rule()
    def reopen(self) -> None:
        """Close the store and open it again: nothing changed."""
        identity = self._store.identity
        self._close()
        self._open()
        assert self._store.identity == identity
        self._check_log(100)

    def _expected(self, stream: str, expectation: str) -> Expected:
        version = self._version(stream)
        chosen: dict[str, Expected] = {
            "any": ANY,
            "none": NO_STREAM,
            "some": EXISTS,
            "right": version,
            "wrong": version + 1,
        }
        return chosen[expectation]

    def _allows(self, stream: str, expected: Expected) -> bool:
        version = self._version(stream)
        return expected in {version, ANY, EXISTS if version else NO_STREAM}

    def _version(self, stream: str) -> int:
        return sum(each.stream == stream for each in self._log)

    def _take(self, append: Append, outcome: Outcome) -> None:
        """What was appended stands at the end of the log, in the order of the append."""
        number = sum(len(part.events) for part in append.streams)
        new = list(self._run(everything(self._store)))[len(self._log) :]
        sent = [(part.stream, part.category, each) for part in append.streams for each in part.events]
        assert len(new) == number
        for stored, (stream, category, each) in zip(new, sent, strict=True):
            assert (stored.stream, stored.category, stored.version) == (stream, category, self._version(stream) + 1)
            assert (stored.id, stored.type, stored.payload) == (each.id, each.type, each.payload)
            assert stored.position > (self._log[-1].position if self._log else 0)
            self._log.append(stored)
        assert outcome.position == (self._log[-1].position if self._log else 0)
        assert [(end.stream, end.version) for end in outcome.ends] == [
            (part.stream, self._version(part.stream)) for part in append.streams
        ]

    def _check_log(self, page_size: int) -> None:
        found: Sequence[StoredEvent] = self._run(everything(self._store, page_size=page_size))
        assert list(found) == self._log

    def _open(self) -> None:
        self._opened = self.open_store(Path(self._folder.name))
        self._store: Store = self._run(self._opened.__aenter__())

    def _close(self) -> None:
        self._run(self._opened.__aexit__(None, None, None))

    def _run(self, call: Coroutine[Any, Any, T]) -> T:
        return self._loop.run(call)
