"""
What the documents show is true.

Fences marked `python` run from top to bottom, all of a page in one module, in
an empty folder; `await` works at the top level. Fences marked `python no-run`
are only shown. Below a comment `<!-- a/file -->` a fence shows that whole file.
"""

import ast
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN_FILE = re.compile(r"^<!-- (\S+) -->\n+```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
async def test_the_examples_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType(f"examples_of_{page.stem}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.chdir(tmp_path)
    text = page.read_text()

    for fence in FENCE.finditer(text):
        # Empty lines before it: a failure then names the line of the page.
        code = "\n" * text.count("\n", 0, fence.start(1)) + fence[1]
        outcome = eval(compile(code, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), module.__dict__)
        if inspect.isawaitable(outcome):
            await outcome


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_file_that_a_page_shows_is_shown_as_it_is(page: Path) -> None:
    for path, shown in SHOWN_FILE.findall(page.read_text()):
        assert shown.strip() == (ROOT / path).read_text().strip(), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_file_that_a_page_links_to_is_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []
