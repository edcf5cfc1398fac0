"""A connection to a server that falls silent is given up in time, however statements are sent."""

import asyncio
import struct
from collections.abc import AsyncIterator

import pytest

from diptych.store.postgres.connection import Line, Server

SETTINGS = {"server_version": "16.0", "client_encoding": "UTF8", "integer_datetimes": "on", "TimeZone": "UTC"}
SSL, CANCEL = 80877103, 80877102
IDLE, IN_TRANSACTION = b"I", b"T"


def message(kind: bytes, body: bytes) -> bytes:
    """A message of PostgreSQL's protocol, version 3."""
    return kind + struct.pack("!I", len(body) + 4) + body


async def greet_and_begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Let a client in and begin a transaction; answer nothing else, as behind a cable that was pulled."""
    try:
        while (code := await asked_at_first(reader)) == SSL:
            writer.write(b"N")
        if code == CANCEL:
            return
        writer.write(message(b"R", struct.pack("!I", 0)))
        for name, value in SETTINGS.items():
            writer.write(message(b"S", f"{name}\0{value}\0".encode()))
        writer.write(message(b"K", struct.pack("!II", 1, 2)) + message(b"Z", IDLE))
        while True:
            kind = await reader.readexactly(1)
            body = await reader.readexactly(struct.unpack("!I", await reader.readexactly(4))[0] - 4)
            if kind == b"Q" and b"BEGIN" in body:
                writer.write(message(b"C", b"BEGIN\0") + message(b"Z", IN_TRANSACTION))
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def asked_at_first(reader: asyncio.StreamReader) -> int:
    """The code of a request that has no kind."""
    size, code = struct.unpack("!II", await reader.readexactly(8))
    await reader.readexactly(size - 8)
    return int(code)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with await asyncio.start_server(greet_and_begin, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("prepared", [True, False])
async def test_a_server_that_falls_silent_is_given_up(port: int, prepared: bool) -> None:
    line = Line(Server(f"postgresql://u:p@127.0.0.1:{port}/d", prepared=prepared), 0.2)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(60):
            await line.fetch("SELECT 1")
