"""The first program of the README: short, whole and durable."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

HELLO = Path(__file__).parents[2] / "examples" / "hello.py"


def test_it_fits_on_a_page_with_one_statement_a_line() -> None:
    text = HELLO.read_text()
    statements = [node.lineno for node in ast.walk(ast.parse(text)) if isinstance(node, ast.stmt)]

    assert sum(bool(line.strip()) for line in text.splitlines()) <= 50
    assert len(statements) == len(set(statements))


def test_it_takes_orders_and_finds_them_after_a_crash(serve: Callable[..., Any]) -> None:
    server = serve(str(HELLO))
    answers = [
        httpx.post(f"{server.url}/orders", json={"customer_id": "ada", "product": product})
        for product in ("steel lamp", "paper lamp", "oak table")
    ]
    assert all(answer.is_success for answer in answers)
    placed = answers[-1]

    server.kill()
    server.start()

    token = {"Diptych-Position": placed.headers["Diptych-Position"]}
    orders = httpx.get(f"{server.url}/customers/ada/orders", headers=token).json()
    assert [order["product"] for order in orders["items"]] == ["oak table", "paper lamp", "steel lamp"]
    assert orders["items"][0]["order_id"] == placed.json()
    lamps = httpx.get(f"{server.url}/customers/ada/orders?q=LAMP ste").json()
    assert [order["product"] for order in lamps["items"]] == ["steel lamp"]
    assert (lamps["total"], lamps["page"], lamps["total_pages"]) == (1, 1, 1)


def test_it_stops_cleanly_on_sigterm(serve: Callable[..., Any]) -> None:
    server = serve(str(HELLO))

    assert server.terminate() == 0
