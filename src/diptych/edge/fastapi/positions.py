"""
Carry a position from what was written to what is read: by a header, a link, or a cookie.

A browser keeps a cookie and follows links without any code of the page. The cookie
is advice: one that is malformed, or of another log, is as good as none.
"""

from collections.abc import Collection
from urllib.parse import unquote_plus

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request, cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diptych.errors import Malformed
from diptych.read.ask.consistency import log_of
from diptych.store.port import LogIdentity
from diptych.token import Token

POSITION = "Diptych-Position"
PARAMETER = COOKIE = "diptych-position"
COOKIE_AGE_S = 3600
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_IN_LINK, _IN_COOKIE = "diptych.position.link", "diptych.position.cookie"
_IN_ANSWER = "diptych.position.answer"


class PositionCookie:
    """
    ASGI middleware that lets a browser read what it wrote, whichever of several servers it asks.

    An answer that carries a position and may have changed something sets a cookie,
    out of reach of scripts; reads wait for it as if it were sent as a header.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        kept = scope[_IN_COOKIE] = _cookie_in(scope)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and (
                scope["method"] not in _SAFE_METHODS or _IN_ANSWER in scope
            ):
                _keep(message, kept, scope["scheme"])
            await send(message)

        await self._app(scope, receive, sending)


def take_from_link(scope: Scope) -> None:
    """Move a position out of the query string, where `Location` puts it: it is no field of any message."""
    query: bytes = scope.get("query_string", b"")
    if PARAMETER.encode() not in query:
        return
    parts = [part.partition(b"=") for part in query.split(b"&")]
    found = [value for name, _, value in parts if name == PARAMETER.encode()]
    if found:
        scope[_IN_LINK] = unquote_plus(found[-1].decode("latin-1"))
        left = [part for part in parts if part[0] != PARAMETER.encode()]
        scope["query_string"] = b"&".join(b"".join(part) for part in left)


def keep_position(request: Request) -> None:
    """Let a browser keep the position of this answer, though it only asked: it tells of what was written."""
    request.scope[_IN_ANSWER] = True


def position_in_link(request: Request) -> str:
    """The position that was in the query string; "" for none."""
    return str(request.scope.get(_IN_LINK, ""))


def linked(location: str, token: str) -> str:
    """A location that leads to what was written, not to what was there before."""
    if not token:
        return location
    return f"{location}{'&' if '?' in location else '?'}{PARAMETER}={token}"


def position_of(request: Request, logs: Collection[LogIdentity]) -> Token | None:
    """
    The latest position that a request wants to see, or one of another log if it names that; None if it doesn't say.

    Args:
        logs: Whose positions mean something here.

    Raises:
        Malformed: A header or link that nobody here handed out.
    """
    sent = [request.headers.get(POSITION), request.scope.get(_IN_LINK)]
    wanted = [Token.decode(text) for text in sent if text is not None]
    if foreign := [token for token in wanted if log_of(token) not in logs]:
        return foreign[0]  # to be refused by name, whatever else was sent
    kept: Token | None = request.scope.get(_IN_COOKIE)
    if kept is not None and log_of(kept) in logs:
        wanted.append(kept)
    return max(wanted, key=lambda token: token.position, default=None)


def _cookie_in(scope: Scope) -> Token | None:
    header = Headers(scope=scope).get("cookie")
    if header is None or COOKIE not in header:
        return None
    try:
        return Token.decode(cookie_parser(header).get(COOKIE, ""))
    except Malformed:
        return None


def _keep(message: Message, kept: Token | None, scheme: str) -> None:
    """Set the cookie to the position of an answer, unless it is beyond it already."""
    headers = MutableHeaders(scope=message)
    text = headers.get(POSITION)
    if not text or (kept is not None and _is_beyond(kept, Token.decode(text))):
        return
    secure = "; Secure" if scheme == "https" else ""
    headers.append("Set-Cookie", f"{COOKIE}={text}; Max-Age={COOKIE_AGE_S}; Path=/; HttpOnly; SameSite=Lax{secure}")


def _is_beyond(kept: Token, new: Token) -> bool:
    return log_of(kept) == log_of(new) and kept.position >= new.position
