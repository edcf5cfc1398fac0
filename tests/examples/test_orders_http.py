"""The contract of the Orders application over HTTP: every call, keys and tokens."""

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from tests.examples.orders_client import ADDRESS, LAMP, ORDER, TABLE, Orders, is_problem

# The calls


@pytest.mark.parametrize("order_id", ["A/1", "ä b", "a\r\nX-Evil: 1", "50%2F?#", "/", "%", "q\u2028"])
async def test_any_text_is_an_id_and_the_order_is_where_the_answer_says(orders: Orders, order_id: str) -> None:
    placed = await orders.place(order_id=order_id)

    assert placed.status_code == 201
    assert "X-Evil" not in placed.headers
    order = await orders.read(placed.headers["Location"], placed)
    assert order["order_id"] == order_id
    assert (await orders.post(f"{placed.headers['Location'].partition('?')[0]}/ship", json={})).status_code == 200
    customer = quote(order["customer_id"], safe="")
    assert (await orders.get(f"/customers/{customer}/orders")).json()["total"] == 1


async def test_placing_answers_the_id_and_where_to_find_the_order(orders: Orders) -> None:
    response = await orders.place()

    assert response.status_code == 201
    assert list(response.json()) == ["order_id"]
    token = response.headers["Diptych-Position"]
    assert response.headers["Location"] == f"/orders/{response.json()['order_id']}?diptych-position={token}"
    assert response.headers["ETag"] == '"1"'
    assert response.headers["Diptych-Position"]


async def test_an_order_is_placed_under_the_id_and_day_given(orders: Orders) -> None:
    placed = await orders.place(order_id="10248", ordered_on="1996-07-04")

    order = await orders.read("/orders/10248", placed)
    assert (order["order_id"], order["ordered_on"]) == ("10248", "1996-07-04")


async def test_an_order_is_shown_with_everything_the_contract_names(orders: Orders) -> None:
    placed = await orders.place()

    order = await orders.read(placed.headers["Location"], placed)

    created_at = datetime.fromisoformat(order["created_at"])
    assert abs(datetime.now(UTC) - created_at) < timedelta(minutes=1)
    assert order["ordered_on"] in {(created_at - timedelta(minutes=1)).date().isoformat(), str(created_at.date())}
    assert order["order_id"] == placed.json()["order_id"]
    assert (order["customer_id"], order["status"], order["version"]) == ("ada", "pending", 1)
    assert (order["total_amount"], order["item_count"], order["shipped_on"]) == ("139.80", 2, None)
    assert order["shipping_address"] == {**ADDRESS, "region": None, "postal_code": None}
    assert [line["product_name"] for line in order["lines"]] == ["Steel lamp", "Oak table"]


async def test_a_line_can_be_added(orders: Orders) -> None:
    order_id = await orders.placed()

    added = await orders.post(f"/orders/{order_id}/items", json={"product_id": "3", "quantity": 3, "price": 0.5})

    assert (added.status_code, added.json()) == (200, {"status": "item_added"})
    assert added.headers["ETag"] == '"2"'
    order = await orders.read(f"/orders/{order_id}", added)
    assert (order["total_amount"], order["item_count"], order["version"]) == ("141.30", 3, 2)


async def test_an_order_can_be_cancelled(orders: Orders) -> None:
    order_id = await orders.placed()

    cancelled = await orders.delete(f"/orders/{order_id}?reason=too late")

    assert (cancelled.status_code, cancelled.json()) == (200, {"status": "cancelled"})
    assert cancelled.headers["ETag"] == '"2"'
    assert (await orders.read(f"/orders/{order_id}", cancelled))["status"] == "cancelled"


async def test_an_order_can_be_cancelled_without_a_reason(orders: Orders) -> None:
    assert (await orders.delete(f"/orders/{await orders.placed()}")).status_code == 200


async def test_an_order_can_be_shipped_on_a_day(orders: Orders) -> None:
    order_id = await orders.placed()

    shipped = await orders.post(f"/orders/{order_id}/ship", json={"shipped_on": "2024-02-29"})

    assert (shipped.status_code, shipped.json()) == (200, {"status": "shipped"})
    order = await orders.read(f"/orders/{order_id}", shipped)
    assert (order["status"], order["shipped_on"]) == ("shipped", "2024-02-29")


