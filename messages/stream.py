"""What the user stream tells the ingest (D-06): that it is subscribed, what it showed, that it broke. Not journaled.

The stream has no snapshot, no sequence number and no replay, so each subscription has a number of its own, and what
lies between two of them is read over REST.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from portfolio.facts import OrderMessage, TradeMessage


class StreamOpened(msgspec.Struct, frozen=True, kw_only=True, tag="stream_opened"):
    """A subscription was sent; from now on events may come. ``connection`` counts up from 1 in one life."""

    connection: int
    at_ms: int


class StreamEvents(msgspec.Struct, frozen=True, kw_only=True, tag="stream_events"):
    """The events of one frame, in its order.

    ``rejected`` says in a sentence each why a row could not be read (it is lost here and found over REST); ``unknown``
    counts events of kinds that nobody needs.
    """

    connection: int
    received_at_ms: int
    events: tuple[OrderMessage | TradeMessage, ...]
    rejected: tuple[str, ...] = ()
    unknown: int = 0


class StreamClosed(msgspec.Struct, frozen=True, kw_only=True, tag="stream_closed"):
    """The subscription ended; the stream connects again by itself. ``reason`` is one line without secrets."""

    connection: int
    reason: str
    at_ms: int


StreamMessage: TypeAlias = StreamOpened | StreamEvents | StreamClosed
