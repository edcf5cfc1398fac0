"""Orders are placed, found and changed on the page, and what was done is there at once."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect
from tests.browser.chromium import Opened
from tests.browser.hands import (
    by_somebody_else,
    detail,
    fill,
    fill_in_an_order,
    go,
    happened,
    is_done,
    look_for,
    orders_of,
    place,
    press,
    rows,
    seen,
)
from tests.examples.orders_client import LAMP, ORDER, TABLE
from tests.serving import Served

pytestmark = pytest.mark.timeout(300)
POSITION = "diptych-position"
ASKED = re.compile(r"/orders/(?!events)")


@pytest.fixture(params=["files", "PostgreSQL"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    """The application on two files, and in one database of PostgreSQL."""
    if request.param == "files":
        yield request.getfixturevalue("served")
        return
    url = request.getfixturevalue("postgres")(18)
    served = Served(["-m", "orders"], tmp_path, DIPTYCH_LOG_URL=url, DIPTYCH_READ_URL=url)
    served.start()
    yield served
    served.kill()


def test_an_order_is_placed_changed_and_shipped_and_each_step_is_seen_at_once(
    browser: Browser, server: Served, opened: Callable[..., Opened]
) -> None:
    page = opened(server.url).page

    place(page, "grace")
    expect(rows(page).first).to_contain_text("grace")
    expect(rows(page).first).to_have_attribute("aria-current", "true")
    expect(detail(page).get_by_role("row", name="Total")).to_contain_text("29.70")
    expect(happened(page)).to_contain_text(["Placed"])

    press(page, "Add a line")
    form = page.get_by_role("form", name="Add a line")
    fill(form, Product="2", Its_name="Oak table", Quantity="1", Price="1200")
    press(form, "Add the line")
    expect(detail(page).get_by_role("row", name="Total")).to_contain_text("1,229.70")
    expect(rows(page).first).to_contain_text("1,229.70")
    expect(form).to_be_hidden()

    press(page, "Ship it")
    press(page, "Ship the order")
    expect(detail(page).locator(".status")).to_have_text("Shipped")
    expect(rows(page).first).to_contain_text("Shipped")
    expect(happened(page)).to_contain_text(["Shipped", "Item added", "Placed"])


def test_every_question_after_a_command_carries_its_position(served: Served, opened: Callable[..., Opened]) -> None:
    one = opened(served.url)
    place(one.page, "heidi")
    expect(happened(one.page)).to_have_count(1)
    placed = next(request for request in one.requests if request.method == "POST")
    one.page.reload()
    expect(rows(one.page).first).to_contain_text("heidi")
    expect(happened(one.page)).to_have_count(1)

    asked = [request for request in one.requests[one.requests.index(placed) :] if ASKED.search(request.url)]
    answer = placed.response()
    assert answer is not None
    assert {request.headers[POSITION] for request in asked} == {answer.headers[POSITION]}
    assert [request.url.partition("?")[0].endswith("/history") for request in asked].count(True) >= 2


def test_a_rule_that_refuses_is_told_by_name_and_the_page_follows(page: Page, api: httpx.Client) -> None:
    order_id = place(page, "ivan")
    press(page, "Cancel it")
    fill(page, Reason="too late")
    seen(api, api.post(f"/orders/{order_id}/ship", json={}))  # meanwhile, by somebody else

    press(page, "Cancel the order")

    alert = detail(page).get_by_role("alert")
    expect(alert).to_contain_text("Refused by AlreadyShipped")
    expect(alert).to_contain_text("has been shipped: place a new order instead")
    expect(detail(page).locator(".status")).to_have_text("Shipped")
    expect(rows(page).first).to_contain_text("Shipped")
    press(page, "Not now")
    expect(page.get_by_label("Reason")).to_be_hidden()
    page.reload()
    press(page, "Try to change it all the same")
    press(page, "Ship it")
    press(page, "Ship the order")
    expect(alert).to_contain_text("Refused by AlreadyShipped")


def test_what_others_do_is_seen_without_asking(page: Page, api: httpx.Client) -> None:
    order_id = place(page, "niaj")
    look_for(page, Customer_id="niaj")
    expect(rows(page)).to_have_count(1)
    rows(page).focus()

    api.post("/orders", json={**ORDER, "customer_id": "niaj"}).raise_for_status()
    expect(rows(page)).to_have_count(2)
    expect(rows(page).last).to_be_focused()  # the same order as before
    api.post(f"/orders/{order_id}/ship", json={}).raise_for_status()

    expect(detail(page).locator(".status")).to_have_text("Shipped")
    expect(happened(page)).to_have_count(2)
    expect(rows(page).last).to_contain_text("Shipped")


def test_a_look_just_before_another_order_is_shown_is_at_the_one_that_is(page: Page, api: httpx.Client) -> None:
    customers = ("quentin", "rupert")
    by_somebody_else(api, *({**ORDER, "customer_id": customer, "order_id": f"of-{customer}"} for customer in customers))
    expect(detail(page)).to_contain_text("Choose an order")

    # The address changes at once, the page with the event behind; it looks again when it comes into view.
    look_again = "to => { location.hash = to; document.dispatchEvent(new Event('visibilitychange')) }"
    for customer in customers:
        page.evaluate(look_again, f"#order=of-{customer}")
        expect(detail(page)).to_contain_text(customer)


def test_an_order_is_cancelled_with_its_reason(page: Page) -> None:
    place(page, "judy")

    press(page, "Cancel it")
    fill(page, Reason="found it cheaper")
    press(page, "Cancel the order")

    expect(detail(page).locator(".status")).to_have_text("Cancelled")
    expect(happened(page).first).to_contain_text("found it cheaper")
    expect(detail(page)).to_contain_text("It was cancelled, and stays so.")


def test_what_is_wrong_is_told_at_its_field(page: Page, api: httpx.Client) -> None:
    form = fill_in_an_order(page, "")
    press(form, "Another line")
    second = form.get_by_role("group", name="Line 2")
    fill(second, Product="2", Quantity="0", Price="1.234")

    press(form, "Place the order")

    expect(form.get_by_role("alert")).to_contain_text("Invalid request")
    expect(form.get_by_label("Customer")).to_be_focused()
    expect(form.get_by_label("Customer")).to_have_attribute("aria-invalid", "true")
    expect(second.get_by_label("Quantity")).to_have_accessible_description("Input should be greater than or equal to 1")
    expect(second.get_by_label("Price")).to_have_attribute("aria-invalid", "true")
    press(form, "Remove line 2")
    fill(form, Customer="mallory")
    press(form, "Place the order")
    expect(happened(page)).to_have_count(1)
    assert api.get("/customers/mallory/orders").json()["total"] == 1


def test_orders_are_searched_filtered_and_paged(page: Page, api: httpx.Client) -> None:
    orders = ({**ORDER, "customer_id": "peggy", "order_id": f"p-{number}"} for number in range(22))
    items = [{**(LAMP if number else TABLE), "price": str(number + 1)} for number in range(22)]
    by_somebody_else(api, *({**order, "items": [item]} for order, item in zip(orders, items, strict=True)))
    seen(api, api.post("/orders/p-5/ship", json={}))

    look_for(page, Customer_id="peggy")
    expect(page.locator("#pages")).to_contain_text("1 of 2")
    expect(rows(page)).to_have_count(20)
    expect(rows(page).first).to_contain_text("p-21")
    page.get_by_role("link", name="Next").click()
    expect(rows(page)).to_have_count(2)
    page.go_back()
    expect(rows(page)).to_have_count(20)

    page.get_by_label("Sort").select_option("Lowest total first")
    expect(rows(page).first).to_contain_text("p-0")
    page.get_by_role("radio", name="Shipped").check()
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("p-5")
    page.get_by_role("radio", name="All").check()
    look_for(page, Search_for_words="oak tab")
    expect(rows(page)).to_have_count(1)
    expect(page.locator("#pages")).to_have_text("1 order")
    look_for(page, Search_for_words="nothing like it")
    expect(page.locator("#list")).to_contain_text("No order is like that.")
    page.get_by_role("link", name="Show all orders").click()
    expect(rows(page)).to_have_count(20)
    expect(page.get_by_label("Search for words")).to_have_value("")


def test_a_button_that_is_pressed_twice_places_one_order(page: Page, api: httpx.Client) -> None:
    form = fill_in_an_order(page, "trent")

    with page.expect_response(is_done) as answered:
        form.get_by_role("button", name="Place the order").dblclick()

    expect(happened(page)).to_have_count(1)
    assert orders_of(api, "trent", answered.value) == 1


def lose(route: Route) -> None:
    route.fetch()
    route.abort()


def cut_off(route: Route) -> None:
    response = route.fetch()
    route.fulfill(response=response, body=response.body()[:5])


@pytest.mark.parametrize(("interfere", "customer"), [(lose, "victor"), (cut_off, "victoria")])
def test_a_command_whose_answer_was_lost_is_sent_again_and_done_once(
    served: Served, opened: Callable[..., Opened], api: httpx.Client, interfere: Callable[[Route], None], customer: str
) -> None:
    one = opened(served.url)

    one.page.route("**/orders", interfere, times=1)
    with one.page.expect_response(is_done) as answered:
        place(one.page, customer)

    keys = [request.headers["idempotency-key"] for request in one.requests if request.method == "POST"]
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert orders_of(api, customer, answered.value) == 1


def test_an_answer_that_is_older_than_what_was_done_says_so_until_it_is_not(page: Page) -> None:
    place(page, "walter")
    said = {"Diptych-Stale": "timeout"}

    def stale_for_a_while(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, headers={**response.headers, **said})

    page.route(ASKED, stale_for_a_while)
    page.reload()

    notices = page.locator(".notice span")
    expect(notices).to_have_count(2)
    expect(notices.first).to_contain_text("older than what was done last")
    said.clear()
    expect(notices).to_have_count(0)


@pytest.mark.parametrize("text", ["<img src=x onerror=alert(1)>", "\"'></bdi><script>alert(1)</script>\u202egnp"])
def test_what_somebody_is_called_is_text_and_nothing_else(page: Page, api: httpx.Client, text: str) -> None:
    body: dict[str, Any] = {
        "customer_id": text,
        "order_id": f"{text}/%2F#&",
        "items": [{"product_id": text, "product_name": text * 30, "quantity": 1_000_000_000, "price": "1.10"}],
        "shipping_address": {"name": text, "city": "x" * 300},
    }
    by_somebody_else(api, body)

    go(page, customer=text)
    expect(rows(page)).to_have_count(1)
    expect(rows(page).locator(".name")).to_have_text(text)
    rows(page).click()

    expect(detail(page).get_by_role("heading", level=2)).to_have_text(f"Order {body['order_id']}")
    expect(detail(page).get_by_role("link", name=text)).to_be_visible()
    press(page, "Cancel it")
    fill(page, Reason=text)
    press(page, "Cancel the order")
    expect(happened(page).first).to_contain_text(text)
    assert page.locator("img, script:not([src])").count() == 0
