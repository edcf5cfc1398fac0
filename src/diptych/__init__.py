"""
CQRS and event sourcing: two panels and a hinge.

Commands decide, queries show, and an event log joins the two. Everything that
an application needs by name is importable from here; `diptych.fastapi` is the
edge, `diptych.testing` what ships for tests.
"""

from diptych.app import Diptych, Running
from diptych.catalogue import Catalogue, upcast
from diptych.codec import Codec
from diptych.context import acting, current_metadata
from diptych.doctor import diagnose
from diptych.errors import (
    BadCatalogue,
    BadDatabase,
    BadFile,
    BadHandler,
    BadMessage,
    BadProjection,
    Behind,
    CommandIdReused,
    DiptychError,
    EventFailed,
    Forbidden,
    HandlerExists,
    InProgress,
    InvalidQuery,
    LogRewound,
    Malformed,
    MissingDependencies,
    Misuse,
    NewerSchema,
    NoHandler,
    NoProjection,
    NotFound,
    NotKept,
    NotServed,
    NotStopped,
    NotStorable,
    OutcomeUnknown,
    Overloaded,
    PreconditionFailed,
    QueryInCommand,
    ReadSideOnly,
    RebuildCancelled,
    RebuildRefused,
    Refused,
    SchemaChanged,
    TooSlow,
    TwoLogs,
    Unavailable,
    Unreadable,
    WrongCategory,
    WrongVersion,
)
from diptych.event import Event, Metadata, RawEvent, RecordedEvent
from diptych.log import Appended, EventStore, ToStream, open_store
from diptych.message import new_id
from diptych.money import Amount, Money
from diptych.past import At, changes
from diptych.policy import Only, Policy
from diptych.read.ask.consistency import Answer, ConsistentQueryHandler
from diptych.read.ask.live import Live
from diptych.read.ask.model import ReadModel
from diptych.read.ask.order import RELEVANCE
from diptych.read.ask.page import PaginatedResult
from diptych.read.ask.query import Query, QueryBus, QueryHandler
from diptych.read.ask.ranking import highlight
from diptych.read.ask.scope import current_scope
from diptych.read.ask.view import Views
from diptych.read.books.progress import Progress
from diptych.read.books.wait import Reached
from diptych.read.db.database import ReadDatabase, open_read_db
from diptych.read.projections.columns import Indexed, Key, Scale, Searched
from diptych.read.projections.failure import Park, Stop
from diptych.read.projections.projection import Projection, TableProjection, Transaction, TwoRoundProjection
from diptych.read.projections.reaction import Reaction
from diptych.read.synchronizer import ReadModelSynchronizer
from diptych.read.tend.acts import Act, Skipped
from diptych.read.tend.comparison import Difference
from diptych.read.tend.identity import Mended, log_adopt, log_restored
from diptych.read.tend.status import ParkedKey, ProjectionStatus
from diptych.read.tend.verify import Verification
from diptych.schema_lock import check_lock, check_log, write_lock
from diptych.store.finding import Finding, Severity
from diptych.store.port import ANY, EXISTS, NO_STREAM, LogIdentity
from diptych.token import Token
from diptych.transfer import Transferred, export_log, import_log
from diptych.write.aggregate import Aggregate, state_of
from diptych.write.bus import CommandBus
from diptych.write.command import Command, CommandHandler, Receipt
from diptych.write.condition import Condition
from diptych.write.decider import Decider, Decisions
from diptych.write.repository import Repository

__all__ = [
    "ANY",
    "EXISTS",
    "NO_STREAM",
    "RELEVANCE",
    "Act",
    "Aggregate",
    "Amount",
    "Answer",
    "Appended",
    "At",
    "BadCatalogue",
    "BadDatabase",
    "BadFile",
    "BadHandler",
    "BadMessage",
    "BadProjection",
    "Behind",
    "Catalogue",
    "Codec",
    "Command",
    "CommandBus",
    "CommandHandler",
    "CommandIdReused",
    "Condition",
    "ConsistentQueryHandler",
    "Decider",
    "Decisions",
    "Difference",
    "Diptych",
    "DiptychError",
    "Event",
    "EventFailed",
    "EventStore",
    "Finding",
    "Forbidden",
    "HandlerExists",
    "InProgress",
    "Indexed",
    "InvalidQuery",
    "Key",
    "Live",
    "LogIdentity",
    "LogRewound",
    "Malformed",
    "Mended",
    "Metadata",
    "MissingDependencies",
    "Misuse",
    "Money",
    "NewerSchema",
    "NoHandler",
    "NoProjection",
    "NotFound",
    "NotKept",
    "NotServed",
    "NotStopped",
    "NotStorable",
    "Only",
    "OutcomeUnknown",
    "Overloaded",
    "PaginatedResult",
    "Park",
    "ParkedKey",
    "Policy",
    "PreconditionFailed",
    "Progress",
    "Projection",
    "ProjectionStatus",
    "Query",
    "QueryBus",
    "QueryHandler",
    "QueryInCommand",
    "RawEvent",
    "Reached",
    "Reaction",
    "ReadDatabase",
    "ReadModel",
    "ReadModelSynchronizer",
    "ReadSideOnly",
    "RebuildCancelled",
    "RebuildRefused",
    "Receipt",
    "RecordedEvent",
    "Refused",
    "Repository",
    "Running",
    "Scale",
    "SchemaChanged",
    "Searched",
    "Severity",
    "Skipped",
    "Stop",
    "TableProjection",
    "ToStream",
    "Token",
    "TooSlow",
    "Transaction",
    "Transferred",
    "TwoLogs",
    "TwoRoundProjection",
    "Unavailable",
    "Unreadable",
    "Verification",
    "Views",
    "WrongCategory",
    "WrongVersion",
    "acting",
    "changes",
    "check_lock",
    "check_log",
    "current_metadata",
    "current_scope",
    "diagnose",
    "export_log",
    "highlight",
    "import_log",
    "log_adopt",
    "log_restored",
    "new_id",
    "open_read_db",
    "open_store",
    "state_of",
    "upcast",
    "write_lock",
]
