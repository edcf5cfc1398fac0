"""The page serves a phone, a keyboard and a screen reader as well, and somebody whose server is gone for a while."""

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page, expect
from tests.browser.chromium import PHONE, Opened
from tests.browser.hands import by_somebody_else, detail, fill_in_an_order, go, happened, place, press, rows
from tests.examples.orders_client import LAMP, ORDER
from tests.serving import Served

pytestmark = pytest.mark.timeout(300)


def width(page: Page) -> int:
    """How wide the page is, with what one would have to scroll to."""
    return int(page.evaluate("document.documentElement.scrollWidth"))


def test_a_phone_shows_one_panel_after_the_other_and_never_scrolls_sideways(
    served: Served, opened: Callable[..., Opened], api: httpx.Client
) -> None:
    long = "Donaudampfschifffahrtsgesellschaft" * 5
    line = {**LAMP, "product_name": long, "quantity": 1_000_000_000, "price": "999.99"}
    body = {**ORDER, "customer_id": long, "items": [line, LAMP], "shipping_address": {"city": long}}
    by_somebody_else(api, *({**body, "order_id": f"{number}-{long}"} for number in range(25)))
    page = opened(served.url, PHONE).page

    expect(rows(page)).to_have_count(20)
    assert width(page) == PHONE[0]
    expect(detail(page)).to_be_hidden()
    rows(page).nth(15).scroll_into_view_if_needed()
    scrolled = page.evaluate("scrollY")
    rows(page).nth(15).click()
    expect(happened(page)).to_have_count(1)
    assert width(page) == PHONE[0]
    expect(rows(page).first).to_be_hidden()
    for action in ("Add a line", "Ship it", "Cancel it"):
        press(page, action)
        assert width(page) == PHONE[0]

    detail(page).get_by_role("link", name="All orders").click()
    expect(rows(page).nth(15)).to_be_focused()
    assert scrolled > 0
    assert page.evaluate("scrollY") == scrolled
    page.evaluate("scrollTo(0, 0)")
    form = fill_in_an_order(page, "")
    press(form, "Place the order")
    expect(form.get_by_role("alert")).to_be_visible()
    assert width(page) == PHONE[0]


def test_everything_is_reached_and_done_with_the_keyboard(page: Page, api: httpx.Client) -> None:
    by_somebody_else(api, {**ORDER, "customer_id": "oscar"})
    go(page, customer="oscar")
    page.reload()
    expect(rows(page)).to_have_count(1)
    keys = page.keyboard

    keys.press("Tab")
    expect(page.get_by_role("link", name="Skip to the orders")).to_be_focused()
    keys.press("Enter")
    keys.press("Tab")
    expect(rows(page)).to_be_focused()
    keys.press("Enter")
    expect(detail(page).get_by_role("heading", level=2)).to_be_focused()
    expect(happened(page)).to_have_count(1)
    for _ in range(3):
        keys.press("Tab")
    expect(page.get_by_role("button", name="Ship it")).to_be_focused()
    keys.press("Enter")
    expect(page.get_by_label("Shipped on")).to_be_focused()
    keys.press("Enter")

    expect(detail(page).get_by_role("heading", level=2)).to_be_focused()
    expect(page.get_by_role("status").filter(has_text="It is shipped.")).to_be_visible()
    expect(happened(page)).to_have_count(2)


def test_every_field_and_button_has_a_name(page: Page) -> None:
    nameless = """() => Array.from(document.querySelectorAll('a, button, input, select'))
        .filter(one => !(one.ariaLabel || one.labels?.[0]?.textContent || one.textContent.trim()))
        .map(one => one.outerHTML)"""
    place(page, "carol")
    press(page, "Add a line")

    assert page.evaluate(nameless) == []
    press(page, "Not now")
    fill_in_an_order(page, "carol")
    assert page.evaluate(nameless) == []


def test_nothing_jumps_while_it_loads(page: Page, api: httpx.Client) -> None:
    by_somebody_else(api, *[ORDER] * 30)

    page.reload()
    expect(rows(page)).to_have_count(20)
    page.get_by_role("link", name="Next").click()
    expect(page.locator("#pages")).to_contain_text("2 of")
    shifts = page.evaluate(
        """() => new Promise(told => new PerformanceObserver(list => told(list.getEntries().map(one => one.value)))
               .observe({ type: 'layout-shift', buffered: true }) ?? setTimeout(() => told([]), 300))"""
    )

    assert sum(shifts) < 0.02


def test_a_server_that_is_killed_is_missed_and_found_again(page: Page, served: Served) -> None:
    place(page, "erin")
    form = fill_in_an_order(page, "frank")
    served.kill()

    page.get_by_role("radio", name="Pending").check()
    away = page.locator("#away")
    expect(away).to_contain_text("The server is away")
    press(form, "Place the order")
    expect(form).to_contain_text("kept here and sent until it answers")
    served.start()

    expect(page.locator("#said")).to_contain_text("is placed")
    expect(away).to_have_text("")
    expect(rows(page).locator(".name").first).to_have_text("frank")
    expect(rows(page).locator(".name").nth(1)).to_have_text("erin")
