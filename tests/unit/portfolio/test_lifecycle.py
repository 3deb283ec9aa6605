"""The end of what does not settle: looked up, then settled, given more time, or taken back in sight of all (R-10)."""

from __future__ import annotations

from typing import Any

import pytest

from portfolio.entries import Cause, FillState
from portfolio.facts import OpenOrder, OrderStatus, Receipt, ReceiptStatus, Side, TradeStatus
from portfolio.images import image_of
from portfolio.outcomes import AdjustmentRow, FillRow, IssueRow
from portfolio.position import fold
from portfolio.provisional import PROVISIONAL
from tests.unit.portfolio.markets import CENT, MINUTE, SECOND, SHARE, T0, YES, Book, chain, leg, order

MATCHED, CONFIRMED, FAILED = TradeStatus.MATCHED, TradeStatus.CONFIRMED, TradeStatus.FAILED
TTL = 15 * MINUTE


def receipt(status: ReceiptStatus) -> Receipt:
    block = None if status is ReceiptStatus.ABSENT else 77
    return Receipt(transaction_hash="0xhash", status=status, block_number=block)


def overdue() -> Book:
    """A book whose only fill was matched a time to live ago and did not settle."""
    book = Book()
    book.see(leg())
    book.wait(TTL)
    return book


def expired() -> Book:
    book = overdue()
    book.check()
    assert book.fill().fill.state is FillState.EXPIRED
    return book


# -- fills --------------------------------------------------------------------------------------------------------


@pytest.mark.req("R-10", "L-03", "L-13", "L-22")
@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ({}, "not shown by the exchange, in no block"),
        ({"status": MATCHED}, "MATCHED on the exchange, in no block"),
        ({"status": MATCHED, "receipt": receipt(ReceiptStatus.ABSENT)}, "MATCHED on the exchange, in no block"),
        (
            {"status": MATCHED, "receipt": receipt(ReceiptStatus.REVERTED)},
            "MATCHED on the exchange, its transaction reverted",
        ),
    ],
)
def test_a_fill_that_nothing_speaks_for_is_taken_back_in_sight_of_all(given: dict[str, Any], cause: str) -> None:
    book = overdue()
    book.check(**given)
    assert (book.shares(), book.position().cost_basis_micro) == (0, 0)
    (row,) = book.last(FillRow)
    assert (row.trade_id, row.state) == ("t1", FillState.EXPIRED)
    (restated,) = book.last(AdjustmentRow)
    assert (restated.cause, restated.size_micro, restated.evidence) == (
        Cause.RESTATED,
        -10 * SHARE,
        "trade t1 looked up again",
    )
    (issue,) = book.last(IssueRow)
    assert (issue.type, issue.subject, issue.before, issue.after) == ("FILL_EXPIRED", "t1/o1", "in flight", "reversed")
    assert issue.cause == cause
    (note,) = book.state.noted
    assert (note.cause, note.shares_micro) == ("FILL_EXPIRED", -10 * SHARE)


@pytest.mark.req("R-10", "X-01")
def test_a_fill_whose_transaction_is_in_a_block_is_settled_by_its_receipt() -> None:
    book = overdue()
    book.check(receipt=receipt(ReceiptStatus.SUCCEEDED))
    assert (book.fill().fill.state, book.position().settled_micro) == (FillState.SETTLED, 10 * SHARE)
    assert book.fill().fill.settled_by == "transaction 0xhash in block 77"
    assert (book.last(IssueRow), book.last(AdjustmentRow)) == ((), ())


@pytest.mark.req("R-10", "R-05", "L-13")
@pytest.mark.parametrize("by", ["its receipt", "the exchange"])
def test_a_balance_of_an_earlier_block_need_not_have_what_has_only_now_settled(by: str) -> None:
    book = overdue()
    block = (book.now_ms - T0) // (2 * SECOND)
    if by == "its receipt":
        book.check(receipt=receipt(ReceiptStatus.SUCCEEDED))
    else:
        book.see(leg(status=CONFIRMED, matched_at_ns=T0 * 1_000_000, updated_at_ms=book.now_ms))
    for behind in (5, 4):
        book.look(chain(block - behind, yes=0))
    assert (book.entries(), book.shares()) == ((), 10 * SHARE)
    for later in (30, 31):
        book.look(chain(block + later, yes=0))
    assert book.shares() == 0, "a balance of long behind that must have it"


@pytest.mark.req("R-10", "L-03")
@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"status": TradeStatus.RETRYING}, "the exchange is retrying the settlement"),
        ({"status": TradeStatus.MINED}, "the exchange calls it MINED"),
        ({"status": CONFIRMED}, "the exchange calls it CONFIRMED"),
        ({"status": MATCHED, "chain_asked": False}, "the chain could not be asked"),
    ],
)
def test_a_fill_that_something_speaks_for_gets_another_time_to_live(given: dict[str, Any], reason: str) -> None:
    book = overdue()
    book.check(**given)
    assert (book.fill().fill.state, book.shares()) == (FillState.OBSERVED, 10 * SHARE)
    assert book.fill().not_before_ms == book.now_ms + TTL
    (unproven,) = image_of(book.state).tokens[0].unproven
    assert unproven.not_before_ms == book.now_ms + TTL
    (issue,) = book.last(IssueRow)
    assert (issue.type, issue.after, issue.cause) == ("FILL_OVERDUE", "waits longer", reason)


