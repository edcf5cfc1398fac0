"""The contract of the Orders application over HTTP: what it refuses, and how it says so."""

from typing import Any

import pytest
from tests.examples.orders_client import LAMP, Orders, is_problem

# Shape


@pytest.mark.parametrize(
    "changes",
    [
        {"items": []},
        {"items": ...},
        {"customer_id": ...},
        {"customer_id": 7},
        {"customer_id": ""},
        {"shipping_address": ...},
        {"shipping_address": None},
        {"shipping_address": "12 St James Square"},
        {"shipping_address": {"city": 5}},
        {"shipping_address": {"planet": "Mars"}},
        {"items": [{**LAMP, "quantity": 0}]},
        {"items": [{**LAMP, "quantity": 1.5}]},
        {"items": [{**LAMP, "quantity": "2"}]},
        {"items": [{**LAMP, "quantity": True}]},
        {"items": [{**LAMP, "price": "-0.01"}]},
        {"items": [{**LAMP, "price": "0.001"}]},
        {"items": [{**LAMP, "price": "NaN"}]},
        {"items": [{**LAMP, "price": "1e400"}]},
        {"items": [{**LAMP, "colour": "red"}]},
        {"ordered_on": "04.07.1996"},
        {"ordered_on": "1996-02-30"},
        {"ordered_on": 0},
        {"ordered_on": "1996-07-04T00:00:00"},
        {"order_id": ""},
        {"order_id": ".."},
        {"order_id": "search"},
        {"command_id": "mine"},
        {"timestamp": "2024-01-01T00:00:00Z"},
        {"colour": "red"},
        {"customer_id": "nul\0"},
    ],
    ids=str,
)
async def test_a_wrong_shape_is_refused_and_nothing_is_placed(orders: Orders, changes: dict[str, Any]) -> None:
    is_problem(await orders.place(**changes), 422)

    assert (await orders.get("/orders/search")).json()["total"] == 0


async def test_a_whole_number_is_one_however_it_is_written(orders: Orders) -> None:
    body = (
        b'{"customer_id": "ada", "items": [{"product_id": "1", "quantity": 2.0, "price": 1}], "shipping_address": {}}'
    )

    assert (await orders.post("/orders", content=body, headers={"Content-Type": "application/json"})).status_code == 201


@pytest.mark.parametrize("price", ["0", 0, "0.01", 12.5, "12.50", "999999999.99"])
async def test_a_price_is_any_amount_with_two_decimals(orders: Orders, price: Any) -> None:
    assert (await orders.place(items=[{**LAMP, "price": price}])).status_code == 201


async def test_every_part_of_the_address_may_be_null_or_absent(orders: Orders) -> None:
    parts = ("name", "street", "city", "region", "postal_code", "country")

    assert (await orders.place(shipping_address={})).status_code == 201
    assert (await orders.place(shipping_address=dict.fromkeys(parts))).status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/orders/a/items", {**LAMP, "quantity": 0}),
        ("POST", "/orders/a/items", {**LAMP, "price": "1.234"}),
        ("POST", "/orders/a/items", {**LAMP, "order_id": "b"}),
        ("POST", "/orders/a/items", None),
        ("POST", "/orders/a/ship", {"shipped_on": "soon"}),
        ("POST", "/orders/a/ship", {"day": "2024-01-01"}),
        ("DELETE", "/orders/a?why=no", None),
        ("GET", "/orders/search?page_size=0", None),
        ("GET", "/orders/search?page_size=101", None),
        ("GET", "/orders/search?page=0", None),
        ("GET", "/orders/search?page=two", None),
        ("GET", "/orders/search?status=lost", None),
        ("GET", "/orders/search?sort_by=shipping_address", None),
        ("GET", "/orders/search?sort_order=up", None),
        ("GET", "/orders/search?colour=red", None),
        ("GET", "/customers/ada/orders?page_size=101", None),
        ("GET", "/customers/ada/orders?sort_by=status", None),
        ("GET", "/reports/daily-sales?from=yesterday", None),
        ("GET", "/reports/daily-sales?from_=2024-01-01", None),
    ],
)
async def test_what_is_not_in_the_contract_is_refused(orders: Orders, method: str, path: str, body: Any) -> None:
    await orders.placed(order_id="a")

    problem = is_problem(await orders.ask(method, path, body), 422)

    assert problem["errors"]


async def test_a_search_of_too_many_words_is_refused(orders: Orders) -> None:
    words = " ".join(f"w{n}" for n in range(33))

    for sort_by in ("created_at", "relevance"):
        problem = is_problem(await orders.get("/orders/search", params={"q": words, "sort_by": sort_by}), 422)

        assert "at most 32" in problem["detail"]


@pytest.mark.parametrize("path", ["/orders/search", "/customers/ada/orders"])
@pytest.mark.parametrize("page_size", [1, 100])
async def test_a_page_may_have_one_to_a_hundred_items(orders: Orders, path: str, page_size: int) -> None:
    assert (await orders.get(path, params={"page_size": page_size})).json()["page_size"] == page_size


async def test_malformed_json_is_told_from_a_wrong_shape(orders: Orders) -> None:
    headers = {"Content-Type": "application/json"}

    is_problem(await orders.post("/orders", content=b'{"customer_id": ', headers=headers), 400)


async def test_a_malformed_token_is_refused(orders: Orders) -> None:
    is_problem(await orders.get("/orders/search", headers={"Diptych-Position": "soon"}), 400)


async def test_a_malformed_cursor_is_refused(orders: Orders) -> None:
    is_problem(await orders.get("/orders/search?cursor=next"), 400)


# Rules


async def refuse_everything(orders: Orders, order_id: str, rule: str) -> None:
    for method, path, body in (
        ("POST", f"/orders/{order_id}/items", LAMP),
        ("POST", f"/orders/{order_id}/ship", {}),
        ("DELETE", f"/orders/{order_id}", None),
    ):
        problem = is_problem(await orders.ask(method, path, body), 409)
        assert problem["rule"] == rule
        assert order_id in problem["detail"]


async def test_a_shipped_order_stays_as_it_is(orders: Orders) -> None:
    order_id = await orders.placed()
    await orders.post(f"/orders/{order_id}/ship")

    await refuse_everything(orders, order_id, "AlreadyShipped")


async def test_a_cancelled_order_stays_as_it_is(orders: Orders) -> None:
    order_id = await orders.placed()
    await orders.delete(f"/orders/{order_id}")

    await refuse_everything(orders, order_id, "AlreadyCancelled")


async def test_an_order_id_is_placed_once(orders: Orders) -> None:
    await orders.placed(order_id="10248")

    assert is_problem(await orders.place(order_id="10248"), 409)["rule"] == "OrderExists"


async def test_an_order_has_a_largest_total(orders: Orders) -> None:
    dear = {**LAMP, "quantity": 10, "price": "999999999999.99"}

    assert is_problem(await orders.place(items=[dear]), 409)["rule"] == "TooExpensive"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/orders/none", None),
        ("DELETE", "/orders/none", None),
        ("POST", "/orders/none/ship", {}),
        ("POST", "/orders/none/items", LAMP),
        ("GET", "/nowhere", None),
    ],
)
async def test_what_is_unknown_is_not_found(orders: Orders, method: str, path: str, body: Any) -> None:
    is_problem(await orders.ask(method, path, body), 404)
