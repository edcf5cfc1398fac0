"""What every command takes: the application, its databases, and how the answer is printed."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from diptych.app import LOG_URL, READ_URL, Diptych
from diptych.errors import BadDatabase

App: TypeAlias = Annotated[
    str, typer.Option("--app", envvar="DIPTYCH_APP", help="The application, as module:name.", show_default=False)
]
Log: TypeAlias = Annotated[str, typer.Option("--log", envvar="DIPTYCH_LOG_URL", help="URL of the log.")]
Read: TypeAlias = Annotated[str, typer.Option("--read", envvar="DIPTYCH_READ_URL", help="URL of the read database.")]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]

__all__ = ["LOG_URL", "READ_URL", "App", "Json", "Log", "Read", "application"]


def application(named: str) -> Diptych:
    """
    The application that `module:name` leads to, from the folder that the command is run in.

    Raises:
        BadParameter: There is none.
    """
    module, separator, name = named.partition(":")
    if not separator:
        raise typer.BadParameter(f"{named!r} names no application: write --app module:name, such as orders.app:app")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        raise typer.BadParameter(f"no module {module!r} here: run it where `import {module}` works") from error
    except AttributeError as error:
        raise typer.BadParameter(f"module {module!r} has no {name!r}") from error
    if not isinstance(found, Diptych):
        raise typer.BadParameter(f"{named} is a {type(found).__name__}, not a Diptych application")
    return found


def must_be_there(what: str, url: str) -> None:
    """
    Insist that a database in a file is there: a command that looks makes none.

    Raises:
        BadDatabase: There is no such file.
    """
    path = url.removeprefix("sqlite:///")
    if path != url and not Path(path).exists():
        raise BadDatabase(f"nothing is at {Path(path).resolve()}: name another with --{what}, or make it: diptych init")
