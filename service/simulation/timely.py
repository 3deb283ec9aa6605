"""How soon a fill is booked where nothing stood in its way: when it is seen (L-01), and behind a new subscription.

Polls book what the stream does not bring, an interval later: so the books alone never show that the stream is ignored.
"""

from __future__ import annotations

from collections.abc import Iterator

from actors.streaming import StreamShown
from polymarket.sandbox.trading import FAILED, Trade
from polymarket.sandbox.world import World
from portfolio.entries import FillState
from portfolio.state import BookedFill
from service.replay import Books
from service.simulation.findings import Finding
from service.simulation.settings import FILL_TTL_S
from service.simulation.troubles import Troubles

WITHIN_MS = 3_000
"""From the later of match and subscription: ways over the network, and behind a subscription some round trips."""

_NS_PER_MS = 1_000_000
_MS_PER_S = 1000
_LOOKED_AT_MS = 15_000
"""Two cycles after the interval's, with no source in trouble: the first shows what is amiss, the second acts."""

_RECENT_MS = 60_000
_CATCHING_UP_MS = 30_000
_HELD_UP_MS = 40_000
"""A market that lost its mailbox is told again what it may have missed after so long (``readings.STALLED_MS``)."""


class Timely:
    """Looks at each fill once."""

    def __init__(self, world: World, troubles: Troubles) -> None:
        """``world`` says when a trade was matched."""
        self._world = world
        self._troubles = troubles
        self._known_ms: dict[str, int] = {}
        self._opened_ms: int | None = None
        self._looked: set[str] = set()

    def check(
        self, books: Books, stream: StreamShown | None, restarted_ms: int | None, now_ms: int
    ) -> Iterator[Finding]:
        """Fills booked since the last time, and trades that should be booked by now."""
        for condition_id in books.wallet.directory:
            self._known_ms.setdefault(condition_id, now_ms)
        if self._opened_ms is None and books.wallet.opened:
            self._opened_ms = now_ms
        booked = {one.fill.trade_id: one for state in books.markets.values() for one in state.fills.values()}
        for trade_id, trade in self._world.exchange.trades.items():
            if trade_id in self._looked or not self._is_own(trade):
                continue
            one = booked.get(trade_id)
            until_ms = now_ms if one is None else one.booked_at_ms
            due_ms = self._due_ms(trade, _matched_ms(trade), stream, (restarted_ms, until_ms))
            if one is not None or now_ms - _matched_ms(trade) > _RECENT_MS:
                self._looked.add(trade_id)
            if due_ms is not None and (now_ms if one is None else one.booked_at_ms) > due_ms:
                yield _late(trade, one, due_ms)

    def reversed(
        self, books: Books, stream: StreamShown | None, restarted_ms: int | None, now_ms: int
    ) -> Iterator[Finding]:
        """A fill whose trade failed is taken back when that is told, and not when its time to live is over (L-03)."""
        for state in books.markets.values():
            for one in state.fills.values():
                trade = self._world.exchange.trades.get(one.fill.trade_id)
                if trade is None or trade.status != FAILED or not one.fill.state.effective or not self._is_own(trade):
                    continue
                due_ms = self._due_ms(trade, trade.updated_ms, stream, (restarted_ms, now_ms))
                if due_ms is not None and now_ms > due_ms:
                    yield Finding(
                        rule="a fill is taken back when its trade has failed",
                        subject=trade.trade_id,
                        expected=f"within {WITHIN_MS} ms, by {due_ms}",
                        found=f"{one.fill.state.value} at {now_ms}",
                    )

    def woken(self, stream: StreamShown | None, interval_ms: int, now_ms: int) -> Iterator[Finding]:
        """A stream that delivers nothing, while polls show what it should have, is begun again."""
        since_ms = self._troubles.frozen(now_ms)
        if since_ms is None or stream is None or not stream.connected or stream.since_ms is None:
            return
        within_ms = 2 * interval_ms + _LOOKED_AT_MS
        for trade_id, trade in self._world.exchange.trades.items():
            matched_ms = _matched_ms(trade)
            missed = (
                self._is_own(trade) and max(since_ms, stream.since_ms) + WITHIN_MS < matched_ms < now_ms - within_ms
            )
            hindered = self._troubles.any_of(("clob", "rpc", "data"), stream.since_ms, now_ms)
            if missed and not hindered and self._opened_ms is not None and self._opened_ms < matched_ms:
                yield Finding(
                    rule="a silent stream is begun again",
                    subject=trade_id,
                    expected=f"a subscription behind {matched_ms}, within {within_ms} ms",
                    found=f"that of {stream.since_ms}, silent since {since_ms}",
                )

    def overdue(self, books: Books, restarted_ms: int | None, interval_ms: int, now_ms: int) -> Iterator[Finding]:
        """A fill that does not settle in its time is looked up again, and waits anew or is taken back (R-10)."""
        for state in books.markets.values():
            for one in state.fills.values():
                due_ms = max(one.fill.at.at_ns // _NS_PER_MS + FILL_TTL_S * _MS_PER_S, one.not_before_ms)
                late_ms = due_ms + 2 * interval_ms + _LOOKED_AT_MS
                if one.fill.state is not FillState.OBSERVED or one.proven or now_ms <= late_ms:
                    continue
                hindered = self._troubles.any_of(("clob", "rpc", "data"), due_ms - _RECENT_MS, now_ms)
                if not hindered and (restarted_ms is None or restarted_ms < due_ms - _RECENT_MS):
                    yield Finding(
                        rule="a fill that does not settle in time is looked up again",
                        subject=one.fill.trade_id,
                        expected=f"by {late_ms}",
                        found=f"not by {now_ms}",
                    )

    def _is_own(self, trade: Trade) -> bool:
        return trade.listed and self._world.wallet.strategy.owner in trade.owners

    def _due_ms(
        self, trade: Trade, at_ms: int, stream: StreamShown | None, until: tuple[int | None, int]
    ) -> int | None:
        """When what was told of it at ``at_ms`` had to be booked at the latest; None where something was in its way.

        ``until`` is when an actor was restarted last, and how far is looked.
        """
        restarted_ms, until_ms = until
        known_ms = self._known_ms.get(trade.condition_id)
        if stream is None or not stream.connected or stream.since_ms is None:
            return None
        if known_ms is None or self._opened_ms is None:
            return None
        if at_ms < max(self._opened_ms, known_ms):
            return None
        begins_ms = max(at_ms, stream.since_ms)
        if self._troubles.any_of(("ws",), begins_ms, until_ms):
            return None
        # While the reading behind a subscription is under way, what the stream shows waits for it.
        catching_up = at_ms < stream.since_ms + _CATCHING_UP_MS
        if catching_up and self._troubles.any_of(("clob",), stream.since_ms, until_ms):
            return None
        if restarted_ms is not None and restarted_ms + _HELD_UP_MS >= at_ms:
            return None
        return begins_ms + WITHIN_MS


def _matched_ms(trade: Trade) -> int:
    return trade.matched_ns // _NS_PER_MS


def _late(trade: Trade, one: BookedFill | None, due_ms: int) -> Finding:
    return Finding(
        rule="a fill is booked when it is seen",
        subject=trade.trade_id,
        expected=f"within {WITHIN_MS} ms, by {due_ms}",
        found="not booked" if one is None else f"{one.booked_at_ms - due_ms} ms later",
        detail=f"matched at {_matched_ms(trade)}",
    )
