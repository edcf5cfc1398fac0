"""
Keep the read models of an application in step with its log.

One runner per projection: one that fails stops alone (P9), and when a fault
ends, all catch up by themselves (P10).
"""

import asyncio
from collections.abc import Callable, Iterable

from diptych.errors import BadProjection, Misuse, NoProjection
from diptych.log import EventStore
from diptych.read.books import checkpoint
from diptych.read.books.absent import is_absent
from diptych.read.books.checkpoint import Generation
from diptych.read.books.progress import Progress
from diptych.read.books.wait import Reached, Watcher
from diptych.read.db.database import ReadDatabase
from diptych.read.follow.feed import Feed
from diptych.read.follow.generations import begin_anew, check_columns, prepare
from diptych.read.follow.keeper import Keeper
from diptych.read.follow.ownership import Worker
from diptych.read.follow.place import why_no_place
from diptych.read.projections.partitions import check_partitions
from diptych.read.projections.projection import AnyProjection, checked
from diptych.read.projections.projector import table_names
from diptych.read.projections.reaction import Reaction
from diptych.read.tend import acts
from diptych.read.tend.acts import Act, Skipped, Target, somebody
from diptych.read.tend.lateness import Lateness
from diptych.read.tend.leftovers import drop_version
from diptych.read.tend.rebuild import Check, cancel, rebuild
from diptych.read.tend.status import ProjectionStatus, head_of, not_built, statuses, unprepared
from diptych.read.tend.switch import BACK_S, KEEP_S, switch_back, way_back
from diptych.read.tend.verify import FIRST, Verification, verify


