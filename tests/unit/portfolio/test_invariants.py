"""Each invariant, broken on purpose (L-21)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from portfolio.entries import Entry, FillState
from portfolio.facts import OrderStatus
from portfolio.invariants import (
    CATALOGUE,
    Breach,
    CashBook,
    InvariantId,
    OrderEnd,
    any_critical,
    cash_breaches,
    chain_breaches,
    closing_breaches,
    fill_breaches,
    matched_breaches,
    order_breaches,
    pair_breaches,
    position_breaches,
    settled_breaches,
    stored_breaches,
    sum_breaches,
    unexplained_cash_micro,
    unique_entries,
    unique_fills,
    unique_orders,
)
from portfolio.outcomes import Alert, IssueAction, IssueRow
from portfolio.position import Position, fold
from portfolio.provisional import adopted
from portfolio.views import DUST_MICRO, OrderState
from tests.property.portfolio.ledgers import NO, YES, buy, merge, sell, split
from tests.unit.portfolio.markets import SHARE, T0, Book, leg, order

SOUND = fold([buy(1, 10, 4), sell(2, 5, 3)]).position(YES)


def ids(breaches: tuple[Breach, ...]) -> list[str]:
    return [breach.invariant_id.value for breach in breaches]


@pytest.mark.req("L-21")
def test_every_invariant_has_a_definition_and_a_source() -> None:
    assert set(CATALOGUE) == set(InvariantId)
    assert all(entry.definition.endswith(".") and entry.source for entry in CATALOGUE.values())


@pytest.mark.req("L-11", "L-21")
@pytest.mark.parametrize(
    ("position", "broken"),
    [
        (SOUND, []),
        (replace(SOUND, bought_micro=5), ["INV-01"]),
        (replace(SOUND, carried_in_micro=1), ["INV-01"]),
        (replace(SOUND, carried_out_micro=1), ["INV-01"]),
        (replace(SOUND, proceeds_micro=9), ["INV-02"]),
        (replace(SOUND, realized_pnl_micro=9), ["INV-02"]),
        (replace(SOUND, cost_basis_micro=-1), ["INV-01", "INV-04"]),
        (replace(SOUND, cost_basis_micro=5), ["INV-01", "INV-04"]),
        (replace(SOUND, shares_micro=0), ["INV-05"]),
        (replace(SOUND, shares_micro=-1), ["INV-05"]),
    ],
)
def test_the_accounting_of_a_position_is_checked(position: Position, broken: list[str]) -> None:
    assert ids(position_breaches(position)) == broken


@pytest.mark.req("L-11", "L-21")
def test_a_breach_states_expected_and_found_and_halts() -> None:
    (breach,) = position_breaches(replace(SOUND, realized_pnl_micro=9))
    assert (breach.subject, breach.expected, breach.found) == (YES, "1", "9")
    assert breach.critical
    assert any_critical([breach])
    assert not any_critical([])


@pytest.mark.req("L-12", "L-21")
def test_settled_shares_below_zero_are_a_breach_and_in_flight_ones_are_not() -> None:
    in_flight = fold([sell(1, 5, 3, state=FillState.OBSERVED)]).position(YES)
    assert settled_breaches(in_flight) == ()
    short = fold([sell(1, 5, 3)]).position(YES)
    (breach,) = settled_breaches(short)
    assert position_breaches(short) == (breach,)
    assert (breach.invariant_id, breach.found, breach.critical) == (InvariantId.SETTLED_NOT_NEGATIVE, "-5", True)


@pytest.mark.req("L-10", "L-13", "L-21")
def test_a_position_that_is_not_the_sum_of_its_entries_is_a_breach() -> None:
    folded = fold([buy(1, 10, 4), sell(2, 5, 3)])
    tampered = replace(SOUND, realized_pnl_micro=2, shares_micro=6)
    breaches = sum_breaches(replace(folded, positions=(tampered,)))
    assert ids(breaches) == ["INV-06", "INV-07"]
    assert [breach.critical for breach in breaches] == [False, True]
    assert sum_breaches(fold([]), {YES: SOUND}) == ()
    assert ids(sum_breaches(fold([], start={YES: SOUND}))) == ["INV-06", "INV-07"]
    assert sum_breaches(fold([], start={YES: SOUND}), {YES: SOUND}) == ()


@pytest.mark.req("L-20", "L-21")
def test_a_stored_position_that_differs_from_its_fold_is_named_field_by_field() -> None:
    folded = fold([buy(1, 10, 4), sell(2, 5, 3)])
    assert stored_breaches({YES: SOUND}, folded) == ()
    breaches = stored_breaches({YES: replace(SOUND, shares_micro=6, fees_micro=1)}, folded)
    assert [(breach.detail, breach.expected, breach.found) for breach in breaches] == [
        ("shares_micro", "5", "6"),
        ("fees_micro", "0", "1"),
    ]
    assert {breach.detail for breach in stored_breaches({}, folded)} >= {"shares_micro", "cost_basis_micro"}
    assert {breach.subject for breach in stored_breaches({YES: SOUND, NO: SOUND}, folded)} == {NO}


@pytest.mark.req("L-05", "L-21")
def test_a_matched_size_that_falls_is_a_breach() -> None:
    assert matched_breaches("o", 5, 5) == matched_breaches("o", 5, 6) == ()
    assert ids(matched_breaches("o", 5, 4)) == ["INV-09"]


@pytest.mark.req("L-06", "L-21")
@pytest.mark.parametrize(
    ("matched", "explained", "in_full", "broken"),
    [
        (10 * SHARE, 10 * SHARE, True, []),
        (10 * SHARE, 10 * SHARE - DUST_MICRO + 1, True, []),
        (4 * SHARE, 4 * SHARE, False, []),
        (0, 0, False, []),
        (4 * SHARE, 5 * SHARE, False, []),
        (4 * SHARE, 4 * SHARE - DUST_MICRO, False, ["INV-15"]),
        (9 * SHARE, 9 * SHARE, True, ["INV-15"]),
    ],
)
def test_an_order_closes_only_with_all_its_trades(
    matched: int, explained: int, in_full: bool, broken: list[str]
) -> None:
    end = OrderEnd(
        order_id="o",
        original_size_micro=10 * SHARE,
        size_matched_micro=matched,
        explained_micro=explained,
        matched_in_full=in_full,
    )
    assert ids(closing_breaches(end)) == broken


@pytest.mark.req("L-01", "L-21")
def test_a_fill_key_in_the_ledger_twice_is_a_breach() -> None:
    one = buy(1, 10, 4)
    assert unique_fills([one, buy(2, 10, 4), replace(one, order_id="another")]) == ()
    (breach,) = unique_fills([one, one])
    assert (breach.subject, breach.found) == ("trade-1/order", "2")


@pytest.mark.req("L-27", "L-21")
def test_an_order_id_twice_is_a_breach() -> None:
    assert unique_orders(["a", "b"]) == ()
    assert ids(unique_orders(["a", "b", "a"])) == ["INV-11"]


@pytest.mark.req("L-19", "L-21")
def test_one_id_for_two_entries_is_a_breach_and_repetition_is_not() -> None:
    one = buy(1, 10, 4)
    assert unique_entries([one, replace(one), buy(2, 10, 4)]) == ()
    assert ids(unique_entries([one, replace(one, amount_micro=5)])) == ["INV-12"]


@pytest.mark.req("L-21")
@pytest.mark.parametrize(("price", "broken"), [(1, []), (999_999, []), (0, ["INV-13"]), (1_000_000, ["INV-13"])])
def test_a_price_outside_its_bounds_is_a_breach(price: int, broken: list[str]) -> None:
    size = 1_000_000
    assert ids(fill_breaches(buy(1, size, price, price_micro=price))) == broken


@pytest.mark.req("L-04", "L-21")
@pytest.mark.parametrize(
    ("size", "amount", "broken"),
    [
        (1_000_000, 600_000, []),
        (1_000_000, 600_001, []),
        (1_000_000, 600_002, ["INV-14"]),
        (100_000_000, 60_000_100, []),
        (100_000_000, 60_000_101, ["INV-14"]),
        (100, 61, []),
        (100, 58, ["INV-14"]),
    ],
)
def test_an_amount_that_is_not_price_times_size_is_a_breach(size: int, amount: int, broken: list[str]) -> None:
    assert ids(fill_breaches(buy(1, size, amount, price_micro=600_000))) == broken


@pytest.mark.req("L-13", "L-21")
def test_settled_shares_that_differ_from_the_chain_by_one_unit_are_a_breach() -> None:
    assert chain_breaches(YES, 5, 5) == ()
    (breach,) = chain_breaches(YES, 6, 5)
    assert (breach.expected, breach.found, breach.critical) == ("5", "6", False)


@pytest.mark.req("X-10", "L-21")
def test_cash_that_entries_do_not_explain_is_shown_to_the_unit() -> None:
    positions = fold([buy(1, 10, 4, fee_micro=1), sell(2, 5, 3)]).positions
    book = CashBook(wallet="main", opening_micro=100, net_inflow_micro=20, cash_micro=118)
    assert unexplained_cash_micro(book, positions) == 0
    assert cash_breaches(book, positions) == ()
    more = replace(book, cash_micro=125)
    assert unexplained_cash_micro(more, positions) == 7
    (breach,) = cash_breaches(more, positions)
    assert (breach.subject, breach.expected, breach.found) == ("main", "118", "125")


@pytest.mark.req("L-15", "L-21")
def test_a_split_or_merge_that_moves_one_side_only_is_a_breach() -> None:
    entries: list[Entry] = [split(1, 10), merge(2, 4)]
    effects = fold(entries).effects
    assert pair_breaches(split(1, 10), effects) == pair_breaches(merge(2, 4), effects) == ()
    assert ids(pair_breaches(merge(2, 4), effects[:3])) == ["INV-18"]
    assert ids(pair_breaches(split(1, 9), effects)) == ["INV-18"]


def state_of(order_id: str = "o1", **given: Any) -> OrderState:
    return replace(adopted(order(order_id), T0 * 1_000_000, 0, T0), **given)


@pytest.mark.req("L-05", "L-06", "L-21")
def test_what_a_change_of_one_order_breaks_is_found_when_it_changes() -> None:
    live = state_of(size_matched_micro=5 * SHARE)
    assert order_breaches(None, live) == order_breaches(live, live) == ()
    assert ids(order_breaches(live, replace(live, size_matched_micro=4 * SHARE))) == ["INV-09"]
    closed = replace(live, status=OrderStatus.CANCELED, closed_at_ms=T0)
    assert ids(order_breaches(live, closed)) == ["INV-15"]
    assert ids(order_breaches(None, closed)) == ["INV-15"]
    assert order_breaches(closed, replace(closed, not_before_ms=1)) == ()
    assert order_breaches(live, replace(closed, booked_micro=3 * SHARE, given_up_micro=2 * SHARE)) == ()


@pytest.mark.req("L-21")
def test_a_fill_outside_its_markets_bounds_is_booked_and_said_loudly() -> None:
    book = Book()
    step = book.see(leg(price=SHARE))
    assert book.shares() == 10 * SHARE
    (issue,) = [row for row in step.rows if isinstance(row, IssueRow)]
    assert (issue.type, issue.action, issue.cause[:6]) == ("INVARIANT_BREACH", IssueAction.REQUIRES_MANUAL, "INV-13")
    assert [row.code for row in step.rows if isinstance(row, Alert)] == ["PORTFOLIO_SYNC_INVARIANT_BREACH"]
    assert not book.state.halted
