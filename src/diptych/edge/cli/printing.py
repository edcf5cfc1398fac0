"""Print what a command found: a table for a person, or JSON for a program."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Column, Table

from diptych.read.synchronizer import ProjectionStatus

_COLOURS = {"running": "green", "new": "yellow"}


def print_json(found: Any) -> None:
    """One JSON value on a line."""
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")


def print_facts(facts: Mapping[str, Any], *, as_json: bool) -> None:
    """Names and what they are."""
    if as_json:
        print_json(facts)
        return
    table = Table.grid(padding=(0, 2))
    for name, fact in facts.items():
        table.add_row(f"[bold]{name}[/]", ", ".join(map(str, fact)) if isinstance(fact, list | tuple) else str(fact))
    Console().print(table)


def status_table(statuses: Iterable[ProjectionStatus]) -> Table:
    """A row a projection."""
    table = Table(Column("projection", no_wrap=True), "version", Column("state", no_wrap=True), "checkpoint", "to go")
    for title in ("served", "owner", "error"):
        table.add_column(title)
    for each in statuses:
        state = f"[{_COLOURS.get(each.state, 'red')}]{each.state}[/]"
        error = "" if each.error is None else f"{each.error} (position {each.error_position}, since {each.since:%c})"
        table.add_row(
            each.name,
            f"{each.version}.{each.generation}",
            state,
            f"{each.checkpoint:,}",
            f"{each.head - each.checkpoint:,}",
            "yes" if each.served else "no",
            each.owner or "nobody",
            error,
        )
    return table


def status_json(statuses: Sequence[ProjectionStatus]) -> list[dict[str, Any]]:
    """An object a projection."""
    return [asdict(each) for each in statuses]
