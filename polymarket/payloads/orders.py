"""Orders and trades of the CLOB, over REST and over the user channel: one parser for both (R-16, L-05).

Addresses and hashes come out in lower case. Enum prefixes (``ORDER_STATUS_``, ``TRADE_STATUS_``) are dropped.
"""

from __future__ import annotations

import functools

import msgspec

from polymarket.payloads import fields
from polymarket.payloads.fields import NULL, FieldError, RejectedRow
from polymarket.payloads.money import parse_micro
from portfolio.facts import MakerLeg, OpenOrder, OrderStatus, Role, Trade, TradeStatus

_ORDER_PREFIX = "ORDER_STATUS_"
_TRADE_PREFIX = "TRADE_STATUS_"
_CANCELED_BECAUSE = "CANCELED_"
_REASON_LONGEST = 200
_ONE = 1_000_000
_CENT_SHARE = 10_000
_PRICES_REMEMBERED = 10_000
"""Prices are multiples of a tick between 0 and 1: a few hundred texts, again and again."""

_NS_PER_S = 1_000_000_000


class _OrderWire(msgspec.Struct, gc=False):
    id: str
    status: str
    owner: str
    market: str
    asset_id: str
    side: str
    price: msgspec.Raw
    original_size: msgspec.Raw
    size_matched: msgspec.Raw
    maker_address: str = ""
    order_type: str = ""
    associate_trades: list[str] | None = None
    created_at: msgspec.Raw = NULL
    expiration: msgspec.Raw = NULL
    timestamp: msgspec.Raw = NULL


class _LegWire(msgspec.Struct, gc=False):
    order_id: str
    owner: str
    asset_id: str
    matched_amount: msgspec.Raw
    price: msgspec.Raw
    maker_address: str = ""
    side: str | None = None


class _TradeWire(msgspec.Struct, gc=False):
    id: str
    taker_order_id: str
    market: str
    asset_id: str
    side: str
    size: msgspec.Raw
    price: msgspec.Raw
    status: str
    owner: str
    maker_address: str = ""
    match_time: msgspec.Raw = NULL
    matchtime: msgspec.Raw = NULL
    match_time_nano: msgspec.Raw = NULL
    last_update: msgspec.Raw = NULL
    timestamp: msgspec.Raw = NULL
    transaction_hash: str | None = None
    trader_side: str | None = None
    bucket_index: int | None = None
    maker_orders: list[_LegWire] | None = None


def parse_order(raw: msgspec.Raw) -> OpenOrder | RejectedRow:
    """An order row of ``/data/orders`` or ``/data/order/{id}``, or an ``order`` event of the user channel.

    Where ``created_at`` is empty (a killed order's event), the event's own time stands in: the latest it can be.
    """
    return fields.parse_row(raw, _OrderWire, _order)


def parse_trade(raw: msgspec.Raw) -> Trade | RejectedRow:
    """A trade row of ``/data/trades``, or a ``trade`` event of the user channel."""
    return fields.parse_row(raw, _TradeWire, _trade)


def _order(wire: _OrderWire) -> OpenOrder:
    status, ended_because = _order_status(wire.status)
    if wire.status.startswith(_ORDER_PREFIX):
        _refuse_ambiguous_scale(wire.original_size, wire.size_matched, order_size=wire.original_size)
    matched = fields.of_field("size_matched", parse_micro, wire.size_matched)
    if matched is None and status is OrderStatus.CANCELED:
        matched = 0  # a kill says "" where it means that nothing matched
    created = fields.of_field("created_at", fields.parse_time_ms, wire.created_at)
    if created is None:
        created = fields.of_field("timestamp", fields.parse_time_ms, wire.timestamp)
    expires = fields.of_field("expiration", fields.parse_time_ms, wire.expiration)
    return OpenOrder(
        order_id=fields.hex_id("id", wire.id),
        condition_id=fields.hex_id("market", wire.market),
        token_id=fields.token_id("asset_id", wire.asset_id),
        side=fields.side(wire.side),
        price_micro=_price("price", wire.price),
        original_size_micro=_size("original_size", wire.original_size),
        size_matched_micro=fields.required("size_matched", matched),
        status=status,
        created_at_ms=fields.required("created_at", created),
        owner=wire.owner,
        maker_address=wire.maker_address.lower(),
        order_type=wire.order_type,
        expires_at_ms=expires or None,
        trade_ids=tuple(wire.associate_trades or ()),
        ended_because=ended_because,
    )


