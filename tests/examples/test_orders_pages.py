"""Pages of the Orders application are linked, and a whole result is sent as CSV or JSON lines."""

import csv
import json
from io import StringIO

import pytest
from tests.examples.orders_client import LAMP, Orders


async def placed(orders: Orders, number: int) -> None:
    """So many orders, which can be read."""
    answers = [
        await orders.place(order_id=str(n), items=[{**LAMP, "product_name": f"=lamp {n}"}]) for n in range(number)
    ]
    await orders.read(answers[-1].headers["Location"], answers[-1])


async def test_the_links_of_pages_lead_through_all_of_them(orders: Orders) -> None:
    await placed(orders, 5)

    response = await orders.get("/customers/ada/orders?page_size=2&status=pending")
    seen = [order["order_id"] for order in response.json()["items"]]
    while "next" in response.links:
        response = await orders.get(response.links["next"]["url"])
        seen += [order["order_id"] for order in response.json()["items"]]

    assert seen == ["4", "3", "2", "1", "0"]
    first = response.links["first"]["url"]
    assert first == "/customers/ada/orders?page_size=2&status=pending"
    second = await orders.get(f"{first}&page=2")
    assert second.links["prev"]["url"] == f"{first}&page=1"
    assert second.links["last"]["url"] == f"{first}&page=3"
    assert "next" in second.links
    assert "Link" not in (await orders.get("/orders/4")).headers


@pytest.mark.parametrize("accept", ["text/csv", "application/json;q=0.5, text/csv", "TEXT/CSV; q=0.9, */*;q=0.1"])
async def test_a_whole_result_is_sent_as_csv_that_no_spreadsheet_takes_for_formulas(
    orders: Orders, accept: str
) -> None:
    await placed(orders, 103)

    response = await orders.get("/orders/search?q=lamp&page_size=5&page=2", headers={"Accept": accept})

    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Diptych-Position"]
    assert response.headers["Vary"] == "Accept"
    rows = list(csv.DictReader(StringIO(response.text, newline="")))
    assert [row["order_id"] for row in rows] == [str(n) for n in reversed(range(103))]
    assert rows[0]["products"] == "'=lamp 102"
    assert (rows[0]["total_amount"], rows[0]["shipped_on"]) == ("19.80", "")
    assert json.loads(rows[0]["lines"])[0]["product_name"] == "=lamp 102"


@pytest.mark.parametrize("accept", ["application/jsonl", "application/x-ndjson"])
async def test_a_whole_result_is_sent_as_json_lines(orders: Orders, accept: str) -> None:
    await placed(orders, 103)
    whole = (await orders.get("/customers/ada/orders?page_size=100")).json()["items"]

    response = await orders.get("/customers/ada/orders", headers={"Accept": accept})

    assert response.headers["Content-Type"].startswith(accept)
    lines = [json.loads(line) for line in response.text.splitlines()]
    assert len(lines) == 103
    assert lines[:100] == whole


async def test_a_list_is_sent_as_csv_too_and_an_empty_one_has_its_columns(orders: Orders) -> None:
    headers = {"Accept": "text/csv"}
    assert (await orders.get("/reports/daily-sales", headers=headers)).text == "day,orders,lines,revenue\r\n"
    assert (await orders.get("/orders/search?q=none", headers=headers)).text.startswith("order_id,customer_id,")

    placed = await orders.place(ordered_on="1996-07-04")
    await orders.read(placed.headers["Location"], placed)
    report = await orders.get(
        "/reports/daily-sales", headers={**headers, "Diptych-Position": placed.headers["Diptych-Position"]}
    )

    assert report.text == "day,orders,lines,revenue\r\n1996-07-04,1,2,139.80\r\n"


@pytest.mark.parametrize(
    "accept", ["*/*", "application/json, text/csv;q=0.9", "text/csv;q=0", "text/csv;q=x", "text/html"]
)
async def test_whoever_does_not_prefer_another_form_gets_json(orders: Orders, accept: str) -> None:
    response = await orders.get("/orders/search", headers={"Accept": accept})

    assert response.headers["Content-Type"] == "application/json"


async def test_what_is_wrong_with_a_question_is_a_problem_whatever_is_accepted(orders: Orders) -> None:
    response = await orders.get("/orders/search?page_size=0", headers={"Accept": "text/csv"})

    assert response.status_code == 422
    assert response.headers["Content-Type"] == "application/problem+json"


async def test_a_search_by_relevance_shows_where_it_found_what(orders: Orders) -> None:
    named = {"1": "Oak table with a lamp", "2": "<Lamp>", "3": "Oak table"}
    answers = [await orders.place(order_id=id, items=[{**LAMP, "product_name": name}]) for id, name in named.items()]

    found = await orders.read("/orders/search", answers[-1], q="lamp", sort_by="relevance", highlight=True)
    newest = await orders.read("/orders/search", answers[-1], sort_by="relevance")

    assert [order["order_id"] for order in found["items"]] == ["2", "1"]
    assert found["highlights"][0] == {"products": "&lt;<mark>Lamp</mark>&gt;"}
    assert [order["order_id"] for order in newest["items"]] == ["3", "2", "1"]
    assert "highlights" not in newest
