import pytest

from diptych.errors import Malformed
from diptych.token import Token


def test_a_token_comes_back_as_it_went() -> None:
    token = Token(12, "Order-é/1", "log", 2)

    assert Token.decode(token.encode()) == token


@pytest.mark.parametrize("text", ["", "x", "é", "WzFd", "AAAA", "W10=", "null", Token(-1, "", "", 0).encode()])
def test_what_nobody_handed_out_is_malformed(text: str) -> None:
    with pytest.raises(Malformed, match="position token"):
        Token.decode(text)
