"""
Hang both panels on one log: an application, and what runs while it is open.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Any, TypeVar, get_args, get_origin

from diptych.errors import BadDatabase, BadProjection, NoHandler, ReadSideOnly, Unavailable
from diptych.event import Event
from diptych.generics import arguments_of, members_of
from diptych.handlers import MISSING, Handler, made
from diptych.log import EventStore, open_store
from diptych.message import Message
from diptych.policy import Policy, asking
from diptych.read.ask.consistency import Answer, ConsistentQueryHandler, ask, check_token, log_of
from diptych.read.ask.live import Live
from diptych.read.ask.model import ReadModel
from diptych.read.ask.query import Query, QueryBus
from diptych.read.ask.view import Gate, ServedTable, Views
from diptych.read.books.absent import NONE, followed, is_absent, without_log
from diptych.read.books.wait import REWOUND
from diptych.read.db.database import ReadDatabase, open_read_db
from diptych.read.follow.place import REPAIR
from diptych.read.projections.projection import AnyProjection, Projection, TableProjection, TwoRoundProjection, checked
from diptych.read.projections.reaction import Reaction, maker_of, undecided
from diptych.read.synchronizer import ReadModelSynchronizer
from diptych.store.location import names_same_file
from diptych.store.port import LogIdentity
from diptych.token import Token
from diptych.write.aggregate import Aggregate
from diptych.write.bus import CommandBus, NoCommands
from diptych.write.command import Command, Receipt
from diptych.write.condition import Condition
from diptych.write.decider import Decider, Decisions, decided_by
from diptych.write.repository import Repository

_logger = logging.getLogger("diptych")

R = TypeVar("R")
LOG_URL = "sqlite:///data/log.db"
READ_URL = "sqlite:///data/read.db"
STOP_S = 10.0


class Diptych:
    """
    An application: its commands, its queries and its projections.

        app = Diptych(commands, queries, projections=[Orders])
        async with app.open() as running:
            receipt = await running.execute(PlaceOrder(...))

    Args:
        commands: One bus, or several like routers.
        queries: One bus, or several.
        reactions: What happens elsewhere when events do: classes, made when the application opens, or objects.
        provide: What handlers may ask for beside repositories and read models: type -> value.
        events: Event classes that no aggregate, decider or projection of it names.
        cursor_key: What cursors of pages are signed with; all processes need the same one. Default: a
            secret of the read database.

    Raises:
        BadProjection: A projection's declaration doesn't hold together.
        HandlerExists: Two buses handle one type.
    """

    def __init__(
        self,
        commands: CommandBus | Iterable[CommandBus] = (),
        queries: QueryBus | Iterable[QueryBus] = (),
        projections: Iterable[AnyProjection | type[AnyProjection]] = (),
        *,
        reactions: Iterable[Reaction | type[Reaction]] = (),
        provide: Mapping[Any, object] | None = None,
        events: Iterable[type[Event]] = (),
        cursor_key: str | None = None,
        authorize: Policy | None = None,
    ) -> None:
        self.commands: CommandBus = CommandBus.joined([commands] if isinstance(commands, CommandBus) else commands)
        self.queries: QueryBus = QueryBus.joined([queries] if isinstance(queries, QueryBus) else queries)
        found = list(reactions)
        self.makers: Sequence[Handler] = [maker_of(each) for each in found if isinstance(each, type)]
        reacting = [undecided(each) if isinstance(each, type) else each for each in found]
        self.projections: Sequence[AnyProjection] = [checked(each) for each in (*projections, *reacting)]
        self.provide: dict[Any, object] = dict(provide or {})
        self._events = tuple(events)
        self._cursor_key = cursor_key
        self.policy: Policy | None = authorize

    @property
    def events(self) -> Sequence[type[Event]]:
        """The event classes that its aggregates, deciders and projections name."""
        named = [*self._events]
        for projection in self.projections:
            named += [event for event in projection.handles() if not isinstance(event, str)]
        for asked in self.commands.dependencies():
            named += _events_of(asked)
        return list(dict.fromkeys(named))

    @property
    def aggregates(self) -> Mapping[str, type[Aggregate[Any]]]:
        """What its command handlers decide about, aggregates and deciders alike, by the category of their streams."""
        found = [_decided_about(asked) for asked in self.commands.dependencies()]
        return {kind.category: kind for kind in found if kind is not None}

    def require_handler(self, message_type: type[Message]) -> None:
        """
        Insist that a message will be answered.

        Raises:
            NoHandler: No bus of this application has a handler for it.
        """
        if message_type not in self.commands.handlers and message_type not in self.queries.handlers:
            raise NoHandler(message_type)

    @asynccontextmanager
    async def open(
        self,
        log: str = LOG_URL,
        read: str = READ_URL,
        *,
        provide: Mapping[Any, object] | None = None,
        runner: bool = True,
    ) -> AsyncIterator["Running"]:
        """
        Open both databases and keep the read models in step for as long as the block runs.

        Args:
            log: URL of the log; see `open_store`. "none" opens the read side alone: it answers queries and waits
                for positions, refuses commands (`ReadSideOnly`), and leaves the read models to other processes.
            read: URL of the read database; see `open_read_db`.
            provide: More dependencies, such as those made by a lifespan of one's own.
            runner: Whether this process keeps read models in step, alone or together with others.

        Raises:
            BadDatabase: A database can't be opened as it is, or both are one file.
            BadProjection: What a row keeps changed and its projection's version did not.
            MissingDependencies: Handlers ask for what nobody provides.
        """
        if names_same_file(log, read):
            raise BadDatabase(f"the log and the read models are both to be in {log}: give each a file of its own")
        has_log = log != NONE
        opening = open_store(log, self.events) if has_log else nullcontext()
        async with opening as opened, open_read_db(read, cursor_key=self._cursor_key) as read_db:
            event_store = opened or without_log(read_db, self.events)
            given = self.provide | dict(provide or {})
            running = Running(self, event_store, read_db, given, follow=runner and has_log)
            await running.synchronizer.check()
            await running.synchronizer.deploy()
            async with running.following():
                try:
                    yield running
                finally:
                    running.stopping = True
                    await asyncio.gather(*(finish() for finish in running.before_close), return_exceptions=True)


class Running:
    """
    An open application.

    Attributes:
        stopping: Whether it is about to close; whoever asks `ready` is told.
        before_close: Awaited when it closes, while it still works.
    """

    def __init__(
        self,
        app: Diptych,
        event_store: EventStore,
        read_db: ReadDatabase,
        provide: Mapping[Any, object],
        *,
        follow: bool = True,
    ) -> None:
        self.event_store: EventStore = event_store
        self.read_db: ReadDatabase = read_db
        self.projections: Sequence[AnyProjection] = app.projections
        self.synchronizer: ReadModelSynchronizer = ReadModelSynchronizer(
            event_store, read_db, app.projections, follow=follow
        )
        self.stopping = False
        self.before_close: list[Callable[[], Awaitable[None]]] = []
        self._failure: BaseException | None = None
        self._provided = {EventStore: event_store, ReadDatabase: read_db, Running: self, **provide}
        self.queries: QueryBus = app.queries.bind(self._resolve)
        self._provided[QueryBus] = self.queries
        self._provided[ConsistentQueryHandler] = ConsistentQueryHandler(self.queries, event_store)
        self.commands: CommandBus = (
            NoCommands() if is_absent(event_store) else app.commands.bind(self._resolve, event_store)
        )
        if app.policy is not None:
            for bus in (self.commands, self.queries):
                bus.middleware.insert(0, asking(app.policy))
        for maker in app.makers if follow else ():
            self.synchronizer.put(made(maker, self._resolve_for_reaction))

    async def dispatch(self, command: Command[R]) -> R:
        """Handle a command; what its handler returned. See `CommandBus.dispatch`."""
        return await self.commands.dispatch(command)

    async def execute(
        self,
        command: Command[R],
        *,
        digest: bytes | None = None,
        condition: Condition | None = None,
        patience_s: float | None = None,
    ) -> Receipt[R]:
        """Handle a command; a receipt that says where its events are. See `CommandBus.execute`."""
        return await self.commands.execute(command, digest=digest, condition=condition, patience_s=patience_s)

    async def ask(
        self, query: Query[R], *, after: Token | str | None = None, position: int = 0, timeout_s: float = 2.0
    ) -> Answer[R]:
        """
        Answer a query no earlier than a token or position.

        Args:
            after: A token from a receipt or an answer.
            timeout_s: How long it may wait; then it answers as it can, and says so.

        Raises:
            Malformed: The token is none of ours.
            LogRewound: The token belongs to another log.
        """
        if after is not None:
            token = Token.decode(after) if isinstance(after, str) else after
            return await self._ask_after(token, query, timeout_s)
        return await ask(self.queries, query, position=position, timeout_s=timeout_s)

    async def caught_up(self, timeout_s: float = 30.0) -> None:
        """
        Wait until every projection has applied what the log holds now.

        Raises:
            Unavailable: One of them did not; its state and error are in the message.
        """
        head = await self.event_store.head()
        for projection in self.projections:
            reached = await self.synchronizer.wait_for(projection.name, head, timeout_s)
            if reached.stale:
                raise Unavailable(await self._why_behind(projection.name, reached.reason))

    async def ready(self) -> tuple[bool, str]:
        """Whether requests can be served, and why not; a projection that is late or stands still is named, no more."""
        if self.stopping:
            return False, "stopping"
        if self._failure is not None:
            return False, f"the synchronizer ended: {self._failure}"
        try:
            await self.event_store.head()  # a status could be told without the log
            statuses = await self.synchronizer.status()
        except Unavailable as error:
            return False, str(error)
        served = {status.name for status in statuses if status.served}
        queried = [each.name for each in self.projections if not isinstance(each, Reaction)]
        building = [name for name in queried if name not in served]
        if building:
            return False, f"being built: {', '.join(building)}"
        notes = [note for status in statuses if (note := status.note)]
        return True, "; ".join(["ready", *notes])

    def require_log(self, what: str) -> None:
        """
        Insist that this process has a log.

        Raises:
            ReadSideOnly: It has only the read side; *what* needs more.
        """
        if is_absent(self.event_store):
            raise ReadSideOnly(what)

    async def logs(self) -> Collection[LogIdentity]:
        """The logs whose positions mean something here: its own, or those that the read models follow."""
        return await followed(self.event_store)

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Keep the read models in step inside, or watch how others do."""
        task = asyncio.create_task(self.synchronizer.run(), name="diptych-synchronizer")
        task.add_done_callback(self._followed)
        try:
            yield
        finally:
            self.synchronizer.stop()
            await _finish(task)

    async def _ask_after(self, token: Token, query: Query[R], timeout_s: float) -> Answer[R]:
        log = log_of(token)
        known = await followed(self.event_store, log)
        if known:  # else nothing is served yet, and the first build is waited for
            check_token(token, known)
        return await ask(self.queries, query, position=token.position, timeout_s=timeout_s, log=log)

    def _followed(self, task: "asyncio.Task[None]") -> None:
        """Take note of the synchronizer's end."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = error
            _logger.error("the synchronizer ended: read models stand still", exc_info=error)

    async def _why_behind(self, name: str, reason: str | None) -> str:
        if reason in ("another log", REWOUND):
            was = "another log" if reason == "another log" else "a later state of this log, which was put back since"
            return f"projection {name!r} was built from {was}: {REPAIR}"
        for status in await self.synchronizer.status():
            if status.name == name and status.served:
                return (
                    f"projection {name!r} is at {status.checkpoint} of {status.head} ({reason}): "
                    f"{status.state}, {status.error or 'no error'}"
                )
        return f"projection {name!r} is not served yet ({reason})"

    def _resolve_for_reaction(self, asked: Any) -> object:
        """A reaction may dispatch commands, too."""
        return self.commands if asked is CommandBus else self._resolve(asked)

    def _resolve(self, asked: Any) -> object:
        """The value of a dependency, by its annotation; MISSING where nobody provides it."""
        if asked in self._provided:
            return self._provided[asked]
        origin, arguments = get_origin(asked), get_args(asked)
        if origin is Repository:
            return Repository(self.event_store, arguments[0])
        if origin is Decisions:
            return Decisions(self.event_store, arguments[0]())
        if origin in (ReadModel, Live):
            return self._rows(origin, _bare(arguments[0]))
        if origin is Views:
            return self._views(arguments[0])
        return MISSING

    def _rows(self, origin: Any, row: Any) -> object:
        found = self._keeping(row)
        if found is None:
            return MISSING
        return Live(self.event_store, found) if origin is Live else ReadModel(ServedTable(found, self._gate(found)))

    def _keeping(self, row: Any) -> "TableProjection | TwoRoundProjection | None":
        """The projection that keeps rows of a class, or is that class itself where several keep such rows."""
        found = [
            projection
            for projection in self.projections
            if isinstance(projection, TableProjection | TwoRoundProjection)
            and row in {_bare(projection.row_type()), type(projection)}
        ]
        if len(found) > 1:
            names = ", ".join(type(each).__name__ for each in found)
            raise BadProjection(f"{names} all keep {row.__name__} rows: name one of them instead of the row")
        return found[0] if found else None

    def _views(self, kind: type) -> object:
        for projection in self.projections:
            if isinstance(projection, Projection) and type(projection) is kind:
                return Views(projection, self._gate(projection))
        return MISSING

    def _gate(self, projection: AnyProjection) -> Gate:
        return Gate(self.read_db, projection, self.synchronizer.watcher)


def _events_of(asked: Any) -> list[Any]:
    """The events that a dependency such as `Repository[Order]` can append."""
    if get_origin(asked) is Repository:
        return list(members_of(next(iter(arguments_of(get_args(asked)[0], Aggregate)), None)))
    if get_origin(asked) is Decisions:
        return list(members_of(next(iter(arguments_of(get_args(asked)[0], Decider)[2:]), None)))
    return []


def _decided_about(asked: Any) -> type[Aggregate[Any]] | None:
    """The class of the things that a dependency such as `Repository[Order]` loads."""
    if get_origin(asked) is Repository:
        kind: type[Aggregate[Any]] = get_args(asked)[0]
        return kind
    return decided_by(get_args(asked)[0]()) if get_origin(asked) is Decisions else None


def _bare(row: Any) -> Any:
    """`dict` for `dict[str, Any]`."""
    return get_origin(row) or row


async def _finish(following: "asyncio.Task[None]") -> None:
    """Let the batches under way be finished, for a bounded time."""
    done, _ = await asyncio.wait([following], timeout=STOP_S)
    if not done:
        following.cancel()
        await asyncio.wait([following])
