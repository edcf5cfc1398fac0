"""The page of Orders is files of its own, under a policy that lets nothing else run, in colours that can be read."""

import re
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from tests.examples.orders_client import Orders, is_problem

from orders.app import http
from orders.page import FILES

SCRIPTS = sorted(FILES.glob("*.js"))
TEXTS = sorted(path for path in FILES.iterdir() if path.suffix != ".svg")
READ_ON = {
    "ink": ("panel", "ground", "sunk", "tint"),
    "muted": ("panel", "sunk"),
    "accent": ("panel", "tint", "sunk"),
    "danger": ("panel", "danger-tint"),
    "pending": ("pending-tint",),
    "shipped": ("shipped-tint",),
    "cancelled": ("cancelled-tint",),
    "on-accent": ("accent",),
    "panel": ("ink", "danger"),
}


@pytest.fixture
async def page() -> AsyncIterator[Orders]:
    """A client of the page, behind which no database is open."""
    async with Orders(transport=httpx.ASGITransport(http), base_url="http://orders") as client:
        yield client


async def test_the_page_and_its_files_come_under_a_strict_policy(page: Orders) -> None:
    for path in ("/", *(f"/static/{file.name}" for file in FILES.iterdir())):
        response = await page.get(path)

        assert response.status_code == 200, path
        policy = dict(
            part.strip().partition(" ")[::2] for part in response.headers["Content-Security-Policy"].split(";")
        )
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        assert "unsafe" not in str(policy)
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        again = await page.get(path, headers={"If-None-Match": response.headers["ETag"]})
        assert again.status_code == 304
    assert "text/html" in (await page.get("/")).headers["Content-Type"]


async def test_what_the_page_is_not_is_answered_as_before(page: Orders) -> None:
    is_problem(await page.get("/nowhere"), 404)
    is_problem(await page.get("/static/nothing.js"), 404)
    is_problem(await page.get("/static/../app.py"), 404)
    is_problem(await page.get("/static/%2e%2e/app.py"), 404)
    is_problem(await page.post("/"), 405)
    assert "/static" not in str((await page.get("/openapi.json")).json()["paths"])


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: file.name)
def test_a_file_of_the_page_asks_nobody_else_and_takes_no_text_for_markup(file: Path) -> None:
    text = file.read_text(encoding="utf-8")

    assert "//" not in re.sub(r"(?m)^\s*//.*$|\s// .*$|/\*.*?\*/", "", text, flags=re.DOTALL)
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|srcdoc| style=| on\w+=\"", text)
        == []
    )
    assert len(text.splitlines()) <= 400


def test_every_script_is_asked_for_before_it_is_missed() -> None:
    index = (FILES / "index.html").read_text(encoding="utf-8")

    assert set(re.findall(r'static/(\w+\.js)"', index)) == {file.name for file in SCRIPTS}


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(scheme: int) -> None:
    """As WCAG 2 asks of texts: a contrast of 4.5 or more."""
    palettes = re.findall(r":root \{(.*?)\}", (FILES / "page.css").read_text(encoding="utf-8"), re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): #([0-9a-f]{6});", palettes[scheme]))

    faint = {(text, behind): contrast(colours[text], colours[behind]) for text in READ_ON for behind in READ_ON[text]}
    assert {pair: ratio for pair, ratio in faint.items() if ratio < 4.5} == {}


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    channels = [int(colour[at:to], 16) / 255 for at, to in pairwise((0, 2, 4, 6))]
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
