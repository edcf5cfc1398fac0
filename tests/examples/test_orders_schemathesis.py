"""Schemathesis finds nothing: what the API describes is what it takes and gives, one by one and in sequences."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.serving import Served

HERE = Path(__file__).parent
EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "5"))


@pytest.mark.parametrize("backend", ["sqlite", "postgres"])
def test_no_request_by_the_description_of_the_api_is_answered_otherwise(
    backend: str,
    serve: Callable[..., Served],
    postgres: Callable[[int], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if backend == "postgres":
        log = read = postgres(18)
    else:
        log, read = f"sqlite:///{tmp_path}/log.db", f"sqlite:///{tmp_path}/read.db"
    server = serve("-m", "orders", DIPTYCH_LOG_URL=log, DIPTYCH_READ_URL=read)

    printed = run_against(server.url, tmp_path, monkeypatch)

    assert printed.returncode == 0, printed.stdout
    assert int(re.findall(r"(\d+) generated", printed.stdout)[0]) > 100
    for phase in ("Coverage", "Fuzzing", "Stateful"):
        assert f"✅ {phase}" in printed.stdout, phase


def run_against(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> "subprocess.CompletedProcess[str]":
    monkeypatch.setenv("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    return subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", HERE / "schemathesis.toml", "--no-color"),
            *("run", f"{url}/openapi.json", "--checks", "all", "--max-examples", str(EXAMPLES)),
            *("--seed", "1", "--continue-on-failure", "--generation-database", "none"),
        ],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        timeout=110,
        check=False,
    )
