"""A market against a difference that the chain's logs explain: booked at once, under the log's name (X-01, L-14)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from portfolio.entries import Cause, FillState, Trade
from portfolio.facts import MarketMeta, Role, Side, TradeStatus
from portfolio.images import image_of
from portfolio.outcomes import AdjustmentRow, FillRow
from portfolio.views import CauseHint, SettledFill
from tests.unit.portfolio.markets import (
    CENT,
    CONDITION,
    MINUTE,
    NO,
    SECOND,
    SHARE,
    T0,
    YES,
    Book,
    chain,
    leg,
    meta,
    order,
)

EVIDENCE = "transaction 0xa, log 3, block 47"
AT_MS = T0 + 94 * SECOND


def logged(cause: Cause, cash: int, name: str = "chain:0xa:3", **legs: int) -> CauseHint:
    return CauseHint(
        cause=cause,
        condition_id=CONDITION,
        legs=tuple(legs.items()),
        cash_micro=cash,
        evidence=EVIDENCE,
        logged_as=name,
        at_ms=AT_MS,
    )


MERGE = logged(Cause.POSITION_MERGED, 4 * SHARE, yes=-4 * SHARE, no=-4 * SHARE)


def shown(trade_id: str, cost: int = 1_200_000, fee: int = 0) -> SettledFill:
    """A log of the trade; three shares at 0.40 cost 1.20."""
    return SettledFill(
        trade_id=trade_id,
        order_id="o1",
        amount_micro=cost,
        fee_micro=fee,
        transaction_hash="0xf",
        evidence="transaction 0xf, log 9, block 49",
    )


def holding(*metas: MarketMeta) -> Book:
    """Ten shares of each, proven, at 0.40."""
    book = Book(*metas)
    book.see(leg("y", status=TradeStatus.CONFIRMED), leg("n", token_id=NO, status=TradeStatus.CONFIRMED))
    book.look(chain(40, yes=10 * SHARE, no=10 * SHARE))
    return book


@pytest.mark.req("X-01", "L-14", "L-15")
def test_a_merge_that_a_log_shows_needs_no_second_look_and_is_exact() -> None:
    book = holding()
    result = book.look(chain(50, yes=6 * SHARE, no=6 * SHARE), hints=(MERGE,))
    (entry,) = book.entries()
    assert (entry.entry_id, entry.evidence, entry.estimated) == ("chain:0xa:3", EVIDENCE, False)
    assert (result.pending_count, book.shares(), book.shares(NO)) == (0, 6 * SHARE, 6 * SHARE)
    assert {row.evidence for row in book.last(AdjustmentRow)} == {EVIDENCE}


@pytest.mark.req("D-02", "X-01")
def test_what_a_log_shows_happened_at_its_block_and_not_when_it_was_read() -> None:
    book = holding()
    book.see(leg("later", 4 * SHARE, price=80 * CENT, at_ms=AT_MS + 2 * SECOND, status=TradeStatus.CONFIRMED))
    view = replace(chain(60, yes=10 * SHARE, no=6 * SHARE), settled=(shown("later", cost=3_200_000),), exact=(YES, NO))
    book.look(view, hints=(MERGE,))
    assert book.position().cost_basis_micro == 6 * 400_000 + 4 * 800_000
    assert book.position(NO).cost_basis_micro == 6 * 400_000


@pytest.mark.req("L-19", "X-01")
def test_one_log_is_booked_once_however_often_it_is_read() -> None:
    book = holding()
    book.look(chain(50, yes=6 * SHARE, no=6 * SHARE), hints=(MERGE,))
    result = book.look(chain(51, yes=2 * SHARE, no=2 * SHARE), hints=(MERGE,))
    assert (len(book.entries()), result.pending_count) == (1, 2)


@pytest.mark.req("L-16", "R-21", "D-12")
def test_a_fill_of_an_unknown_order_waits_for_its_trade_until_the_second_look() -> None:
    book = holding()
    sale = logged(Cause.EXTERNAL_SALE, 1_200_000, yes=-3 * SHARE)
    result = book.look(chain(50, yes=7 * SHARE, no=10 * SHARE), hints=(sale,))
    assert (result.pending_count, book.entries()) == (1, ())
    book.look(chain(51, yes=7 * SHARE, no=10 * SHARE), hints=(sale,))
    (entry,) = book.entries()
    assert isinstance(entry, Trade)
    assert (entry.side, entry.amount_micro, entry.estimated) == (Side.SELL, 1_200_000, False)


BOUGHT = logged(Cause.EXTERNAL_BUY, -400_000, "chain:0xb:1", no=SHARE)
PAIR = logged(Cause.POSITION_SPLIT, -4 * SHARE, "chain:0xc:2", yes=4 * SHARE, no=4 * SHARE)
CAME = logged(Cause.TRANSFER_IN, 0, "chain:0xd:3", yes=SHARE)
WENT = logged(Cause.TRANSFER_OUT, 0, "chain:0xe:4", no=-4 * SHARE)
WENT_ON = logged(Cause.TRANSFER_OUT, 0, "chain:0xf:5", no=-SHARE)


@pytest.mark.req("L-16", "L-14", "D-12")
def test_what_hangs_together_with_a_fill_of_others_waits_with_it_and_no_difference_is_booked_in_part() -> None:
    book, hints = holding(), (BOUGHT, PAIR, CAME)
    result = book.look(chain(50, yes=15 * SHARE, no=15 * SHARE), hints=hints)
    assert (result.pending_count, book.entries()) == (2, ())
    book.look(chain(51, yes=15 * SHARE, no=15 * SHARE), hints=hints)
    assert {entry.entry_id for entry in book.entries()} == {hint.logged_as for hint in hints}
    assert (book.shares(), book.shares(NO)) == (15 * SHARE, 15 * SHARE)


@pytest.mark.req("L-14", "X-01")
@pytest.mark.parametrize(("hints", "looks"), [((PAIR, WENT), 1), ((PAIR, WENT, BOUGHT, WENT_ON), 2)])
def test_a_leg_that_another_log_has_taken_away_again_leaves_no_difference_and_is_booked_all_the_same(
    hints: tuple[CauseHint, ...], looks: int
) -> None:
    book = holding()
    for block in range(50, 50 + looks):
        assert book.entries() == ()
        book.look(chain(block, yes=14 * SHARE, no=10 * SHARE), hints=hints)
    assert {entry.entry_id for entry in book.entries()} == {hint.logged_as for hint in hints}
    assert (book.shares(), book.shares(NO)) == (14 * SHARE, 10 * SHARE)


@pytest.mark.req("L-16", "D-12")
def test_a_fill_taken_for_an_external_one_gives_way_to_its_trade() -> None:
    book = holding()
    sale = logged(Cause.EXTERNAL_SALE, 1_200_000, yes=-3 * SHARE)
    for block in (50, 51):
        book.look(chain(block, yes=7 * SHARE, no=10 * SHARE), hints=(sale,))
    book.see(leg("own", 3 * SHARE, side=Side.SELL, at_ms=AT_MS, status=TradeStatus.CONFIRMED))
    assert (book.entries(), book.shares(), len(book.state.fills)) == ((), 7 * SHARE, 3)


def sold_outside() -> Book:
    """Three shares were sold for 1.20 less a fee of 0.036, as a log shows; the market's takers pay by such a rate."""
    book = holding(meta(fee_rate_micro=50_000, fee_exponent=1))
    sale = replace(logged(Cause.EXTERNAL_SALE, 1_164_000, yes=-3 * SHARE), fee_micro=36_000)
    for block in (50, 51):
        book.look(chain(block, yes=7 * SHARE, no=10 * SHARE), hints=(sale,))
    return book


