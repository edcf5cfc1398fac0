"""
Load a file of orders through the API, then check every figure that it serves.

Each command has a key made of its data: loading again, or going on after a
crash of either side, changes nothing that is there and adds what is missing.
The exit code is 1 if the server refused or stayed away, or if a figure differs.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress
from rich.table import Table

from .client import Client, Failed, Page, connected
from .figures import Figures, FileOrder, in_file, served
from .views import OrderView

NORTHWIND = Path(__file__).with_name("northwind-orders.jsonl")
console, say = Console(), Console(stderr=True)


def main() -> int:
    """Load what the command line names; return the exit code."""
    options = _options()
    orders = msgspec.json.Decoder(FileOrder).decode_lines(options.file.read_bytes())
    try:
        answered = asyncio.run(_load(orders, options))
    except Failed as failure:
        console.print(f"[red]not loaded:[/] {failure}", highlight=False, soft_wrap=True)
        return 1
    return _compare(in_file(orders), answered)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m orders.load", description="Load orders and check the figures.")
    parser.add_argument("file", type=Path, nargs="?", default=NORTHWIND, help="orders, one JSON object a line")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="where the API is (%(default)s)")
    parser.add_argument("--in-flight", type=int, default=16, help="orders sent at a time (%(default)s)")
    parser.add_argument("--patience", type=float, default=30.0, help="seconds to wait for the server (%(default)s)")
    return parser.parse_args()


async def _load(orders: Sequence[FileOrder], options: argparse.Namespace) -> Figures:
    async with connected(options.url, in_flight=options.in_flight, patience_s=options.patience) as client:
        if why := await client.why_away():
            say.print(
                f"waiting for {options.url}, {options.patience:g} s at most: {why}", highlight=False, soft_wrap=True
            )
        await _send_all(client, orders, options.in_flight)
        # Every order was read back: an answer from now on is at or beyond all their positions.
        reached = await client.ask("/orders/search", Page[OrderView], params={"page_size": "1"})
        return await served(client, orders, reached.token)


async def _send_all(client: Client, orders: Sequence[FileOrder], in_flight: int) -> None:
    waiting = iter(orders)
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=console) as progress:
        bar = progress.add_task("orders", total=len(orders))

        async def send_one_after_another() -> None:
            for order in waiting:
                await _send(client, order)
                progress.advance(bar)

        await asyncio.gather(*(send_one_after_another() for _ in range(in_flight)))


async def _send(client: Client, order: FileOrder) -> None:
    """Place the order, ship it if it was shipped, and see it."""
    path, key = f"/orders/{quote(order.order_id, safe='')}", f"northwind-{order.order_id}"
    token = await client.command("/orders", key=f"{key}-place", body=_placed(order))
    if order.shipped_on:
        token = await client.command(f"{path}/ship", key=f"{key}-ship", body={"shipped_on": order.shipped_on})
    await client.ask(path, OrderView, after=token)


def _placed(order: FileOrder) -> dict[str, Any]:
    return {
        "order_id": order.order_id,
        "customer_id": order.customer_id,
        "ordered_on": order.ordered_on,
        "shipping_address": order.shipping_address,
        "items": order.items,
    }


def _compare(file: Figures, answered: Figures) -> int:
    """Print both side by side; return 1 if they differ."""
    table = Table("figure", "file", "served", "")
    same = True
    for name, expected, actual in file.compared(answered):
        same = same and expected == actual
        table.add_row(name.replace("_", " "), _short(expected), _short(actual), _verdict(expected == actual))
    console.print(table)
    return 0 if same else 1


def _short(figure: object) -> str:
    return str(len(figure)) if isinstance(figure, dict | list | frozenset) else str(figure)


def _verdict(same: bool) -> str:
    return "[green]same[/]" if same else "[red]differs[/]"


if __name__ == "__main__":
    sys.exit(main())
