"""A server that is told to end lets its streams end, and waits for nobody."""

from collections.abc import Callable
from contextlib import ExitStack

import httpx
import pytest
from tests.serving import Served

BARE = "import os, uvicorn; uvicorn.run('orders.app:http', port=int(os.environ['PORT']))"


@pytest.mark.parametrize("command", [("-m", "orders"), ("-c", BARE)])
def test_a_server_that_is_told_to_end_ends_its_streams_first(
    serve: Callable[..., Served], command: tuple[str, ...]
) -> None:
    server = serve(*command)
    with httpx.Client(base_url=server.url, timeout=30) as client, ExitStack() as open_streams:
        streams = [
            open_streams.enter_context(client.stream("GET", path)).iter_lines()
            for path in ("/orders/events", "/orders/live", "/orders/live?q=lamp")
        ]
        for stream in streams:
            next(stream)

        server.process.terminate()

        for stream in streams:
            assert not [line for line in stream if line.startswith("data")]
    assert server.process.wait(timeout=30) <= 0  # uvicorn by itself raises the signal again