@pytest.mark.req("L-15", "R-20", "L-11", "X-10")
def test_the_fee_that_a_log_shows_of_an_external_fill_stands_beside_its_price() -> None:
    book = sold_outside()
    (row,) = book.last(AdjustmentRow)
    assert (row.proceeds_micro, row.realized_pnl_micro, row.fee_micro) == (1_200_000, 0, 36_000)
    assert (book.position().realized_pnl_micro, book.position().fees_micro) == (0, 36_000)
    assert book.position().cash_flow_settled_micro == -4_000_000 + 1_164_000
    assert image_of(book.state).proven_cash_micro == -8_000_000 + 1_164_000


@pytest.mark.req("D-12", "L-16", "R-20", "X-10")
def test_a_fee_is_counted_once_where_its_fill_turns_out_to_be_an_own_one() -> None:
    book = sold_outside()
    before = book.position()
    own = leg("own", 3 * SHARE, side=Side.SELL, at_ms=AT_MS, role=Role.TAKER, levels=((3 * SHARE, 40 * CENT),))
    book.see(own)
    assert (book.position(), book.fill("own").fill.fee_micro) == (before, 36_000)
    (restated,) = book.last(AdjustmentRow)
    assert (restated.cause, restated.proceeds_micro, restated.fee_micro) == (Cause.RESTATED, -1_200_000, -36_000)
    assert image_of(book.state).proven_cash_micro == -8_000_000 + 1_164_000


