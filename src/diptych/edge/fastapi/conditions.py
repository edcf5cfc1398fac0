"""
Read RFC 9110's preconditions: the entity tags that a request names are versions of a stream.

A tag that was never one of ours matches nothing. `If-Match` compares strongly,
`If-None-Match` weakly, as the standard has it.
"""

import re
from collections.abc import Iterator
from typing import Any

from fastapi import Request
from starlette.exceptions import HTTPException

from diptych.write.condition import EVERY, EXISTING, Condition

IF_MATCH, IF_NONE_MATCH = "If-Match", "If-None-Match"
_TAG = re.compile(r'[\s,]*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?=,|$)')
_END = re.compile(r"[\s,]*$")  # elements of a list may be empty
_VERSION = re.compile("[1-9][0-9]{0,18}")


def etag_of(version: int) -> str:
    """The entity tag of a version."""
    return f'"{version}"'


def condition_of(request: Request) -> Condition | None:
    """The versions that a request allows; None where it allows every one."""
    match, none_match = _sent(request, IF_MATCH), _sent(request, IF_NONE_MATCH)
    if match is None and none_match is None:
        return None
    told = " and ".join(
        f"{name}: {value}" for name, value in ((IF_MATCH, match), (IF_NONE_MATCH, none_match)) if value is not None
    )
    only: Any = EVERY if match is None else EXISTING if match == "*" else _versions(IF_MATCH, match, weakly=False)
    never: Any = EXISTING if none_match == "*" else ()
    if none_match is not None and none_match != "*":
        never = _versions(IF_NONE_MATCH, none_match, weakly=True)
    return Condition(only, never, told)


def is_known(request: Request, version: int) -> bool:
    """Whether the client says that it has this version already."""
    sent = _sent(request, IF_NONE_MATCH)
    return sent is not None and (sent == "*" or version in _versions(IF_NONE_MATCH, sent, weakly=True))


def _sent(request: Request, name: str) -> str | None:
    """A header with all its lines, None where there is none."""
    lines = request.headers.getlist(name)
    return ", ".join(lines).strip() if lines else None


def _versions(name: str, text: str, *, weakly: bool) -> frozenset[int]:
    return frozenset(
        int(tag) for is_weak, tag in _tags(name, text) if (weakly or not is_weak) and _VERSION.fullmatch(tag)
    )


def _tags(name: str, text: str) -> Iterator[tuple[bool, str]]:
    """Each tag of a list, and whether it is a weak one."""
    at = 0
    while not at or not _END.match(text, at):
        found = _TAG.match(text, at)
        if found is None:
            raise HTTPException(400, f'{name}: {text!r} is no list of entity tags: send * or a list like "1", "2"')
        yield found[1] is not None, found[2]
        at = found.end()
