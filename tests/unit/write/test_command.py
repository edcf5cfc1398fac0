from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from diptych.errors import BadMessage
from diptych.store.port import LogIdentity
from diptych.token import Token
from diptych.write.command import Command, CommandHandler, Receipt


class Place(Command[str]):
    customer: str
    note: str = ""


@dataclass(frozen=True)
class Ship(Command):
    order: str
    day: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Slim(Command[int]):
    order: str = "o"


def test_id_and_timestamp_come_after_the_fields_of_its_own_and_are_filled() -> None:
    command = Place(customer="ann")

    assert [each.name for each in fields(Place)] == ["customer", "note", "command_id", "timestamp"]
    assert command.command_id != Place(customer="ann").command_id
    assert command.timestamp.tzinfo is UTC


@pytest.mark.parametrize("kind", [Ship, Slim])
def test_the_decorator_of_dataclasses_changes_nothing(kind: Any) -> None:
    command = kind(order="x", command_id="c")

    assert (command.order, command.command_id, command.timestamp.tzinfo) == ("x", "c", UTC)
    assert replace(command, order="y").command_id == "c"
    with pytest.raises(TypeError):
        kind("x")


def test_a_naive_timestamp_is_refused() -> None:
    with pytest.raises(BadMessage, match="Place has a timestamp without a time zone"):
        Place(customer="ann", timestamp=datetime(2024, 1, 2))  # noqa: DTZ001


def test_a_timestamp_of_another_zone_becomes_utc() -> None:
    noon = datetime(2024, 1, 2, 12, tzinfo=timezone(timedelta(hours=2)))

    assert str(Place(customer="ann", timestamp=noon).timestamp) == "2024-01-02 10:00:00+00:00"


@pytest.mark.parametrize("id", ["", None, 7])
def test_an_id_that_is_no_text_is_refused(id: Any) -> None:
    with pytest.raises(BadMessage, match="Place has the command_id"):
        Place(customer="ann", command_id=id)


def test_a_handler_without_handle_is_not_made() -> None:
    class Half(CommandHandler[Place]):
        pass

    with pytest.raises(TypeError, match="abstract"):
        Half()  # type: ignore[abstract]


def test_a_receipt_gives_its_place_as_a_token() -> None:
    receipt = Receipt("x", "Order-1", 2, 7, LogIdentity("log", 3))

    assert Token.decode(receipt.token) == Token(7, "Order-1", "log", 3)
    assert Receipt("x").token == ""
