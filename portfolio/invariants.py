"""What must hold of the books at all times, each with an id, a definition and whether a breach halts (L-21).

Checks return breaches as values and never raise: what a breach leads to (issue row, alert, halt) is decided by the
caller, from ``CATALOGUE``. Differences between books and outside witnesses are drift and belong to ``comparison``;
here they stand only where the two must agree exactly (INV-16, INV-17). Amounts are integers of 1e-6.
"""

from __future__ import annotations

import enum
from collections.abc import Hashable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from portfolio.entries import Entry, Fill, Merge, Split
from portfolio.facts import OrderStatus
from portfolio.position import EntryEffect, Folded, Position
from portfolio.units import MICRO
from portfolio.views import DUST_MICRO, OrderState


class InvariantId(enum.StrEnum):
    """Stable names; they stand in issue rows and never change their meaning."""

    BASIS_IDENTITY = "INV-01"
    PNL_IDENTITY = "INV-02"
    SETTLED_NOT_NEGATIVE = "INV-03"
    BASIS_IN_BOUNDS = "INV-04"
    NOTHING_HELD_NO_BASIS = "INV-05"
    PNL_IS_SUM = "INV-06"
    SHARES_ARE_SUM = "INV-07"
    STORED_IS_FOLD = "INV-08"
    MATCHED_NEVER_FALLS = "INV-09"
    FILL_KEYS_UNIQUE = "INV-10"
    ORDER_IDS_UNIQUE = "INV-11"
    ENTRY_IDS_UNIQUE = "INV-12"
    PRICE_IN_BOUNDS = "INV-13"
    VALUE_IS_PRICE_TIMES_SIZE = "INV-14"
    CLOSED_ORDER_COMPLETE = "INV-15"
    CHAIN_MATCH = "INV-16"
    CASH_CONSERVED = "INV-17"
    PAIR_MOVES_TOGETHER = "INV-18"
    SHORTFALL_PASSES = "INV-19"


class Invariant(msgspec.Struct, frozen=True, kw_only=True):
    """``critical`` ones halt the market; ``source`` is the requirement or ruling."""

    definition: str
    critical: bool
    source: str


def _critical(source: str, definition: str) -> Invariant:
    return Invariant(definition=definition, critical=True, source=source)


def _reported(source: str, definition: str) -> Invariant:
    return Invariant(definition=definition, critical=False, source=source)


CATALOGUE: Final[Mapping[InvariantId, Invariant]] = MappingProxyType(
    {
        InvariantId.BASIS_IDENTITY: _critical(
            "L-11", "Per token: bought + carried in - cost of sold - carried out = cost basis."
        ),
        InvariantId.PNL_IDENTITY: _critical("L-11", "Per token: proceeds - cost of sold = realised P&L."),
        InvariantId.SETTLED_NOT_NEGATIVE: _critical("L-12", "Settled shares of a token are never below zero."),
        InvariantId.BASIS_IN_BOUNDS: _critical("L-21", "Cost basis is at least 0 and at most bought + carried in."),
        InvariantId.NOTHING_HELD_NO_BASIS: _critical("L-09", "A token of which nothing is held has a cost basis of 0."),
        InvariantId.PNL_IS_SUM: _reported("L-10", "Realised P&L of a token is the sum over its entries."),
        InvariantId.SHARES_ARE_SUM: _critical(
            "L-13", "Shares of a token are the sum over its entries; nothing else moves."
        ),
        InvariantId.STORED_IS_FOLD: _critical(
            "L-20", "A stored position equals the fold of its entries in every field."
        ),
        InvariantId.MATCHED_NEVER_FALLS: _reported("L-05", "The matched size of an order never falls."),
        InvariantId.FILL_KEYS_UNIQUE: _critical("L-01", "A fill's (trade id, order id) is in the ledger once."),
        InvariantId.ORDER_IDS_UNIQUE: _critical("L-27", "An order id is in the book once."),
        InvariantId.ENTRY_IDS_UNIQUE: _critical("L-19", "One entry id never names two different entries."),
        InvariantId.PRICE_IN_BOUNDS: _reported("L-21", "The price of a fill lies between 0 and 1, both excluded."),
        InvariantId.VALUE_IS_PRICE_TIMES_SIZE: _reported(
            "L-21", "A fill's amount is price x size, to one base unit of the price or of the amount."
        ),
        InvariantId.CLOSED_ORDER_COMPLETE: _reported(
            "L-06",
            "An order leaves the live set with every matched share seen in a trade or given up in sight of all; matched"
            " in full, all of them; but for less than 0.01 share that the exchange rounds off.",
        ),
        InvariantId.CHAIN_MATCH: _reported("L-13", "Shares settled up to a block equal the balance at that block."),
        InvariantId.CASH_CONSERVED: _reported(
            "X-10", "Collateral = opening collateral + net inflow + cash flow of all settled entries, fees included."
        ),
        InvariantId.PAIR_MOVES_TOGETHER: _critical(
            "R-13", "A split or merge moves YES and NO by its shares, and no other."
        ),
        InvariantId.SHORTFALL_PASSES: _critical(
            "R-24", "Shares of a token, in flight included, are not below zero for longer than the settling window."
        ),
    }
)
"""Every id with its definition; a test holds the two together."""


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """An invariant that does not hold. ``subject`` is a token, order, entry or wallet; values are plain text."""

    invariant_id: InvariantId
    subject: str
    expected: str
    found: str
    detail: str

    @property
    def critical(self) -> bool:
        """Whether it halts the market."""
        return CATALOGUE[self.invariant_id].critical