@pytest.mark.req("R-10", "L-03")
def test_a_leg_of_a_trade_of_which_another_leg_has_settled_waits_longer() -> None:
    book = overdue()
    book.see(leg(order_id="o2", token_id="no", status=CONFIRMED))
    book.check()
    assert book.fill().fill.state is FillState.OBSERVED
    assert book.last(IssueRow)[0].cause == "another leg of the trade has settled"


@pytest.mark.req("R-10", "L-19")
@pytest.mark.parametrize("status", [CONFIRMED, FAILED])
def test_a_fill_that_was_decided_meanwhile_or_is_unknown_stays_as_it_is(status: TradeStatus) -> None:
    book = overdue()
    book.see(leg(status=status))
    before = book.state
    assert book.check().state is before
    assert book.check("nobody").state is before
    assert book.step.rows == ()


@pytest.mark.req("R-10")
@pytest.mark.parametrize(
    ("status", "state", "settled"),
    [(CONFIRMED, FillState.SETTLED, 10 * SHARE), (TradeStatus.MINED, FillState.OBSERVED, 0)],
)
def test_an_expired_fill_that_goes_on_after_all_is_reinstated_under_its_key(
    status: TradeStatus, state: FillState, settled: int
) -> None:
    book = expired()
    book.see(leg(status=status))
    assert (book.fill().fill.state, book.shares(), book.position().settled_micro) == (state, 10 * SHARE, settled)
    (restated,) = book.last(AdjustmentRow)
    assert (restated.cause, restated.size_micro) == (Cause.REINSTATED, 10 * SHARE)
    (issue,) = book.last(IssueRow)
    assert (issue.type, issue.before, issue.after) == ("FILL_REINSTATED", "EXPIRED", state.value)


@pytest.mark.req("R-10")
@pytest.mark.parametrize("status", [TradeStatus.RETRYING, FAILED])
def test_an_expired_fill_that_is_retried_or_fails_stays_out_of_the_books(status: TradeStatus) -> None:
    book = expired()
    book.see(leg(status=status))
    assert book.fill().fill.state is (FillState.FAILED if status is FAILED else FillState.EXPIRED)
    assert (book.shares(), book.last(AdjustmentRow)) == (0, ())


@pytest.mark.req("R-10", "X-02")
def test_a_balance_that_shows_an_expired_fill_reinstates_it() -> None:
    book = expired()
    (back,) = image_of(book.state).tokens[0].expired
    assert (back.trade_id, back.shares_micro) == ("t1", 10 * SHARE)
    result = book.look(chain(600, yes=10 * SHARE))
    assert (result.pending_count, result.drift_micro) == (0, 0)
    assert (book.fill().fill.state, book.fill().proven, book.shares()) == (FillState.SETTLED, True, 10 * SHARE)
    assert book.fill().fill.settled_by == "balance at block 600"
    assert {row.cause for row in book.last(AdjustmentRow)} == {Cause.REINSTATED}
    assert image_of(book.state).tokens[0].expired == ()


@pytest.mark.req("R-10", "X-02", "D-20")
def test_one_balance_settles_what_is_in_flight_and_reinstates_what_had_expired() -> None:
    book = expired()
    book.see(leg("t2", 3 * SHARE, at_ms=book.now_ms))
    book.look(chain(600, yes=13 * SHARE))
    assert [booked.fill.state for booked in book.state.fills.values()] == [FillState.SETTLED, FillState.SETTLED]
    assert book.position().settled_micro == 13 * SHARE
    assert book.state.positions == fold(book.state.entries()).by_token()


# -- provisional quantities ---------------------------------------------------------------------------------------


def waiting(matched: int = 10 * SHARE) -> Book:
    """A book whose order shows a quantity that no trade explained within its time to live."""
    book = Book()
    book.show(order(size_matched_micro=matched))
    book.wait(TTL)
    return book


def ended(matched: int = 10 * SHARE) -> OpenOrder:
    return order(size_matched_micro=matched, status=OrderStatus.CANCELED)


@pytest.mark.req("D-03", "R-10")
@pytest.mark.parametrize("found", [None, ended()])
def test_a_provisional_quantity_of_an_order_that_is_over_is_taken_back(found: OpenOrder | None) -> None:
    book = waiting()
    book.check_order(found)
    assert (book.shares(), book.order().given_up_micro, book.order().waiting_micro) == (0, 10 * SHARE, 0)
    notice = book.last(FillRow)[-1]
    assert (notice.trade_id, notice.state, notice.size_micro) == (PROVISIONAL, FillState.EXPIRED, 0)
    (issue,) = book.last(IssueRow)
    assert (issue.type, issue.subject, issue.before) == ("FILL_EXPIRED", "o1", "10.0 provisional")
    assert [(note.cause, note.shares_micro) for note in book.state.noted] == [("FILL_EXPIRED", -10 * SHARE)]
    (restated,) = book.last(AdjustmentRow)
    assert (restated.size_micro, restated.evidence) == (-10 * SHARE, "order o1 looked up again")
    assert (book.order().closed_at_ms is None) == (found is None)


