"""Questions of several callers that go out as one."""

import asyncio
from collections.abc import Sequence

import pytest

from diptych.store.postgres.together import Together


class Server:
    """Answers with each question doubled, once it is told to."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.may_answer = asyncio.Event()

    async def doubled(self, numbers: Sequence[int]) -> Sequence[int]:
        self.asked.append(list(numbers))
        await self.may_answer.wait()
        if 0 in numbers:
            raise ZeroDivisionError("there is a nought among them")
        return [2 * number for number in numbers]


async def asked(together: Together[int, int], *numbers: int) -> "list[asyncio.Task[int]]":
    """Callers who ask, each on its way."""
    callers = [asyncio.ensure_future(together.ask(number)) for number in numbers]
    await asyncio.sleep(0)
    return callers


async def test_what_is_asked_while_an_answer_is_awaited_goes_out_as_one() -> None:
    server = Server()
    together = Together(server.doubled, "test")

    first = await asked(together, 1)
    await asyncio.sleep(0)
    others = await asked(together, 2, 3, 3)
    server.may_answer.set()

    assert [await caller for caller in first + others] == [2, 4, 6, 6]
    assert server.asked == [[1], [2, 3, 3]]


async def test_what_fails_is_told_to_those_who_asked_it_and_the_next_are_answered() -> None:
    server = Server()
    together = Together(server.doubled, "test")
    server.may_answer.set()

    failed = await asked(together, 0, 1)
    with pytest.raises(ZeroDivisionError):
        await failed[0]
    with pytest.raises(ZeroDivisionError):
        await failed[1]

    assert await together.ask(2) == 4


async def test_who_gives_up_takes_nobody_with_him() -> None:
    server = Server()
    together = Together(server.doubled, "test")

    given_up, waits = await asked(together, 1, 2)
    given_up.cancel()
    server.may_answer.set()

    assert await waits == 4
    assert given_up.cancelled()


async def test_it_has_ended_when_everyone_has_an_answer() -> None:
    server = Server()
    together = Together(server.doubled, "test")
    callers = await asked(together, 1, 2)

    ending = asyncio.ensure_future(together.ended())
    await asyncio.sleep(0)
    assert not ending.done()
    server.may_answer.set()
    await ending

    assert [await caller for caller in callers] == [2, 4]
