"""A how-to is as short as it says, and what it adds to Orders works there as it says."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.examples.orders_client import ORDER
from tests.serving import Served

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to-add-an-endpoint.md").read_text(encoding="utf-8")
ADDED = re.findall(r"^<!-- added to (orders/\w+\.py) -->\n```python no-run\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
MOST_LINES = 25


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of the Orders application with the lines of the page in it."""
    tmp_path = tmp_path_factory.mktemp("how-to")
    shutil.copytree(ROOT / "examples" / "orders", tmp_path / "orders")
    for path, lines in ADDED:
        file = tmp_path / path
        file.write_text(with_added(file.read_text(encoding="utf-8"), lines), encoding="utf-8")
    server = Served(["-m", "orders"], tmp_path)  # the folder that it runs in comes first on Python's path
    server.start()
    try:
        with httpx.Client(base_url=server.url, timeout=30) as client:
            yield client
    finally:
        server.kill()


def with_added(text: str, lines: str) -> str:
    """A file with lines added: routes to the routes, all else to the end, but before they are used."""
    routes = "".join(line for line in lines.splitlines(keepends=True) if line.startswith('    "'))
    rest = lines.replace(routes, "") if routes else lines
    opening = "ROUTES: Routes = {\n"
    return text.replace(opening, f"{rest}\n{opening}{routes}") if opening in text else f"{text}\n\n{rest}"


def test_an_endpoint_its_command_and_its_page_take_no_more_lines_than_promised() -> None:
    lines = [line for _, added in ADDED for line in added.splitlines() if line.strip()]

    assert {path for path, _ in ADDED} == {"orders/messages.py", "orders/handlers.py", "orders/app.py"}
    assert len(lines) <= MOST_LINES
    assert f"in {len(lines)} lines" in PAGE.replace("\n", " ")


def test_what_was_added_ships_all_or_none_and_pages_what_waits(orders: httpx.Client) -> None:
    days = enumerate(("2024-03-03", "2024-03-01", "2024-03-02"))
    bodies = [{**ORDER, "order_id": f"o-{number}", "ordered_on": day} for number, day in days]
    placed = [orders.post("/orders", json=body).raise_for_status() for body in bodies]
    assert waiting(orders, placed[-1]) == ["o-1", "o-2", "o-0"]
    sent = orders.post("/orders/o-0/ship", json={})

    refused = orders.post("/shipments", json={"order_ids": ["o-1", "o-2", "o-0"]})
    assert (refused.status_code, refused.json()["rule"]) == (409, "AlreadyShipped")
    assert waiting(orders, sent) == ["o-1", "o-2"]

    van, key = {"order_ids": ["o-2", "o-1"]}, {"Idempotency-Key": "van-1"}
    shipped, again = (orders.post("/shipments", json=van, headers=key) for _ in range(2))
    assert (shipped.status_code, shipped.json()) == (200, {"status": "shipped"})
    assert again.headers["Diptych-Position"] == shipped.headers["Diptych-Position"]
    assert waiting(orders, shipped) == []


@pytest.mark.parametrize(("ids", "status"), [([], 422), ([""], 422), (["nobody"], 404), (["o", "o"], 409)])
def test_what_was_added_refuses_as_everything_does(orders: httpx.Client, ids: list[str], status: int) -> None:
    orders.post("/orders", json={**ORDER, "order_id": "o"})

    refused = orders.post("/shipments", json={"order_ids": ids})

    assert (refused.status_code, refused.headers["Content-Type"]) == (status, "application/problem+json")


def waiting(orders: httpx.Client, after: httpx.Response) -> list[Any]:
    """The ids of the orders that wait, as they are once *after* is included."""
    headers = {"Diptych-Position": after.headers["Diptych-Position"], "Prefer": "wait=30"}
    return [order["order_id"] for order in orders.get("/shipments/waiting", headers=headers).json()["items"]]
