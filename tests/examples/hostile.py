"""Requests that nobody sends by mistake, for the Orders application: some three hundred of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.examples.orders_client import LAMP, ORDER

DEEP = 100_000
HOSTILE_TEXTS = [
    "'", '"', "''", '""', "' OR '1'='1", "'; DROP TABLE diptych_served; --", '" OR 1=1 --', "\\", "%", "_", "%%",
    "*", "?",
    "x*", "*x", "a AND b", "a OR b", "NOT a", "NEAR(a b)", "NEAR(a b, 1)", "a NEAR b", "customer_id:ada",
    "{ship_to}:london",
    "^lamp", "lamp^", "(lamp", "lamp)", "()", '"lamp', 'lamp"', '"lamp" "', "+lamp", "-lamp", "lamp & table",
    "lamp | table",
    "!lamp", "lamp <-> table", "lamp <2> table", "lamp:*", "lamp:A", "&", "|", "!", ":*", "<->", "AND", "OR", "NOT",
    "NEAR",
    "a" * 5_000, " ".join("a" * 200), "🛋", "\u202elamp", "\u0000", "la\u0000mp", "l\u0301amp", "Ⅷ", "ﬁ", "\ufeff",
    "\ufffe", "<script>",
    "${jndi:ldap://x}", "../../etc/passwd", "\r\nX-Evil: 1", "\t", " ", "", "null", "NaN", "0", "-1", "1e309",
    "select pg_sleep(9)",
    "'||pg_sleep(9)||'", "1; SELECT pg_sleep(9)", "randomblob(1000000000)", "load_extension('x')",
]  # fmt: skip
PAGES = ["0", "-1", "-9223372036854775808", "9223372036854775807", "99999999999999999999", "1000000001", "1e3",
"1.5", "0x10",
         "", " 1", "one", "1,2", "NaN", "１", "1;DROP TABLE x", "[1]", "\u0000"]  # fmt: skip
NAMES = ["order_id;--", "created_at DESC; DROP TABLE x", "(SELECT 1)", "shipping_address", "diptych_position",
"rowid", "ctid",
         "version", "1", "created_at'", "created_at,status", "CASE WHEN 1=1 THEN 1 END", "", "\u0000",
         "x" * 3_000]  # fmt: skip
IDS = ["..%2F..%2Fx", "%2e%2e", "%00", "o-1%00", "o-1%27", "o-1%22", "%C0%AF", "%FF", "o-1;x=1", "O-1",
"%F0%9F%9B%8B",
       "a" * 7_000, "%25", "o-1%20", "%5C", "-1", "%E2%80%AEx"]  # fmt: skip
TOKENS = ["x", "e30", "W10", "WzFd", "bnVsbA", "AAAA", "....", "WzEsIiIsIiIsMV0",
"WzkyMjMzNzIwMzY4NTQ3NzU4MDgsIiIsIngiLDFd",
          "WzFlMzA5LCIiLCJ4IiwxXQ", "Wy0xLCIiLCJ4IiwxXQ", "a" * 4_000, "%", "'", "WzEsIiIsIngiLDFd="]  # fmt: skip
TAGS = ["x", '"', "1", '"1" "2"', ",", '"1",', "W/1", 'w/"1"', "**", '"\\"', '"1"; x', "*, *", "W/", '"' + "x" * 4_000]
WISHES = ["wait=-1", "wait=99999999999999999999", "wait=1e9", "wait", "=", ";;;", ",,,", "wait=0x1", "return=minimal",
          "handling=lenient", '"', "wait=" + "9" * 4_000]  # fmt: skip
BODIES: list[bytes] = [
    b"", b"{", b"}", b"[", b"[]", b"null", b"1", b'"a"', b"true", b"{}", b"{]", b"{,}", b"{'a': 1}", b'{"a": 1',
    b'{"a"}', b"\x00",
    b"\xff\xfe\x00", b"\xef\xbb\xbf{}", b'{"customer_id": NaN}', b'{"customer_id": Infinity}',
    b'{"customer_id": "\xff"}',
    b"[" * DEEP, b'{"a":' * DEEP, b"[" * 500 + b"]" * 500, b'{"customer_id": ' + b"9" * 5_000 + b"}",
    b'{"customer_id": 1e99999999999999999999}', b'{"customer_id": 1e400}', b'{"customer_id": "\\ud800"}',
    b'{"customer_id": "\\x"}',
    b'{"customer_id": "a", "customer_id": "b"}', b'{"__proto__": {}}',
    b'{"customer_id": "' + b"x" * 3_000_000 + b'"}',
    b"<xml/>", b"customer_id=ada", b"--x\r\n\r\n--x--", b"\r\n", b" ", b"// {}", b"{} {}",
]  # fmt: skip
WRONG: dict[str, list[Any]] = {
    "customer_id": [1, None, True, [], {}, "", "a\u0000b", "\ud800", 1.5],
    "items": [None, {}, "x", [], [None], [[]], [1], [{}], [{**LAMP, "colour": "red"}]],
    "shipping_address": [None, [], "x", {"city": 1}, {"planet": "Mars"}, {"city": {"a": 1}}],
    "ordered_on": [0, 1.5, "", "today", "2026-13-01", "2026-01-32", "20260101", "2026-01-01T00:00Z", True],
    "order_id": ["", ".", "..", "search", 1, [], "a\u0000b"],
    "command_id": ["mine"],
    "timestamp": ["2026-01-01T00:00:00Z"],
    "version": [1],
    "status": ["shipped"],
    "actor": ["root"],
}
WRONG_LINES: dict[str, list[Any]] = {
    "quantity": [0, -1, 1.5, "2", True, None, 2**31, 2**63, 2**64, 10**400, [], "1e3"],
    "price": [-1, "-0.01", "0.001", 0.001, "NaN", "Infinity", "1e400", "1e3", "", " 1", "١", None, True, [],
              "1000000000000", 10**13, "0x10", "1_000", "+1", ".5", "5.", "1,5"],
    "product_id": [1, None, "", [], "a\u0000"],
}  # fmt: skip


@dataclass(frozen=True)
class Hostile:
    """One request; a body that is bytes is sent as it is."""

    method: str
    url: str
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


def hostile_requests() -> list[Hostile]:
    """All of them."""
    return [*_asking(), *_paths(), *_headers(), *_bodies()]


def _asking() -> Iterator[Hostile]:
    for text in HOSTILE_TEXTS:
        yield Hostile("GET", f"/orders/search?q={quote(text)}")
    for page in PAGES:
        yield Hostile("GET", f"/orders/search?page={quote(page)}")
        yield Hostile("GET", f"/customers/ada/orders?page_size={quote(page)}")
    for name in NAMES:
        yield Hostile("GET", f"/orders/search?sort_by={quote(name)}")
        yield Hostile("GET", f"/orders/search?{quote(name) or 'x'}=1")
        yield Hostile("GET", f"/orders/search?status={quote(name)}")
    for token in TOKENS:
        yield Hostile("GET", f"/orders/search?cursor={quote(token)}")
        yield Hostile("GET", f"/orders/o-1?diptych-position={quote(token)}")
    for day in ("", "0", "2026-13-01", "now", "'", "2026-01-01T00:00:00", "9999999-01-01", "-1"):
        yield Hostile("GET", f"/reports/daily-sales?from={quote(day)}")


def _paths() -> Iterator[Hostile]:
    for order_id in IDS:
        yield Hostile("GET", f"/orders/{order_id}")
        yield Hostile("POST", f"/orders/{order_id}/ship", {})
        yield Hostile("GET", f"/customers/{order_id}/orders")
    for method in ("PUT", "PATCH", "OPTIONS", "TRACE", "PROPFIND"):
        yield Hostile(method, "/orders")
    for url in ("/", "//", "/orders/", "/orders//ship", "/commands/x", f"/orders/search?{'x=1&' * 3_000}"):
        yield Hostile("GET", url)


def _headers() -> Iterator[Hostile]:
    for token in TOKENS:
        yield Hostile("GET", "/orders/o-1", headers={"Diptych-Position": token})
        yield Hostile("GET", "/orders/o-1", headers={"Cookie": f"diptych-position={token}"})
    for tag in TAGS:
        yield Hostile("GET", "/orders/o-1", headers={"If-None-Match": tag})
        yield Hostile("POST", "/orders/o-1/ship", {}, {"If-Match": tag})
    for wish in WISHES:
        yield Hostile("GET", "/orders/o-1", headers={"Prefer": wish})
    for key in ("", "x" * 256, "x" * 10_000):
        yield Hostile("POST", "/orders/o-1/ship", {}, {"Idempotency-Key": key})
    for kind in (
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/jsonp",
        "x",
        "*/*",
    ):
        yield Hostile("POST", "/orders", b"{}", {"Content-Type": kind})


def _bodies() -> Iterator[Hostile]:
    for body in BODIES:
        yield Hostile("POST", "/orders", body)
        yield Hostile("POST", "/orders/o-1/items", body)
    for name, value in _each(WRONG):
        yield Hostile("POST", "/orders", {**ORDER, "order_id": "never", name: value})
    for name, value in _each(WRONG_LINES):
        yield Hostile("POST", "/orders", {**ORDER, "order_id": "never", "items": [{**LAMP, name: value}]})
        yield Hostile("POST", "/orders/o-1/items", {**LAMP, name: value})


def _each(wrong: dict[str, list[Any]]) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, values in wrong.items() for value in values)
