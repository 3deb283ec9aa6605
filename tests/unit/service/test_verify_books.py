"""Each invariant, looked for in rebuilt books: found where it is broken, and nowhere else (L-21, L-28)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from portfolio.entries import EconomicTime, Split
from portfolio.facts import OrderStatus, Side, TradeStatus
from portfolio.invariants import CATALOGUE, InvariantId
from portfolio.position import Folded, fold
from portfolio.rows import order_row
from portfolio.state import BookedAdjustment, MarketState, PendingToken
from service.replay import Books
from service.verify_books import BY_CYCLE, Audit
from tests.unit.portfolio.markets import CENT, CONDITION, NO, SHARE, T0, WALLET, YES, Book, leg, order

pytestmark = pytest.mark.req("L-21", "L-28")

MARKET = f"market:{WALLET}/{CONDITION}"
WINDOW_MS = 30_000


def life() -> MarketState:
    """A purchase, a sale, a split and an order that closed: books of a quiet day."""
    book = Book()
    book.see(leg("buy", status=TradeStatus.CONFIRMED))
    book.see(leg("sell", 4 * SHARE, 50 * CENT, side=Side.SELL, order_id="o2", at_ms=T0 + 1_000))
    book.show(order("o9", status=OrderStatus.CANCELED))
    entry = Split(
        entry_id="split:1",
        at=EconomicTime((T0 + 2_000) * 1_000_000, "", ""),
        condition_id=CONDITION,
        yes_token_id=YES,
        no_token_id=NO,
        shares_micro=5 * SHARE,
        evidence="transaction 0x1",
    )
    booked = BookedAdjustment(entry=entry, effects=(), cash_micro=-5 * SHARE, superseded=False, booked_at_ms=T0)
    state = replace(book.state, adjustments={**book.state.adjustments, entry.entry_id: booked})
    return replace(state, positions=fold(tuple(state.entries())).by_token())


def audited(*states: MarketState, now_ms: int = T0) -> dict[InvariantId, int]:
    """Breaches by invariant."""
    books = Books(WALLET)
    books.markets = {f"market:{WALLET}/{number}": state for number, state in enumerate(states)}
    audit = Audit()
    audit.close(books, now_ms, WINDOW_MS)
    return {one.invariant_id: len(one.breaches) for one in audit.findings() if one.breaches}


def position(state: MarketState, **changes: Any) -> MarketState:
    """Another position in YES; all fills are proven, so that nothing is in flight."""
    fills = {key: replace(booked, proven=True) for key, booked in state.fills.items()}
    held = replace(state.positions[YES], **changes)
    return replace(state, fills=fills, positions={**state.positions, YES: held})


def fill(state: MarketState, **changes: Any) -> MarketState:
    key, booked = next(iter(state.fills.items()))
    return replace(state, fills={**state.fills, key: replace(booked, fill=replace(booked.fill, **changes))})


def closed(state: MarketState, **changes: Any) -> MarketState:
    (name, known), *_ = state.orders.items()
    return replace(state, orders={**state.orders, name: replace(known, **changes)})


def split_of_one_token(state: MarketState) -> MarketState:
    booked = state.adjustments["split:1"]
    entry = replace(booked.entry, no_token_id=YES)
    return replace(state, adjustments={"split:1": replace(booked, entry=entry)})


def short(state: MarketState, since_ms: int) -> MarketState:
    return replace(position(state, shares_micro=-1, settled_micro=-1), short_since={YES: since_ms})


BROKEN: dict[InvariantId, Callable[[MarketState], MarketState]] = {
    InvariantId.BASIS_IDENTITY: lambda state: position(state, bought_micro=1),
    InvariantId.PNL_IDENTITY: lambda state: position(state, realized_pnl_micro=1),
    InvariantId.SETTLED_NOT_NEGATIVE: lambda state: position(state, settled_micro=-1),
    InvariantId.BASIS_IN_BOUNDS: lambda state: position(state, cost_basis_micro=-1),
    InvariantId.NOTHING_HELD_NO_BASIS: lambda state: position(state, shares_micro=0),
    InvariantId.STORED_IS_FOLD: lambda state: position(state, fees_micro=1),
    InvariantId.PRICE_IN_BOUNDS: lambda state: fill(state, price_micro=SHARE),
    InvariantId.VALUE_IS_PRICE_TIMES_SIZE: lambda state: fill(state, amount_micro=1),
    InvariantId.CLOSED_ORDER_COMPLETE: lambda state: closed(state, size_matched_micro=SHARE),
    InvariantId.PAIR_MOVES_TOGETHER: split_of_one_token,
    InvariantId.SHORTFALL_PASSES: lambda state: short(state, T0 - WINDOW_MS),
}


def test_sound_books_break_nothing() -> None:
    assert audited(life()) == {}


@pytest.mark.parametrize("name", BROKEN, ids=lambda name: name.value)
def test_an_invariant_of_one_market_that_does_not_hold_is_found(name: InvariantId) -> None:
    assert audited(BROKEN[name](life())).get(name) == 1


def test_what_is_in_two_markets_is_found() -> None:
    """Two fills and an order; the split is the same under the same name, which the fold takes once."""
    assert audited(life(), life()) == {InvariantId.FILL_KEYS_UNIQUE: 2, InvariantId.ORDER_IDS_UNIQUE: 1}


def test_one_id_for_two_different_entries_is_found() -> None:
    other = life()
    booked = other.adjustments["split:1"]
    renamed = replace(booked, entry=replace(booked.entry, evidence="transaction 0x2"))
    assert audited(life(), replace(other, adjustments={"split:1": renamed}))[InvariantId.ENTRY_IDS_UNIQUE] == 1


def test_a_matched_size_that_falls_is_found_while_the_journal_is_replayed() -> None:
    audit, state = Audit(), life()
    row = order_row(state, state.orders["o9"])
    for matched in (0, 5, 5, 4):
        audit.hear([replace(row, size_matched_micro=matched)])
    (found,) = (one for one in audit.findings() if one.invariant_id is InvariantId.MATCHED_NEVER_FALLS)
    assert (found.checked, [breach.found for breach in found.breaches]) == (4, ["4"])


def test_positions_that_are_not_the_sum_of_their_entries_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an error in the fold would show itself."""

    def careless(entries: Any) -> Folded:
        made = fold(entries)
        wrong = (replace(made.positions[0], shares_micro=1, realized_pnl_micro=1), *made.positions[1:])
        return replace(made, positions=wrong)

    monkeypatch.setattr("service.verify_books.fold", careless)
    found = audited(life())
    assert (found[InvariantId.PNL_IS_SUM], found[InvariantId.SHARES_ARE_SUM]) == (1, 1)


