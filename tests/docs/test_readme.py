"""What the README types into a shell does what it says there, on a server that has just started."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.serving import Served

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STATUS = re.compile(r"^HTTP/1.1 (\d+)", re.MULTILINE)


@pytest.mark.skipif(not shutil.which("curl"), reason="NO CURL ON THIS MACHINE: what the README types was not tested")
def test_an_order_that_was_placed_is_found_at_once(serve: Callable[..., Served]) -> None:
    server = serve("-m", "orders")
    placing, adding = [each for each in SHELL.findall(README) if "A-1" in each][:2]

    placed, added = typed(placing, server), typed(adding, server)

    assert STATUS.findall(placed.stderr + placed.stdout) == ["201", "200"]
    assert STATUS.findall(added.stdout) == ["200"]
    assert "Queso Cabrales" in placed.stdout
    assert '"product_id":"72"' in added.stdout
    assert "Diptych-Stale" not in placed.stdout + added.stdout


def typed(lines: str, server: Served) -> "subprocess.CompletedProcess[str]":
    """What comes of pasting some lines of it into a shell."""
    here = lines.replace("http://127.0.0.1:8000", server.url)
    return subprocess.run(["bash", "-c", here], cwd=server.folder, capture_output=True, text=True, check=True)
