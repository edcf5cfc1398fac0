"""Say what is so with a database, how bad that is, and what cures it."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is: a problem is to be cured, a warning may become one."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about something, such as "server" or "blocked"."""

    about: str
    severity: Severity
    what: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """
    What a database is meant to hold.

    Attributes:
        name: Its word, such as "log".
        table: The table of PostgreSQL that has its schema's version.
        application_id: What says in the header of a SQLite file that it is one.
        schema_version: The newest that this code knows.
    """

    name: str
    table: str
    application_id: int
    schema_version: int


def ok(about: str, what: str) -> Finding:
    """All is well."""
    return Finding(about, Severity.OK, what)


def warning(about: str, what: str, cure: str) -> Finding:
    """It may become a problem."""
    return Finding(about, Severity.WARNING, what, cure)


def problem(about: str, what: str, cure: str) -> Finding:
    """It is to be cured."""
    return Finding(about, Severity.PROBLEM, what, cure)


def of_schema(kind: Kind, version: int) -> Finding:
    """Whether the tables that are there are of this code; version 0 for none."""
    if version == 0:
        return problem(kind.name, f"holds no {kind.name}", "make it: diptych init; or name another")
    if version > kind.schema_version:
        return problem(
            kind.name, f"has schema version {version}, this code knows {kind.schema_version}", "upgrade diptych"
        )
    if version < kind.schema_version:
        older = f"has schema version {version}, older than this code's {kind.schema_version}"
        return warning(kind.name, older, "bring it up to date: diptych init")
    return ok(kind.name, f"has schema version {version}")


def lasting(seconds: float | None) -> str:
    """How long, in words."""
    if seconds is None:
        return "an unknown time"
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