@pytest.mark.parametrize("body", [None, {}, {"shipped_on": None}])
async def test_an_order_is_shipped_today_where_no_day_is_given(orders: Orders, body: Any) -> None:
    order_id = await orders.placed()

    shipped = await orders.ask("POST", f"/orders/{order_id}/ship", body)

    today = datetime.now(UTC).date()
    order = await orders.read(f"/orders/{order_id}", shipped)
    assert date.fromisoformat(order["shipped_on"]) in {today, today - timedelta(days=1)}


async def test_a_customers_orders_come_newest_first_by_their_placing(orders: Orders) -> None:
    for order_id, day in (("a", "2024-03-01"), ("b", "2024-01-01"), ("c", "2024-02-01")):
        await orders.placed(order_id=order_id, ordered_on=day)
    await orders.placed(customer_id="bob")
    last = await orders.post("/orders/a/ship")

    page = await orders.read("/customers/ada/orders", last)

    assert [order["order_id"] for order in page["items"]] == ["c", "b", "a"]
    assert {name: page[name] for name in ("total", "page", "page_size", "total_pages")} == {
        "total": 3,
        "page": 1,
        "page_size": 20,
        "total_pages": 1,
    }
    assert page["next_cursor"] is None
    shipped = await orders.read("/customers/ada/orders", last, status="shipped")
    assert [order["order_id"] for order in shipped["items"]] == ["a"]


async def test_pages_are_turned_by_number_and_by_cursor_alike(orders: Orders) -> None:
    last = [await orders.place(order_id=order_id) for order_id in "abcde"][-1]

    first = await orders.read("/customers/ada/orders", last, page_size=2)
    second = await orders.read("/customers/ada/orders", last, page_size=2, page=2)
    after_first = await orders.read("/customers/ada/orders", last, page_size=2, cursor=first["next_cursor"])

    assert [order["order_id"] for order in first["items"]] == ["e", "d"]
    assert (first["total"], first["total_pages"]) == (5, 3)
    assert second["items"] == after_first["items"]
    assert [order["order_id"] for order in second["items"]] == ["c", "b"]


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, "cba"),
        ({"q": "lamp"}, "cba"),
        ({"q": "oak sao"}, "b"),
        ({"q": "São Paulo"}, "b"),
        ({"q": '"paulo sao"'}, ""),
        ({"q": "bob"}, "c"),
        ({"q": "nothing like it"}, ""),
        ({"customer_id": "ada"}, "ba"),
        ({"status": "shipped"}, "a"),
        ({"status": "pending", "customer_id": "ada"}, "b"),
        ({"sort_by": "ordered_on"}, "acb"),
        ({"sort_by": "ordered_on", "sort_order": "asc"}, "bca"),
        ({"sort_by": "total_amount", "sort_order": "asc"}, "cab"),
        ({"sort_by": "total_amount", "page_size": "1", "page": "2"}, "a"),
    ],
)
async def test_search_finds_words_filters_and_sorts(orders: Orders, params: dict[str, str], found: str) -> None:
    table_to_brazil = {"items": [LAMP, {**TABLE, "price": "1000"}], "shipping_address": {"city": "São Paulo"}}
    await orders.placed(order_id="a", ordered_on="2024-03-01")
    await orders.placed(order_id="b", ordered_on="2024-01-01", **table_to_brazil)
    await orders.placed(order_id="c", ordered_on="2024-02-01", customer_id="bob", items=[LAMP])
    last = await orders.post("/orders/a/ship")

    page = await orders.read("/orders/search", last, **params)

    assert "".join(order["order_id"] for order in page["items"]) == found
    assert set(page) == {"items", "total", "page", "page_size", "total_pages", "next_cursor"}


async def test_an_orders_history_tells_what_happened_newest_first(orders: Orders) -> None:
    await orders.place(order_id="a/1")
    await orders.place(order_id="b")
    await orders.post("/orders/a%2F1/items", json=LAMP)
    last = await orders.post("/orders/a%2F1/ship", json={"shipped_on": "2024-02-29"})

    history = await orders.read("/orders/a%2F1/history", last)

    assert [entry["event"] for entry in history["items"]] == ["OrderShipped", "ItemAdded", "OrderPlaced"]
    assert [entry["version"] for entry in history["items"]] == [3, 2, 1]
    assert [len(entry["lines"]) for entry in history["items"]] == [0, 1, 2]
    assert history["items"][0]["shipped_on"] == "2024-02-29"
    positions = [entry["position"] for entry in history["items"]]
    assert positions == sorted(positions, reverse=True)
    second = await orders.read("/orders/a%2F1/history", last, page_size=1, page=2)
    assert [entry["event"] for entry in second["items"]] == ["ItemAdded"]


