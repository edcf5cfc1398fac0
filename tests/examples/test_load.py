"""Real orders, a server that is killed while they come in, and figures that are right all the same."""

import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from diptych import open_store
from diptych.write.aggregate import event_types
from orders.load import NORTHWIND
from orders.order import Order

DEADLINE_S = 300.0
FIGURES = ("830", "809", "21", "2155", "1354458.59", "89", "38")


@pytest.mark.timeout(1_000)
async def test_a_load_survives_kill_9_and_another_load_adds_only_what_is_missing(
    serve: Callable[..., Any], load: Callable[..., Any], tmp_path: Path
) -> None:
    server, some = serve("-m", "orders"), tmp_path / "some.jsonl"
    some.write_bytes(b"".join(NORTHWIND.read_bytes().splitlines(keepends=True)[:250]))

    loading = load(str(some), "--url", server.url, "--patience", "120")
    wait_for_orders(server.url, 80)
    server.kill()
    server.start()

    assert_figures(loading, "250")
    assert_figures(load("--url", server.url, "--patience", "120"), *FIGURES)
    assert server.terminate() == 0
    assert await events_in(tmp_path / "data" / "log.db") == {"OrderPlaced": 830, "OrderShipped": 809}


def test_a_load_gives_up_when_the_server_stays_away(load: Callable[..., Any]) -> None:
    loading = load("--url", "http://127.0.0.1:9", "--patience", "0.2")

    output, _ = loading.communicate(timeout=DEADLINE_S)
    assert loading.returncode == 1
    assert output.startswith("waiting for http://127.0.0.1:9, 0.2 s at most: ")
    assert "not loaded" in output


def test_a_load_says_at_once_that_it_waits_for_the_server(load: Callable[..., Any]) -> None:
    loading = load("--url", "http://127.0.0.1:9", "--patience", "600")

    assert loading.stdout.readline().startswith("waiting for http://127.0.0.1:9, 600 s at most: ")


def wait_for_orders(url: str, wanted: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while httpx.get(f"{url}/orders/search?page_size=1").json()["total"] < wanted:
        assert time.monotonic() < deadline, f"fewer than {wanted} orders after {DEADLINE_S} s"
        time.sleep(0.05)


def assert_figures(loading: "subprocess.Popen[str]", *figures: str) -> None:
    output, _ = loading.communicate(timeout=DEADLINE_S)
    assert loading.returncode == 0, output
    assert all(figure in output for figure in figures), output


async def events_in(log: Path) -> Counter[str]:
    async with open_store(f"sqlite:///{log}", events=event_types(Order)) as event_store:
        return Counter(event.event_type for event in await event_store.read_all(limit=10_000))
