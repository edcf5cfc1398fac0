"""Every problem has a word that never changes, and a section that says what to do."""

import inspect
import re
from pathlib import Path

import pytest

from diptych import errors
from diptych.edge.fastapi import commands, problems
from diptych.edge.fastapi.problems import KINDS, STATUSES, kind_of
from diptych.errors import DiptychError, Refused, Unavailable

ROOT = Path(__file__).parents[2]
SECTIONS = set(re.findall(r"^## (.+)$", (ROOT / "docs/problems.md").read_text(), re.MULTILINE))
TOLD = [
    error
    for _, error in inspect.getmembers(errors, inspect.isclass)
    if issubclass(error, Refused | Unavailable) and error is not Refused
]


@pytest.mark.parametrize("error", [*TOLD, commands.KeyReused])
def test_every_error_that_is_told_has_its_section(error: type[DiptychError]) -> None:
    assert kind_of(error) in SECTIONS
    assert next(STATUSES[base] for base in error.__mro__ if base in STATUSES) != 500


def test_every_other_word_has_its_section_and_no_section_is_idle() -> None:
    written = set(re.findall(r'problem\(\s*\w+, "([a-z-]+)"', inspect.getsource(problems)))
    own = {"not-ready", *written, *KINDS.values()}

    assert own - SECTIONS == set()
    assert SECTIONS - own - {kind_of(error) for error in [*TOLD, commands.KeyReused]} == set()


def test_words_stay_as_they_are() -> None:
    assert {kind_of(error): STATUSES.get(error) for error in STATUSES if error in TOLD} == {
        "malformed": 400,
        "not-found": 404,
        "read-side-only": 405,
        "forbidden": 403,
        "wrong-version": 409,
        "precondition-failed": 412,
        "in-progress": 409,
        "wrong-category": 409,
        "log-rewound": 409,
        "command-id-reused": 422,
        "not-storable": 422,
        "invalid-query": 422,
        "unavailable": 503,
    }
