"""
Change one line that carries a promise at a time, in a copy of the tree, and insist that a test fails.

    python -m tests.mutants [--only WORDS]

The exit code is 1 if a mutant survives, or if its line is not there any more.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table
from tests.mutants.mutant import Mutant
from tests.mutants.mutants import MUTANTS

ROOT = Path(__file__).parents[2]
COPIED = ("src", "tests", "examples", "pyproject.toml")
AT_ONCE = 2
FAILED, NO_TESTS = 1, 5


@dataclass(frozen=True)
class Outcome:
    """Whether a mutant was noticed, how long that took, and what is wrong otherwise."""

    mutant: Mutant
    noticed: bool
    took_s: float
    why: str


def main() -> int:
    """Try every mutant that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", default="", help="a part of the name")
    wanted = [mutant for mutant in MUTANTS if parser.parse_args().only in mutant.name]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        outcomes = list(threads.map(outcome_of, wanted))
    Console().print(table_of(outcomes))
    return 0 if outcomes and all(outcome.noticed for outcome in outcomes) else 1


def outcome_of(mutant: Mutant) -> Outcome:
    """Change the line in a copy, and run the tests that are to notice; before, they must pass."""
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        tree = Path(folder)
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, tree / name)
        file = tree / mutant.file
        text = file.read_text(encoding="utf-8")
        if text.count(mutant.before) != 1:
            return Outcome(
                mutant, noticed=False, took_s=0.0, why=f"its line is there {text.count(mutant.before)} times"
            )
        if code := run(tree, mutant):
            why = {FAILED: "its tests fail without it, too", NO_TESTS: "no such tests"}.get(code, f"pytest: {code}")
            return Outcome(mutant, noticed=False, took_s=time.monotonic() - began, why=why)
        file.write_text(text.replace(mutant.before, mutant.after), encoding="utf-8")
        code = run(tree, mutant)
    why = {0: "SURVIVED", FAILED: ""}.get(code, f"pytest ended with {code}")
    return Outcome(mutant, not why, time.monotonic() - began, why)


def run(tree: Path, mutant: Mutant) -> int:
    """The exit code of the tests in a tree."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--timeout=60", "-p", "no:cacheprovider", mutant.tests]
    paths = os.pathsep.join(str(tree / name) for name in ("src", "examples", "."))
    return subprocess.run(
        [*command, *(["-k", mutant.words] if mutant.words else [])],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        check=False,
    ).returncode


def table_of(outcomes: Sequence[Outcome]) -> Table:
    """The outcomes, a row each."""
    table = Table("mutant", "promise", "tests", "s", "")
    for outcome in outcomes:
        verdict = "[green]noticed[/]" if outcome.noticed else f"[red]{outcome.why}[/]"
        table.add_row(
            outcome.mutant.name,
            outcome.mutant.promise,
            Path(outcome.mutant.tests).name,
            f"{outcome.took_s:.0f}",
            verdict,
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
