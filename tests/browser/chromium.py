"""A real Chromium: the one that is installed, whatever it is called here. None is downloaded."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge", "msedge")
ELSEWHERE = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
)
# A browser that talks to nobody but us, also as root and where there is no screen.
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 60_000  # a condition that is met sooner is not waited for; a machine may be busy
DESKTOP, PHONE = (1280, 800), (360, 740)


def installed() -> str | None:
    """Where a Chromium is: what `CHROMIUM` names, else the first that is found."""
    named = [os.environ.get("CHROMIUM") or "", *NAMES, *ELSEWHERE]
    return next((path for name in named if (path := shutil.which(name))), None)


@contextmanager
def running(executable: str) -> Iterator[Browser]:
    """A browser of our own, with a new profile that goes with it."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=Path(executable), args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


class Opened:
    """A page that somebody looks at, with what it asked for; its script makes no mistake and opens no dialog."""

    def __init__(self, browser: Browser, url: str, size: tuple[int, int] = DESKTOP) -> None:
        width, height = size
        self._context = browser.new_context(
            base_url=url, viewport={"width": width, "height": height}, locale="en-GB", reduced_motion="reduce"
        )
        self._context.set_default_timeout(PATIENCE_MS)
        self.page: Page = self._context.new_page()
        self.requests: list[Request] = []
        self._mistakes: list[str] = []
        self.page.on("request", self._request)
        self.page.on("pageerror", lambda error: self._mistakes.append(str(error)))
        self.page.on("dialog", self._dialog)
        self.page.on("console", self._console)
        self.page.goto("/")

    def close(self) -> None:
        """Close it, and insist that nothing went wrong inside."""
        self._context.close()
        assert not self._mistakes, self._mistakes

    def _request(self, request: Request) -> None:
        self.requests.append(request)

    def _dialog(self, dialog: Dialog) -> None:
        self._mistakes.append(f"a dialog opened: {dialog.message}")
        dialog.dismiss()

    def _console(self, message: ConsoleMessage) -> None:
        # An answer that is no 2xx is told there too, and is no mistake of the page.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self._mistakes.append(message.text)