def test_stored_profit_that_is_not_the_sum_of_the_stored_rows_is_found() -> None:
    audit = Audit()
    audit.hold(YES, 7, 7)
    audit.hold(NO, 7, 8)
    (found,) = (one for one in audit.findings() if one.breaches)
    (breach,) = found.breaches
    assert (found.checked, breach.subject, breach.expected, breach.found) == (2, NO, "8", "7")


@pytest.mark.req("R-24")
def test_a_shortfall_that_may_still_be_explained_is_no_breach() -> None:
    """Within the window, or while a difference waits for its second look, the purchase may still be seen."""
    waiting = PendingToken(token_id=YES, difference_micro=1, block_number=1, since_ms=T0)
    shortfalls = {InvariantId.SHORTFALL_PASSES, InvariantId.SETTLED_NOT_NEGATIVE}
    assert shortfalls.isdisjoint(audited(short(life(), T0 - WINDOW_MS + 1)))
    assert shortfalls.isdisjoint(audited(replace(short(life(), T0 - WINDOW_MS), pending={YES: waiting})))
    in_flight = position(life(), settled_micro=-1)
    fills = {key: replace(booked, proven=False) for key, booked in in_flight.fills.items()}
    assert shortfalls.isdisjoint(audited(replace(in_flight, fills=fills)))


def test_every_invariant_is_tried_here_or_left_to_the_cycle() -> None:
    apart = {
        InvariantId.PNL_IS_SUM,
        InvariantId.SHARES_ARE_SUM,
        InvariantId.MATCHED_NEVER_FALLS,
        InvariantId.FILL_KEYS_UNIQUE,
        InvariantId.ORDER_IDS_UNIQUE,
        InvariantId.ENTRY_IDS_UNIQUE,
    }
    assert BROKEN.keys() | apart | BY_CYCLE == set(CATALOGUE)
