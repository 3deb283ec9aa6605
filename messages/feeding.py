"""What is said about feeds beside their own words: proofs of durability, look-ups of what is overdue. Not journaled."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from messages.addresses import Address
from portfolio.events import FillChecked, FillSeen, OrderChecked, OrderSeen

Seen: TypeAlias = FillSeen | OrderSeen | FillChecked | OrderChecked
"""What the ingest tells a market."""


class SeenTogether(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="seen_together"):
    """Several for one market, in their order: each is taken as if it were told alone, at the price of one message."""

    events: tuple[Seen, ...]


class Marker(msgspec.Struct, frozen=True, kw_only=True, tag="marker"):
    """Told to a market behind a chunk of messages: say so once all that you were told before is durable (D-21)."""

    reply_to: Address
    chunk: int


class MarkerDurable(msgspec.Struct, frozen=True, kw_only=True, tag="marker_durable"):
    """The market's word, through the writer."""

    market: Address
    chunk: int


class WalletOpened(msgspec.Struct, frozen=True, tag="wallet_opened"):
    """The wallet's first cycle is durable: from now on what the stream shows is news and not history (R-23)."""


class OverdueFill(msgspec.Struct, frozen=True, kw_only=True):
    """A fill, or an order's provisional quantity, that has not settled within its time to live (R-10).

    Or an order that a log filled and that nobody of ours is known to have made (R-21), as a provisional quantity is.
    """

    market_id: str
    trade_id: str
    order_id: str


class CheckOverdue(msgspec.Struct, frozen=True, kw_only=True, tag="check_overdue"):
    """Look these up again, on the exchange and on the chain, and tell their markets what was found."""

    fills: tuple[OverdueFill, ...]
    ttl_ms: int


class StreamMeasured(msgspec.Struct, frozen=True, kw_only=True, tag="stream_measured"):
    """How far the user stream was behind the exchange's list when a reading last compared them; 0: not at all."""

    gap_ms: int


class Counted(msgspec.Struct, frozen=True, kw_only=True, tag="counted"):
    """Things that were late, repeated, lost or refused, by name; for the metrics (L-05)."""

    names: tuple[str, ...]
