import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from diptych.errors import InvalidQuery
from diptych.read.ask.ranking import READ, SHOWN, Alphabet, highlight, score
from diptych.read.projections.search import MAX_TERMS, MAX_WORDS, Asked, fts5, words, words_with_places


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
    assert fts5(Asked.of(query)) == expected


@pytest.mark.parametrize(
    ("query", "once"),
    [
        ("oak lamp oak lamp steel", [["oak"], ["lamp"], ["steel"]]),
        ('"oak lamp" Oak-Lamp oak ', [["oak", "lamp"], ["oak"]]),
        ('lamp oak "lamp"', [["lamp"], ["oak"]]),
        ("lamp oak lamp", [["lamp"], ["oak"], ["lamp"]]),  # the last may go on
    ],
)
def test_a_term_is_looked_for_once(query: str, once: list[list[str]]) -> None:
    assert Asked.of(query).terms == once


def test_a_search_of_too_many_terms_or_words_is_refused() -> None:
    terms, words = [f"w{n}" for n in range(MAX_TERMS)], [f"w{n}" for n in range(MAX_WORDS)]

    assert len(Asked.of(" ".join(terms)).terms) == MAX_TERMS
    assert Asked.of("-".join(words)).terms == [words]
    assert Asked.of("a " * 4_000).terms == [["a"], ["a"]]
    with pytest.raises(InvalidQuery, match="33 terms: at most 32"):
        Asked.of(" ".join([*terms, "more"]))
    with pytest.raises(InvalidQuery, match="65 words: at most 64"):
        highlight("oak", "-".join([*words, "more"]))


_few = st.lists(st.sampled_from(["a", "ab", "abc", "b", "ba", "c"]), max_size=12)


@given(_few, st.lists(st.sampled_from(["a", "ab", "b", "c"]), min_size=1, unique=True), st.booleans())
def test_a_text_is_scored_by_how_often_each_word_stands_in_it(found: list[str], asked: list[str], closed: bool) -> None:
    query = " ".join(asked[:-1]) + (f' "{asked[-1]}"' if closed else f" {asked[-1]}")
    often = [float(found.count(word)) for word in asked]
    if not closed:
        often[-1] += sum(0.5 for word in found if word.startswith(asked[-1]) and word != asked[-1])
    damping = 1.2 * (0.25 + 0.75 * len(found) / 16)
    expected = sum(each * 2.2 / (each + damping) for each in often)

    assert score([" ".join(found)], Alphabet(Asked.of(query))) == pytest.approx(expected * 1_000_000, abs=1)


@given(st.text(max_size=40))
def test_words_with_places_are_the_words(text: str) -> None:
    assert [place.word for place in words_with_places(text)] == words(text)


@given(st.text(st.characters(max_codepoint=127), max_size=600))
def test_the_words_of_plain_text_are_those_that_they_would_be_in_any(text: str) -> None:
    assert words(text) == words(f"é {text}")[1:]


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


def test_phrases_that_overlap_are_marked_to_their_ends() -> None:
    assert highlight("a b a b a c", '"a b a" "a c"') == "<mark>a b a</mark><mark> b a</mark><mark> c</mark>"
    assert highlight("oak lamps lamp", "lamps oak lam") == "<mark>oak</mark> <mark>lamps</mark> <mark>lamp</mark>"


def test_a_snippet_of_a_text_full_of_what_was_searched_holds_no_more_marks_than_characters() -> None:
    shown = highlight("a " * READ, "a")

    assert shown is not None
    assert shown.count("<mark>") == SHOWN // 2


@given(st.text(max_size=500), st.text(max_size=10))
@example("x a<b y", '"a b"')
def test_a_snippet_holds_no_markup_but_marks(text: str, search: str) -> None:
    shown = highlight(text, search)

    assert shown is None or not re.search("[<>]", shown.replace("<mark>", "").replace("</mark>", ""))
