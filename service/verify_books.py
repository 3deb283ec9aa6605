"""All invariants of rebuilt books, each with what it was looked at in and what breaks it (L-21, L-28).

What needs a balance at a block or a collateral to compare with is checked by each cycle, and not here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from portfolio.entries import Fill, Merge, Split
from portfolio.invariants import (
    CATALOGUE,
    Breach,
    InvariantId,
    accounting_breaches,
    fill_breaches,
    matched_breaches,
    order_breaches,
    pair_breaches,
    settled_breaches,
    shortfall_breaches,
    stored_breaches,
    sum_breaches,
    unique_entries,
    unique_fills,
    unique_orders,
)
from portfolio.outcomes import OrderRow, Outcome
from portfolio.position import fold
from portfolio.state import MarketState
from service.replay import Books

BY_CYCLE = frozenset({InvariantId.CHAIN_MATCH, InvariantId.CASH_CONSERVED})
"""Those that hold the books against an outside witness."""

_OF_POSITION = (
    InvariantId.BASIS_IDENTITY,
    InvariantId.PNL_IDENTITY,
    InvariantId.BASIS_IN_BOUNDS,
    InvariantId.NOTHING_HELD_NO_BASIS,
)
_OF_FOLD = (InvariantId.PNL_IS_SUM, InvariantId.SHARES_ARE_SUM)
_NOTHING: Mapping[str, MarketState] = MappingProxyType({})
_OF_FILL = (InvariantId.PRICE_IN_BOUNDS, InvariantId.VALUE_IS_PRICE_TIMES_SIZE)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One invariant: in how many things it was looked for, and what breaks it."""

    invariant_id: InvariantId
    checked: int
    breaches: tuple[Breach, ...]


class Audit:
    """Collects what is checked while a journal is replayed, and at its end."""

    def __init__(self) -> None:
        """Nothing was checked yet."""
        self._checked = dict.fromkeys((name for name in CATALOGUE if name not in BY_CYCLE), 0)
        self._breaches: list[Breach] = []
        self._matched: dict[str, int] = {}

    def hear(self, rows: Iterable[Outcome]) -> None:
        """The rows of one entry: what an order shows as matched never falls (L-05)."""
        for row in rows:
            if isinstance(row, OrderRow):
                before = self._matched.get(row.order_id, 0)
                found = matched_breaches(row.order_id, before, row.size_matched_micro)
                self._note((InvariantId.MATCHED_NEVER_FALLS,), found)
                self._matched[row.order_id] = row.size_matched_micro

    def close(
        self, books: Books, now_ms: int, settle_window_ms: int, before: Mapping[str, MarketState] = _NOTHING
    ) -> None:
        """Check the books as they stand at ``now_ms``, which is the time of the last entry.

        ``before`` are states that were found sound, by address; one that is still the same is so still.
        """
        for address, state in books.markets.items():
            if before.get(address) is not state:
                self._positions(state)
                self._entries(state)
                self._orders(state)
            self._shortfalls(state, now_ms, settle_window_ms)
        self._unique(books)

    def hold(self, token_id: str, stored_micro: int, summed_micro: int) -> None:
        """The realised P&L of a stored position against the sum over its stored fills and adjustments (L-10)."""
        found: tuple[Breach, ...] = ()
        if stored_micro != summed_micro:
            breach = Breach(
                invariant_id=InvariantId.PNL_IS_SUM,
                subject=token_id,
                expected=str(summed_micro),
                found=str(stored_micro),
                detail="stored realised P&L against the sum over the stored fills and adjustments, micro pUSD",
            )
            found = (breach,)
        self._note((InvariantId.PNL_IS_SUM,), found)

    def findings(self) -> tuple[Finding, ...]:
        """By invariant."""
        return tuple(
            Finding(
                invariant_id=name,
                checked=checked,
                breaches=tuple(breach for breach in self._breaches if breach.invariant_id is name),
            )
            for name, checked in self._checked.items()
        )

    def _note(self, names: Iterable[InvariantId], found: Iterable[Breach], checked: int = 1) -> None:
        for name in names:
            self._checked[name] += checked
        self._breaches.extend(found)

    def _positions(self, state: MarketState) -> None:
        unproven = {one.fill.token_id for one in state.fills.values() if one.fill.state.effective and not one.proven}
        for token_id, position in state.positions.items():
            self._note(_OF_POSITION, accounting_breaches(position))
            # What is in flight, or waits for its second look or its purchase, may still explain a shortfall.
            if token_id not in unproven and token_id not in state.pending and token_id not in state.short_since:
                self._note((InvariantId.SETTLED_NOT_NEGATIVE,), settled_breaches(position))

    def _entries(self, state: MarketState) -> None:
        """The fold of all fills and adjustments gives the positions, from nothing and without checkpoints (L-20)."""
        entries = tuple(state.entries())
        folded = fold(entries)
        self._note(_OF_FOLD, sum_breaches(folded), len(folded.positions))
        self._note((InvariantId.STORED_IS_FOLD,), stored_breaches(state.positions, folded), len(state.positions))
        by_entry = folded.by_entry()
        for entry in entries:
            if isinstance(entry, Split | Merge):
                found = pair_breaches(entry, by_entry.get(entry.entry_id, ()))
                self._note((InvariantId.PAIR_MOVES_TOGETHER,), found)
        for booked in state.fills.values():
            self._note(_OF_FILL, fill_breaches(booked.fill))

    def _orders(self, state: MarketState) -> None:
        for order in state.orders.values():
            if order.closed_at_ms is not None:
                self._note((InvariantId.CLOSED_ORDER_COMPLETE,), order_breaches(None, order))

    def _shortfalls(self, state: MarketState, now_ms: int, settle_window_ms: int) -> None:
        for token_id, position in state.positions.items():
            since_ms = state.short_since.get(token_id, now_ms)
            overdue = now_ms - since_ms >= settle_window_ms and token_id not in state.pending
            short = token_id in state.short_since and overdue
            found = shortfall_breaches(position, since_ms, now_ms) if short else ()
            self._note((InvariantId.SHORTFALL_PASSES,), found)

    def _unique(self, books: Books) -> None:
        """Over all markets of the wallet: one fill, order or entry is in one of them, once."""
        states = books.markets.values()
        fills = [booked.fill for state in states for booked in state.fills.values()]
        orders = [order_id for state in states for order_id in state.orders]
        entries = [entry for state in states for entry in state.entries() if not isinstance(entry, Fill)]
        self._note((InvariantId.FILL_KEYS_UNIQUE,), unique_fills(fills), len(fills))
        self._note((InvariantId.ORDER_IDS_UNIQUE,), unique_orders(orders), len(orders))
        self._note((InvariantId.ENTRY_IDS_UNIQUE,), unique_entries(entries), len(entries))
