"""The page of Orders, looked at with a real Chromium where there is one."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page
from tests.browser.chromium import DESKTOP, Opened, installed, running
from tests.serving import Served


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for the tests of a module."""
    executable = installed()
    if executable is None:
        pytest.skip("NO CHROMIUM ON THIS MACHINE (or name one in CHROMIUM): the page of Orders was not tested")
    with running(executable) as browser:
        yield browser


@pytest.fixture(scope="module")
def served(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The Orders application, one for the tests of a module: each has customers of its own."""
    server = Served(["-m", "orders"], tmp_path_factory.mktemp("orders"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def api(served: Served) -> Iterator[httpx.Client]:
    """Somebody else, who does not use the page."""
    with httpx.Client(base_url=served.url, timeout=30) as client:
        yield client


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Opened]]:
    """Open the page of a server."""
    pages: list[Opened] = []

    def at(url: str, size: tuple[int, int] = DESKTOP) -> Opened:
        pages.append(Opened(browser, url, size))
        return pages[-1]

    yield at
    for page in pages:
        page.close()


@pytest.fixture
def page(served: Served, opened: Callable[..., Opened]) -> Page:
    """The page, as it is opened on a desktop."""
    return opened(served.url).page
