"""Envelopes: pages of rows and their cursors, single objects, and the few bodies that are neither."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from polymarket.payloads import fields
from polymarket.payloads.fields import MalformedPayload

T = TypeVar("T")


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page: its rows as they came, and the cursor of the next one (None on the last).

    ``short`` says that the page contradicts itself: it announced another number of rows than it has.
    """

    rows: tuple[msgspec.Raw, ...]
    next_cursor: str | None
    short: bool = False


class _ClobPage(msgspec.Struct):
    data: list[msgspec.Raw]
    next_cursor: str = ""
    count: int | None = None


class _Pagination(msgspec.Struct):
    has_more: bool
    next_cursor: str | None = None


class _DataPage(msgspec.Struct):
    data: list[msgspec.Raw]
    pagination: _Pagination


class _KeysetPage(msgspec.Struct):
    markets: list[msgspec.Raw]


class _TokenParent(msgspec.Struct):
    condition_id: str


_END_CURSOR = "LTE="


def decode_clob_page(body: bytes) -> Page:
    """A page of ``/data/orders``, ``/data/trades`` or ``/markets``.

    A missing or empty cursor is an error, never a beginning or an end: following it would start over, stopping would
    cut off (R-15).
    """
    page = _decode(body, _ClobPage)
    if not page.next_cursor:
        raise MalformedPayload("a page had no next_cursor, so it cannot be told whether more pages follow")
    return Page(
        rows=tuple(page.data),
        next_cursor=None if page.next_cursor == _END_CURSOR else page.next_cursor,
        short=page.count is not None and page.count != len(page.data),
    )


def decode_data_page(body: bytes) -> Page:
    """A page of the Data API v2."""
    page = _decode(body, _DataPage)
    if page.pagination.has_more and not page.pagination.next_cursor:
        raise MalformedPayload("a page promised more rows but had no next_cursor")
    return Page(rows=tuple(page.data), next_cursor=page.pagination.next_cursor if page.pagination.has_more else None)


def decode_gamma_markets(body: bytes) -> tuple[msgspec.Raw, ...]:
    """Rows of a Gamma market listing: an object with ``markets``, or a bare array as the older route sends."""
    if body.lstrip()[:1] == b"[":
        return tuple(_decode(body, list[msgspec.Raw]))
    return tuple(_decode(body, _KeysetPage).markets)


def decode_single(body: bytes) -> msgspec.Raw | None:
    """One object, or None for an empty body, ``null`` and ``""``: the ways to say "I do not know it"."""
    if body.strip() in {b"", b"null", b'""'}:
        return None
    raw = _decode(body, msgspec.Raw)
    if bytes(raw).lstrip()[:1] != b"{":
        raise MalformedPayload("the body was not a JSON object")
    return raw


def decode_time(body: bytes) -> int:
    """The CLOB's clock in ms: bare Unix seconds, or an object with ``time`` or ``timestamp``."""
    raw = _decode(body, Any)
    value = raw.get("time", raw.get("timestamp")) if isinstance(raw, dict) else raw
    try:
        at_ms = fields.parse_time_ms(msgspec.json.encode(value))
    except fields.FieldError as error:
        raise MalformedPayload(f"the server's time {error}") from None
    if at_ms is None:
        raise MalformedPayload("the server's time was empty")
    return at_ms


def decode_token_parent(body: bytes) -> str:
    """Condition id of a token, from ``/markets-by-token/{token_id}``."""
    return _decode(body, _TokenParent).condition_id.lower()


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise MalformedPayload(f"the JSON had another shape than expected: {str(error)[:160]}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedPayload(f"the body was not JSON{_looks_like(body)}") from None


def _looks_like(body: bytes) -> str:
    start = body[:200].lstrip().lower()
    return ", it was an HTML page" if start.startswith((b"<!doctype", b"<html", b"<head")) else ""
