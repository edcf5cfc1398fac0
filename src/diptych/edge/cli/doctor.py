"""`diptych doctor`: what is not as it should be, and what cures it."""

import asyncio

import typer
from rich.table import Column, Table
from rich.text import Text

from diptych.doctor import diagnose
from diptych.edge.cli.options import LOG_URL, READ_URL, App, Json, Log, Read, application
from diptych.edge.cli.printing import console, plain, print_lines
from diptych.store.finding import Finding, Severity

_COLOURS = {Severity.OK: "green", Severity.WARNING: "yellow", Severity.PROBLEM: "red"}


def doctor(app: App = "", log: Log = LOG_URL, read: Read = READ_URL, json: Json = False) -> None:
    """
    Examine versions, settings, both databases, and who holds up whom; the exit code is 1 if something is to be cured.

    With --app it tells of the projections, too.
    """
    projections = application(app).projections if app else ()
    found = asyncio.run(diagnose(log, read, projections))
    if json:
        print_lines(found)
    else:
        console().print(_table(found))
    raise typer.Exit(1 if any(each.severity is Severity.PROBLEM for each in found) else 0)


def _table(found: list[Finding]) -> Table:
    table = Table(Column("", no_wrap=True), Column("about", no_wrap=True), Column("what", overflow="fold"), "cure")
    for each in found:
        severity = Text(each.severity.value, style=_COLOURS[each.severity])
        table.add_row(severity, *plain(each.about, each.what, each.cure))
    return table
