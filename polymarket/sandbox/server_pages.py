"""Pages of the exchange's and the Data API's lists, and the faults that spoil lists.

Offsets over a list that may change between two requests, as on the real services: nothing is frozen for a reader.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from polymarket.sandbox.server_faults import met

END = "LTE="
FIRST = "MA=="
_SHIFT = 1


class BadCursorError(Exception):
    """A cursor that this server never gave out."""


@dataclass(frozen=True, kw_only=True)
class Slice:
    """Rows of one page; ``following`` is the offset of the next one, None at the end; ``looping`` overrides it."""

    rows: Sequence[Any]
    following: int | None
    looping: bool = False


def cut(rows: Sequence[Any], offset: int, size: int) -> Slice:
    """One page of a list, with whatever faults the request meets."""
    rows = _spoiled(rows)
    page = rows[offset : offset + size]
    following = offset + size if offset + size < len(rows) else None
    empty, short, loop = met("empty_page"), met("short_page"), met("loop_cursor")
    if empty is not None:
        empty.hit()
        return Slice(rows=(), following=None)
    if short is not None and page:
        short.hit()
        drop = max(1, len(page) // 2) if short.spec.drop is None else short.spec.drop
        return Slice(rows=page[: max(0, len(page) - drop)], following=None)
    if loop is not None:
        loop.hit()
        return Slice(rows=page, following=0, looping=True)
    return Slice(rows=page, following=following)


def clob_page(rows: Sequence[Any], cursor: str | None, size: int) -> dict[str, Any]:
    """The exchange's envelope. Raises :class:`BadCursorError`."""
    page = cut(rows, decode_offset(cursor or FIRST), size)
    following = END if page.following is None else encode_offset(page.following)
    return {"limit": size, "count": len(page.rows), "next_cursor": following, "data": list(page.rows)}


def data_page(rows: Sequence[Any], cursor: str | None, size: int) -> dict[str, Any]:
    """The Data API's envelope with an opaque cursor. Raises :class:`BadCursorError`."""
    offset = _decode_opaque(cursor) if cursor else 0
    page = cut(rows, offset, size)
    following = None if page.following is None else _encode_opaque(page.following)
    pagination = {"limit": size, "offset": offset, "has_more": following is not None, "next_cursor": following or ""}
    return {"data": list(page.rows), "pagination": pagination}


def encode_offset(offset: int) -> str:
    """An offset as the exchange's cursor."""
    return base64.b64encode(str(offset).encode()).decode()


def decode_offset(cursor: str) -> int:
    """The offset of a cursor. Raises :class:`BadCursorError`."""
    try:
        offset = int(base64.b64decode(cursor, validate=True).decode("ascii"))
    except (binascii.Error, ValueError):
        raise BadCursorError(f"next_cursor {cursor[:20]!r} was not given out by this server") from None
    if offset < 0:
        raise BadCursorError("next_cursor was the end marker; stop there")
    return offset


def _spoiled(rows: Sequence[Any]) -> Sequence[Any]:
    half, moved = met("half_rows"), met("moved_pages")
    if half is not None and rows:
        half.hit()
        rows = rows[: len(rows) // 2]
    if moved is not None and rows:
        moved.hit()
        turn = moved.hits * _SHIFT % len(rows)
        rows = [*rows[turn:], *rows[:turn]]
    return rows


def _encode_opaque(offset: int) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode({"data": {"o": offset}})).decode()


def _decode_opaque(cursor: str) -> int:
    try:
        document = msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=dict[str, dict[str, int]])
        return document["data"]["o"]
    except (binascii.Error, msgspec.MsgspecError, KeyError, ValueError):
        raise BadCursorError(f"cursor {cursor[:20]!r} was not given out by this server") from None
