from hypothesis import given
from hypothesis import strategies as st

from diptych.read.ask.filters import beyond_prefix

LETTERS = st.text(st.sampled_from("a\0\ud7ff\ue000\uffff\U0010ffffzA"), max_size=4)


@given(LETTERS | st.text(max_size=5), LETTERS | st.text(max_size=3), st.booleans())
def test_a_text_begins_with_a_prefix_where_it_lies_in_its_range(text: str, prefix: str, begins: bool) -> None:
    text = prefix + text if begins else text
    beyond = beyond_prefix(prefix)

    assert text.startswith(prefix) == (prefix <= text and (beyond is None or text < beyond))