class ReadModelSynchronizer:
    """
    The projections of one read database, following one log.

        synchronizer = ReadModelSynchronizer(event_store, read_db, [Orders, DailySales])
        task = asyncio.create_task(synchronizer.run())

    Args:
        follow: False leaves it to other processes; this one looks, and logs what has no owner.

    Raises:
        BadProjection: A declaration that doesn't hold together, or two of one name.
    """

    def __init__(
        self,
        event_store: EventStore,
        read_db: ReadDatabase,
        projections: Iterable[AnyProjection | type[AnyProjection]],
        *,
        follow: bool = True,
    ) -> None:
        self._event_store, self._read_db, self._follow = event_store, read_db, follow
        self._projections = _by_name(projections)
        code = frozenset(f"{each.name} {each.version}" for each in self._projections.values())
        self._worker = Worker(read_db, code, owns=follow)
        self._has_log = not is_absent(event_store)
        self.watcher: Watcher = Watcher(read_db, event_store.identity if self._has_log else None)
        self._feed = Feed(event_store)
        self._keepers = [
            Keeper(event_store, read_db, each, self._worker, self.watcher, feed=self._feed)
            for each in self._projections.values()
        ]
        self._stop = asyncio.Event()

    async def check(self) -> None:
        """
        Look at what is there before it is served: its tables, and whether its checkpoints are places in this log.

        Raises:
            BadProjection: What a row keeps changed and its projection's version did not.
        """
        async with self._read_db.snapshot() as connection:
            for each in await checkpoint.all_of(connection):
                if self._is_mine(each.of):
                    if each.served:
                        await check_columns(connection, self._projections[each.of.projection], each.of)
                    if self._has_log and await why_no_place(self._event_store, each):
                        self.watcher.distrust(each.of)

    def put(self, reaction: Reaction) -> None:
        """Take a reaction that has what its constructor asks for in the place of the one that hasn't."""
        self._projections[reaction.name] = reaction
        for keeper in self._keepers:
            if keeper.projection.name == reaction.name:
                keeper.projection = reaction

    async def deploy(self) -> None:
        """Begin the reactions that were not deployed before: what is appended from now on is theirs."""
        for projection in self._projections.values() if self._follow else ():
            if isinstance(projection, Reaction):
                await prepare(self._event_store, self._read_db, projection)

    async def run(self) -> None:
        """Keep every projection in step, beside other workers, until `stop` is called or the task is cancelled."""
        looking = asyncio.create_task(self._worker.run(), name="diptych-worker")
        lateness = Lateness(self._log, self._read_db, self._projections, self._worker.id)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._stop.wait())
                group.create_task(lateness.run(self._stop), name="diptych-lateness")
                for keeper in self._keepers if self._follow else ():
                    group.create_task(keeper.run(), name=f"diptych-projection-{keeper.projection.name}")
        finally:
            self._worker.stop()
            await looking
            await self.watcher.close()

    def stop(self) -> None:
        """Ask `run` to end: batches under way are finished, leases are let go."""
        self._stop.set()
        for keeper in self._keepers:
            keeper.stop()

    async def rebuild_projection(
        self,
        name: str,
        *,
        keep_s: float = KEEP_S,
        before_switch: Check | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Generation:
        """
        Build a projection anew beside the served tables, then switch; see `rebuild`.

        Args:
            keep_s: How long what was served before is kept in step, for `switch_back`.
            before_switch: "verify" refuses to switch where a row differs from what is served.
            progress: Told about once a batch.

        Returns:
            The generation that is served now.

        Raises:
            NoProjection: There is none of that name here.
            BadProjection: What a row keeps changed and its version did not; or it is a reaction: that has nothing
                to build, and begins anew only on another log.
        """
        projection = self._find(name)
        if isinstance(projection, Reaction):
            begun = await begin_anew(self._event_store, self._read_db, projection)
            self._worker.look_now()
            return begun
        async with acts.naming_skips(self._read_db):
            built = await rebuild(
                self._event_store,
                self._read_db,
                projection,
                self.watcher,
                keep_s=keep_s,
                before_switch=before_switch,
                progress=progress,
                feed=self._feed,
            )
        await self._switched(projection)
        return built

    async def switch_back(self, name: str, *, timeout_s: float = BACK_S) -> Generation:
        """
        Serve again what was served before the last switch, as soon as it is no further behind.

        Returns:
            The generation that is served now.

        Raises:
            NoProjection: There is none of that name here.
            NotKept: Nothing is kept that was served before.
            Unavailable: It did not come in step in time.
        """
        projection = self._find(name)
        back = await switch_back(self._event_store, self._read_db, projection, self.watcher, timeout_s=timeout_s)
        await self._switched(projection)
        return back

    async def way_back(self, name: str) -> Generation | None:
        """
        What `switch_back` would serve; None where nothing is kept.

        Raises:
            NoProjection: There is none of that name here.
        """
        return await way_back(self._read_db, self._find(name))

    async def cancel_rebuild(self, name: str) -> bool:
        """
        Give up a rebuild, wherever it runs; what is served stays.

        Returns:
            Whether there was any.

        Raises:
            NoProjection: There is none of that name here.
        """
        return await cancel(self._read_db, self._find(name))

    async def drop_version(self, name: str, version: int, *, by: str | None = None) -> None:
        """
        Remove what is kept of a version of a projection that no code runs any more; the code here may know neither.

        Raises:
            Misuse: It is the version that this code runs, or a reaction.
            NotFound: Nothing is kept of it.
            Unavailable: A worker that runs it was there in the last minute, or somebody still reads what it served;
                call it again then.
            BadDatabase: Somebody made something on its tables, such as a view.
        """
        if name in self._projections and self._projections[name].version == version:
            raise Misuse(f"version {version} of projection {name!r} is what this code runs: drop one that no code runs")
        await drop_version(self._read_db, Target(name, version, by or somebody()))

    async def verify(self, name: str, *, first: int = FIRST) -> Verification:
        """
        Hold what a projection serves against a fold over the log, while it goes on; see `verify`.

        Raises:
            NoProjection: There is none of that name here.
        """
        projection = self._find(name)
        if isinstance(projection, Reaction):
            raise BadProjection(f"{name!r} is a reaction: it keeps no rows that could be compared")
        return await verify(self._event_store, self._read_db, projection, self.watcher, first=first)

    async def wait_for(self, projection: str, position: int, timeout: float = 2.0) -> Reached:
        """
        Wait until *projection* has applied every event up to *position*.

        Args:
            position: From a command's receipt. 0 waits until it is served at all.
            timeout: Seconds; 0 looks once.

        Returns:
            The position reached; `stale` and its reason when that is below *position*.

        Raises:
            NoProjection: There is none of that name here.
        """
        found = self._find(projection)
        return await self.watcher.wait(found.name, found.version, position, timeout)

    async def status(self, *, declared: bool = False) -> list[ProjectionStatus]:
        """
        How every projection of this synchronizer is doing, those being rebuilt included; from any process.

        Args:
            declared: Tell of those, too, that nothing is there of yet: as "not built".
        """
        stuck = [unprepared(keeper.projection, keeper.error) for keeper in self._keepers if keeper.error]
        told = [*await statuses(self._read_db, self._projections, self._log), *stuck]
        if not declared:
            return told
        head = await head_of(self._log)
        if head is None:
            head = max((each.head for each in told), default=0)
        names = {each.name for each in told}
        return [*told, *(not_built(each, head) for each in self._projections.values() if each.name not in names)]

    async def pause(self, name: str, *, by: str | None = None) -> None:
        """
        Have nothing applied to a projection until it is resumed, whichever process keeps it in step.

        Args:
            by: Who orders it; None for the user of this process. So for the other acts.

        Raises:
            NoProjection: There is none of that name here.
        """
        await acts.pause(self._read_db, self._target(name, by))
        self._worker.look_now()

    async def resume(self, name: str, *, by: str | None = None) -> None:
        """
        Let a paused projection go on.

        Raises:
            NoProjection: There is none of that name here.
        """
        await acts.resume(self._read_db, self._target(name, by))
        self._worker.look_now()

    async def retry(self, name: str, key: str | None = None, *, every_key: bool = False, by: str | None = None) -> None:
        """
        Try again what a projection stopped at, or what is parked under one of its keys or under all of them.

        Args:
            every_key: All that is parked; it is recorded as an act a key.

        Raises:
            NoProjection: There is none of that name here.
            NotStopped: It did not stop.
            NotFound: Nothing is parked under *key*, or under any.
            Misuse: *key* and *every_key*.
        """
        target = self._target(name, by)
        if every_key and key is not None:
            raise Misuse("what is parked is retried under a key or every_key, not both: leave one out")
        if every_key:
            await acts.retry_every_key(self._read_db, target)
        elif key is not None:
            await acts.retry_key(self._read_db, target, key)
        else:
            await acts.retry(self._read_db, target)
        self._worker.look_now()

    async def skip(
        self, name: str, reason: str, key: str | None = None, *, by: str | None = None
    ) -> tuple[Skipped, ...]:
        """
        Go on behind the event that a projection stopped at, or drop the first one that is parked under a key.

        That event has no effect then; a rebuild meets it again.

        Args:
            reason: Why, for the record.

        Returns:
            Which event, one a partition that stopped.

        Raises:
            NoProjection: There is none of that name here.
            NotStopped: It did not stop at an event.
            NotFound: Nothing is parked under *key*.
            Misuse: The reason is blank.
        """
        target = self._target(name, by)
        if key is None:
            skipped = await acts.skip(self._read_db, target, reason)
        else:
            skipped = await acts.skip_key(self._read_db, target, key, reason)
        self._worker.look_now()
        return skipped

    async def acts(self) -> list[Act]:
        """What was ordered by hand of late, the latest first."""
        return await acts.acts(self._read_db)

    @property
    def _log(self) -> EventStore | None:
        return self._event_store if self._has_log else None

    def _target(self, name: str, by: str | None) -> Target:
        return Target(name, self._find(name).version, by or somebody())

    async def _switched(self, projection: AnyProjection) -> None:
        """Let this process go on with what is served now, and clear away what isn't kept."""
        self._worker.look_now()
        for keeper in self._keepers:
            if keeper.projection is projection:
                await keeper.tidy()

    def _find(self, name: str) -> AnyProjection:
        if name not in self._projections:
            raise NoProjection(name, self._projections)
        return self._projections[name]

    def _is_mine(self, of: Generation) -> bool:
        mine = self._projections.get(of.projection)
        return mine is not None and mine.version == of.version


def _by_name(projections: Iterable[AnyProjection | type[AnyProjection]]) -> dict[str, AnyProjection]:
    found: dict[str, AnyProjection] = {}
    for projection in map(checked, projections):
        check_partitions(projection)
        if projection.name in found:
            raise BadProjection(f"two projections are named {projection.name!r}: set `name` on one of them")
        found[projection.name] = projection
    _check_tables(found.values())
    return found


def _check_tables(projections: Iterable[AnyProjection]) -> None:
    owners: dict[str, str] = {}
    for projection in projections:
        for table in table_names(projection):
            owner = owners.setdefault(table, projection.name)
            if owner != projection.name:
                raise BadProjection(
                    f"projections {owner!r} and {projection.name!r} both keep a table {table!r}: rename one"
                )
