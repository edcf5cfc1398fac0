"""Serve the examples: in the process of the test, or in one of their own, which can be killed."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.examples.orders_client import Orders

from diptych.fastapi import api
from orders.app import ROUTES, app

ROOT = Path(__file__).parents[2]
TO_START_S = 60.0


class Served:
    """A program that listens on a port of its own; its files are under *folder*."""

    def __init__(self, command: list[str], folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self._command = command

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.process = subprocess.Popen(
            [sys.executable, *self._command], cwd=self.folder, env=environment(PORT=str(self.port))
        )
        deadline = time.monotonic() + TO_START_S
        while not self._is_ready():
            assert self.process.poll() is None, f"ended with {self.process.returncode} before it was ready"
            assert time.monotonic() < deadline, f"not ready after {TO_START_S} s"
            time.sleep(0.05)

    def kill(self) -> None:
        """End it as kill -9 does."""
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        """End it as SIGTERM does; the exit code."""
        self.process.terminate()
        return self.process.wait(timeout=30)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


def environment(**added: str) -> dict[str, str]:
    """Our own environment, with the project's code on the path and no databases named."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DIPTYCH_")}
    return {**inherited, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "examples")]), **added}


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Start a Python program as a server; it ends with the test."""
    started: list[Served] = []

    def start(*command: str) -> Served:
        server = Served(list(command), tmp_path)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.kill()


@pytest.fixture
def load() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start `python -m orders.load` with arguments; it ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "orders.load", *arguments]
        started.append(
            subprocess.Popen(
                command,
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
            )
        )
        return started[-1]

    yield start
    for loading in started:
        loading.kill()
        loading.communicate()


@pytest.fixture
async def orders(tmp_path: Path) -> AsyncIterator[Orders]:
    """A client of the Orders application, which runs in this process on files of its own."""
    http = api(app, ROUTES, log=f"sqlite:///{tmp_path}/log.db", read=f"sqlite:///{tmp_path}/read.db", wait_s=30)
    transport = httpx.ASGITransport(http, raise_app_exceptions=False)
    async with http.router.lifespan_context(http), Orders(transport=transport, base_url="http://orders") as client:
        yield client
