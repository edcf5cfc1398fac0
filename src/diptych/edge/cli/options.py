"""What every command takes: the application, its databases, and how the answer is printed."""

import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from traceback import walk_tb
from types import ModuleType
from typing import Annotated, Any, TypeAlias

import typer

from diptych.app import LOG_URL, READ_URL, Diptych
from diptych.errors import BadDatabase, Misuse
from diptych.past import At
from diptych.store import open_store_backend
from diptych.store.port import Store

App: TypeAlias = Annotated[
    str, typer.Option("--app", envvar="DIPTYCH_APP", help="The application, as module:name.", show_default=False)
]
Log: TypeAlias = Annotated[str, typer.Option("--log", envvar="DIPTYCH_LOG_URL", help="URL of the log.")]
Read: TypeAlias = Annotated[str, typer.Option("--read", envvar="DIPTYCH_READ_URL", help="URL of the read database.")]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JsonLogs: TypeAlias = Annotated[bool, typer.Option("--json", help="Log JSON, an object a line.")]

__all__ = ["LOG_URL", "READ_URL", "App", "Json", "JsonLogs", "Log", "Read", "application"]

DIGITS_OF_A_POSITION = 19
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def application(named: str) -> Diptych:
    """
    The application that `module:name` leads to, from the folder that the command is run in.

    Raises:
        BadParameter: There is none.
        Misuse: Its module can't be imported.
    """
    _, found = _named(named)
    if not isinstance(found, Diptych):
        raise typer.BadParameter(f"{named} is a {type(found).__name__}, not a Diptych application")
    return found


def http_application(named: str) -> Any:
    """
    What `module:name` leads to in a form that speaks HTTP: itself, or the one of its module.

    Raises:
        BadParameter: There is none, or several.
    """
    try:
        from fastapi import FastAPI
    except ModuleNotFoundError as error:
        raise BadDatabase("fastapi is missing: install diptych[fastapi] to serve") from error
    module, found = _named(named)
    if not isinstance(found, Diptych):
        return found
    forms = {name: value for name, value in vars(module).items() if isinstance(value, FastAPI)}
    if len(forms) != 1:
        raise typer.BadParameter(
            f"{module.__name__} has {len(forms)} FastAPI applications: name one, such as {module.__name__}:http"
        )
    return next(iter(forms.values()))


def _named(named: str) -> tuple[ModuleType, Any]:
    name, separator, attribute = named.partition(":")
    if not separator:
        raise typer.BadParameter(f"{named!r} names no application: write --app module:name, such as orders.app:app")
    sys.path.insert(0, str(Path.cwd()))
    module = _imported(name)
    try:
        return module, getattr(module, attribute)
    except AttributeError as error:
        raise typer.BadParameter(f"module {name!r} has no {attribute!r}") from error


def _imported(name: str) -> ModuleType:
    try:
        return import_module(name)
    except Exception as error:
        if (
            isinstance(error, ModuleNotFoundError)
            and error.name is not None
            and f"{name}.".startswith(f"{error.name}.")
        ):
            raise typer.BadParameter(f"no module {name!r} here: run it where `import {name}` works") from error
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise Misuse(f"module {name!r} can't be imported, {_where(name, error)}: {why}") from error


def _where(name: str, error: Exception) -> str:
    """The last line of the application that was at work when its import failed."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}"
    package, found = name.partition(".")[0], ""
    for frame, line in walk_tb(error.__traceback__):
        if str(frame.f_globals.get("__name__")).partition(".")[0] == package:
            found = f"{frame.f_code.co_filename}:{line}"
    return found or "before its first line"


@asynccontextmanager
async def looking_at(log: str) -> AsyncIterator[Store]:
    """A log that is there, as bytes and names."""
    must_be_there("log", log)
    async with open_store_backend(log) as store:
        yield store


def must_be_there(what: str, url: str) -> None:
    """
    Insist that a database in a file is there: a command that looks makes none.

    Raises:
        BadDatabase: There is no such file.
    """
    path = url.removeprefix("sqlite:///")
    if path != url and not Path(path).exists():
        default = ", the default where none was named" if url in (LOG_URL, READ_URL) else ""
        named = f"name another with --{what} or DIPTYCH_{what.upper()}_URL"
        raise BadDatabase(f"nothing is at {Path(path).resolve()}{default}: {named}, or make it: diptych init")


def duration(text: str) -> timedelta:
    """
    A stretch of time such as 90d.

    Raises:
        BadParameter: It is none.
    """
    parts = re.fullmatch(r"(\d{1,6})([smhdw])", text)
    if parts is None:
        raise typer.BadParameter(f"{text!r} is no stretch of time: write a number and one of s, m, h, d and w")
    found = timedelta(**{_UNITS[parts[2]]: int(parts[1])})
    try:
        datetime.now(UTC) - found
    except OverflowError as error:
        raise typer.BadParameter(f"{text!r} is longer than dates go back: write a shorter one") from error
    return found


def place(text: str) -> At:
    """
    A position, or a time as `moment` has it; eight digits that are a day could be meant as either.

    Raises:
        BadParameter: It is neither, or could be either.
    """
    if text.isdecimal() and len(text) <= DIGITS_OF_A_POSITION:
        _refuse_a_day(text)
        return int(text)
    try:
        return moment(text)
    except typer.BadParameter as error:
        raise typer.BadParameter(f"{text!r} is no place in a log: write a position, or a time such as 2h") from error


def _refuse_a_day(digits: str) -> None:
    try:
        day = date.fromisoformat(digits) if len(digits) == 8 else None
    except ValueError:
        return
    if day is not None:
        raise typer.BadParameter(
            f"{digits} could be a position or a day: write {day} for the day, 0{digits} for the position"
        )


def moment(text: str) -> datetime:
    """
    A time, in UTC unless it says otherwise; or how long ago, such as 2h.

    Raises:
        BadParameter: It is neither.
    """
    if re.fullmatch(r"\d{1,6}[smhdw]", text):
        return datetime.now(UTC) - duration(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no time: write one such as 2026-11-24T13:00, or how long ago, such as 2h"
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
