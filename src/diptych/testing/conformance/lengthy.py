"""Texts longer than what an index or a search takes."""

from random import Random

import pytest

from diptych.errors import InvalidQuery
from diptych.testing.conformance.things import Things, ThingsCase, thing

RANDOM = Random(7)
LONG = "".join(chr(RANDOM.randrange(0x10000, 0x20000)) for _ in range(20_000))  # nothing that could be compressed
BEGUN = LONG[:500]


class Lengthy(ThingsCase):
    """Long texts are kept, found and sorted the same on every database."""

    async def test_a_long_text_is_kept_and_found_by_all_of_it(self, things: Things) -> None:
        names = {"whole": LONG, "other": LONG + "!", "begun": BEGUN, "shorter": BEGUN[:-1], "small": "x"}
        await things.put(*(thing(id, name=name) for id, name in names.items()))

        for id, name in names.items():
            for wanted in (name, [name], {"ge": name, "le": name}):
                page = await things.model.page({"name": wanted})
                assert ([row.id for row in page.items], page.total) == ([id], 1)
            for operator, compare in (("lt", str.__lt__), ("le", str.__le__), ("gt", str.__gt__), ("ge", str.__ge__)):
                page = await things.model.page({"name": {operator: name}})
                assert {row.id for row in page.items} == {each for each in names if compare(names[each], name)}
            page = await things.model.page({"name": {"prefix": name}})
            assert {row.id for row in page.items} == {each for each in names if names[each].startswith(name)}
        assert await things.model.get("whole") == thing("whole", name=LONG)

    @pytest.mark.parametrize("order_by", ["name", "-name"])
    async def test_long_texts_of_one_beginning_stand_in_the_order_of_their_positions(
        self, things: Things, order_by: str
    ) -> None:
        ends = ["c", "a", "b", "a", ""]
        rows = [thing(str(number), name=BEGUN + end) for number, end in enumerate(ends)]
        await things.put(*rows, thing("before", name=BEGUN[:-1]), thing("behind", name=LONG[1:]))
        expected = ["before", "0", "1", "2", "3", "4", "behind"]
        if LONG[1:] < LONG:
            expected = ["behind", *expected[:-1]]

        walked, page = list[str](), await things.model.page(order_by=order_by, page_size=1)
        while True:
            walked += [row.id for row in page.items]
            if page.next_cursor is None:
                break
            assert len(page.next_cursor) < 6_000
            page = await things.model.page(order_by=order_by, page_size=1, cursor=page.next_cursor)

        assert walked == (expected if order_by == "name" else expected[::-1])
        assert walked == [row.id for row in (await things.model.page(order_by=order_by)).items]

    async def test_the_first_million_bytes_of_words_are_searched(self, things: Things) -> None:
        text = "first " + " ".join(f"{number:06}" for number in range(200_000))
        await things.put(thing("long", name=text), thing("repeated", name="a " * 600_000, note="LAST"))

        async def found(search: str) -> list[str]:
            return [row.id for row in (await things.model.page(search=f'"{search}"')).items]

        assert await found("first") == ["long"]
        assert await found("083331") == ["long"]
        assert await found("083333") == []
        assert await found("a") == ["repeated"]
        assert await found("last") == []

    async def test_a_key_is_no_longer_than_every_index_takes(self, things: Things) -> None:
        longest = LONG[:500]
        await things.put(thing(longest))

        with pytest.raises(ValueError, match="2,001 bytes"):
            await things.put(thing(f"{longest}s"))
        assert await things.model.get(longest) == thing(longest)
        assert await things.model.get(f"{longest}s") is None
        with pytest.raises(InvalidQuery, match="2,001 bytes"):
            await things.model.page({"id": f"{longest}s"})
