"""
Serve the application's page at `/`: files as they are, with nothing built and nothing from elsewhere.

A browser runs no script but these files and takes no text for markup, whatever
a customer is called: the policy says so, and the page keeps to it.
"""

from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles

FILES = Path(__file__).with_name("static")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # kept, and asked for again: a new release is seen at once
}


class _Files(StaticFiles):
    def file_response(self, *args: Any, **keywords: Any) -> Response:
        response = super().file_response(*args, **keywords)
        response.headers.update(HEADERS)
        return response


def add_page(http: FastAPI) -> None:
    """Serve the page at `/` and its files under `/static`, beside what *http* serves already."""
    files = _Files(directory=FILES)

    async def index(request: Request) -> Response:
        return await files.get_response("index.html", request.scope)

    http.add_route("/", index, include_in_schema=False)
    http.mount("/static", files)
