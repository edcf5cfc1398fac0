"""The Orders application answers alike, whatever its log and its read models rest on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.examples.orders_client import ADDRESS, LAMP, TABLE, Orders

from diptych.fastapi import api
from orders.app import ROUTES, app

NAMES = ["Côte de Blaye", "Queso Cabrales", "Röd Kaviar", "ﬁne Ⅷ", "Zaanse koeken", "straße"]
SEARCHES = ["cote", "queso cab", '"queso cabrales"', "strasse", "fine", "rod kav", "zaanse OR *", "'; DROP TABLE x", ""]
SORTS = ["customer_id", "total_amount", "ordered_on", "created_at", "status"]


@pytest.fixture
def urls(postgres: Callable[[int], str], tmp_path: Path) -> Callable[[str], tuple[str, str]]:
    """Where log and read models are, by the name of the set-up."""

    def named(where: str) -> tuple[str, str]:
        one = postgres(18)
        files = f"sqlite:///{tmp_path}/{where}-log.db", f"sqlite:///{tmp_path}/{where}-read.db"
        return {
            "files": files,
            "one schema": (one, one),
            "two schemas": (one, postgres(18)),
            "log there": (one, files[1]),
            "read models there": (files[0], one),
        }[where]

    return named


@pytest.mark.parametrize("where", ["one schema", "two schemas", "log there", "read models there"])
async def test_every_answer_is_that_of_two_files(where: str, urls: Callable[[str], tuple[str, str]]) -> None:
    assert await the_walk(*urls(where)) == await the_walk(*urls("files"))


async def the_walk(log: str, read: str) -> list[Any]:
    """Orders placed, changed and asked for in every way; what was answered, but for times."""
    http = api(app, ROUTES, log=log, read=read, wait_s=30)
    async with (
        http.router.lifespan_context(http),
        Orders(transport=httpx.ASGITransport(http), base_url="http://orders") as orders,
    ):
        answers = []
        for number, name in enumerate(NAMES):
            item = {**(LAMP, TABLE)[number % 2], "product_name": name, "price": f"{number * 7}.50"}
            answers.append(
                await orders.place(
                    order_id=f"o-{number}",
                    customer_id=f"{'aBcÄ'[number % 4]}-1",
                    items=[item] * (number + 1),
                    shipping_address={**ADDRESS, "city": "São Paulo" if number % 2 else None},
                    ordered_on=f"1996-07-0{number % 3 + 1}",
                )
            )
        answers.append(await orders.post("/orders/o-0/items", json=LAMP))
        answers.append(await orders.post("/orders/o-1/ship", json={"shipped_on": "1996-08-01"}))
        answers.append(await orders.delete("/orders/o-1"))
        answers.append(await orders.delete("/orders/o-2"))
        after = {"Diptych-Position": answers[-1].headers["Diptych-Position"]}

        asked = [f"/orders/o-{number}" for number in range(len(NAMES) + 1)]
        asked += [f"/orders/search?q={search}" for search in SEARCHES]
        asked += [f"/orders/search?sort_by={sort}&sort_order={order}" for sort in SORTS for order in ("asc", "desc")]
        asked += ["/customers/a-1/orders", "/customers/a-1/orders?status=pending", "/orders/search?page=2&page_size=4"]
        asked += ["/reports/daily-sales?from=1996-07-01&to=1996-07-31", "/orders/search?sort_by=nobody"]
        answers += [await orders.get(path, headers=after) for path in asked]
        return [(answer.request.url.raw_path, answer.status_code, told(answer.json())) for answer in answers]


def told(answer: Any) -> Any:
    """An answer without what differs from run to run."""
    if isinstance(answer, dict):
        return {name: told(value) for name, value in answer.items() if name not in {"created_at", "next_cursor"}}
    return [told(each) for each in answer] if isinstance(answer, list) else answer
