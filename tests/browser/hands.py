"""What somebody does on the page: fills in, presses, goes to a place."""

import re
from typing import Any
from urllib.parse import quote_plus, urlencode

import httpx
from playwright.sync_api import Locator, Page, Response, expect


def by_somebody_else(api: httpx.Client, *bodies: Any) -> None:
    """Place orders without the page, and wait until they can be read."""
    seen(api, [api.post("/orders", json=body).raise_for_status() for body in bodies][-1])


def seen(api: httpx.Client, last: httpx.Response) -> None:
    """Wait until what was done can be read."""
    _no_older(api, "/orders/search", last.headers["Diptych-Position"])


def is_done(response: Response) -> bool:
    """Whether it is the answer to a command of the page."""
    return response.request.method == "POST"


def orders_of(api: httpx.Client, customer: str, last: Response) -> int:
    """How many orders a customer has, once what the page did can be read."""
    total: int = _no_older(api, f"/customers/{customer}/orders", last.headers["diptych-position"]).json()["total"]
    return total


def _no_older(api: httpx.Client, path: str, position: str) -> httpx.Response:
    answer = api.get(path, headers={"Diptych-Position": position, "Prefer": "wait=30"}).raise_for_status()
    assert "Diptych-Stale" not in answer.headers
    return answer


def go(page: Page, **place: str) -> None:
    """Go where the address names."""
    page.goto(f"/#{urlencode(place)}")


def fill(within: Page | Locator, **fields: str) -> None:
    """Fill in fields by the words beside them."""
    for label, text in fields.items():
        within.get_by_label(label.replace("_", " "), exact=True).fill(text)


def look_for(page: Page, **filters: str) -> None:
    """Fill in filters of the list, and wait until they count."""
    fill(page, **filters)
    for text in filters.values():
        page.wait_for_url(re.compile(re.escape(quote_plus(text))))


def press(within: Page | Locator, name: str) -> None:
    """Press a button."""
    within.get_by_role("button", name=name, exact=True).click()


def fill_in_an_order(page: Page, customer: str, **more: str) -> Locator:
    """Open the form of a new order and fill it in; the form."""
    page.get_by_role("link", name="New order").click()
    form = page.get_by_role("form", name="New order")
    fill(form, Customer=customer, Product="1", Its_name="Steel lamp", Quantity="3", Price="9.90", **more)
    return form


def place(page: Page, customer: str) -> str:
    """Place an order with the form; its id."""
    press(fill_in_an_order(page, customer), "Place the order")
    expect(page.locator("#said")).to_contain_text("is placed")
    return str(page.evaluate("new URLSearchParams(location.hash.slice(1)).get('order')"))


def rows(page: Page) -> Locator:
    """The orders in the list."""
    return page.locator("#list a.row")


def detail(page: Page) -> Locator:
    """The right panel."""
    return page.locator("#detail")


def happened(page: Page) -> Locator:
    """The events of the order that is shown, newest first."""
    return page.locator(".history li")
