"""
Describe to OpenAPI what no model says: the headers that are read and sent, and the problems.
"""

from typing import Any

from diptych.edge.fastapi.commands import STATUS_PATH
from diptych.edge.fastapi.conditions import IF_MATCH, IF_NONE_MATCH
from diptych.edge.fastapi.exports import described_exports
from diptych.edge.fastapi.positions import POSITION
from diptych.edge.fastapi.preferences import APPLIED, PREFER
from diptych.edge.fastapi.problems import MEDIA_TYPE, ProblemModel
from diptych.edge.fastapi.queries import STALE
from diptych.edge.fastapi.requests import KEY, MAX_KEY_CHARACTERS
from diptych.edge.fastapi.settings import Endpoint

_TAGS = r'^([*]|[ ,]*(W/)?"[!#-~]*"( *,[ ,]*(W/)?"[!#-~]*")*[ ,]*)$'
SHAPES: dict[str, dict[str, Any]] = {
    KEY: {"minLength": 1, "maxLength": MAX_KEY_CHARACTERS},
    POSITION: {"pattern": "^[A-Za-z0-9_-]+$"},
    IF_MATCH: {"pattern": _TAGS},
    IF_NONE_MATCH: {"pattern": _TAGS},
}
SENT_BY_COMMANDS = {
    POSITION: "Where the command's last event is in the log; send it with a GET to read what was written.",
    "ETag": "The version of what was changed.",
    APPLIED: "The preferences that were followed.",
}
SENT_BY_QUERIES = {
    POSITION: "The position that the answer was served at.",
    STALE: "Sent where the answer is older than the position asked for, or than it should be: why.",
}

SENT_BY_PROBLEMS: dict[int | str, dict[str, str]] = {
    405: {"Allow": "What may be done here."},
    409: {"Retry-After": "Seconds, where the same request may be answered then."},
    503: {"Retry-After": "Seconds."},
}


def described_headers(endpoint: Endpoint, *, is_command: bool, is_versioned: bool) -> list[dict[str, Any]]:
    """The headers that a message's route reads."""
    if is_command:
        read = {
            KEY: "Names this request: sent again, it is answered as before and changes nothing.",
            IF_MATCH: "Change only what is at one of these versions, as an ETag named it.",
            IF_NONE_MATCH: "With * make something only where nothing is.",
            PREFER: "`respond-async` is answered before it is done, `wait=N` after N seconds at the latest.",
        }
    else:
        read = {POSITION: "Wait until the answer includes this position, as another answer gave it."}
        if is_versioned:
            read[IF_NONE_MATCH] = "The version that is known already; then nothing is sent."
            read[IF_MATCH] = "Answer only what is at one of these versions."
        read |= {PREFER: "`wait=N` waits N seconds at most for the position."}
    return [_header(name, text, required=endpoint.insist and name == IF_MATCH) for name, text in read.items()]


def described_responses(
    endpoint: Endpoint, links: dict[str, Any], *, is_command: bool, is_versioned: bool, is_guarded: bool
) -> dict[int | str, dict[str, Any]]:
    """The headers of a good answer, and the problems instead of one."""
    sent = dict(SENT_BY_COMMANDS if is_command else SENT_BY_QUERIES)
    if is_versioned and not is_command:
        sent["ETag"] = "The version of the row."
    exported = {} if is_command else described_exports(endpoint.message)
    if exported:
        sent |= {"Link": "The pages around this one, where it is a page.", "Vary": "Accept"}
        sent["Content-Disposition"] = "The name of a file, where it is the whole result."
    if endpoint.location is not None:
        sent["Location"] = "What was made; the position in it is waited for."
    described = {400: "Malformed", 404: "Not found", 422: "Not the shape that is asked for", 503: "Not now"}
    described |= {409: "A position of another log", 414: "The query string is too long"}
    if is_versioned:
        described[412] = "At another version than the request insists on"
    if is_command:
        described[409] = "A rule refused, another came first, or the same key is under way"
        described[405] = "This server has no log, and takes no commands"
        described |= {413: "The body is too large", 415: "The body isn't said to be JSON"}
    if is_guarded:
        described[403] = "The application's policy doesn't allow it to whoever asks"
    if endpoint.insist:
        described[428] = "The request must say which version it means"
    answers: dict[int | str, dict[str, Any]] = {
        endpoint.status: {"headers": _headers(sent), "links": links, **exported},
        **described_problems(described),
    }
    if is_command:
        answers[202] = _accepted()
    elif is_versioned:
        answers[304] = {"description": "The version that the client has is the latest", "headers": _headers(sent)}
    return dict(sorted(answers.items(), key=lambda answer: str(answer[0])))


def described_status() -> dict[int | str, dict[str, Any]]:
    """How a command may have ended."""
    status = {"status": {"enum": ["pending", "accepted", "refused"]}, "code": {"type": "integer"}, "answer": {}}
    status |= {"location": {"type": ["string", "null"]}}
    schema = {"type": "object", "properties": status, "required": ["status"], "additionalProperties": False}
    found = {"description": "How it has ended", "content": {"application/json": {"schema": schema}}}
    missing = {404: "Not accepted, and not under way here", 422: "No key", 503: "Not now"}
    return {200: found, **described_problems(missing)}


def _accepted() -> dict[str, Any]:
    status = {"type": "object", "properties": {"status": {"const": "pending"}}, "required": ["status"]}
    sent = {"Location": f"Where to ask how it ended, {STATUS_PATH}", "Retry-After": "Seconds", APPLIED: "respond-async"}
    return {
        "description": "Taken, and not yet done",
        "headers": _headers(sent),
        "content": {"application/json": {"schema": status}},
    }


def described_problems(described: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    """Answers that are problems, by their status."""
    content = {MEDIA_TYPE: {"schema": ProblemModel.model_json_schema()}}
    answers: dict[int | str, dict[str, Any]] = {
        code: {"description": text, "content": content} for code, text in described.items()
    }
    for code in answers.keys() & SENT_BY_PROBLEMS.keys():
        answers[code]["headers"] = _headers(SENT_BY_PROBLEMS[code])
    return answers


def _headers(sent: dict[str, str]) -> dict[str, Any]:
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in sent.items()}


def _header(name: str, text: str, *, required: bool) -> dict[str, Any]:
    schema = {"type": "string", **SHAPES.get(name, {})}
    return {"name": name, "in": "header", "required": required, "description": text, "schema": schema}
