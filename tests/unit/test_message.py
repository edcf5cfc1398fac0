from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from typing import Any

import pytest

from diptych.event import Event, event_type
from diptych.message import new_id


class Plain(Event):
    name: str
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Decorated(Event, version=1, name="Adorned", was=("Gilded",)):
    note: str = ""
    name: str  # type: ignore[misc]  # checkers don't know that the first pass made it keyword-only


@dataclass(frozen=True, kw_only=True, slots=True)
class Slotted(Event, name="Slim"):
    note: str = ""
    tags: list[str] = field(default_factory=list)


@dataclass
class Bare(Event):  # type: ignore[misc]  # frozen all the same
    name: str
    tags: list[str] = field(default_factory=list)


class Between(Event):
    note: str = "between"


@dataclass(frozen=True)
class Below(Between):
    name: str


KINDS: list[Callable[..., Any]] = [Plain, Decorated, Bare, Below]


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_is_frozen_however_it_is_written(kind: Callable[..., Any]) -> None:
    message = kind(name="first")

    with pytest.raises(FrozenInstanceError):
        message.name = "second"
    with pytest.raises(FrozenInstanceError):
        del message.name
    assert message.name == "first"


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_is_compared_hashed_and_copied_by_its_fields(kind: Callable[..., Any]) -> None:
    message = kind(name="first")

    assert message == kind(name="first")
    assert message != kind(name="second")
    assert replace(message, name="second").name == "second"


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_takes_keywords_only(kind: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="positional"):
        kind("first")


def test_an_inherited_default_does_not_stand_before_a_field_without_one() -> None:
    assert Below(name="x") == Below(name="x", note="between")
    assert [each.name for each in fields(Below)] == ["note", "name"]


def test_every_message_has_a_default_of_its_own() -> None:
    assert Plain(name="a").tags is not Plain(name="b").tags
    assert Slotted().tags == []


def test_the_keywords_of_a_class_survive_its_being_built_again_with_slots() -> None:
    assert event_type(Slotted).name == "Slim"
    assert event_type(Decorated).was == ("Gilded",)


def test_a_stored_name_is_not_inherited() -> None:
    class Child(Decorated):
        more: int = 0

    assert event_type(Child).name == "Child"


def test_no_signature_is_published_as_a_docstring() -> None:
    assert Plain.__doc__ is None


def test_new_ids_are_unique_and_sorted_by_time() -> None:
    ids = [new_id() for _ in range(1000)]

    assert len(set(ids)) == 1000
    assert ids == sorted(ids)
