"""A proxy between a client and the server, which cuts connections at a chosen moment or swallows what comes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Proxy:
    """
    Passes everything on, until it is told otherwise.

    Attributes:
        cut_at: What the statement names whose next call is not answered: the proxy sees the answer, and cuts.
        holds: The function whose calls are not passed on.
        leads_to: The port of the server.
        swallows: Whether what the server says goes nowhere.
        cuts, held: How many connections were cut, and calls not passed on.
    """

    def __init__(self, port: int) -> None:
        self.leads_to = port
        self.port = 0
        self.cut_at = self.holds = b""
        self.swallows = False
        self.cuts = self.held = 0
        self._open: dict[asyncio.StreamWriter, asyncio.Event] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client."""
        self._open[writer] = is_over = asyncio.Event()
        try:
            with suppress(OSError):  # the server is away
                await self._pass_on(reader, writer, *await asyncio.open_connection("127.0.0.1", self.leads_to))
        finally:
            writer.close()
            del self._open[writer]
            is_over.set()

    async def end(self) -> None:
        """Let every client go."""
        for writer, is_over in [*self._open.items()]:
            writer.transport.abort()
            await is_over.wait()

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> None:
        doomed = asyncio.Event()
        pumps = [
            asyncio.create_task(self._questions(reader, back, doomed)),
            asyncio.create_task(self._answers(there, writer, doomed)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            back.close()

    async def _questions(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter, doomed: asyncio.Event) -> None:
        prepared = b""
        while data := await reader.read(65_536):
            prepared += data if data.startswith(b"P") else b""  # the statements of this connection
            if data.startswith(b"B") and self.holds and self.holds in prepared:
                self.held += 1
                continue
            if data.startswith(b"B") and self.cut_at and self.cut_at in prepared:
                self.cut_at = b""
                doomed.set()
            back.write(data)
            await back.drain()

    async def _answers(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, doomed: asyncio.Event) -> None:
        while data := await there.read(65_536):
            if doomed.is_set():
                self.cuts += 1
                return
            if not self.swallows:
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def proxy_before(port: int) -> AsyncIterator[Proxy]:
    """A proxy for as long as the block runs."""
    proxy = Proxy(port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.end()