def _order_status(text: str) -> tuple[OrderStatus, str]:
    """The status, and the reason that stands behind a cancelled one, sometimes in free words."""
    plain = text.removeprefix(_ORDER_PREFIX)
    if plain.startswith(_CANCELED_BECAUSE):
        return OrderStatus.CANCELED, plain.removeprefix(_CANCELED_BECAUSE)[:_REASON_LONGEST]
    if plain == OrderStatus.GONE:
        raise FieldError("status was 'GONE', which is no status of the exchange")
    return fields.enum_member("status", OrderStatus, plain), ""


def _trade(wire: _TradeWire) -> Trade:
    legs = wire.maker_orders or []
    if wire.status.startswith(_TRADE_PREFIX):
        _refuse_ambiguous_scale(wire.size, *(leg.matched_amount for leg in legs))
    matched_ns = _matched_ns(wire)
    updated = fields.of_field("last_update", fields.parse_time_ms, wire.last_update)
    if updated is None:
        updated = fields.of_field("timestamp", fields.parse_time_ms, wire.timestamp)
    return Trade(
        trade_id=fields.required("id", wire.id or None),
        taker_order_id=fields.hex_id("taker_order_id", wire.taker_order_id),
        condition_id=fields.hex_id("market", wire.market),
        token_id=fields.token_id("asset_id", wire.asset_id),
        side=fields.side(wire.side),
        size_micro=_size("size", wire.size),
        price_micro=_price("price", wire.price),
        status=fields.enum_member("status", TradeStatus, wire.status.removeprefix(_TRADE_PREFIX)),
        matched_at_ns=matched_ns,
        updated_at_ms=matched_ns // 1_000_000 if updated is None else updated,
        owner=wire.owner,
        maker_address=wire.maker_address.lower(),
        transaction_hash=(wire.transaction_hash or "").lower() or None,
        trader_side=fields.enum_member("trader_side", Role, wire.trader_side) if wire.trader_side else None,
        bucket_index=wire.bucket_index or 0,
        legs=tuple(_leg(leg) for leg in legs),
    )


def _leg(wire: _LegWire) -> MakerLeg:
    return MakerLeg(
        order_id=fields.hex_id("maker order_id", wire.order_id),
        owner=wire.owner,
        maker_address=wire.maker_address.lower(),
        token_id=fields.token_id("maker asset_id", wire.asset_id),
        price_micro=_price("maker price", wire.price),
        size_micro=_size("matched_amount", wire.matched_amount),
        side=fields.side(wire.side) if wire.side else None,
    )


def _matched_ns(wire: _TradeWire) -> int:
    """Match time to the nanosecond where it is given (D-02), checked against the one in seconds."""
    coarse = fields.of_field("match_time", fields.parse_time_ns, wire.match_time)
    if coarse is None:
        coarse = fields.of_field("matchtime", fields.parse_time_ns, wire.matchtime)
    fine = fields.of_field("match_time_nano", fields.parse_time_ns, wire.match_time_nano)
    if fine is None:
        return fields.required("match_time", coarse)
    if coarse is not None and abs(fine - coarse) >= _NS_PER_S:
        raise FieldError("match_time_nano and match_time differed by a second or more")
    return fine


def _price(name: str, raw: msgspec.Raw) -> int:
    """A price in 1e-6 pUSD per share. Above 1 it cannot be a price: perhaps one of another scale."""
    price = fields.required(name, fields.of_field(name, _parse_price, raw))
    if price > _ONE:
        raise FieldError(f"{name} was above 1, which no outcome share can cost")
    return price


@functools.lru_cache(maxsize=_PRICES_REMEMBERED)
def _parse_price(token: bytes) -> int | None:
    return parse_micro(token)


def _size(name: str, raw: msgspec.Raw) -> int:
    return fields.required(name, fields.of_field(name, parse_micro, raw))


def _refuse_ambiguous_scale(*sizes: msgspec.Raw, order_size: msgspec.Raw = NULL) -> None:
    """Refuse sizes of a row with a prefixed status that could be shares or 1e-6 shares (R-16).

    Every capture with plain statuses shows decimal shares. The published schema shows prefixed statuses together with
    six-decimal fixed integers, so only a prefixed row is in doubt. There a fraction proves decimal shares (all sizes of
    a row have one scale), and so does an order size below 10,000: as millionths it would be an order of less than 0.01
    share, which the exchange does not take. What neither proves is refused.
    """
    texts = [text for text in (fields.number_text(bytes(raw)) for raw in sizes) if text is not None]
    if any(not (text.isascii() and text.isdigit()) for text in texts):
        return
    ordered = fields.number_text(bytes(order_size))
    if ordered is not None and int(ordered) < _CENT_SHARE:
        return
    if any(int(text) for text in texts):
        raise FieldError("sizes could be shares or millionths of a share, and nothing in the row tells which")
