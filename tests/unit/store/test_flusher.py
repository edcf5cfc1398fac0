"""What is known to be durable is known of one server only."""

from diptych.store.postgres.connection import Server
from diptych.store.postgres.flusher import Flusher


async def test_what_was_heard_over_a_connection_is_forgotten_behind_the_next() -> None:
    server = Server.at("postgresql://nowhere/log")
    flusher = Flusher(server, 1.0)
    flusher.heard_of(7, server.connections)
    flusher.heard_of(5, server.connections)
    assert flusher.durable_up_to == 7

    asked_before = server.connections
    server.connections += 1
    flusher.heard_of(9, asked_before)
    assert flusher.durable_up_to == 0
