"""A market against a naive account: whatever it is told, in which order and how often, its books are the account's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio.events import MarketDefined
from portfolio.facts import TradeStatus
from portfolio.state import MarketState, digest
from tests.property.portfolio.accounts import (
    TOKENS,
    Listener,
    Told,
    Traded,
    accounts,
    deliveries,
    replayed,
    stories,
    view,
)
from tests.unit.portfolio.markets import CONDITION, MINUTE, T0, WALLET, meta


def listening() -> Listener:
    listener = Listener()
    listener.tell(MarketDefined(metas=(meta(),)), T0)
    return listener


@pytest.mark.req("L-01", "D-02", "D-03", "L-19")
@given(st.data())
def test_any_order_and_repetition_of_the_same_fills_gives_the_same_positions(data: st.DataObject) -> None:
    account = data.draw(accounts())
    first, second = listening(), listening()
    for listener in (first, second):
        for event in data.draw(deliveries(account)):
            listener.tell(event, T0)
            listener.check()
    assert first.state.positions == second.state.positions
    assert {key: booked.fill for key, booked in first.state.fills.items()} == {
        key: booked.fill for key, booked in second.state.fills.items()
    }


@pytest.mark.req("L-01", "L-13", "R-10")
@given(st.data())
def test_shares_are_those_of_the_trades_that_did_not_fail(data: st.DataObject) -> None:
    account = data.draw(accounts())
    listener = listening()
    for event in data.draw(deliveries(account)):
        listener.tell(event, T0)
    for token in TOKENS:
        mine = [trade for trade in account if trade.leg.token_id == token]
        standing = [trade for trade in mine if trade.path[-1] is not TradeStatus.FAILED]
        settled = [trade for trade in mine if trade.path[-1] is TradeStatus.CONFIRMED]
        held = listener.state.position(token)
        assert held.shares_micro == sum(trade.signed for trade in standing)
        assert held.settled_micro == sum(trade.signed for trade in settled)


@pytest.mark.req("L-10", "L-11", "L-13", "D-02")
@given(stories())
def test_the_sum_of_all_rows_is_the_position_at_every_step(story: list[Told]) -> None:
    listener = Listener()
    for event, now_ms in story:
        listener.tell(event, now_ms)
        listener.check()


@pytest.mark.req("L-20", "D-20", "D-17")
@given(stories())
def test_a_story_replayed_from_its_journal_bytes_gives_the_same_digest(story: list[Told]) -> None:
    listener = Listener()
    for event, now_ms in story:
        listener.tell(event, now_ms)
    assert replayed(story) == digest(listener.state)


@pytest.mark.req("D-16", "L-19", "L-20")
@given(stories())
def test_events_that_changed_nothing_need_not_be_replayed(story: list[Told]) -> None:
    state = MarketState(wallet=WALLET, market_id=CONDITION)
    listener = Listener()
    journal = []
    for told in story:
        before = listener.state
        step = listener.tell(told.event, told.now_ms)
        if step.state is before:
            assert step.rows == ()
        else:
            journal.append(told)
    assert replayed(journal) == digest(listener.state)
    assert journal or listener.state == state


@pytest.mark.req("L-13", "R-05", "X-02", "L-16")
@given(stories(), st.data())
def test_two_looks_at_a_stable_balance_bring_the_settled_shares_to_it(story: list[Told], data: st.DataObject) -> None:
    listener = Listener()
    for event, now_ms in story:
        listener.tell(event, now_ms)
    balances = {token: data.draw(st.integers(0, 20)) for token in TOKENS}
    now_ms = max(now_ms for _, now_ms in story) + 10 * MINUTE
    for look in (1, 2):
        listener.tell(view(1_000 + look, 1_000 + look, balances, now_ms + look * MINUTE), now_ms + look * MINUTE)
        listener.check()
    for token in TOKENS:
        assert listener.state.position(token).settled_micro == balances[token]
    assert listener.state.pending == {}


@pytest.mark.req("L-19", "D-16")
@given(stories(), st.data())
def test_a_view_that_agrees_returns_the_very_same_state_and_no_rows(story: list[Told], data: st.DataObject) -> None:
    listener = Listener()
    for event, now_ms in story:
        listener.tell(event, now_ms)
    balances = {token: data.draw(st.integers(0, 20)) for token in TOKENS}
    now_ms = max(now_ms for _, now_ms in story) + 10 * MINUTE
    # Two looks correct what differs; the third finds what stays sold without a purchase.
    for look in (1, 2, 3):
        listener.tell(view(1_000 + look, 1_000 + look, balances, now_ms + look * MINUTE), now_ms + look * MINUTE)
    before = listener.state
    for look in (4, 5):
        at_ms = now_ms + look * MINUTE
        step = listener.tell(view(1_000 + look, 1_000 + look, balances, at_ms), at_ms)
        assert step.state is before
        assert step.rows == ()


@pytest.mark.req("L-01", "L-16", "X-02")
@given(st.data())
def test_truthful_views_between_the_fills_of_an_account_never_find_drift(data: st.DataObject) -> None:
    """Fills settle in any order, views come at any time, every balance is the settled truth: nothing is corrected."""
    account = [trade for trade in data.draw(accounts()) if trade.path[-1] is not TradeStatus.FAILED]
    listener = listening()
    settled: list[Traded] = []
    for number, trade in enumerate(data.draw(st.permutations(account))):
        listener.tell(trade.seen(TradeStatus.MATCHED), T0)
        # Nothing is sold on chain that is not there: a sale without its purchase stays in flight.
        if data.draw(st.booleans()) and min(_balances([*settled, trade]).values()) >= 0:
            settled.append(trade)
        balances = _balances(settled)
        step = listener.tell(view(number, number, balances, T0 + number), T0 + number)
        assert step.result is not None
        assert step.result.pending_count == 0
    assert listener.state.adjustments == {}


def _balances(settled: list[Traded]) -> dict[str, int]:
    return {token: sum(trade.signed for trade in settled if trade.leg.token_id == token) for token in TOKENS}
