"""What the tests of the command line share: two databases, and options that name them."""

from pathlib import Path

import pytest


@pytest.fixture
def urls(tmp_path: Path) -> list[str]:
    """Options that name two databases."""
    return ["--log", f"sqlite:///{tmp_path}/log.db", "--read", f"sqlite:///{tmp_path}/read.db"]


@pytest.fixture
def log(urls: list[str]) -> list[str]:
    """The option that names the log."""
    return urls[:2]


@pytest.fixture(autouse=True)
def no_width_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is piped is as wide as it needs; whoever runs the tests at once may have named a width."""
    monkeypatch.delenv("COLUMNS", raising=False)