@pytest.mark.req("D-03", "R-10")
def test_a_provisional_sale_that_is_taken_back_gives_the_shares_back() -> None:
    book = Book()
    book.see(leg(order_id="o2"))
    book.show(order(side=Side.SELL, size_matched_micro=4 * SHARE))
    book.check_order(None)
    assert (book.shares(), [note.shares_micro for note in book.state.noted]) == (10 * SHARE, [4 * SHARE])


@pytest.mark.req("D-03", "R-10")
def test_while_the_order_lives_its_trades_may_still_come() -> None:
    book = waiting()
    book.check_order(order(size_matched_micro=10 * SHARE))
    assert (book.shares(), book.order().not_before_ms) == (10 * SHARE, book.now_ms + TTL)
    (issue,) = book.last(IssueRow)
    assert (issue.type, issue.subject, issue.cause) == (
        "FILL_OVERDUE",
        "o1",
        "the order is live, its trades were not shown",
    )
    assert image_of(book.state).tokens[0].unproven[0].not_before_ms == book.now_ms + TTL


@pytest.mark.req("D-03", "L-05")
def test_a_look_up_brings_a_figure_that_has_risen() -> None:
    book = waiting()
    book.check_order(order(size_matched_micro=12 * SHARE))
    assert (book.shares(), book.order().size_matched_micro) == (12 * SHARE, 12 * SHARE)
    assert book.state.positions == fold(book.state.entries()).by_token()


@pytest.mark.req("D-03", "R-10")
def test_a_quantity_that_the_look_up_itself_brought_has_its_time_to_live_before_it() -> None:
    book = waiting()
    book.check_order(ended(12 * SHARE))
    assert (book.shares(), book.order().given_up_micro) == (12 * SHARE, 0)
    assert book.last(IssueRow)[0].type == "FILL_OVERDUE"
    book.check_order(ended(12 * SHARE))
    assert (book.shares(), book.order().given_up_micro) == (0, 12 * SHARE)


@pytest.mark.req("D-03", "X-02")
def test_what_a_balance_has_shown_of_it_is_never_taken_back() -> None:
    book = waiting(4 * SHARE)
    book.look(chain(1, yes=4 * SHARE))
    before = book.state
    book.check_order(ended(4 * SHARE))
    assert (book.order().not_before_ms, book.state.positions) == (book.now_ms + TTL, before.positions)
    assert image_of(book.state).untraded_orders == (("o1", book.now_ms + TTL),), "its trade is asked for again"
    book.show(order(size_matched_micro=10 * SHARE))
    book.check_order(ended(10 * SHARE))
    assert (book.shares(), book.position().settled_micro) == (4 * SHARE, 4 * SHARE)
    assert (book.order().given_up_micro, book.order().closed_at_ms) == (6 * SHARE, None)


@pytest.mark.req("D-03", "D-12")
def test_a_look_up_that_finds_what_a_balance_had_shown_takes_nothing_back() -> None:
    """The balance was two ahead of what the order showed; the look-up says that these two were its own."""
    book = Book()
    for block in (50, 51):
        book.look(chain(block, yes=10 * SHARE))
    book.show(order(size_matched_micro=8 * SHARE))
    book.check_order(ended(10 * SHARE))
    assert (book.shares(), book.entries(), book.last(IssueRow)) == (10 * SHARE, (), ())
    assert book.order().proven_micro == 10 * SHARE


@pytest.mark.req("D-03", "R-10", "L-07")
@pytest.mark.parametrize("finer_ns", [0, 999_999])
def test_a_trade_that_explains_what_was_given_up_is_booked_and_what_comes_after_it_too(finer_ns: int) -> None:
    """A trade's time may be finer than the milliseconds of the message that showed its quantity."""
    book = waiting()
    book.check_order(None)
    book.see(leg(size=10 * SHARE, price=50 * CENT, matched_at_ns=T0 * 1_000_000 + finer_ns))
    assert (book.shares(), book.order().given_up_micro, book.position().cost_basis_micro) == (10 * SHARE, 0, 5 * SHARE)
    book.show(order(size_matched_micro=13 * SHARE))
    assert (book.shares(), book.order().waiting_micro) == (13 * SHARE, 3 * SHARE)


@pytest.mark.req("D-03", "L-19")
def test_an_order_that_is_unknown_or_waits_for_nothing_is_not_decided() -> None:
    book = waiting()
    book.see(leg(size=10 * SHARE, at_ms=T0))
    before = book.state
    assert book.check_order(None).state is before
    assert book.check_order(None, "nobody").state is before
    assert before.position(YES).shares_micro == 10 * SHARE
    assert book.now_ms == T0 + TTL >= T0 + SECOND
