"""Code stays small: functions, files, and what every SQL file says first."""

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
OURS = ("src", "examples", "tests", "benchmarks")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def test_no_function_is_longer_than_50_lines() -> None:
    sizes = {where: size for folder in OURS for where, size in function_sizes(ROOT / folder)}

    assert {where: size for where, size in sizes.items() if size > 50} == {}


def test_most_functions_of_the_source_fit_in_8_lines_and_nearly_all_in_30() -> None:
    sizes = [size for _, size in function_sizes(SOURCE)]

    assert statistics.median(sizes) <= 8
    assert sum(size <= 30 for size in sizes) >= 0.95 * len(sizes)


def test_no_file_is_longer_than_400_lines() -> None:
    files = [path for folder in OURS for kind in ("*.py", "*.sql") for path in (ROOT / folder).rglob(kind)]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}

    assert {path: length for path, length in lengths.items() if length > 400} == {}


def test_every_sql_file_opens_with_what_it_is_for() -> None:
    files = list(SOURCE.rglob("*.sql"))
    silent = [str(path.relative_to(ROOT)) for path in files if not path.read_text().startswith("-- ")]

    assert files
    assert silent == []


@pytest.mark.parametrize(
    ("code", "size"),
    [
        ("def f(): return 1", 1),
        ("def f():\n    'Says.'\n\n    # why\n    return (\n        1\n    )", 3),
        ("def f():\n    def g():\n        return 1\n\n    return g", 3),
        ("def f(\n    a,\n    b,\n):\n    return a", 1),
    ],
)
def test_a_function_is_as_long_as_its_lines_of_code_without_its_docstring(code: str, size: int) -> None:
    function = ast.parse(code).body[0]
    assert isinstance(function, Function)

    assert code_lines(function, code.splitlines()) == size


def function_sizes(folder: Path) -> Iterator[tuple[str, int]]:
    """Each function under *folder* that does something, with its lines of code."""
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, Function) and does_something(node):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", code_lines(node, text.splitlines())


def does_something(function: Function) -> bool:
    """A signature of a protocol or an overload holds a docstring or `...` and nothing else."""
    return not all(isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant) for step in function.body)


def code_lines(function: Function, lines: list[str]) -> int:
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    assert function.end_lineno is not None
    inside = (line.strip() for line in lines[body[0].lineno - 1 : function.end_lineno])
    return sum(bool(line) and not line.startswith("#") for line in inside)
