"""
Tell a repeat of a command, and keep what its first answer was.

A repeat has the id and the body of a command that was accepted. Its answer is
the stored JSON of the first result, as the type that the command names.
"""

import asyncio
from copy import copy
from hashlib import blake2b
from typing import Any, TypeVar

import msgspec
from msgspec import inspect as shapes

from diptych.codec import check
from diptych.errors import BadHandler, BadMessage, InProgress, NotStorable
from diptych.handlers import shown
from diptych.message import given
from diptych.write.command import Command

C = TypeVar("C", bound=Command[Any])

_encode = msgspec.json.Encoder(order="deterministic").encode


def digest_of(command: Command[Any]) -> bytes:
    """
    What tells whether a repeat has the same body: the type and the fields that the caller gave, never filled defaults.

    Raises:
        NotStorable: A field has a value that JSON has no form for, so that no repeat could be told.
    """
    what = type(command).__name__
    check(command.command_id, f"the id of {what}")
    fields = {name: getattr(command, name) for name in given(command) if name != "command_id"}
    try:
        return blake2b(_encode([what, fields]), digest_size=16).digest()
    except (TypeError, ValueError, OverflowError) as error:
        raise NotStorable(what=what, path="$", why=str(error)) from error


def names_its_id(command: Command[Any]) -> bool:
    """Whether the caller gave the command's id; then it may have been accepted before, anywhere."""
    return "command_id" in given(command)


def named(command: C, command_id: str) -> C:
    """A command under an id, as if its caller had given it."""
    renamed = copy(command)
    object.__setattr__(renamed, "command_id", command_id)
    renamed.__dict__["_given"] = (*given(command), "command_id")
    renamed.__dict__.pop("_sent", None)
    return renamed


def mark_sent(command: Command[Any]) -> bool:
    """Remember that this object was sent; whether it was before."""
    sent_before = "_sent" in command.__dict__
    command.__dict__["_sent"] = True
    return sent_before


class Answers:
    """
    The results of one type of command, to and from their stored form.

    Raises:
        BadHandler: The result's type is none that JSON gives back.
    """

    def __init__(self, command_type: type, result_type: Any) -> None:
        result_type = Any if result_type is object else result_type
        self._what, self._type = f"the result of {command_type.__name__}", result_type
        try:
            foreign = _foreign_to_json(shapes.type_info(result_type))
            self._decode = msgspec.json.Decoder(result_type).decode
        except (TypeError, NameError) as error:
            raise BadHandler(
                f"{self._what} is {shown(result_type)}, which can't be stored for a repeat: {error}"
            ) from error
        if foreign is not None:
            raise BadHandler(
                f"{self._what} holds {shown(foreign)}, which can't be stored for a repeat: "
                "return a dataclass, a msgspec Struct or plain values"
            )

    def encode(self, result: Any) -> bytes:
        """
        The result as it is kept for a repeat.

        Raises:
            NotStorable: A value in it that the log can't give back.
            BadHandler: The handler returned something else than its command promises.
        """
        check(result, self._what)
        try:
            stored = _encode(result)
            self._decode(stored)
        except (TypeError, ValueError, OverflowError) as error:  # a ValidationError is a ValueError
            raise BadHandler(
                f"{self._what} is to be {shown(self._type)}, and the handler returned {result!r}: {error}"
            ) from error
        return stored

    def decode(self, stored: bytes) -> Any:
        """
        The first answer again.

        Raises:
            BadMessage: The type has changed since, and the stored answer doesn't fit it.
        """
        try:
            return self._decode(stored)
        except msgspec.ValidationError as error:
            raise BadMessage(
                f"{self._what} was stored in a form that {shown(self._type)} doesn't read any more ({error}): "
                "give what was added to it a default"
            ) from error


class InFlight:
    """The commands under way in this process, by id: one after the other where ids are the same."""

    def __init__(self) -> None:
        self._ends: dict[str, asyncio.Future[None] | None] = {}

    def begin(self, command_id: str) -> bool:
        """Whether none of this id is under way; then this one is from here on."""
        if command_id in self._ends:
            return False
        self._ends[command_id] = None
        return True

    async def end_of(self, command_id: str, patience_s: float | None) -> None:
        """
        Wait until the one under way has ended; then begin, unless another was quicker.

        Raises:
            InProgress: It took longer than *patience_s*; None waits as long as it takes.
        """
        end = self._ends[command_id] or asyncio.get_running_loop().create_future()
        self._ends[command_id] = end
        try:
            async with asyncio.timeout(patience_s):
                await asyncio.shield(end)  # many wait for it, and may be cancelled
        except TimeoutError as late:
            raise InProgress(command_id) from late

    def end(self, command_id: str) -> None:
        """Let the next one of this id begin."""
        end = self._ends.pop(command_id)
        if end is not None and not end.done():
            end.set_result(None)


def _foreign_to_json(shape: Any, seen: set[int] | None = None) -> Any | None:
    """The first class inside a type that msgspec knows nothing of; None if there is none."""
    seen = set() if seen is None else seen
    if isinstance(shape, shapes.CustomType):
        return shape.cls
    if id(shape) in seen or not isinstance(shape, msgspec.Struct):
        return None
    seen.add(id(shape))
    for name in shape.__struct_fields__:
        part = getattr(shape, name)
        for each in part if isinstance(part, tuple) else (part,):
            if (found := _foreign_to_json(each, seen)) is not None:
                return found
    return None
