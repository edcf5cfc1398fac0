"""`diptych serve`, with the HTTP form of an application and with the application beside it."""

import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.cli.calling import told
from tests.serving import Served

SERVE = ("-c", "from diptych.edge.cli import main; main()", "serve")


@pytest.mark.parametrize("named", ["orders.app:http", "orders.app:app"])
def test_an_application_is_served_where_its_databases_are_named_until_it_is_told_to_stop(
    serve: Callable[..., Served], urls: list[str], tmp_path: Path, named: str
) -> None:
    server = serve(*SERVE, "--app", named, *urls)

    assert httpx.get(f"{server.url}/orders/search").json()["total"] == 0
    assert server.terminate() == 0
    assert sorted(path.name for path in tmp_path.glob("*.db")) == ["log.db", "read.db"]


def test_an_application_without_a_form_for_http_is_not_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, urls: list[str]
) -> None:
    (tmp_path / "bare.py").write_text("from diptych import Diptych\napp = Diptych()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    shown = told("serve", "--app", "bare:app", *urls, code=2)

    assert "bare has 0 FastAPI applications" in " ".join(shown.replace("│", " ").split())
