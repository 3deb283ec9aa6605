"""Readings of trades that the ingest has under way: for a cycle, behind a new subscription, or for an operator."""

from __future__ import annotations

from collections.abc import Callable

from messages.control import Backfill
from messages.cycle import PollTrades
from portfolio.facts import Certificate, TradeStatus
from portfolio.trades import TradeLeg

OVERLAP_S = 60
"""Seconds read again before the cursor: match times are whole seconds and rows may appear late."""

NS_PER_S = 1_000_000_000
TERMINAL = frozenset({TradeStatus.CONFIRMED, TradeStatus.FAILED})


class TradeJob:
    """One reading and what it waits for.

    ``wanted_by`` is who gets its result; None: it is the ingest's own, which goes on with ``then``.
    """

    def __init__(
        self,
        correlation: str,
        feed: str,
        wanted_by: PollTrades | Backfill | None,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        self.correlation = correlation
        self.feed = feed
        self.wanted_by = wanted_by
        self.then = then
        self.certificate: Certificate | None = None
        self.detail = ""
        self.waiting: list[TradeLeg] = []
        self.trades = 0
        self.legs = 0
        self.new_legs = 0
        self.cursor_s = 0

    @property
    def moves_cursor(self) -> bool:
        """Whether it reads all trades since the cursor, so that the cursor may follow it."""
        return not isinstance(self.wanted_by, Backfill)

    @property
    def unresolved(self) -> tuple[str, ...]:
        """Conditions whose legs could not be handed on, for want of metadata."""
        return tuple(sorted({leg.condition_id for leg in self.waiting}))

    def reached(self, legs: list[TradeLeg], cursor_s: int) -> None:
        """The cursor after these legs: the newest match, or the oldest one that is not terminal; never back (D-21)."""
        open_ones = [leg.matched_at_ns for leg in legs if leg.status not in TERMINAL]
        newest = max((leg.matched_at_ns for leg in legs), default=0)
        self.cursor_s = max(cursor_s, min(open_ones, default=newest) // NS_PER_S)

    def stops_before_waiting(self, cursor_s: int) -> None:
        """The cursor does not pass a leg that could not be handed on."""
        oldest_s = min((leg.matched_at_ns for leg in self.waiting), default=self.cursor_s * NS_PER_S) // NS_PER_S
        self.cursor_s = max(cursor_s, min(self.cursor_s, oldest_s))
