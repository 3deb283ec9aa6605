"""Identities of the fold, for any ledger: order, repetition, checkpoints, cost, cash."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from portfolio.entries import Entry, Fill, FillState, Merge, Split
from portfolio.facts import Side
from portfolio.invariants import (
    CashBook,
    accounting_breaches,
    pair_breaches,
    stored_breaches,
    sum_breaches,
    unexplained_cash_micro,
    unique_entries,
)
from portfolio.negrisk import OutcomeHolding, vector
from portfolio.position import EntryEffect, Folded, Position, applied, economic_order, effective, fold, settled
from tests.property.portfolio.ledgers import (
    EVENT_NO,
    EVENT_YES,
    LEDGERS,
    NO,
    YES,
    buy,
    carry,
    conversion,
    covered_trades,
    merge,
    split,
)


@pytest.mark.req("L-19", "L-01")
@given(LEDGERS, st.data())
def test_arrival_order_and_repetition_do_not_matter(entries: list[Entry], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(entries), max_size=5)) if entries else []
    arrived = data.draw(st.permutations(entries + again))
    assert fold(arrived) == fold(entries)
    assert unique_entries(arrived) == ()


@pytest.mark.req("L-19", "L-20")
@given(LEDGERS, st.integers(0, 14))
def test_a_fold_from_a_checkpoint_equals_the_fold_over_all(entries: list[Entry], cut: int) -> None:
    ordered = economic_order(entries)
    head, whole = fold(ordered[:cut]), fold(entries)
    tail = fold(ordered[cut:], start=head.by_token())
    assert tail.positions == whole.positions
    assert head.effects + tail.effects == whole.effects
    assert head.shortfalls + tail.shortfalls == whole.shortfalls
    assert sum_breaches(tail, head.by_token()) == ()


@pytest.mark.req("L-19", "L-20")
@given(LEDGERS)
def test_entries_applied_one_by_one_equal_the_fold(entries: list[Entry]) -> None:
    positions: dict[str, Position] = {}
    effects: list[EntryEffect] = []
    for entry in economic_order(entries):
        alone = fold((entry,), positions)
        positions, done = applied(entry, positions)
        assert (positions, done) == (alone.by_token(), alone.effects)
        effects += done
    whole = fold(entries)
    assert positions == whole.by_token()
    assert tuple(effects) == whole.effects


@pytest.mark.req("L-09", "L-10", "L-11", "L-21")
@given(LEDGERS)
def test_every_identity_holds_to_the_unit_for_any_ledger(entries: list[Entry]) -> None:
    folded = fold(entries)
    assert [breach for position in folded.positions for breach in accounting_breaches(position)] == []
    assert sum_breaches(folded) == ()
    assert stored_breaches(folded.by_token(), folded) == ()
    pairs = [entry for entry in entries if isinstance(entry, Split | Merge)]
    assert [breach for entry in pairs for breach in pair_breaches(entry, folded.effects)] == []
    assert all(0 <= position.owed_out_micro <= max(0, -position.shares_micro) for position in folded.positions)


@pytest.mark.req("X-10", "L-11")
@given(LEDGERS, st.integers(0, 10**12), st.integers(-(10**9), 10**9))
def test_capital_and_profit_equal_cost_and_cash(entries: list[Entry], capital: int, inflow: int) -> None:
    positions = fold(entries).positions
    cash = capital + inflow + sum(position.cash_flow_micro for position in positions)
    carried = sum(position.carried_in_micro - position.carried_out_micro for position in positions)
    realised = sum(position.realized_pnl_micro for position in positions)
    fees = sum(position.fees_micro for position in positions)
    basis = sum(position.cost_basis_micro for position in positions)
    assert capital + inflow + carried + realised - fees == basis + cash


@pytest.mark.req("X-15", "L-12")
@given(LEDGERS)
def test_the_settled_side_is_the_fold_of_settled_entries_alone(entries: list[Entry]) -> None:
    positions = fold(entries).positions
    proven = fold(entry for entry in entries if settled(entry))
    for position in positions:
        assert position.settled_micro == proven.position(position.token_id).shares_micro
        assert position.in_flight_micro == position.shares_micro - position.settled_micro
    cash = sum(position.cash_flow_micro for position in proven.positions)
    assert cash == sum(position.cash_flow_settled_micro for position in positions)
    book = CashBook(wallet="main", opening_micro=7, net_inflow_micro=3, cash_micro=10 + cash)
    assert unexplained_cash_micro(book, positions) == 0


@pytest.mark.req("L-03")
@given(LEDGERS, st.sampled_from([FillState.FAILED, FillState.SUPERSEDED]))
def test_a_failed_fill_leaves_no_trace(entries: list[Entry], state: FillState) -> None:
    failed = [replace(entry, state=state) if isinstance(entry, Fill) else entry for entry in entries]
    assert fold(failed) == fold(entry for entry in entries if not isinstance(entry, Fill))


@pytest.mark.req("L-12")
@given(LEDGERS)
def test_shortfalls_are_named_exactly_where_shares_fall_below_zero(entries: list[Entry]) -> None:
    folded = fold(entries)
    below: dict[str, int] = {}
    for effect in folded.effects:
        below[effect.token_id] = below.get(effect.token_id, 0) + effect.shares_micro
    assert folded.short_token_ids == tuple(sorted(token_id for token_id, shares in below.items() if shares < 0))
    assert set(folded.short_token_ids) <= {shortfall.token_id for shortfall in folded.shortfalls}
    assert all(shortfall.missing_micro > 0 for shortfall in folded.shortfalls)


@pytest.mark.req("L-09")
@given(covered_trades())
def test_average_cost_agrees_with_exact_fractions_within_a_unit_per_sale(entries: list[Fill]) -> None:
    shares, basis, sales = 0, Fraction(0), 0
    for entry in entries:
        if entry.side is Side.BUY:
            shares, basis = shares + entry.size_micro, basis + entry.amount_micro
        else:
            basis -= basis * entry.size_micro / shares
            shares, sales = shares - entry.size_micro, sales + 1
    position = fold(entries).position(YES)
    assert position.shares_micro == shares
    # Flooring removes at most one unit too little per sale, and never too much.
    assert 0 <= position.cost_basis_micro - basis <= sales
    assert fold(entries).shortfalls == ()


@pytest.mark.req("L-09")
@given(covered_trades())
def test_average_cost_is_moved_by_purchases_only(entries: list[Fill]) -> None:
    before = Position(token_id=YES)
    for entry in entries:
        after = fold([entry], start={YES: before}).position(YES)
        if entry.side is Side.SELL and after.shares_micro:
            exact = Fraction(before.cost_basis_micro, before.shares_micro)
            assert 0 <= after.cost_basis_micro - exact * after.shares_micro < 1
        before = after


@pytest.mark.req("L-15")
@given(st.integers(0, 10**12))
def test_a_split_merged_again_leaves_nothing(shares: int) -> None:
    folded = fold([split(1, shares), merge(2, shares)])
    for token_id in (YES, NO):
        position = folded.position(token_id)
        assert (position.shares_micro, position.cost_basis_micro, position.realized_pnl_micro) == (0, 0, 0)
        assert position.cash_flow_micro == 0


@pytest.mark.req("L-15", "X-10")
@given(
    st.tuples(*[st.integers(0, 10**9)] * 3),
    st.integers(1, 10**9),
    st.sampled_from([(0,), (1,), (0, 1), (0, 2), (0, 1, 2)]),
)
def test_a_conversion_keeps_payoff_and_cost(costs: tuple[int, ...], shares: int, indexes: tuple[int, ...]) -> None:
    opening = [carry(index, shares, cost, EVENT_NO[index]) for index, cost in enumerate(costs)]
    before = fold(opening)
    entry = conversion(9, shares, indexes)
    after = fold([*opening, entry])
    basis = [sum(position.cost_basis_micro for position in folded.positions) for folded in (before, after)]
    realised = sum(position.realized_pnl_micro for position in after.positions)
    assert basis[0] + realised == basis[1] + entry.collateral_micro
    assert sum(position.converted_realized_micro for position in after.positions) == realised
    # Converted NO no longer pay where no question wins (the contracts' known risk), so only winners are compared.
    cash = sum(position.cash_flow_micro for position in after.positions)
    assert cash == entry.collateral_micro
    for index in range(3):
        assert _payoff(after, index) + cash == _payoff(before, index)


def _payoff(folded: Folded, winner: int) -> int:
    holdings = [
        OutcomeHolding(
            question_index=index,
            yes_micro=folded.position(EVENT_YES[index]).shares_micro,
            no_micro=folded.position(EVENT_NO[index]).shares_micro,
        )
        for index in range(3)
    ]
    return vector(holdings, 3).payoffs[winner].amount_micro


@pytest.mark.req("L-17")
@given(LEDGERS, st.integers(1, 10**9), st.integers(0, 10**9))
def test_a_purchase_found_late_is_as_if_it_had_always_been_known(entries: list[Entry], shares: int, cost: int) -> None:
    late = buy(-1, shares, cost, entry_id="late")
    assert fold([*entries, late]) == fold([late, *entries])


@given(LEDGERS)
def test_only_effective_entries_have_effects(entries: list[Entry]) -> None:
    folded = fold(entries)
    assert set(folded.by_entry()) == {entry.entry_id for entry in entries if effective(entry)}
    assert [effect for group in folded.by_entry().values() for effect in group] == list(folded.effects)
