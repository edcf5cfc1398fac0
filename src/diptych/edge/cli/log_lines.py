"""Log lines for a program: a JSON object a line on standard output, from INFO on for Diptych and uvicorn."""

import logging
import sys
from datetime import UTC, datetime

import msgspec

_TOLD_FROM_INFO = ("diptych", "uvicorn")


class JsonLines(logging.Formatter):
    """A record as JSON on one line: time, level, logger and message; `error` is a traceback, where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Its line."""
        line = {
            "time": f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
            "level": record.levelname,
            "logger": record.name,
            "message": _text(record.getMessage()),
        }
        if record.exc_info and record.exc_info[0]:
            line["error"] = _text(self.formatException(record.exc_info))
        return msgspec.json.encode(line).decode()


def log_as_json() -> None:
    """Have every log line of this process written so; other libraries' from WARNING on."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name in _TOLD_FROM_INFO:
        logging.getLogger(name).setLevel(logging.INFO)


def _text(text: str) -> str:
    """The same, where it can be UTF-8; a lone surrogate, as in the name of a file, is shown by its number."""
    return text.encode(errors="backslashreplace").decode()
