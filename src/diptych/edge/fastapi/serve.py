"""Serve a FastAPI application with uvicorn, and end with 0 when told to stop."""

import math
import os
import signal
import sys
from time import monotonic
from types import FrameType

import uvicorn
from fastapi import FastAPI
from uvicorn.config import LOGGING_CONFIG

LONGEST_REQUEST_S = 20


def serve(http: FastAPI, port: int | None = None, host: str = "127.0.0.1", *, configure_logging: bool = True) -> None:
    """
    Serve until SIGTERM or SIGINT; `/readyz` turns 503 first, and requests in flight are answered.

    After SIGTERM new requests are taken for `DIPTYCH_DRAIN_S` seconds more (1), so that whoever
    sends them sees that it is about to end. uvicorn raises the signal again after its own
    shutdown, and a parent may send a second one: neither changes the exit status.

    Args:
        port: Default: what the environment variable `PORT` says, else 8000.
        configure_logging: False leaves logging as this process has set it up; else uvicorn sets up its own.
    """
    port = _port() if port is None else port
    config = uvicorn.Config(
        http,
        host=host,
        port=port,
        timeout_graceful_shutdown=LONGEST_REQUEST_S,
        log_config=LOGGING_CONFIG if configure_logging else None,
    )
    server = DrainingServer(config, _drain_s())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server.run()
    sys.exit(0 if server.started else 1)


class DrainingServer(uvicorn.Server):
    """A server that goes on a while after SIGTERM, in which the application says that it is about to end."""

    def __init__(self, config: uvicorn.Config, drain_s: float) -> None:
        super().__init__(config)
        self._drain_s, self._ends_at = drain_s, math.inf

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take note of a signal."""
        if sig == signal.SIGTERM and self.started:
            self._ends_at = min(self._ends_at, monotonic() + self._drain_s)
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Whether to end now."""
        return monotonic() >= self._ends_at or await super().on_tick(counter)


def _drain_s() -> float:
    given = os.environ.get("DIPTYCH_DRAIN_S", "1")
    try:
        drain_s = float(given)
    except ValueError:
        drain_s = math.nan
    if not 0 <= drain_s < math.inf:
        sys.exit(f"DIPTYCH_DRAIN_S is {given!r}: give a number of seconds from 0 on")
    return drain_s


def _port() -> int:
    given = os.environ.get("PORT", "8000")
    if not given.isdecimal() or int(given) not in range(1, 65_536):
        sys.exit(f"PORT is {given!r}: give a number from 1 to 65535")
    return int(given)