@pytest.mark.req("D-12", "D-03", "R-20")
def test_a_fee_leaves_with_the_external_fill_whose_place_an_orders_figure_takes_and_comes_with_the_trade() -> None:
    book = sold_outside()
    resting: dict[str, Any] = {"side": Side.SELL, "price_micro": 40 * CENT, "original_size_micro": 3 * SHARE}
    book.show(order("o9", size_matched_micro=3 * SHARE, **resting))
    assert (book.entries(), book.position().fees_micro) == ((), 0)
    assert [row.fee_micro for row in book.last(AdjustmentRow)] == [-36_000]
    taken: dict[str, Any] = {"role": Role.TAKER, "levels": ((3 * SHARE, 40 * CENT),), "side": Side.SELL}
    book.see(leg("own", 3 * SHARE, order_id="o9", at_ms=AT_MS, **taken))
    assert (book.shares(), book.position().fees_micro) == (7 * SHARE, 36_000)
    assert {row.fee_micro for row in book.last(AdjustmentRow)} == {0}, "the fill's own row has its fee"


@pytest.mark.req("L-14")
def test_a_transfer_that_a_log_shows_is_no_trade_that_comes_later() -> None:
    book = holding()
    gone = logged(Cause.TRANSFER_OUT, 0, yes=-3 * SHARE)
    book.look(chain(50, yes=7 * SHARE, no=10 * SHARE), hints=(gone,))
    book.see(leg("own", 3 * SHARE, side=Side.SELL, at_ms=AT_MS, status=TradeStatus.CONFIRMED))
    (entry,) = book.entries()
    assert (entry.entry_id, book.shares()) == ("chain:0xa:3", 4 * SHARE)


@pytest.mark.req("R-13")
def test_shares_that_came_by_a_transfer_cost_the_mark_and_that_is_an_estimate() -> None:
    book = holding()
    came = logged(Cause.TRANSFER_IN, 0, yes=2 * SHARE)
    book.look(chain(50, yes=12 * SHARE, no=10 * SHARE), hints=(came,))
    (entry,) = book.entries()
    assert (entry.estimated, book.position().carried_in_micro) == (True, SHARE)


@pytest.mark.req("L-13", "R-05")
def test_logs_that_do_not_make_up_the_difference_wait_like_no_logs() -> None:
    book = holding()
    result = book.look(chain(50, yes=5 * SHARE, no=6 * SHARE), hints=(MERGE,))
    assert (result.pending_count, book.entries()) == (2, ())


@pytest.mark.req("L-16", "X-01")
def test_a_merge_together_with_a_fill_of_an_unknown_order_waits_for_the_fill() -> None:
    book = holding()
    sale = logged(Cause.EXTERNAL_SALE, 400_000, name="chain:0xb:9", yes=-SHARE)
    book.look(chain(50, yes=5 * SHARE, no=6 * SHARE), hints=(MERGE, sale))
    result = book.look(chain(51, yes=5 * SHARE, no=6 * SHARE), hints=(MERGE, sale))
    assert (result.pending_count, book.shares(), book.shares(NO)) == (0, 5 * SHARE, 6 * SHARE)
    assert [entry.entry_id for entry in book.entries()] == ["chain:0xa:3", "chain:0xb:9"]


@pytest.mark.req("R-23")
def test_an_opening_takes_the_balance_whatever_the_logs_show() -> None:
    book = Book()
    book.look(chain(50, yes=6 * SHARE), opening=True, hints=(replace(MERGE, legs=((YES, 6 * SHARE),)),))
    (entry,) = book.entries()
    assert entry.entry_id == "c1:0xc0:0"


