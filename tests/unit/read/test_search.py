import pytest

from diptych.read.search import fts5, words


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
