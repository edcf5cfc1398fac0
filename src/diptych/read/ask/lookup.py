"""
Look up a row by its key in one statement: pointer, checkpoint and row, as they are at one moment.

A single statement is a snapshot of its own: it needs no transaction around it, and costs one round trip.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Dialect, bindparam, text

from diptych.read import sql
from diptych.read.ask.question import Columns
from diptych.read.books import checkpoint
from diptych.read.books.checkpoint import Checkpoint, Generation
from diptych.read.db.database import ReadDatabase
from diptych.read.db.straight import Unfit


class Lookup:
    """Finds rows of one generation, for as long as it is the one that is served."""

    def __init__(self, read_db: ReadDatabase, dialect: Dialect, of: Generation, columns: Columns) -> None:
        self._read_db, self._of, self._columns = read_db, of, columns
        key = columns.shape.key
        self._key = columns.shape.names.index(key.name)
        self._bind = columns.binds[key.name]
        served = sql.statement(dialect.name, "served_get").text.rstrip().rstrip(";")
        found = ", ".join(f"found.{name} AS _{number}" for number, name in enumerate(columns.names.values()))
        compiled = (
            text(
                f"WITH served AS (\n{served}\n)\nSELECT served.*, {found} FROM served "
                f"LEFT JOIN {columns.table} AS found ON found.{columns.names[key.name]} = :key"
            )
            .bindparams(bindparam("version", type_=BigInteger), bindparam("key", type_=key.type))
            .compile(dialect=dialect)
        )
        self._text = str(compiled)
        self._order = compiled.positiontup or ()

    async def row(self, key: Any) -> tuple[Checkpoint, Any | None]:
        """
        What is served, and the row of a key in it.

        Raises:
            Unfit: Another generation is served, or it can't be asked this way now.
        """
        values = {
            "projection": self._of.projection,
            "version": self._of.version,
            "key": self._bind(key) if self._bind else key,
        }
        names, rows = await self._read_db.fetch(self._text, [values[name] for name in self._order])
        if not rows:
            raise Unfit("nothing is served")
        width = len(self._columns.names)
        parts = checkpoint.together([checkpoint.of_row(dict(zip(names, row[:-width], strict=False))) for row in rows])
        if parts.of != self._of:
            raise Unfit("another generation is served")
        return parts, self._found(rows[0][-width:])

    def _found(self, values: Sequence[Any]) -> Any | None:
        return None if values[self._key] is None else self._columns.row(self._columns.values(values))