def any_critical(breaches: Iterable[Breach]) -> bool:
    """Whether one of ``breaches`` halts the market."""
    return any(breach.critical for breach in breaches)


def position_breaches(position: Position) -> tuple[Breach, ...]:
    """Everything one position proves by itself: INV-01 to INV-05. While fills are in flight leave out INV-03 (R-24)."""
    return (*accounting_breaches(position), *settled_breaches(position))


def accounting_breaches(position: Position) -> tuple[Breach, ...]:
    """What must hold after every change, whatever is in flight: INV-01, INV-02, INV-04, INV-05."""
    token_id, basis = position.token_id, position.cost_basis_micro
    most = position.bought_micro + position.carried_in_micro
    left = most - position.cost_of_sold_micro - position.carried_out_micro
    realised = position.proceeds_micro - position.cost_of_sold_micro
    breaches: tuple[Breach, ...] = ()
    if left != basis:
        breaches = (_breach(InvariantId.BASIS_IDENTITY, token_id, left, basis, "cost basis, micro pUSD"),)
    if realised != position.realized_pnl_micro:
        detail, found = "realised P&L, micro pUSD", position.realized_pnl_micro
        breaches += (_breach(InvariantId.PNL_IDENTITY, token_id, realised, found, detail),)
    if not 0 <= basis <= most:
        detail = "cost basis against all cost that ever came in, micro pUSD"
        breaches += (_breach(InvariantId.BASIS_IN_BOUNDS, token_id, f"0 to {most}", basis, detail),)
    if position.shares_micro <= 0 and basis != 0:
        detail = f"cost basis with {position.shares_micro} micro shares held"
        breaches += (_breach(InvariantId.NOTHING_HELD_NO_BASIS, token_id, 0, basis, detail),)
    return breaches


def settled_breaches(position: Position) -> tuple[Breach, ...]:
    """INV-03; apart because it is judged at a pinned block or after a completed backfill only (R-24)."""
    if position.settled_micro >= 0:
        return ()
    detail = "more settled shares left than ever came"
    return (_breach(InvariantId.SETTLED_NOT_NEGATIVE, position.token_id, ">= 0", position.settled_micro, detail),)


def shortfall_breaches(position: Position, since_ms: int, now_ms: int) -> tuple[Breach, ...]:
    """INV-19: a sale seen before its purchase waits for it, but not for ever (R-24). The caller knows the window."""
    detail = f"short for {now_ms - since_ms} ms; the purchase was not seen"
    return (_breach(InvariantId.SHORTFALL_PASSES, position.token_id, ">= 0", position.shares_micro, detail),)


def sum_breaches(folded: Folded, start: Mapping[str, Position] | None = None) -> tuple[Breach, ...]:
    """INV-06 and INV-07: each position is its start plus the effects of the entries, in shares and in realised P&L."""
    realised = {token_id: position.realized_pnl_micro for token_id, position in (start or {}).items()}
    shares = {token_id: position.shares_micro for token_id, position in (start or {}).items()}
    for effect in folded.effects:
        realised[effect.token_id] = realised.get(effect.token_id, 0) + effect.realized_pnl_micro
        shares[effect.token_id] = shares.get(effect.token_id, 0) + effect.shares_micro
    breaches: list[Breach] = []
    for position in folded.positions:
        token_id = position.token_id
        expected = realised.get(token_id, 0)
        if expected != position.realized_pnl_micro:
            detail = "realised P&L against the sum over its entries, micro pUSD"
            breaches.append(_breach(InvariantId.PNL_IS_SUM, token_id, expected, position.realized_pnl_micro, detail))
        expected = shares.get(token_id, 0)
        if expected != position.shares_micro:
            detail = "shares against the sum over its entries, micro shares"
            breaches.append(_breach(InvariantId.SHARES_ARE_SUM, token_id, expected, position.shares_micro, detail))
    return tuple(breaches)


