"""Lists of streams and commands, logs that are put into another store, and commands that are forgotten."""

import pytest
from msgspec.structs import replace

from diptych.errors import CommandIdReused, Misuse, WrongVersion
from diptych.store.port import NO_STREAM, Append, Store, StoredCommand, StoredEvent, StreamRow
from diptych.testing.conformance.case import StoreCase, a_command, an_append, event, everything, to

LONG_AGO, FOR_EVER = 0, 2**62
HISTORY = (
    StoredEvent(3, "Order-1", "Order", 1, "Placed", 1, "e1", '{"größe":"😀"}'.encode(), b"{}", 1_000),
    StoredEvent(4, "Invoice-1", "Invoice", 1, "Sent", 2, "e2", b'{"n": 1.50}', b'{"actor":"ann"}', 1_000),
    StoredEvent(9, "Order-1", "Order", 2, "Shipped", 1, "e3", b"{}", b"{}", 2_000),
)
COMMANDS = (
    StoredCommand("command-1", bytes(range(16)), b'"done"', "Order-1", 1, 3, 1_000),
    StoredCommand("command-2", None, '{"größe":"😀"}'.encode(), "", 0, 9, 3_000),
)


class Listing(StoreCase):
    """What streams and commands there are."""

    async def test_streams_are_listed_as_they_began_with_their_ends(self, store: Store) -> None:
        await store.append(an_append(to("Order-2", event(), event()), to("Invoice-1"), to("Order-1")))
        await store.append(an_append(to("Invoice-1", event(), event())))
        events = await everything(store)
        began, end = {e.stream: e.position for e in events if e.version == 1}, {e.stream: e for e in events}

        streams = await store.streams(limit=10)

        assert [stream.stream for stream in streams] == ["Order-2", "Invoice-1", "Order-1"]
        assert list(streams) == [
            StreamRow(e.stream, e.category, began[e.stream], e.version, e.position, e.recorded_at)
            for e in (end[stream.stream] for stream in streams)
        ]

    @pytest.mark.parametrize("category", [None, "Order"])
    async def test_lists_of_streams_make_up_all_of_them(self, store: Store, category: str | None) -> None:
        names = [f"{category or 'Thing'}-{number}" for number in range(7)]
        await store.append(an_append(*[to(name, event(), event()) for name in names]))
        await store.append(an_append(to("Other-1"), to(names[0])))
        found: list[str] = []
        after = 0

        while streams := await store.streams(after, limit=3, category=category):
            found += [stream.stream for stream in streams]
            after = streams[-1].began

        assert found == (names if category else [*names, "Other-1"])

    async def test_commands_are_listed_by_id_whatever_they_appended(self, store: Store) -> None:
        first = await store.append(an_append(to("Order-1"), command=a_command("b")))
        await store.append(Append("a", (), a_command("a", stream="Order-1", version=1)))
        await store.append(Append("c", (), a_command("c", digest=None)))

        found = await store.commands(limit=10)

        assert [(command.id, command.digest, command.stream, command.version) for command in found] == [
            ("a", b"body", "Order-1", 1),
            ("b", b"body", "Order-1", 1),
            ("c", None, "", 0),
        ]
        assert {command.position for command in found} == {first.position}
        assert await store.commands("a", limit=1) == found[1:2]
        assert not await store.commands("c", limit=1)


class Putting(StoreCase):
    """A log that goes on as another one did."""

    async def test_what_is_put_is_there_as_it_was(self, store: Store) -> None:
        await store.put(HISTORY, COMMANDS)

        assert tuple(await everything(store)) == HISTORY
        assert tuple(await store.commands(limit=10)) == COMMANDS
        assert tuple(await store.read_stream("Order-1")) == (HISTORY[0], HISTORY[2])
        assert await store.head() == 9

    async def test_it_may_be_put_piece_by_piece_commands_again_and_again(self, store: Store) -> None:
        await store.put(HISTORY[:1])
        await store.put((), COMMANDS[:1])
        await store.put((), ())
        await store.put(HISTORY[1:], COMMANDS)

        assert tuple(await everything(store)) == HISTORY
        assert tuple(await store.commands(limit=10)) == COMMANDS

    async def test_appends_go_on_behind_it_and_repeats_are_known(self, store: Store) -> None:
        await store.put(HISTORY, COMMANDS)

        again = await store.append(an_append(to("Order-9"), command=a_command(digest=bytes(range(16)))))
        with pytest.raises(WrongVersion):
            await store.append(an_append(to("Order-1", expected=NO_STREAM)))
        behind = await store.append(an_append(to("Order-1", expected=2)))

        assert (again.repeated, again.position, again.ends[0].version) == (True, 3, 1)
        assert behind.position > 9
        assert (await everything(store))[-1].recorded_at >= 2_000

    @pytest.mark.parametrize(
        "wrong",
        [
            replace(HISTORY[2], position=4),
            replace(HISTORY[2], recorded_at=999),
            replace(HISTORY[2], version=3),
            replace(HISTORY[2], version=1),
            replace(HISTORY[2], category="Invoice"),
            replace(HISTORY[2], id="e1"),
        ],
    )
    @pytest.mark.parametrize("at_once", [True, False])
    async def test_what_does_not_go_on_where_the_log_ends_is_refused_whole(
        self, store: Store, wrong: StoredEvent, at_once: bool
    ) -> None:
        more = replace(HISTORY[2], position=8, stream="Order-2", version=1, id="e4", recorded_at=1_500)
        if not at_once:
            await store.put(HISTORY[:2])
        before = await everything(store)

        with pytest.raises(Misuse):
            await store.put((*(HISTORY[:2] if at_once else ()), more, wrong), COMMANDS)

        assert await everything(store) == before
        assert not await store.commands(limit=10)

    async def test_a_command_that_says_something_else_is_refused(self, store: Store) -> None:
        await store.put(HISTORY, COMMANDS)

        with pytest.raises(CommandIdReused):
            await store.put((), [replace(COMMANDS[0], result=b'"other"')])

        assert tuple(await store.commands(limit=10)) == COMMANDS


class Pruning(StoreCase):
    """Commands that are forgotten by their age."""

    async def test_commands_older_than_a_time_are_forgotten_and_their_events_stay(self, store: Store) -> None:
        await store.put(HISTORY, COMMANDS)

        pruned = await store.prune_commands(2_000, limit=10)

        assert (pruned.forgotten, pruned.through) == (1, "command-2")
        assert tuple(await store.commands(limit=10)) == COMMANDS[1:]
        assert tuple(await everything(store)) == HISTORY
        assert await store.command("command-1") is None
        again = await store.append(an_append(to("Order-1"), command=a_command()))
        assert not again.repeated

    async def test_each_step_looks_at_so_many_and_tells_how_far_it_came(self, store: Store) -> None:
        for number in range(7):
            await store.append(Append(f"c{number}", (), a_command(f"c{number}")))
        after: str | None = ""
        steps = []

        while after is not None:
            pruned = await store.prune_commands(FOR_EVER, after=after, limit=3)
            steps.append(pruned.forgotten)
            after = pruned.through

        assert steps == [3, 3, 1, 0]
        assert not await store.commands(limit=10)

    async def test_nothing_younger_is_forgotten(self, store: Store) -> None:
        await store.append(an_append(to("Order-1"), command=a_command()))

        assert (await store.prune_commands(LONG_AGO, limit=10)).forgotten == 0
        assert await store.command("command-1") is not None
