"""Reading a list that comes in pages and may move while it is read (L-08, L-29, R-15, R-30).

The cursors are offsets into a list that changes: when a row leaves an earlier page, the next row slides from the front
of a later page onto the back of an earlier one, and is never seen. How a move is noticed:

* One page is one answer, made at one moment: it cannot have moved.
* An id on two pages, an empty page before the last, or a page that announces another number of rows than it has,
  means that the set moved, or that the source is at fault; either way it is read again.
* For lists from which rows can leave (``verify``), all pages but the last are asked for once more, at once, with the
  cursors that are known by now. A row that was skipped between page k and k+1 had slid onto the end of page k, so page
  k differs. The last page needs no second look: what slides off it is gone. The price is one round trip for sets of
  several pages, none for a single page, instead of a second full read.
* A list that only grows (trades) cannot lose a row between pages; it is spared the second look.

A set that moved is read again at most twice. Then the union by id is returned as *moved*: what is in it counts, what
is missing proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from polymarket.payloads import Page, RejectedRow
from polymarket.reading import Trace, expect_json
from polymarket.requests import HttpRequest, HttpResponse, ReadError, Steps
from portfolio.facts import Fact, FailureKind

F = TypeVar("F", bound=Fact)

MAX_REREADS = 2
MAX_PAGES = 10_000


class Listing(msgspec.Struct, Generic[F], frozen=True, kw_only=True):
    """A list and how to read it.

    ``request`` makes the call for a cursor (None: the first page) in the given attempt; ``newer`` chooses between two
    observations of one row.
    """

    request: Callable[[str | None, int], HttpRequest]
    decode: Callable[[bytes], Page]
    parse: Callable[[msgspec.Raw], F | RejectedRow]
    key: Callable[[F], str]
    newer: Callable[[F, F], F]
    verify: bool


class Gathered(msgspec.Struct, Generic[F], frozen=True, kw_only=True):
    """All rows by key, each once; ``moved`` says in words why the set is no single view, and is empty if it is one."""

    rows: dict[str, F]
    rejected: tuple[RejectedRow, ...]
    pages: int
    moved: str


class _Sheet(msgspec.Struct, Generic[F], frozen=True):
    """A page after parsing. ``names`` has the keys of the rows and the ids of the rejected ones, in their order."""

    cursor: str | None
    next_cursor: str | None
    names: tuple[str, ...]
    rows: tuple[F, ...]
    rejected: tuple[RejectedRow, ...]
    short: bool


def gather(trace: Trace, listing: Listing[F]) -> Steps[Gathered[F]]:
    """All pages; re-read while they move, at most :data:`MAX_REREADS` times."""
    passes: list[Gathered[F]] = []
    for attempt in range(1 + MAX_REREADS):
        found = yield from _one_pass(trace, listing, attempt)
        if not found.moved:
            return found
        passes.append(found)
    return _union(passes, listing)


def _one_pass(trace: Trace, listing: Listing[F], attempt: int) -> Steps[Gathered[F]]:
    sheets: list[_Sheet[F]] = []
    cursor: str | None = None
    seen: set[str] = set()
    while True:
        request = listing.request(cursor, attempt)
        response = yield from trace.ask(request)
        sheet = _sheet(listing, request, response, cursor)
        sheets.append(sheet)
        cursor = sheet.next_cursor
        if cursor is None:
            break
        _refuse_endless(request, cursor, seen, len(sheets))
    moved = _contradiction(sheets)
    again: tuple[_Sheet[F], ...] = ()
    if not moved and listing.verify and len(sheets) > 1:
        again = yield from _second_look(trace, listing, sheets[:-1], attempt)
        moved = _difference(sheets, again)
    return _merged(listing, (*sheets, *again), pages=len(sheets), moved=moved)


def _sheet(listing: Listing[F], request: HttpRequest, response: HttpResponse, cursor: str | None) -> _Sheet[F]:
    page = expect_json(request, response, listing.decode)
    parsed = [listing.parse(raw) for raw in page.rows]
    return _Sheet(
        cursor,
        page.next_cursor,
        tuple(row.row_id if isinstance(row, RejectedRow) else listing.key(row) for row in parsed),
        tuple(row for row in parsed if not isinstance(row, RejectedRow)),
        tuple(row for row in parsed if isinstance(row, RejectedRow)),
        page.short,
    )


def _refuse_endless(request: HttpRequest, cursor: str, seen: set[str], pages: int) -> None:
    if cursor in seen:
        raise ReadError(
            FailureKind.MALFORMED, f"{request.label}: the cursor of page {pages} led back to an earlier page"
        )
    if pages >= MAX_PAGES:
        raise ReadError(FailureKind.MALFORMED, f"{request.label}: there were more than {MAX_PAGES} pages")
    seen.add(cursor)


def _second_look(
    trace: Trace, listing: Listing[F], sheets: list[_Sheet[F]], attempt: int
) -> Steps[tuple[_Sheet[F], ...]]:
    requests = [listing.request(sheet.cursor, attempt) for sheet in sheets]
    responses = yield from trace.ask_all(requests)
    return tuple(
        _sheet(listing, request, response, sheet.cursor)
        for request, response, sheet in zip(requests, responses, sheets, strict=True)
    )


def _contradiction(sheets: list[_Sheet[F]]) -> str:
    seen: dict[str, int] = {}
    for number, sheet in enumerate(sheets, start=1):
        if sheet.short:
            return f"page {number} announced another number of rows than it had"
        if not sheet.names and number < len(sheets):
            return f"page {number} of {len(sheets)} was empty"
        for name in sheet.names:
            if name != "?" and seen.setdefault(name, number) != number:
                return f"row {name[:20]} was on pages {seen[name]} and {number}"
    return ""


def _difference(sheets: list[_Sheet[F]], again: tuple[_Sheet[F], ...]) -> str:
    for number, (first, second) in enumerate(zip(sheets, again, strict=False), start=1):
        if (first.names, first.next_cursor, second.short) != (second.names, second.next_cursor, False):
            return f"page {number} had changed when the last one was read"
    return ""


def _merged(listing: Listing[F], sheets: tuple[_Sheet[F], ...], *, pages: int, moved: str) -> Gathered[F]:
    rows: dict[str, F] = {}
    rejected: dict[tuple[str, str], RejectedRow] = {}
    for sheet in sheets:
        for row in sheet.rows:
            key = listing.key(row)
            rows[key] = listing.newer(rows[key], row) if key in rows else row
        for bad in sheet.rejected:
            rejected[bad.row_id, bad.reason] = bad
    return Gathered(rows=rows, rejected=tuple(rejected.values()), pages=pages, moved=moved)


def _union(passes: list[Gathered[F]], listing: Listing[F]) -> Gathered[F]:
    rows: dict[str, F] = {}
    for one in passes:
        for key, row in one.rows.items():
            rows[key] = listing.newer(rows[key], row) if key in rows else row
    rejected = {(bad.row_id, bad.reason): bad for one in passes for bad in one.rejected}
    reason = f"the page set moved in each of {len(passes)} readings ({passes[-1].moved}); absences prove nothing"
    return Gathered(rows=rows, rejected=tuple(rejected.values()), pages=passes[-1].pages, moved=reason)