def stored_breaches(stored: Mapping[str, Position], folded: Folded) -> tuple[Breach, ...]:
    """INV-08: every stored position against its refold, field by field; one missing on either side counts as empty."""
    refolded = folded.by_token()
    breaches: list[Breach] = []
    for token_id in sorted({*stored, *refolded}):
        empty = Position(token_id=token_id)
        kept, made = stored.get(token_id, empty), refolded.get(token_id, empty)
        breaches.extend(
            _breach(InvariantId.STORED_IS_FOLD, token_id, getattr(made, name), getattr(kept, name), name)
            for name in Position.__struct_fields__
            if getattr(made, name) != getattr(kept, name)
        )
    return tuple(breaches)


def matched_breaches(order_id: str, before_micro: int, after_micro: int) -> tuple[Breach, ...]:
    """INV-09: the matched size of an order after a change against before it."""
    if after_micro >= before_micro:
        return ()
    detail = "matched size, micro shares"
    return (_breach(InvariantId.MATCHED_NEVER_FALLS, order_id, f">= {before_micro}", after_micro, detail),)


class OrderEnd(msgspec.Struct, frozen=True, kw_only=True):
    """An order that leaves the live set.

    ``explained_micro`` sums its trades ever seen, failed ones included (D-03), and what was given up (R-10, R-23).
    """

    order_id: str
    original_size_micro: int
    size_matched_micro: int
    explained_micro: int
    matched_in_full: bool


def closing_breaches(end: OrderEnd) -> tuple[Breach, ...]:
    """INV-15: no order closes with matched shares that nothing explains, nor as matched with less than its size.

    What the exchange rounds off the matched amounts of an order is no share (L-03).
    """
    needed = max(end.size_matched_micro, end.original_size_micro if end.matched_in_full else 0)
    if end.explained_micro + DUST_MICRO > needed:
        return ()
    detail = "shares seen in trades or given up when the order closed, micro shares"
    return (_breach(InvariantId.CLOSED_ORDER_COMPLETE, end.order_id, f">= {needed}", end.explained_micro, detail),)


def order_breaches(before: OrderState | None, after: OrderState) -> tuple[Breach, ...]:
    """What a change of one order may break: INV-09, and INV-15 where it closes."""
    fell = before is not None and after.size_matched_micro < before.size_matched_micro
    closes = after.closed_at_ms is not None and (before is None or before.closed_at_ms is None)
    if not fell and not closes:
        return ()
    found = matched_breaches(after.order_id, before.size_matched_micro, after.size_matched_micro) if before else ()
    if not closes:
        return found
    end = OrderEnd(
        order_id=after.order_id,
        original_size_micro=after.original_size_micro,
        size_matched_micro=after.size_matched_micro,
        explained_micro=after.booked_micro + after.given_up_micro,
        matched_in_full=after.status is OrderStatus.MATCHED,
    )
    return (*found, *closing_breaches(end))


def unique_fills(fills: Iterable[Fill]) -> tuple[Breach, ...]:
    """INV-10: one ledger row per (trade id, order id)."""
    keys = ((fill.trade_id, fill.order_id) for fill in fills)
    return _repeated(InvariantId.FILL_KEYS_UNIQUE, keys, "rows with this trade id and order id")


def unique_orders(order_ids: Iterable[str]) -> tuple[Breach, ...]:
    """INV-11: one row per order id."""
    return _repeated(InvariantId.ORDER_IDS_UNIQUE, order_ids, "rows with this order id")


def unique_entries(entries: Iterable[Entry]) -> tuple[Breach, ...]:
    """INV-12: entries with one id are equal. Mere repetition is no breach: the fold takes each id once."""
    seen: dict[str, set[bytes]] = {}
    for entry in entries:
        seen.setdefault(entry.entry_id, set()).add(msgspec.msgpack.encode(entry))
    return tuple(
        _breach(InvariantId.ENTRY_IDS_UNIQUE, entry_id, 1, len(contents), "different entries under this id")
        for entry_id, contents in sorted(seen.items())
        if len(contents) > 1
    )


