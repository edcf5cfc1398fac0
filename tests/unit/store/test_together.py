"""Questions of several callers that go out as one."""

import asyncio
from collections.abc import Sequence

import pytest

from diptych import Unavailable
from diptych.store.postgres.together import MOST, Together


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


async def test_only_who_asked_what_fails_is_told_so() -> None:
    server = Server()
    together = Together(server.doubled, "test")
    server.may_answer.set()

    fails, is_answered = await asked(together, 0, 1)

    with pytest.raises(ZeroDivisionError):
        await fails
    assert await is_answered == 2
    assert await together.ask(2) == 4


async def test_all_are_told_at_once_that_the_server_is_away() -> None:
    tries: list[Sequence[int]] = []

    async def away(numbers: Sequence[int]) -> Sequence[int]:
        tries.append(numbers)
        raise Unavailable("the server is away")

    callers = await asked(Together(away, "test"), 1, 2)

    for caller in callers:
        with pytest.raises(Unavailable):
            await caller
    assert tries == [(1, 2)]


async def test_so_many_go_together_at_most() -> None:
    server = Server()
    together = Together(server.doubled, "test")
    server.may_answer.set()

    callers = await asked(together, *range(1, MOST + 2))

    assert [await caller for caller in callers] == [2 * number for number in range(1, MOST + 2)]
    assert [len(numbers) for numbers in server.asked] == [MOST, 1]


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