@pytest.mark.req("X-02", "R-05")
def test_a_fill_that_the_logs_do_not_show_yet_is_in_flight_and_no_difference_however_old_it_is() -> None:
    book = holding()
    book.see(leg("late", 3 * SHARE, at_ms=T0 + 41 * SECOND))
    result = book.look(replace(chain(90, yes=10 * SHARE, no=10 * SHARE), exact=(YES, NO)))
    assert (result.pending_count, book.position().settled_micro, book.fill("late").proven) == (0, 10 * SHARE, False)


@pytest.mark.req("X-02")
def test_the_logs_and_not_the_amounts_say_which_of_two_equal_fills_has_settled() -> None:
    book = holding()
    for trade in ("first", "second"):
        book.see(leg(trade, 3 * SHARE, at_ms=T0 + 41 * SECOND))
    view = replace(chain(50, yes=13 * SHARE, no=10 * SHARE), settled=(shown("second"),), exact=(YES, NO))
    book.look(view)
    assert [book.fill(trade).proven for trade in ("first", "second")] == [False, True]


@pytest.mark.req("X-02", "R-10")
def test_an_expired_fill_that_the_logs_show_comes_back() -> None:
    book = holding()
    book.see(leg("slow", 3 * SHARE, at_ms=T0 + 41 * SECOND))
    book.now_ms = T0 + 16 * MINUTE
    book.check("slow")
    assert book.shares() == 10 * SHARE
    view = replace(chain(900, yes=13 * SHARE, no=10 * SHARE), settled=(shown("slow"),), exact=(YES, NO))
    result = book.look(view)
    assert (book.shares(), result.pending_count, book.fill("slow").proven) == (13 * SHARE, 0, True)


@pytest.mark.req("X-01", "L-03")
def test_a_fill_that_the_logs_show_names_its_transaction() -> None:
    book = holding()
    book.see(leg("t", 3 * SHARE, at_ms=T0 + 41 * SECOND, transaction_hash=None))
    book.look(replace(chain(50, yes=13 * SHARE, no=10 * SHARE), settled=(shown("t"),), exact=(YES, NO)))
    fill = book.fill("t").fill
    assert (fill.state, fill.transaction_hash) == (FillState.SETTLED, "0xf")
    assert fill.settled_by == "transaction 0xf, log 9, block 49"
    assert [row.transaction_hash for row in book.last(FillRow)] == ["0xf"]


@pytest.mark.req("R-11", "R-20")
def test_the_amount_and_the_fee_of_the_log_win_over_computed_ones_and_over_later_messages() -> None:
    book = holding()
    book.see(leg("t", 3 * SHARE, at_ms=T0 + 41 * SECOND))
    log = shown("t", cost=1_200_001, fee=70)
    book.look(replace(chain(50, yes=13 * SHARE, no=10 * SHARE), settled=(log,), exact=(YES, NO)))
    book.see(leg("t", 3 * SHARE, at_ms=T0 + 41 * SECOND, status=TradeStatus.CONFIRMED, updated_at_ms=T0 + 60 * SECOND))
    fill = book.fill("t").fill
    assert (fill.amount_micro, fill.fee_micro, fill.state) == (1_200_001, 70, FillState.SETTLED)
    position = book.position()
    assert (position.cost_basis_micro, position.fees_micro) == (4_000_000 + 1_200_001, 70)
    assert position.cash_flow_settled_micro == -4_000_000 - 1_200_001 - 70
    assert [row.cost_micro for row in book.all(AdjustmentRow) if row.cause is Cause.RESTATED] == [1]


@pytest.mark.req("R-11")
def test_a_trade_whose_size_the_exchange_changed_has_the_exchanges_amounts_again() -> None:
    book = holding()
    book.see(leg("t", 3 * SHARE, at_ms=T0 + 41 * SECOND))
    book.look(replace(chain(50, yes=13 * SHARE, no=10 * SHARE), settled=(shown("t", cost=1_200_001),), exact=(YES, NO)))
    book.see(leg("t", 2 * SHARE, at_ms=T0 + 41 * SECOND, status=TradeStatus.CONFIRMED, updated_at_ms=T0 + 60 * SECOND))
    assert book.fill("t").fill.amount_micro == 800_000
