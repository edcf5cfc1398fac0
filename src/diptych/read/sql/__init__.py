"""
Run the statements that lie in this folder, each a file, in the dialect of the database.

A statement that is written alike for every dialect lies here; one that isn't, under the dialect's name.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from sqlalchemy import BigInteger, Float, MappingResult, TextClause, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

_TYPES: dict[str, TypeEngine[Any]] = {
    **dict.fromkeys(
        [
            "version", "generation", "old", "partition", "position", "through", "incarnation", "epoch", "lease_us",
            "error_position", "head", "behind_since",
        ],
        BigInteger(),
    ),
    "rate": Float(53),
}  # fmt: skip


async def rows(connection: AsyncConnection, name: str, parameters: Mapping[str, Any] | None = None) -> MappingResult:
    """What a statement finds."""
    return (await connection.execute(statement(connection.dialect.name, name), parameters or {})).mappings()


async def change(connection: AsyncConnection, name: str, parameters: Mapping[str, Any]) -> int:
    """Run a statement; how many rows it changed."""
    return (await connection.execute(statement(connection.dialect.name, name), parameters)).rowcount


@cache
def plain(name: str) -> str:
    """The text of a statement that is written alike for every dialect, and takes no parameters."""
    return (files("diptych.read") / "sql" / f"{name}.sql").read_text("utf-8")


@cache
def statement(dialect: str, name: str) -> TextClause:
    """A statement in its dialect's form where it has one; numbers are 64 bits wide for drivers that ask."""
    folder = files("diptych.read") / "sql"
    of_dialect = folder / dialect / f"{name}.sql"
    statement = text((of_dialect if of_dialect.is_file() else folder / f"{name}.sql").read_text("utf-8"))
    asked = statement.compile().params
    return statement.bindparams(*(bindparam(each, type_=kind) for each, kind in _TYPES.items() if each in asked))
