"""The Data API v2: positions and its own account of how far behind the chain it is.

Its numbers are JSON floats that their source rounded to four to six decimals. They are informative (D-13): rounded to
1e-6 from their decimal text, and never exact. A size that is negative is refused all the same (R-16).
"""

from __future__ import annotations

import msgspec

from polymarket.payloads import fields
from polymarket.payloads.fields import NULL, FieldError, MalformedPayload, RejectedRow
from polymarket.payloads.money import parse_rounded_micro
from portfolio.facts import DataPosition


class _PositionWire(msgspec.Struct):
    token_id: str
    condition_id: str
    current_size: msgspec.Raw
    entry_cost_usdc: msgspec.Raw
    current_price: msgspec.Raw = NULL
    negative_risk: bool | None = None
    opposite_token_id: str | None = None


class _Serving(msgspec.Struct):
    lag_seconds: msgspec.Raw


class _Ingestion(msgspec.Struct):
    min_synced_block: int | None = None


class _Status(msgspec.Struct):
    serving: _Serving
    ingestion: _Ingestion | None = None


class _StatusBody(msgspec.Struct):
    data: _Status


class DataStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How far the Data API is behind (D-15): its slowest served mechanism in ms, its slowest block."""

    lag_ms: int
    block_number: int | None


def parse_position(raw: msgspec.Raw) -> DataPosition | RejectedRow:
    """A row of ``/v2/positions``. ``entry_cost_micro`` excludes fees and can be negative after conversions."""
    return fields.parse_row(raw, _PositionWire, _position)


def parse_data_status(body: bytes) -> DataStatus:
    """The body of ``/v2/status``."""
    try:
        status = msgspec.json.decode(body, type=_StatusBody).data
        lag_ms = fields.of_field("lag_seconds", fields.parse_duration_ms, status.serving.lag_seconds)
    except (msgspec.MsgspecError, FieldError, UnicodeDecodeError) as error:
        raise MalformedPayload(f"the Data API's status was not readable: {str(error)[:160]}") from None
    return DataStatus(lag_ms=lag_ms, block_number=status.ingestion.min_synced_block if status.ingestion else None)


def _position(wire: _PositionWire) -> DataPosition:
    size = fields.required("current_size", fields.of_field("current_size", parse_rounded_micro, wire.current_size))
    if size < 0:
        raise FieldError("current_size was negative, which no balance can be")
    price = fields.of_field("current_price", parse_rounded_micro, wire.current_price)
    if price is not None and price < 0:
        raise FieldError("current_price was negative")
    cost = fields.of_field("entry_cost_usdc", parse_rounded_micro, wire.entry_cost_usdc)
    opposite = wire.opposite_token_id
    return DataPosition(
        token_id=fields.token_id("token_id", wire.token_id),
        condition_id=fields.hex_id("condition_id", wire.condition_id),
        size_micro=size,
        entry_cost_micro=fields.required("entry_cost_usdc", cost),
        price_micro=price,
        neg_risk=wire.negative_risk,
        opposite_token_id=fields.token_id("opposite_token_id", opposite) if opposite else None,
    )