async def test_a_page_links_to_the_next_whatever_the_path_holds(orders: Orders) -> None:
    await orders.place(order_id="\u202e/>\r\nX: y")
    last = await orders.post("/orders/%E2%80%AE%2F%3E%0D%0AX:%20y/items", json=LAMP)

    headers = {"Diptych-Position": last.headers["Diptych-Position"]}
    first = await orders.get("/orders/%E2%80%AE%2F%3E%0D%0AX:%20y/history?page_size=1", headers=headers)
    second = await orders.get(first.links["next"]["url"], headers=headers)

    assert [entry["event"] for entry in first.json()["items"] + second.json()["items"]] == ["ItemAdded", "OrderPlaced"]
    assert "X" not in first.headers


async def test_an_order_that_was_never_placed_has_no_history(orders: Orders) -> None:
    is_problem(await orders.get("/orders/nobody/history"), 404)


async def test_the_daily_report_follows_added_lines_and_cancellations(orders: Orders) -> None:
    for order_id, day in (("a", "2024-01-01"), ("b", "2024-01-01"), ("c", "2024-01-02"), ("d", "2024-01-03")):
        await orders.placed(order_id=order_id, ordered_on=day)
    await orders.post("/orders/a/items", json=LAMP)
    await orders.post("/orders/b/items", json=LAMP)
    await orders.delete("/orders/b")
    last = await orders.delete("/orders/c")

    first = {"day": "2024-01-01", "orders": 1, "lines": 3, "revenue": "159.60"}
    third = {"day": "2024-01-03", "orders": 1, "lines": 2, "revenue": "139.80"}
    assert await orders.read("/reports/daily-sales", last) == [first, third]
    assert await orders.read("/reports/daily-sales", last, to="2024-01-01") == [first]
    assert await orders.read("/reports/daily-sales", last, **{"from": "2024-01-03"}) == [third]
    assert await orders.read("/reports/daily-sales", last, **{"from": "2024-01-02", "to": "2024-01-02"}) == []


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_it_says_that_it_lives_and_is_ready(orders: Orders, path: str) -> None:
    async with asyncio.timeout(60):
        while (await orders.get(path)).status_code != 200:  # 503 while it starts
            await asyncio.sleep(0.01)


# Keys and tokens


async def test_the_same_key_and_body_get_the_same_answer_and_place_one_order(orders: Orders) -> None:
    key = {"Idempotency-Key": "k-1"}

    first = await orders.post("/orders", json=ORDER, headers=key)
    again = await orders.post(
        "/orders", content=json.dumps(ORDER, indent=2), headers={**key, "Content-Type": "application/json"}
    )

    assert (again.status_code, again.json()) == (201, first.json())
    for header in ("Location", "ETag", "Diptych-Position"):
        assert again.headers[header] == first.headers[header]
    assert (await orders.read("/orders/search", first))["total"] == 1


async def test_the_same_key_with_another_body_is_refused(orders: Orders) -> None:
    key = {"Idempotency-Key": "k-1"}
    await orders.post("/orders", json=ORDER, headers=key)

    is_problem(await orders.post("/orders", json={**ORDER, "customer_id": "bob"}, headers=key), 422)


async def test_a_key_that_was_refused_may_be_used_again(orders: Orders) -> None:
    key = {"Idempotency-Key": "k-1"}
    is_problem(await orders.post("/orders/late/ship", headers=key), 404)

    await orders.placed(order_id="late")

    assert (await orders.post("/orders/late/ship", headers=key)).status_code == 200


async def test_an_answer_tells_the_position_it_was_served_at(orders: Orders) -> None:
    placed = await orders.place()
    read = await orders.get(
        placed.headers["Location"], headers={"Diptych-Position": placed.headers["Diptych-Position"]}
    )

    again = await orders.get("/orders/search", headers={"Diptych-Position": read.headers["Diptych-Position"]})

    assert again.json()["total"] == 1
    assert "Diptych-Stale" not in again.headers
