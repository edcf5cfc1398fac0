"""The first program of the README, and what is put into it: short, whole and durable."""

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
HELLO = ROOT / "examples" / "hello.py"
CONTINUED = re.compile(r"^<!-- examples/hello.py, continued -->\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
REPLACED = re.compile(r"^app = .*\n.*\nhttp = .*\n", re.MULTILINE)


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


def test_a_second_read_model_is_put_into_it_as_the_readme_says(serve: Callable[..., Any], tmp_path: Path) -> None:
    readme, hello = (ROOT / "README.md").read_text(), HELLO.read_text()
    assert "in the place of the three lines of `hello.py` from `app = …` to `http = …`" in readme
    (block,) = CONTINUED.findall(readme)
    text, replaced = REPLACED.subn(lambda _: block, hello)
    assert replaced == 1
    (tmp_path / "hello.py").write_text(text)

    server = serve(str(tmp_path / "hello.py"))
    placed = httpx.post(f"{server.url}/orders", json={"customer_id": "ada", "product": "lamp"}).raise_for_status()
    token = {"Diptych-Position": placed.headers["Diptych-Position"]}

    best = httpx.get(f"{server.url}/best-sellers", headers=token).json()
    assert [(row["product"], row["orders"]) for row in best["items"]] == [("lamp", 1)]
    of_ada = httpx.get(f"{server.url}/customers/ada/orders", headers=token).json()
    assert [order["product"] for order in of_ada["items"]] == ["lamp"]
