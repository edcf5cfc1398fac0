"""`diptych serve`, with the HTTP form of an application and with the application beside it."""

import logging
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import msgspec
import pytest
from tests.cli.calling import APP, DIPTYCH, told
from tests.serving import Served, environment

from diptych.edge.cli.log_lines import JsonLines

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


def test_a_server_logs_json_an_object_a_line(
    serve: Callable[..., Served], urls: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    server = serve(*SERVE, "--app", "orders.app:http", *urls, "--json")
    httpx.get(f"{server.url}/orders/nothing")
    assert server.terminate() == 0

    printed, errors = capfd.readouterr()

    logged = [msgspec.json.decode(line) for line in printed.splitlines()]
    assert {tuple(each) for each in logged} == {("time", "level", "logger", "message")}
    assert {each["logger"] for each in logged} == {"uvicorn.error", "uvicorn.access", "diptych.projection"}
    assert any("GET /orders/nothing HTTP/1.1" in each["message"] for each in logged)
    assert errors == ""


def test_a_worker_logs_json_an_object_a_line(urls: list[str]) -> None:
    worker = subprocess.Popen(
        [*DIPTYCH, "worker", *APP, *urls, "--json"], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert worker.stdout is not None
    first = msgspec.json.decode(worker.stdout.readline())
    worker.send_signal(signal.SIGTERM)
    printed, errors = worker.communicate()

    assert (worker.returncode, errors) == (0, b"")
    assert first["message"] == "following with orders, history, sales_by_day, mail_on_shipping"
    assert (first["level"], first["logger"], first["time"][-1]) == ("INFO", "diptych.worker", "Z")
    for line in printed.splitlines():
        msgspec.json.decode(line)


def test_the_traceback_of_an_error_is_a_field_of_its_line() -> None:
    try:
        raise ValueError("no such\nthing \udcff")
    except ValueError:
        raised = sys.exc_info()

    # Made here, not logged: no report of a test could hold the character.
    line = JsonLines().format(logging.LogRecord("shop", logging.ERROR, __file__, 1, "it %s", ("failed",), raised))

    told = msgspec.json.decode(line)
    assert "\n" not in line
    assert (told["level"], told["logger"], told["message"]) == ("ERROR", "shop", "it failed")
    assert told["error"].startswith("Traceback (most recent call last):\n")
    assert told["error"].endswith("ValueError: no such\nthing \\udcff")
