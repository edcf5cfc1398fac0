"""Run the project's programs as processes of their own, which can be killed."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI

ROOT = Path(__file__).parents[1]
TO_START_S = 60.0
TO_STOP_S = 30.0


class Served:
    """A program that listens on a port of its own, {port} in its command; its files are under *folder*."""

    def __init__(self, command: list[str], folder: Path, **variables: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self._command = [part.replace("{port}", str(self.port)) for part in command]
        self._variables = {"PORT": str(self.port), **variables}

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.process = subprocess.Popen(
            [sys.executable, *self._command], cwd=self.folder, env=environment(**self._variables)
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
        return self.process.wait(timeout=TO_STOP_S)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


class Server(uvicorn.Server):
    """Serves in the event loop of a test, whose signals it leaves alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(http: FastAPI) -> AsyncIterator[str]:
    """Serve an application over real connections for as long as the block runs; its URL."""
    server = Server(uvicorn.Config(http, port=0, log_level="error", lifespan="on", ws="none"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done(), "the server ended before it had started"
        await asyncio.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


def environment(**added: str) -> dict[str, str]:
    """Our own environment, with the project's code on the path and no databases named."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DIPTYCH_")}
    return {**inherited, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "examples")]), **added}
