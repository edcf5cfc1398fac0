"""
What a client does beyond the description of the API: it keeps the cookie, and takes a new key for each request.

Schemathesis imports this; `SCHEMATHESIS_HOOKS` names it.
"""

from itertools import count
from typing import Any

import schemathesis

COOKIE, KEY = "diptych-position", "Idempotency-Key"
kept: dict[str, str] = {}
numbers = count()


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Send the cookie; a key that is one is made a new one."""
    case.cookies.update(kept)
    if case.headers and case.headers.get(KEY) and len(case.headers[KEY]) < 200:
        case.headers[KEY] += f"-{next(numbers)}"


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Keep the cookie."""
    for line in response.headers.get("set-cookie", []):
        name, _, value = line.partition(";")[0].partition("=")
        if name == COOKIE:
            kept[name] = value
