"""What later messages of a trade change of its fill, state, hash, time and terms; the same in any order of messages."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from msgspec.structs import replace

from portfolio.entries import Cause, FillState
from portfolio.events import MarketDefined
from portfolio.facts import Role, Side, TradeStatus
from portfolio.outcomes import AdjustmentRow, FillObservationRow, FillRow, IssueRow, PositionRow
from portfolio.position import fold
from portfolio.trades import TradeLeg
from tests.unit.portfolio.markets import CENT, SECOND, SHARE, T0, Book, chain, leg, meta, order

MATCHED, MINED, CONFIRMED = TradeStatus.MATCHED, TradeStatus.MINED, TradeStatus.CONFIRMED
RETRYING, FAILED = TradeStatus.RETRYING, TradeStatus.FAILED


def told(status: TradeStatus, updated_s: int = 0, **given: Any) -> TradeLeg:
    return leg(status=status, updated_at_ms=T0 + updated_s * SECOND, **given)


def heard(*legs: TradeLeg) -> Book:
    book = Book()
    book.see(*legs)
    return book


# -- state --------------------------------------------------------------------------------------------------------


@pytest.mark.req("L-05", "L-03")
@pytest.mark.parametrize(
    ("known", "late", "counted"),
    [
        (told(MINED, 5), told(MATCHED, 1), "late_trade_message"),
        (told(CONFIRMED, 5), told(FAILED, 6), "late_trade_message"),
        (told(MINED, 5), told(MINED, 5), "repeated_trade_message"),
        (told(MINED, 5), told(MINED, 4), "repeated_trade_message"),
    ],
)
def test_a_late_or_repeated_message_of_a_trade_is_counted(known: TradeLeg, late: TradeLeg, counted: str) -> None:
    book = heard(known)
    before = book.state
    step = book.see(late)
    assert (step.state is before, step.rows, step.counted) == (True, (), (counted,))


@pytest.mark.req("R-10", "L-03", "D-02")
def test_failure_and_confirmation_end_in_the_same_books_in_any_order() -> None:
    messages = (told(MATCHED, 1), told(FAILED, 2), told(CONFIRMED, 3, transaction_hash="0xb"))
    ends = [heard(*some) for some in permutations(messages)]
    assert all(end.position() == ends[0].position() for end in ends)
    assert all(end.fill().fill == ends[0].fill().fill for end in ends)
    assert (ends[0].position().settled_micro, ends[0].fill().fill.state) == (10 * SHARE, FillState.SETTLED)


@pytest.mark.req("R-10", "L-03", "L-22")
def test_a_failed_fill_that_settles_after_all_is_reinstated_under_its_key_with_an_issue() -> None:
    book = heard(told(MATCHED, 1), told(FAILED, 2))
    assert book.shares() == 0
    book.see(told(CONFIRMED, 3))
    assert (book.shares(), book.position().settled_micro, len(book.state.fills)) == (10 * SHARE, 10 * SHARE, 1)
    (restated,) = book.last(AdjustmentRow)
    assert (restated.cause, restated.size_micro, restated.evidence) == (
        Cause.REINSTATED,
        10 * SHARE,
        "trade t1 CONFIRMED",
    )
    (issue,) = book.last(IssueRow)
    assert (issue.type, issue.subject, issue.before, issue.after) == ("FILL_REINSTATED", "t1/o1", "FAILED", "SETTLED")
    assert [note.cause for note in book.state.noted] == ["FILL_FAILED", "FILL_REINSTATED"]


@pytest.mark.req("R-10", "D-02", "L-13")
def test_a_failure_brings_back_what_was_before_and_leaves_both_to_be_seen() -> None:
    book = heard(leg("t0", 7 * SHARE, price=30 * CENT))
    before = book.position()
    book.see(leg("t1", at_ms=T0 + 1))
    book.see(leg("t1", at_ms=T0 + 1, status=FAILED))
    assert book.position() == before
    assert [(row.trade_id, row.state) for row in book.all(FillRow)] == [
        ("t0", FillState.OBSERVED),
        ("t1", FillState.OBSERVED),
        ("t1", FillState.FAILED),
    ]
    assert [(row.cause, row.size_micro) for row in book.all(AdjustmentRow)] == [(Cause.RESTATED, -10 * SHARE)]


@pytest.mark.req("L-03", "L-01")
def test_each_status_is_observed_with_its_feed() -> None:
    book = Book()
    for feed, status in (("stream", MATCHED), ("poll", MINED), ("stream", MINED), ("check", CONFIRMED)):
        book.see(told(status), feed=feed)
    assert [(row.feed, row.status) for row in book.all(FillObservationRow)] == [
        ("stream", MATCHED),
        ("poll", MINED),
        ("check", CONFIRMED),
    ]


# -- hash and time ------------------------------------------------------------------------------------------------


@pytest.mark.req("L-03", "D-02")
def test_a_hash_is_replaced_until_the_trade_is_confirmed_and_the_latest_stands_in_any_order() -> None:
    messages = (
        told(MATCHED, 1, transaction_hash="0xa"),
        told(MINED, 2, transaction_hash="0xa"),
        told(RETRYING, 3, transaction_hash="0xb"),
        told(CONFIRMED, 4, transaction_hash="0xb"),
    )
    assert heard(*messages[:2]).fill().fill.transaction_hash == "0xa"
    assert heard(*messages[:3]).fill().fill.transaction_hash == "0xb"
    assert {heard(*some).fill().fill.transaction_hash for some in permutations(messages)} == {"0xb"}


@pytest.mark.req("L-03", "D-02")
def test_of_two_hashes_told_at_one_time_the_same_one_stands_in_any_order() -> None:
    messages = (told(MATCHED, 1, transaction_hash="0xa"), told(MATCHED, 1, transaction_hash="0xb"))
    assert {heard(*some).fill().fill.transaction_hash for some in permutations(messages)} == {"0xb"}


@pytest.mark.req("L-03")
@pytest.mark.parametrize("order_of", [(0, 1), (1, 0)])
def test_a_message_without_a_hash_neither_takes_one_away_nor_hides_one(order_of: tuple[int, int]) -> None:
    messages = (told(MATCHED, 1, transaction_hash="0xa"), told(MINED, 9))
    assert heard(*(messages[index] for index in order_of)).fill().fill.transaction_hash == "0xa"


@pytest.mark.req("D-02")
def test_a_finer_match_time_moves_the_fill_to_its_place_in_economic_order() -> None:
    """Both came in one second by the stream; REST shows that the sale was first, so it sold the older shares only."""
    book = heard(leg("a", price=20 * CENT, at_ms=T0 - SECOND))
    book.see(leg("b", price=60 * CENT), leg("c", side=Side.SELL, price=70 * CENT))
    assert book.position().realized_pnl_micro == 3 * SHARE
    book.see(leg("b", price=60 * CENT, at_ms=T0 + 700), leg("c", side=Side.SELL, price=70 * CENT, at_ms=T0 + 300))
    assert (book.position().realized_pnl_micro, book.position().cost_basis_micro) == (5 * SHARE, 6 * SHARE)
    assert book.state.positions == fold(book.state.entries()).by_token()
    book.see(leg("b", price=60 * CENT))
    assert book.step.counted == ("repeated_trade_message",)


# -- terms --------------------------------------------------------------------------------------------------------


@pytest.mark.req("D-02", "R-11", "L-22")
def test_a_trade_that_the_exchange_reprices_is_restated_with_an_issue() -> None:
    book = heard(told(MATCHED, 1))
    book.see(told(MATCHED, 2, price=45 * CENT))
    assert book.position().cost_basis_micro == 4_500_000
    (restated,) = book.last(AdjustmentRow)
    assert (restated.cause, restated.size_micro, restated.cost_micro) == (Cause.RESTATED, 0, 500_000)
    (issue,) = book.last(IssueRow)
    assert (issue.type, issue.before, issue.after) == ("FILL_REPRICED", "BUY 10.0 at 0.4", "BUY 10.0 at 0.45")
    (row,) = book.last(FillRow)
    assert (row.price_micro, row.amount_micro) == (450_000, 4_500_000)
    assert book.last(PositionRow)[0].cost_basis_micro == 4_500_000


@pytest.mark.req("D-02")
@pytest.mark.parametrize(
    "messages",
    [
        (told(MATCHED, 1), told(MATCHED, 2, price=45 * CENT), told(MATCHED, 3, price=42 * CENT)),
        (told(MATCHED, 1, price=45 * CENT), told(MATCHED, 1, price=42 * CENT)),
        (told(MATCHED, 1), told(CONFIRMED, 2, price=45 * CENT), told(MINED, 2, size=9 * SHARE)),
        (told(MATCHED, 1), told(FAILED, 2, price=45 * CENT)),
    ],
)
def test_the_terms_that_stand_do_not_depend_on_the_order_of_messages(messages: tuple[TradeLeg, ...]) -> None:
    ends = [heard(*some) for some in permutations(messages)]
    assert all(end.fill().fill == ends[0].fill().fill for end in ends)
    assert all(end.position() == ends[0].position() for end in ends)


@pytest.mark.req("D-02", "D-03")
def test_a_trade_that_shrinks_leaves_the_rest_of_its_orders_figure_provisional() -> None:
    book = heard(told(MATCHED, 1))
    book.show(order(size_matched_micro=10 * SHARE))
    book.see(told(MATCHED, 2, size=8 * SHARE))
    assert (book.shares(), book.order().booked_micro, book.order().waiting_micro) == (10 * SHARE, 8 * SHARE, 2 * SHARE)
    assert book.state.positions == fold(book.state.entries()).by_token()
    book.see(told(MATCHED, 3, size=10 * SHARE))
    assert (book.shares(), book.order().waiting_micro) == (10 * SHARE, 0)


@pytest.mark.req("R-20")
def test_a_fill_keeps_the_fee_schedule_that_it_was_booked_with() -> None:
    book = Book(meta(fee_rate_micro=70_000, fee_exponent=2))
    taker = told(MATCHED, 1, role=Role.TAKER, levels=((10 * SHARE, 40 * CENT),))
    book.see(taker)
    (row,) = book.last(FillRow)
    assert (row.fee_micro, row.fee_rate_micro, row.fee_exponent) == (40_320, 70_000, 2)
    book.tell(MarketDefined(metas=(meta(fee_rate_micro=50_000, fee_exponent=1),)))
    repriced = replace(taker, levels=((10 * SHARE, 50 * CENT),), price_micro=50 * CENT, amount_micro=5 * SHARE)
    book.see(replace(repriced, updated_at_ms=T0 + 2 * SECOND))
    (row,) = book.last(FillRow)
    assert (row.fee_micro, row.fee_rate_micro, row.fee_exponent) == (43_750, 70_000, 2)


@pytest.mark.req("R-20", "D-02")
def test_levels_that_become_known_later_change_the_fee_alone() -> None:
    book = Book(meta(fee_rate_micro=70_000, fee_exponent=1))
    whole = told(MATCHED, 1, role=Role.TAKER, levels=((10 * SHARE, 40 * CENT),))
    levels = ((5 * SHARE, 30 * CENT), (5 * SHARE, 50 * CENT))
    book.see(whole, replace(whole, levels=levels, updated_at_ms=T0 + 2 * SECOND))
    assert (book.fill().fill.amount_micro, book.position().fees_micro) == (4 * SHARE, 73_500 + 87_500)
    assert [row.type for row in book.last(IssueRow)] == ["FILL_REPRICED"]


@pytest.mark.req("R-20")
def test_a_maker_in_a_market_with_fees_has_the_schedule_and_pays_nothing() -> None:
    book = Book(meta(fee_rate_micro=70_000, fee_exponent=1))
    book.see(leg())
    assert (book.fill().fill.fee_micro, book.fill().fill.fee_rate_micro) == (0, 70_000)


@pytest.mark.req("R-23", "D-02")
def test_what_a_failed_trade_of_another_order_says_does_not_touch_a_balance_that_proved_this_one() -> None:
    book = heard(leg("t1"), leg("t2", order_id="o2"))
    book.look(chain(1, yes=10 * SHARE))
    book.see(leg("t2", order_id="o2", status=FAILED))
    assert (book.shares(), book.position().settled_micro, book.fill("t1").proven) == (10 * SHARE, 10 * SHARE, True)
