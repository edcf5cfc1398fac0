"""Every promise names tests that prove it, and they are there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (P\d+)\. .*\n((?:(?!^## ).*\n?)*)", PAGE, re.MULTILINE))


def test_every_promise_has_its_tests() -> None:
    assert list(SECTIONS) == [f"P{number}" for number in range(1, 13)]
    assert [promise for promise, text in SECTIONS.items() if not named_in(text)] == []


def test_every_test_that_is_named_is_there() -> None:
    named = [test for text in SECTIONS.values() for test in named_in(text)]

    assert [f"{path}::{name}" for path, name in named if name not in functions_in(ROOT / path)] == []


def named_in(text: str) -> list[tuple[str, str]]:
    return re.findall(r"^- `([\w/.]+\.py)::(test_\w+)`$", text, re.MULTILINE)


def functions_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
