"""
Read the SQL that a backend speaks: a file for each statement, in its dialect's folder.

A statement is known by the name of its file. Comments are left out, so that a
header costs nothing when the statement is sent. Schema files are numbered from 1
without a gap and come whole, in order.
"""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable


def statements(dialect: str) -> Mapping[str, str]:
    """Every statement of a dialect, by name."""
    return {name: _without_comments(text) for name, text in _sources(dialect) if not name.startswith("schema_")}


def schema(dialect: str) -> Sequence[str]:
    """The schema's steps, the first one first; the number of the last is the schema's version."""
    return [text for name, text in sorted(_sources(dialect)) if name.startswith("schema_")]


def _sources(dialect: str) -> list[tuple[str, str]]:
    return [
        (file.name.removesuffix(".sql"), file.read_text(encoding="utf-8"))
        for file in _folder(dialect).iterdir()
        if file.name.endswith(".sql")
    ]


def _folder(dialect: str) -> Traversable:
    return files("diptych.store") / "sql" / dialect


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("--")).strip()
