"""What comes late, twice or in another order than it was asked for does no harm on the page."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Request, Route, expect
from tests.browser.chromium import Opened
from tests.browser.hands import by_somebody_else, detail, fill, fill_in_an_order, go, happened, press, rows, seen
from tests.examples.orders_client import LAMP, ORDER
from tests.serving import Served

pytestmark = pytest.mark.timeout(300)
LOOK = "document.dispatchEvent(new Event('visibilitychange'))"
SLOWLY = """
const fetched = window.fetch;
window.fetch = async (...asked) => {
  const response = await fetched(...asked);
  await new Promise((resolve) => setTimeout(resolve, 400));
  return response;
};
"""
HIDDEN = "Object.defineProperty(document, 'visibilityState', { get: () => 'hidden' })"


def order_of(api: httpx.Client, customer: str, **more: Any) -> str:
    order_id = f"of-{customer}"
    by_somebody_else(api, {**ORDER, "customer_id": customer, "order_id": order_id, **more})
    return order_id


def keeping(held: list[Route]) -> Callable[[Route], None]:
    """Hold requests back."""

    def keep(route: Route) -> None:
        held.append(route)

    return keep


def is_stream(request: Request) -> bool:
    return request.url.endswith("/orders/events")


def test_earlier_events_come_once_also_after_a_look_and_two_presses(page: Page, api: httpx.Client) -> None:
    order_id = order_of(api, "anna")
    added = [api.post(f"/orders/{order_id}/items", json=LAMP).raise_for_status() for _ in range(52)]
    seen(api, added[-1])
    go(page, order=order_id)
    expect(happened(page)).to_have_count(50)

    with page.expect_response(lambda response: "/history" in response.url):
        page.evaluate(LOOK)
    detail(page).get_by_role("button", name="Earlier").dblclick()

    expect(happened(page)).to_have_count(53)
    expect(detail(page).get_by_role("alert")).to_have_count(0)


def test_an_answer_is_shown_though_more_happens_before_it_comes(page: Page, api: httpx.Client) -> None:
    order_id = order_of(api, "bela")
    page.add_init_script(SLOWLY)
    page.goto(f"/#order={order_id}&customer=bela")
    page.reload()

    page.evaluate(f"window.storm = setInterval(() => {LOOK}, 50)")

    expect(rows(page)).to_have_count(1)
    expect(happened(page)).to_have_count(1)
    page.evaluate("clearInterval(window.storm)")


def test_news_leaves_the_list_where_it_was_scrolled_to_and_another_page_begins_at_its_top(
    page: Page, api: httpx.Client
) -> None:
    orders = [{**ORDER, "customer_id": "jana", "order_id": f"of-jana-{number}"} for number in range(25)]
    by_somebody_else(api, *orders)
    go(page, customer="jana")
    expect(rows(page)).to_have_count(20)
    panel = page.locator(".panel", has=page.locator("#list"))
    panel.evaluate("panel => panel.scrollTop = 150")

    api.post("/orders/of-jana-20/ship", json={}).raise_for_status()
    expect(rows(page).nth(4)).to_contain_text("Shipped")
    assert panel.evaluate("panel => panel.scrollTop") == 150

    page.get_by_role("link", name="Next").click()
    expect(rows(page)).to_have_count(5)
    assert panel.evaluate("panel => panel.scrollTop") == 0
    expect(page.get_by_role("link", name="Next")).to_be_focused()


def test_an_order_and_its_history_come_together(page: Page, api: httpx.Client) -> None:
    order_id = order_of(api, "karl")
    seen(api, api.post(f"/orders/{order_id}/ship", json={}))
    page.goto("about:blank")  # what happened before is told to no page

    def lag_behind(route: Route) -> None:
        response = route.fetch()
        told = response.json()
        route.fulfill(response=response, json={**told, "items": told["items"][1:]})

    page.route(re.compile(r"/history\?"), lag_behind, times=1)
    page.goto(f"/#order={order_id}")

    expect(happened(page)).to_have_count(2)


def test_a_page_that_nobody_sees_keeps_no_connection(opened: Callable[..., Opened], served: Served) -> None:
    one = opened(served.url)
    one.page.add_init_script(HIDDEN)
    before = sum(map(is_stream, one.requests))
    one.page.reload()
    expect(one.page.locator("#found")).to_contain_text("order")

    assert (before, sum(map(is_stream, one.requests))) == (1, 1)


def test_a_command_that_is_given_up_is_not_sent_again(
    opened: Callable[..., Opened], served: Served, api: httpx.Client
) -> None:
    order_id = order_of(api, "cleo")
    one = opened(served.url)
    go(one.page, order=order_id)
    one.page.route("**/ship", lambda route: route.abort())
    press(one.page, "Ship it")
    press(one.page, "Ship the order")
    expect(detail(one.page).get_by_role("status").first).to_contain_text("kept here")
    detail(one.page).get_by_role("button", name="Not now").last.click()
    one.page.unroute("**/ship")
    tried = sum(request.url.endswith("/ship") for request in one.requests)

    press(one.page, "Add a line")
    form = detail(one.page).get_by_role("form", name="Add a line")
    fill(form, Product="72", Price="2.50")
    press(form, "Add the line")

    expect(happened(one.page)).to_have_count(2)
    assert sum(request.url.endswith("/ship") for request in one.requests) == tried


def test_who_is_elsewhere_is_told_what_was_refused(page: Page, api: httpx.Client) -> None:
    first, second = order_of(api, "dora"), order_of(api, "emil")
    held = list[Route]()
    page.route("**/ship", keeping(held))
    go(page, order=first)
    press(page, "Ship it")
    with page.expect_request("**/ship"):
        press(page, "Ship the order")
    go(page, order=second)
    expect(detail(page)).to_contain_text("emil")

    seen(api, api.post(f"/orders/{first}/ship", json={}))
    held.pop().continue_()

    expect(page.locator("#said")).to_contain_text("Ship it: order 'of-dora'")


def test_a_late_answer_leaves_the_next_form_alone(page: Page, api: httpx.Client) -> None:
    other = order_of(api, "fred")
    held = list[Route]()
    page.route("**/orders", keeping(held))
    form = fill_in_an_order(page, "gina")
    with page.expect_request("**/orders"):
        press(form, "Place the order")
    go(page, order=other)
    expect(detail(page)).to_contain_text("fred")
    next_form = fill_in_an_order(page, "hugo")

    held.pop().continue_()

    expect(page.locator("#said")).to_contain_text("is placed")
    expect(next_form.get_by_label("Customer")).to_have_value("hugo")


def test_a_refusal_that_is_cut_off_is_asked_for_again(page: Page, api: httpx.Client) -> None:
    order_id = order_of(api, "iris")
    go(page, order=order_id)
    expect(detail(page).locator(".status")).to_have_text("Pending")
    press(page, "Ship it")
    seen(api, api.post(f"/orders/{order_id}/ship", json={}))

    def cut_off(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, body=response.body()[:9])

    page.route("**/ship", cut_off, times=1)
    press(page, "Ship the order")

    expect(detail(page).get_by_role("alert")).to_contain_text("Refused by AlreadyShipped")
