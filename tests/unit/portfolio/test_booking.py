"""A fill is booked once, its status only moves forward, and what a late or failed one changes is stated."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from portfolio.entries import Cause, FillState
from portfolio.facts import OrderStatus, Role, Side, TradeStatus
from portfolio.outcomes import AdjustmentRow, FillObservationRow, FillRow, OrderRow, PositionRow
from portfolio.position import fold
from portfolio.trades import TradeLeg
from tests.unit.portfolio.markets import (
    CENT,
    CONDITION,
    MINUTE,
    SECOND,
    SHARE,
    T0,
    YES,
    Book,
    chain,
    data_row,
    fate,
    leg,
    listed,
    meta,
    order,
)

CONFIRMED, FAILED = TradeStatus.CONFIRMED, TradeStatus.FAILED


@pytest.mark.req("L-01", "R-10")
def test_a_fill_is_booked_when_seen_and_counts_in_flight() -> None:
    book = Book()
    step = book.see(leg(size=10 * SHARE, price=40 * CENT))
    held = book.position()
    assert (held.shares_micro, held.settled_micro, held.in_flight_micro) == (10 * SHARE, 0, 10 * SHARE)
    assert held.cost_basis_micro == 4 * SHARE
    assert [type(row) for row in step.rows] == [FillRow, FillObservationRow, PositionRow]
    (row,) = book.last(FillRow)
    assert (row.trade_id, row.order_id, row.state, row.matched_at_ms) == ("t1", "o1", FillState.OBSERVED, T0)
    assert (row.amount_micro, row.booked_at_ms) == (4 * SHARE, T0)


@pytest.mark.req("L-01", "L-19")
def test_a_repetition_changes_nothing_and_says_nothing() -> None:
    book = Book()
    book.see(leg())
    before = book.state
    for feed in ("poll", "stream", "backfill"):
        step = book.see(leg(), feed=feed)
        assert step.state is before
        assert step.rows == ()


@pytest.mark.req("L-01")
def test_one_trade_may_fill_two_orders_and_one_order_may_have_two_trades() -> None:
    book = Book()
    book.see(leg("t1"), leg("t1", order_id="o2"), leg("t2"))
    assert len(book.state.fills) == 3
    assert book.shares() == 30 * SHARE


@pytest.mark.req("L-03")
@pytest.mark.parametrize(
    ("known", "late"),
    [
        (TradeStatus.MATCHED, TradeStatus.MATCHED_NOT_BROADCASTED),
        (TradeStatus.MINED, TradeStatus.MATCHED),
        (TradeStatus.MINED, TradeStatus.RETRYING),
        (CONFIRMED, TradeStatus.RETRYING),
        (CONFIRMED, FAILED),
        (FAILED, TradeStatus.MATCHED),
    ],
)
def test_a_status_never_moves_back(known: TradeStatus, late: TradeStatus) -> None:
    book = Book()
    book.see(leg(status=known))
    before = book.state
    assert book.see(leg(status=late)).state is before


@pytest.mark.req("L-03")
def test_a_fill_walks_forward_and_each_status_is_observed_once() -> None:
    book = Book()
    walk = [TradeStatus.MATCHED, TradeStatus.RETRYING, TradeStatus.MINED, CONFIRMED]
    states = []
    for status in walk:
        book.see(leg(status=status, transaction_hash=None if status is TradeStatus.MATCHED else "0xhash"))
        states.append(book.fill().fill.state)
    assert states == [FillState.OBSERVED] * 3 + [FillState.SETTLED]
    assert [row.status for row in book.all(FillObservationRow)] == walk
    assert book.fill().fill.transaction_hash == "0xhash"
    assert book.position().settled_micro == 10 * SHARE


@pytest.mark.req("L-03")
def test_a_later_message_without_a_hash_keeps_the_one_that_is_known() -> None:
    book = Book()
    book.see(leg(transaction_hash="0xhash"), leg(status=TradeStatus.MINED))
    assert book.fill().fill.transaction_hash == "0xhash"


@pytest.mark.req("L-03", "X-02")
def test_what_a_balance_settled_stays_settled_whatever_the_exchange_says_short_of_failure() -> None:
    book = Book()
    book.see(leg())
    book.look(chain(1, yes=10 * SHARE))
    book.see(leg(status=TradeStatus.MINED))
    assert (book.fill().status, book.fill().fill.state) == (TradeStatus.MINED, FillState.SETTLED)
    assert book.position().settled_micro == 10 * SHARE
    book.see(leg(status=FAILED))
    assert (book.shares(), book.fill().fill.state) == (0, FillState.FAILED)


@pytest.mark.req("D-20")
def test_settling_a_fill_gives_what_a_fold_of_all_gives() -> None:
    book = Book(meta(fee_rate_micro=70_000, fee_exponent=1))
    levels = ((4 * SHARE, 50 * CENT),)
    sold = leg("t2", 4 * SHARE, 50 * CENT, side=Side.SELL, at_ms=T0 + 1, role=Role.TAKER, levels=levels)
    book.see(leg("t1"), sold, replace(sold, status=CONFIRMED))
    assert book.position().cash_flow_settled_micro == 2 * SHARE - 70_000
    assert book.state.positions == fold(book.state.entries()).by_token()


@pytest.mark.req("R-10", "L-03", "L-13")
def test_a_failed_fill_is_reversed_and_both_stay_visible() -> None:
    book = Book()
    book.see(leg())
    book.wait(SECOND)
    book.see(leg(status=FAILED))
    assert book.shares() == 0
    assert [row.state for row in book.all(FillRow)] == [FillState.OBSERVED, FillState.FAILED]
    (restated,) = book.last(AdjustmentRow)
    assert (restated.cause, restated.size_micro, restated.cost_micro) == (Cause.RESTATED, -10 * SHARE, -4 * SHARE)
    assert restated.evidence == "trade t1 FAILED"
    assert not restated.estimated


@pytest.mark.req("L-13")
def test_the_position_of_a_token_whose_only_fill_failed_is_written_as_zero() -> None:
    book = Book()
    book.see(leg(), leg(status=FAILED))
    (row,) = book.last(PositionRow)
    assert (row.token_id, row.shares_micro, row.cost_basis_micro) == (YES, 0, 0)


@pytest.mark.req("D-02")
def test_a_failed_purchase_restates_the_profit_of_the_sale_after_it() -> None:
    """10 at .40, 10 at .60, 10 sold at .70, then the second purchase fails: cost 0 and P&L 3, not −1 and 2."""
    book = Book()
    book.see(leg("a"), leg("b", price=60 * CENT, at_ms=T0 + 1))
    book.see(leg("c", price=70 * CENT, side=Side.SELL, at_ms=T0 + 2))
    assert book.last(FillRow)[0].realized_pnl_micro == 2 * SHARE
    book.see(leg("b", price=60 * CENT, at_ms=T0 + 1, status=FAILED))
    held = book.position()
    assert (held.shares_micro, held.cost_basis_micro, held.realized_pnl_micro) == (0, 0, 3 * SHARE)
    (restated,) = book.last(AdjustmentRow)
    assert (restated.size_micro, restated.cost_micro, restated.realized_pnl_micro) == (-10 * SHARE, -5 * SHARE, SHARE)


@pytest.mark.req("D-02", "L-10")
def test_a_late_purchase_takes_its_place_in_economic_order_and_restates_the_rest() -> None:
    book = Book()
    book.see(leg("b", price=60 * CENT, at_ms=T0 + 1), leg("c", price=70 * CENT, side=Side.SELL, at_ms=T0 + 2))
    book.see(leg("a", at_ms=T0))
    held = book.position()
    assert (held.shares_micro, held.cost_basis_micro, held.realized_pnl_micro) == (10 * SHARE, 5 * SHARE, 2 * SHARE)
    (restated,) = book.last(AdjustmentRow)
    assert (restated.size_micro, restated.cost_micro, restated.realized_pnl_micro) == (0, SHARE, SHARE)
    assert restated.evidence == "trade a, order o1"


@pytest.mark.req("D-02", "R-24")
def test_a_sale_seen_before_its_purchase_is_short_until_the_purchase_comes() -> None:
    book = Book()
    book.see(leg("s", side=Side.SELL, price=70 * CENT, at_ms=T0 + 1))
    assert book.shares() == -10 * SHARE
    assert not book.state.halted
    book.see(leg("b", at_ms=T0))
    assert (book.shares(), book.position().realized_pnl_micro) == (0, 3 * SHARE)


@pytest.mark.req("L-03", "R-10")
def test_a_fill_first_seen_as_failed_never_counts() -> None:
    book = Book()
    step = book.see(leg(status=FAILED))
    assert book.shares() == 0
    assert [type(row) for row in step.rows] == [FillRow, FillObservationRow]
    assert book.state.noted == ()


@pytest.mark.req("R-20")
def test_a_taker_pays_the_fee_of_its_market_per_level_and_a_maker_none() -> None:
    book = Book(meta(fee_rate_micro=70_000, fee_exponent=1))
    levels = ((5 * SHARE, 40 * CENT), (5 * SHARE, 40 * CENT))
    book.see(leg("t", role=Role.TAKER, levels=levels), leg("m"))
    assert book.fill("t").fill.fee_micro == 168_000
    assert book.fill("m").fill.fee_micro == 0


@pytest.mark.req("R-20")
@pytest.mark.parametrize(("exponent", "fee"), [(None, 168_000), (0, 700_000), (2, 40_320)])
def test_the_exponent_of_a_fee_is_the_markets(exponent: int | None, fee: int) -> None:
    book = Book(meta(fee_rate_micro=70_000, fee_exponent=exponent))
    book.see(leg(role=Role.TAKER, levels=((10 * SHARE, 40 * CENT),)))
    assert book.fill().fill.fee_micro == fee


def test_a_taker_in_a_market_whose_fee_is_not_known_pays_none() -> None:
    book = Book()
    taker = leg("t1", role=Role.TAKER, levels=((10 * SHARE, 40 * CENT),))
    book.see(taker, replace(taker, trade_id="t2", condition_id="0xunknown"))
    assert [booked.fill.fee_micro for booked in book.state.fills.values()] == [0, 0]


@pytest.mark.req("D-12", "L-15")
@pytest.mark.parametrize("status", [TradeStatus.MATCHED, CONFIRMED])
def test_a_late_fill_takes_the_place_of_the_adjustment_that_was_inferred_for_it(status: TradeStatus) -> None:
    book = Book()
    for block in (50, 51):
        book.look(chain(block, yes=10 * SHARE))
    assert [entry.entry_id for entry in book.entries()] == ["c2:0xc0:0"]
    book.see(leg(price=45 * CENT, at_ms=T0 + SECOND, status=status))
    held = book.position()
    assert (held.shares_micro, held.settled_micro, held.cost_basis_micro) == (10 * SHARE, 10 * SHARE, 4_500_000)
    assert book.entries() == ()
    assert book.fill().proven
    (restated,) = book.last(AdjustmentRow)
    assert (restated.cause, restated.size_micro, restated.cost_micro) == (Cause.RESTATED, -10 * SHARE, -5 * SHARE)
    assert book.look(chain(52, yes=10 * SHARE)).drift_micro == 0


@pytest.mark.req("D-12")
def test_a_late_sale_takes_the_place_of_an_inferred_reduction() -> None:
    book = Book()
    book.see(leg(status=CONFIRMED))
    for block in (50, 51):
        book.look(chain(block, yes=0))
    book.see(leg("t2", price=70 * CENT, side=Side.SELL, at_ms=T0 + SECOND, status=CONFIRMED))
    assert (book.shares(), book.position().realized_pnl_micro) == (0, 3 * SHARE)
    (restated,) = book.last(AdjustmentRow)
    assert (restated.size_micro, restated.proceeds_micro, restated.realized_pnl_micro) == (10 * SHARE, 0, 3 * SHARE)


@pytest.mark.req("D-12")
@pytest.mark.parametrize(
    "other",
    [
        leg("t1", 9 * SHARE, at_ms=T0 + SECOND),
        leg("t1", side=Side.SELL, at_ms=T0 + SECOND),
        leg("t1", token_id="no", at_ms=T0 + SECOND),
        leg("t1", at_ms=T0 + 10 * MINUTE),
        leg("t1", at_ms=T0 + SECOND, status=FAILED),
    ],
)
def test_a_fill_that_does_not_explain_an_adjustment_leaves_it(other: TradeLeg) -> None:
    book = Book()
    for block in (50, 51):
        book.look(chain(block, yes=10 * SHARE))
    book.see(other)
    assert len(book.entries()) == 1


@pytest.mark.req("D-12")
@pytest.mark.parametrize(("beyond_ms", "entries"), [(500, 0), (999, 0), (1_000, 1)])
def test_a_trade_of_the_blocks_own_second_explains_its_balance(beyond_ms: int, entries: int) -> None:
    """A block's time is whole seconds, a trade's may be finer: it was before the balance if it is in that second."""
    book = Book()
    for block in (50, 51):
        book.look(chain(block, yes=10 * SHARE))
    block_time_ms = T0 + 2 * SECOND * 51
    book.see(leg(at_ms=block_time_ms + beyond_ms, status=CONFIRMED))
    assert len(book.entries()) == entries


@pytest.mark.req("D-12")
def test_of_two_adjustments_that_fit_the_older_one_is_replaced() -> None:
    book = Book()
    for block, balance in ((50, 10), (51, 10), (52, 20), (53, 20)):
        book.look(chain(block, yes=balance * SHARE))
    assert len(book.entries()) == 2
    book.see(leg(at_ms=T0 + SECOND, status=CONFIRMED))
    assert [entry.entry_id for entry in book.entries()] == ["c4:0xc0:0"]


@pytest.mark.req("R-23")
def test_settled_history_before_an_opening_is_kept_and_does_not_count() -> None:
    book = Book()
    book.look(chain(50, yes=10 * SHARE), opening=True, entry_costs=(data_row(YES, 10 * SHARE, 3 * SHARE),))
    book.see(leg(status=CONFIRMED, at_ms=T0 + SECOND))
    assert book.shares() == 10 * SHARE
    assert book.fill().fill.state is FillState.SUPERSEDED
    assert book.fill().fill.settled_by == "history before the opening entry"
    assert book.last(AdjustmentRow) == ()


@pytest.mark.req("R-23")
def test_what_is_in_flight_at_an_opening_and_what_comes_after_it_counts() -> None:
    book = Book()
    book.look(chain(50, yes=10 * SHARE), opening=True)
    book.see(leg("t1", SHARE, at_ms=T0 + SECOND), leg("t2", SHARE, status=CONFIRMED, at_ms=T0 + 10 * MINUTE))
    book.see(leg("t3", SHARE, status=CONFIRMED, token_id="no", at_ms=T0 + SECOND))
    assert book.shares() == 12 * SHARE
    assert book.shares("no") == SHARE


@pytest.mark.req("R-23")
def test_history_that_was_set_aside_stays_so_whatever_its_trade_says_later() -> None:
    book = Book()
    book.see(leg(status=TradeStatus.MINED))
    book.look(chain(1, yes=10 * SHARE))
    assert book.fill().fill.state is FillState.SETTLED
    book.look(chain(50, yes=7 * SHARE), opening=True)
    book.see(leg(status=CONFIRMED))
    assert (book.shares(), book.fill().fill.state) == (7 * SHARE, FillState.SUPERSEDED)


@pytest.mark.req("R-21", "R-22")
@pytest.mark.parametrize(
    ("side", "cause", "shares"), [(Side.BUY, "EXTERNAL_BUY", 10), (Side.SELL, "EXTERNAL_SALE", -10)]
)
def test_an_external_trade_is_booked_and_noted_for_the_next_cycle(side: Side, cause: str, shares: int) -> None:
    book = Book()
    book.see(leg(external=True, side=side, transaction_hash="0xhash"))
    (note,) = book.state.noted
    assert (note.cause, note.shares_micro) == (cause, shares * SHARE)
    assert note.evidence == "trade t1, transaction 0xhash"


@pytest.mark.req("R-10", "R-25")
def test_the_reversal_of_a_fill_is_noted_without_counting_as_drift() -> None:
    book = Book()
    book.see(leg(), leg(status=FAILED))
    (note,) = book.state.noted
    assert (note.cause, note.shares_micro, note.evidence) == ("FILL_FAILED", -10 * SHARE, "trade t1")


@pytest.mark.req("L-02", "D-03")
def test_a_fill_counts_in_its_order() -> None:
    book = Book()
    book.look(orders=listed(order()))
    book.see(leg(size=30 * SHARE))
    (row,) = book.last(OrderRow)
    assert (row.size_matched_micro, row.closed_at_ms) == (30 * SHARE, None)
    assert book.order().remaining_micro == 70 * SHARE


@pytest.mark.req("D-03", "L-05")
def test_a_failed_fill_does_not_lower_what_its_order_was_matched_by() -> None:
    book = Book()
    book.look(orders=listed(order()))
    book.see(leg(size=30 * SHARE), leg(size=30 * SHARE, status=FAILED))
    assert book.order().booked_micro == 30 * SHARE
    assert book.last(OrderRow) == ()


@pytest.mark.req("L-06", "L-07")
def test_an_order_closes_with_the_last_fill_that_its_end_was_waiting_for() -> None:
    book = Book()
    book.look(orders=listed(order()))
    ended = order(status=OrderStatus.MATCHED, size_matched_micro=20 * SHARE)
    book.look(orders=listed(fates=(fate("o1", ended),)))
    assert (book.order().status, book.order().closed_at_ms) == (OrderStatus.MATCHED, None)
    book.see(leg("t1", 8 * SHARE))
    assert book.order().closed_at_ms is None
    book.wait(SECOND)
    book.see(leg("t2", 12 * SHARE, status=FAILED))
    assert book.order().closed_at_ms == T0 + SECOND
    book.see(leg("t3", SHARE))
    assert book.order().closed_at_ms == T0 + SECOND


def test_a_fill_of_a_condition_without_metadata_is_booked_all_the_same() -> None:
    book = Book()
    book.see(leg(condition_id="0xunknown", token_id="unknown"))
    (row,) = book.last(PositionRow)
    assert (row.shares_micro, row.condition_id, row.outcome, row.neg_risk) == (10 * SHARE, "", "", False)
    assert CONDITION not in {booked.fill.condition_id for booked in book.state.fills.values()}
