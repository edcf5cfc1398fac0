"""
Send a whole result as CSV or as JSON lines, page after page, however long it is.

Asked for by `Accept`. The query is asked again for each page, by its cursor, so that a page is
all that is held in memory. Text in CSV that a spreadsheet would take for a formula begins with an apostrophe.
"""

import csv
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import fields as fields_of
from dataclasses import is_dataclass
from enum import Enum
from io import StringIO
from typing import Any, Protocol, get_args, get_origin

import msgspec
from fastapi import Request
from fastapi.responses import StreamingResponse
from pydantic import TypeAdapter, ValidationError

from diptych.edge.fastapi.models import own_fields, result_type
from diptych.edge.fastapi.paging import CURSOR, PAGE
from diptych.message import Message
from diptych.read.ask.page import PaginatedResult

PAGE_SIZE = "page_size"
LARGEST_PAGE = 100
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_JSON = ("application/json", "application/*", "*/*")
_encode = msgspec.json.Encoder().encode


class Form(Protocol):
    """How rows are written."""

    ending: str

    def head(self) -> bytes:
        """What comes before the first row."""

    def rows(self, rows: Sequence[Any]) -> bytes:
        """Some rows."""


class Csv:
    """RFC 4180, with the names of the columns first."""

    ending = "csv"

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def head(self) -> bytes:
        """The names of the columns."""
        return _lines([self._names])

    def rows(self, rows: Sequence[Any]) -> bytes:
        """A line a row."""
        return _lines([[_cell(getattr(row, name)) for name in self._names] for row in rows])


class JsonLines:
    """A JSON value a line."""

    ending = "jsonl"

    def __init__(self, names: Sequence[str]) -> None:
        """Every row names its own columns."""

    def head(self) -> bytes:
        """Nothing."""
        return b""

    def rows(self, rows: Sequence[Any]) -> bytes:
        """A line a row."""
        return b"".join(_encode(row) + b"\n" for row in rows)


FORMS: dict[str, type[Csv | JsonLines]] = {
    "text/csv": Csv,
    "application/jsonl": JsonLines,
    "application/x-ndjson": JsonLines,
}


class Export:
    """The whole result of a query that answers with pages or with a list of rows."""

    def __init__(self, message: type[Message], row: Any) -> None:
        self._message, self._names = message, _names(row)
        changed = {PAGE: 1, PAGE_SIZE: LARGEST_PAGE, CURSOR: None}
        allowed = own_fields(message)
        self._changed = {name: to for name, to in changed.items() if name in allowed and _fits(to, allowed[name])}
        self._dropped = changed.keys() - self._changed.keys()  # the query's own default then

    @staticmethod
    def of(message: type[Message]) -> "Export | None":
        """That of a query; None where it answers with something else, or with pages that no cursor joins."""
        result = result_type(message)
        is_page = get_origin(result) is PaginatedResult and CURSOR in own_fields(message)
        if not is_page and get_origin(result) is not list:
            return None
        row = get_args(result)[0]
        return Export(message, row) if _names(row) else None

    def whole(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a query that asks for the first page, and the largest, whichever page was asked for."""
        return {**{name: value for name, value in values.items() if name not in self._dropped}, **self._changed}

    def response(
        self, media_type: str, first: Any, follow: Callable[[str], Awaitable[Any]], headers: Mapping[str, str]
    ) -> StreamingResponse:
        """
        All rows, the first page of which is here.

        Args:
            follow: Gives the page behind a cursor.
        """
        form = FORMS[media_type](self._names)
        named = {"Content-Disposition": f'attachment; filename="{self._message.__name__}.{form.ending}"'}
        content = _written(form, first, follow)
        return StreamingResponse(content, 200, {**headers, **named}, f"{media_type}; charset=utf-8")


def described_exports(message: type[Message]) -> dict[str, Any]:
    """What OpenAPI says of the forms of a query's whole result; nothing where there are none."""
    if Export.of(message) is None:
        return {}
    return {"content": {media_type: {"schema": {"type": "string"}} for media_type in FORMS}}


def form_asked(request: Request) -> str | None:
    """The media type that a client prefers to JSON; None where it prefers JSON, or names neither."""
    best: tuple[float, str] = (0.0, _JSON[0])
    for accepted in ",".join(request.headers.getlist("accept")).split(","):
        kind, *parameters = (part.strip().lower() for part in accepted.split(";"))
        quality = next((_quality(each) for each in parameters if each.startswith("q=")), 1.0)
        if (kind in FORMS or kind in _JSON) and quality > best[0]:
            best = quality, kind
    return best[1] if best[1] in FORMS else None


def _quality(parameter: str) -> float:
    try:
        return float(parameter.removeprefix("q="))
    except ValueError:
        return 0.0


async def _written(form: Form, first: Any, follow: Callable[[str], Awaitable[Any]]) -> AsyncIterator[bytes]:
    yield form.head()
    if not isinstance(first, PaginatedResult):
        yield form.rows(first)
        return
    page = first
    yield form.rows(page.items)
    while page.next_cursor is not None:
        page = await follow(page.next_cursor)
        yield form.rows(page.items)


def _fits(value: Any, kind: Any) -> bool:
    """Whether a message may have this value where it names this type, with its bounds."""
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


def _names(row: Any) -> Sequence[str]:
    """The names of a row class's columns."""
    if isinstance(row, type) and issubclass(row, msgspec.Struct):
        return row.__struct_fields__
    return [each.name for each in fields_of(row)] if is_dataclass(row) else []


def _lines(rows: Sequence[Sequence[str]]) -> bytes:
    text = StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) else value
    if value is None:
        return ""
    plain = msgspec.to_builtins(value)
    return plain if isinstance(plain, str) else _encode(plain).decode()
