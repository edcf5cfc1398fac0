"""Serve the Orders application in the process of the test."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from tests.examples.orders_client import Orders

from diptych.fastapi import api
from orders.app import ROUTES, app


@pytest.fixture
async def orders(tmp_path: Path) -> AsyncIterator[Orders]:
    """A client of the Orders application, which runs in this process on files of its own."""
    http = api(app, ROUTES, log=f"sqlite:///{tmp_path}/log.db", read=f"sqlite:///{tmp_path}/read.db", wait_s=30)
    transport = httpx.ASGITransport(http, raise_app_exceptions=False)
    async with http.router.lifespan_context(http), Orders(transport=transport, base_url="http://orders") as client:
        yield client
