"""
Link a page to its neighbours (RFC 8288): the next, the one before, the first and the last, as far as they are known.
"""

from collections.abc import Collection
from urllib.parse import quote

from fastapi import Request

from diptych.edge.fastapi.positions import linked, position_in_link
from diptych.read.ask.page import PaginatedResult

PAGE, CURSOR = "page", "cursor"


def links_of(request: Request, result: PaginatedResult[object], fields: Collection[str]) -> dict[str, str]:
    """
    The `Link` header of a page; none where its query takes neither a number nor a cursor.

    Args:
        fields: What the query may be asked with. The next page is linked by cursor where it takes one: that one
            is found without counting.
    """
    by_number = PAGE in fields and CURSOR not in request.query_params
    pages: dict[str, dict[str, object]] = {}
    if result.next_cursor is not None and CURSOR in fields:
        pages["next"] = {CURSOR: result.next_cursor}
    elif result.next_cursor is not None and by_number:
        pages["next"] = {PAGE: result.page + 1}
    if by_number and result.page > 1:
        pages["prev"] = {PAGE: result.page - 1}
    if by_number and result.total_pages:
        pages["last"] = {PAGE: result.total_pages}
    if PAGE in fields or CURSOR in fields:
        pages["first"] = {}
    links = [f'<{_target(request, which)}>; rel="{relation}"' for relation, which in pages.items()]
    return {"Link": ", ".join(links)} if links else {}


def _target(request: Request, which: dict[str, object]) -> str:
    query = request.url.remove_query_params([PAGE, CURSOR]).include_query_params(**which).query
    path = quote(request.scope["raw_path"].partition(b"?")[0], safe="/%:@!$&'()*+,;=")  # as sent: a header is ASCII
    return linked(f"{path}?{query}" if query else path, position_in_link(request))
