"""Serve a FastAPI application with uvicorn, and end with 0 when told to stop."""

import os
import signal
import sys

import uvicorn
from fastapi import FastAPI


def serve(http: FastAPI, port: int | None = None, host: str = "127.0.0.1") -> None:
    """
    Serve until SIGTERM or SIGINT; requests in flight are answered first.

    uvicorn raises the signal again after its own shutdown, and a parent may send
    a second one: neither changes the exit status.

    Args:
        port: Default: what the environment variable `PORT` says, else 8000.
    """
    port = _port() if port is None else port
    server = uvicorn.Server(uvicorn.Config(http, host=host, port=port))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server.run()
    sys.exit(0 if server.started else 1)


def _port() -> int:
    given = os.environ.get("PORT", "8000")
    if not given.isdecimal() or int(given) not in range(1, 65_536):
        sys.exit(f"PORT is {given!r}: give a number from 1 to 65535")
    return int(given)