def fill_breaches(fill: Fill) -> tuple[Breach, ...]:
    """INV-13 and INV-14: the fill's price within (0, 1), its amount equal to price x size.

    Amounts known from the chain win over computed ones (R-11), and a price derived from them is itself rounded; so
    the amount may be off by what one unit of the price explains, or by one unit of its own where that is more.
    """
    breaches: tuple[Breach, ...] = ()
    if not 0 < fill.price_micro < MICRO:
        detail = "price, micro pUSD per share"
        breaches = (_breach(InvariantId.PRICE_IN_BOUNDS, fill.entry_id, "1 to 999999", fill.price_micro, detail),)
    exact = fill.price_micro * fill.size_micro
    if abs(fill.amount_micro * MICRO - exact) > max(fill.size_micro, MICRO):
        detail = f"amount for {fill.size_micro} micro shares at {fill.price_micro}, micro pUSD"
        invariant_id = InvariantId.VALUE_IS_PRICE_TIMES_SIZE
        breaches += (_breach(invariant_id, fill.entry_id, exact // MICRO, fill.amount_micro, detail),)
    return breaches


def chain_breaches(token_id: str, settled_micro: int, balance_micro: int) -> tuple[Breach, ...]:
    """INV-16: shares settled at or before a block against the balance at that block (R-05)."""
    if settled_micro == balance_micro:
        return ()
    detail = "settled shares against the balance at the pinned block, micro shares"
    return (_breach(InvariantId.CHAIN_MATCH, token_id, balance_micro, settled_micro, detail),)


class CashBook(msgspec.Struct, frozen=True, kw_only=True):
    """A wallet's collateral at a block. ``net_inflow_micro``: deposits, rewards and rebates less withdrawals."""

    wallet: str
    opening_micro: int
    net_inflow_micro: int
    cash_micro: int


def unexplained_cash_micro(book: CashBook, positions: Iterable[Position]) -> int:
    """Collateral found less collateral explained by opening, inflow and settled entries; signed (X-10, R-26).

    Where nothing is in flight this is R-13's wallet identity: capital + net inflow + realised - fees = cost basis +
    cash, with carried cost (in less out) counted as inflow.
    """
    flows = sum(position.cash_flow_settled_micro for position in positions)
    return book.cash_micro - book.opening_micro - book.net_inflow_micro - flows


def cash_breaches(book: CashBook, positions: Iterable[Position]) -> tuple[Breach, ...]:
    """INV-17: the wallet's collateral is explained to the unit."""
    unexplained = unexplained_cash_micro(book, positions)
    if unexplained == 0:
        return ()
    expected = book.cash_micro - unexplained
    detail = f"collateral; unexplained {unexplained} micro pUSD"
    return (_breach(InvariantId.CASH_CONSERVED, book.wallet, expected, book.cash_micro, detail),)


def pair_breaches(entry: Split | Merge, effects: Iterable[EntryEffect]) -> tuple[Breach, ...]:
    """INV-18: the effects of a split or merge are one leg of YES and one of NO, each by its shares."""
    signed = entry.shares_micro if isinstance(entry, Split) else -entry.shares_micro
    expected = {entry.yes_token_id: signed, entry.no_token_id: signed}
    found = {effect.token_id: effect.shares_micro for effect in effects if effect.entry_id == entry.entry_id}
    if found == expected:
        return ()
    detail = "shares moved per token, micro shares"
    return (_breach(InvariantId.PAIR_MOVES_TOGETHER, entry.entry_id, expected, found, detail),)


def _repeated(invariant_id: InvariantId, keys: Iterable[Hashable], detail: str) -> tuple[Breach, ...]:
    counts: dict[str, int] = {}
    for key in keys:
        text = "/".join(key) if isinstance(key, tuple) else str(key)
        counts[text] = counts.get(text, 0) + 1
    return tuple(_breach(invariant_id, text, 1, count, detail) for text, count in sorted(counts.items()) if count > 1)


def _breach(invariant_id: InvariantId, subject: str, expected: object, found: object, detail: str) -> Breach:
    return Breach(
        invariant_id=invariant_id,
        subject=subject,
        expected=str(expected),
        found=str(found),
        detail=detail,
    )
