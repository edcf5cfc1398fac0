import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diptych.read.ask.ranking import SHOWN, highlight
from diptych.read.projections.search import fts5, words, words_with_places


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Queso Cabrales", ["queso", "cabrales"]),
        ("Côte de Blaye — São Paulo", ["cote", "de", "blaye", "sao", "paulo"]),
        ("STRASSE straße", ["strasse", "strasse"]),
        ("ﬁne Ⅷ", ["fine", "viii"]),
        ("a_b-c.d@e", ["a", "b", "c", "d", "e"]),
        ("Владимир Ильич", ["владимир", "ильич"]),
        ("  ", []),
    ],
)
def test_words_are_folded_and_free_of_marks(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("queso cab", '"queso" AND "cab"*'),
        ('"queso cabrales"', '"queso cabrales"'),
        ('"queso cabrales" mo', '"queso cabrales" AND "mo"*'),
        ('"queso cab', '"queso cab"*'),
        ("Cabralés ", '"cabrales"*'),
        ("email:x OR y*", '"email x" AND "or" AND "y"*'),
        ('a" OR "b', '"a" AND "or" AND "b"*'),
        ("NEAR(a b)", '"near a" AND "b"*'),
        ("", None),
        ('"" -- ()', None),
    ],
)
def test_what_a_user_types_never_reaches_the_query_language(query: str, expected: str | None) -> None:
    assert fts5(query) == expected


@given(st.text(max_size=40))
def test_words_with_places_are_the_words(text: str) -> None:
    assert [place.word for place in words_with_places(text)] == words(text)


@given(st.text(max_size=40))
def test_the_place_of_a_word_holds_it(text: str) -> None:
    for place in words_with_places(text):
        assert place.word in "".join(words(text[place.start : place.end]))


@pytest.mark.parametrize(
    ("text", "search", "shown"),
    [
        ("Côte de Blaye", "cote bl", "<mark>Côte</mark> de <mark>Blaye</mark>"),
        ("Co\u0302te", "cote", "<mark>Co\u0302te</mark>"),
        ("a lamp & a <b>lamp</b>", "lamp", "a <mark>lamp</mark> &amp; a &lt;b&gt;<mark>lamp</mark>&lt;/b&gt;"),
        ("steel lamp, lamp of steel", '"steel lamp"', "<mark>steel lamp</mark>, lamp of steel"),
        ("steel lamp", '"steel la', "<mark>steel lamp</mark>"),
        ("ﬁne", "fine", "<mark>ﬁne</mark>"),
        ("oak", "lamp", None),
        ("oak", "", None),
        ("", "oak", None),
    ],
)
def test_what_was_searched_is_marked_and_the_rest_is_escaped(text: str, search: str, shown: str | None) -> None:
    assert highlight(text, search) == shown


def test_a_long_text_is_shown_around_the_first_word_that_was_found() -> None:
    shown = highlight("before " * 100 + "the lamp " + "after " * 100, "lamp")

    assert shown is not None
    assert re.fullmatch(r"…(before )+the <mark>lamp</mark>( after)+…", shown)
    assert len(shown) < SHOWN + 20


@given(st.text(max_size=500), st.text(max_size=10))
def test_a_snippet_holds_no_markup_but_marks(text: str, search: str) -> None:
    shown = highlight(text, search)

    assert shown is None or not re.search("[<>]", shown.replace("<mark>", "").replace("</mark>", ""))
