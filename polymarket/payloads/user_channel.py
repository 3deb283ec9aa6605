"""The user channel's frames: text of one frame in, its events out. Sans-I/O.

A frame is a JSON object or an array of them. Nothing in it is fatal: a row that cannot be believed is refused with a
sentence and the others of its frame stand (R-16); what is of another kind is counted. Money is read by the parser that
reads it over REST.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, TypeAlias

import msgspec

from polymarket.payloads import fields
from polymarket.payloads.fields import NULL, RejectedRow
from polymarket.payloads.orders import parse_order, parse_trade
from portfolio.facts import OpenOrder, OrderChange, OrderMessage, OrderStatus, TradeMessage

UserEvent: TypeAlias = OrderMessage | TradeMessage

_PONG = b"PONG"
_ORDER, _TRADE = "order", "trade"
_KIND_OF_TYPE: dict[str, str] = {"TRADE": _TRADE} | {change.value: _ORDER for change in OrderChange}


class UserFrame(msgspec.Struct, frozen=True, kw_only=True):
    """What one frame said, in its order.

    ``rejected`` has a sentence for each row that was refused, ``unknown`` counts what is no event of ours: another
    kind, or no object at all.
    """

    events: tuple[UserEvent, ...] = ()
    rejected: tuple[str, ...] = ()
    unknown: int = 0

    @property
    def says_something(self) -> bool:
        """Whether there is anything to hand on; a PONG says nothing."""
        return bool(self.events or self.rejected or self.unknown)


class _OrderEventWire(msgspec.Struct):
    type: str
    timestamp: msgspec.Raw = NULL


def parse_user_frame(data: bytes | str) -> UserFrame:
    """Events of a frame; never raises, whatever the bytes are. Blank frames and PONG give an empty one."""
    body = (data.encode(errors="surrogatepass") if isinstance(data, str) else data).strip()
    if body in {b"", _PONG}:
        return UserFrame()
    try:
        rows = _rows(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return UserFrame(rejected=(f"a frame of {len(body)} bytes was not JSON",))
    events: list[UserEvent] = []
    rejected: list[str] = []
    unknown = 0
    for raw in rows:
        event = _event(raw)
        if event is None:
            unknown += 1
        elif isinstance(event, str):
            rejected.append(event)
        else:
            events.append(event)
    return UserFrame(events=tuple(events), rejected=tuple(rejected), unknown=unknown)


def _rows(body: bytes) -> list[msgspec.Raw]:
    if body[:1] == b"[":
        return msgspec.json.decode(body, type=list[msgspec.Raw])
    return [msgspec.json.decode(body, type=msgspec.Raw)]


def _event(raw: msgspec.Raw) -> UserEvent | str | None:
    """The event of a row, or a sentence why it is refused, or None for what is no event of ours."""
    try:
        row, repeated = _object(bytes(raw))
    except (ValueError, RecursionError):
        return "a row was not readable as JSON text"
    if row is None:
        return None
    kind = _kind(row)
    if repeated is not None:
        name = kind if kind in {_ORDER, _TRADE} else "row"
        return f"{name} {str(row.get('id', '?'))[:20]}: {repeated[:20]!r} stood there twice"
    parsed = _parsed(kind, raw)
    return f"{kind} {parsed.row_id}: {parsed.reason}" if isinstance(parsed, RejectedRow) else parsed


def _object(raw: bytes) -> tuple[dict[str, Any] | None, str | None]:
    """The row as a dict, None where it is no object; and a key that stands twice in it or in an object within.

    Decoders differ in which of two equal keys they take, so a row that has them says nothing for certain. msgspec does
    not tell, so the standard library looks; numbers stay text, for some have more digits than it would convert.
    """
    repeated: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            repeated.append(Counter(name for name, _ in pairs).most_common(1)[0][0])
        return found

    if raw.lstrip()[:1] != b"{":
        return None, None
    row: dict[str, Any] = json.loads(raw.decode(), object_pairs_hook=unique, parse_int=str, parse_float=str)
    return row, next(iter(repeated), None)


def _kind(row: dict[str, Any]) -> str:
    """``event_type``; where that is missing, what ``type`` belongs to. Empty for neither."""
    named, of_type = row.get("event_type"), row.get("type")
    if isinstance(named, str) and named:
        return named
    return _KIND_OF_TYPE.get(of_type, "") if isinstance(of_type, str) else ""


def _parsed(kind: str, raw: msgspec.Raw) -> UserEvent | RejectedRow | None:
    if kind == _ORDER:
        order = parse_order(raw)
        if isinstance(order, RejectedRow):
            return order
        return fields.parse_row(raw, _OrderEventWire, lambda wire: _order_message(order, wire))
    if kind == _TRADE:
        trade = parse_trade(raw)
        return trade if isinstance(trade, RejectedRow) else TradeMessage(trade=trade)
    return None


def _order_message(order: OpenOrder, wire: _OrderEventWire) -> OrderMessage:
    """The order with its change. Both fields can end it: an UPDATE may carry CANCELED, a CANCELLATION a stale LIVE."""
    change = fields.enum_member("type", OrderChange, wire.type)
    if change is OrderChange.CANCELLATION and order.status.live:
        order = msgspec.structs.replace(order, status=OrderStatus.CANCELED)
    at_ms = fields.of_field("timestamp", fields.parse_time_ms, wire.timestamp)
    return OrderMessage(order=order, change=change, at_ms=fields.required("timestamp", at_ms))
