"""
Describe to OpenAPI what no model says: the headers that are read and sent, and the problems.
"""

from typing import Any

from diptych.edge.fastapi.problems import MEDIA_TYPE, ProblemModel

KEY, POSITION, STALE = "Idempotency-Key", "Diptych-Position", "Diptych-Stale"
SENT_BY_COMMANDS = {
    POSITION: "Where the command's last event is in the log; send it with a GET to read what was written.",
    "ETag": "The version of what was changed.",
}
SENT_BY_QUERIES = {
    POSITION: "The position that the answer was served at.",
    STALE: "Sent where the answer is older than the position asked for, or than it should be: why.",
}


def described_headers(*, is_command: bool) -> list[dict[str, Any]]:
    """The headers that a message's route reads."""
    if is_command:
        return [_header(KEY, "Names this request: sent again, it is answered as before and changes nothing.")]
    return [_header(POSITION, "Wait until the answer includes this position, as another answer gave it.")]


def described_responses(status: int, *, is_command: bool) -> dict[int | str, dict[str, Any]]:
    """The headers of a good answer, and the problems instead of one."""
    sent = SENT_BY_COMMANDS if is_command else SENT_BY_QUERIES
    headers = {name: {"description": text, "schema": {"type": "string"}} for name, text in sent.items()}
    described = {400: "Malformed", 404: "Not found", 422: "Not the shape that is asked for", 503: "Not now"}
    if is_command:
        described[409] = "A rule refused, or another came first"
        described[415] = "The body isn't said to be JSON"
    content = {MEDIA_TYPE: {"schema": ProblemModel.model_json_schema()}}
    problems: dict[int | str, dict[str, Any]] = {
        code: {"description": text, "content": content} for code, text in described.items()
    }
    return {status: {"headers": headers}, **problems}


def _header(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
