"""What was booked between two cycles, as the cycles and late trades find it (D-12, R-22, R-24)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from portfolio.entries import Cause, FillState, Redemption
from portfolio.events import FillChecked, OrderChecked
from portfolio.facts import Side, TradeStatus
from portfolio.images import image_of
from portfolio.outcomes import AdjustmentRow, SettlementReport
from portfolio.tail import ChainFact
from tests.unit.portfolio.chain_facts import (
    AT_MS,
    ChainBook,
    balances,
    fact,
    filled,
    flying,
    holding,
    merged,
    moved,
    state_of,
)
from tests.unit.portfolio.markets import (
    MINUTE,
    NO,
    SHARE,
    YES,
    data_row,
    leg,
)

FAILED = TradeStatus.FAILED


def taken_for_another(**trade: Any) -> ChainBook:
    """A sale whose trade came after a cycle had booked it as somebody else's."""
    book = holding()
    sale = filled(-3 * SHARE, fee=30)
    book.chain(sale)
    for block in (51, 52):
        book.look(balances(block, yes=7), hints=(sale.hint,))
    book.see(leg("own", 3 * SHARE, side=Side.SELL, at_ms=AT_MS, **trade))
    return book


SALE = filled(-3 * SHARE, fee=30)


@pytest.mark.req("D-12", "R-20", "X-01")
@pytest.mark.parametrize("known", ["0xa", None])
def test_a_trade_that_takes_the_place_of_an_external_entry_has_the_logs_numbers(known: str | None) -> None:
    book = taken_for_another(transaction_hash=known)
    fill = book.fill("own").fill
    assert (book.entries(), book.shares(), fill.fee_micro, fill.transaction_hash) == ((), 7 * SHARE, 30, "0xa")
    assert (book.position().fees_micro, book.position().settled_micro) == (30, 7 * SHARE)
    assert [held.booked_as for held in book.state.tail] == ["own/o1"]


@pytest.mark.req("D-12", "X-01", "X-14")
@pytest.mark.parametrize("known", ["0xa", None])
def test_the_trade_that_took_an_external_entrys_place_is_in_flight_when_the_block_is_dropped(known: str | None) -> None:
    book = taken_for_another(transaction_hash=known)
    book.drop(SALE)
    assert (state_of(book, "own"), book.shares()) == ((FillState.OBSERVED, False), 7 * SHARE)
    assert (book.position().settled_micro, book.position().fees_micro) == (10 * SHARE, 0)
    result = book.look(balances(56))
    assert (result.pending_count, result.drift_micro, book.entries()) == (0, 0, ())
    book.see(leg("own", 3 * SHARE, side=Side.SELL, at_ms=AT_MS, status=FAILED))
    assert book.shares() == 10 * SHARE


@pytest.mark.req("D-12", "X-01", "X-14")
def test_an_external_fill_that_a_cycle_booked_is_undone_with_its_block() -> None:
    book = holding()
    before = book.figures()
    book.chain(SALE)
    for block in (51, 52):
        book.look(balances(block, yes=7), hints=(SALE.hint,))
    book.drop(SALE)
    assert (book.figures(), book.state.tail, book.entries()) == (before, (), ())
    assert sum(row.fee_micro for row in book.all(AdjustmentRow)) == 0


@pytest.mark.req("X-01", "L-16", "X-02")
def test_a_log_names_the_amounts_of_a_fill_that_a_balance_had_shown_before_it() -> None:
    """And the fill is in flight again when the block is dropped."""
    book = holding()
    flying(book, transaction_hash="0xa")
    book.look(balances(51, yes=13))
    assert state_of(book) == (FillState.SETTLED, True)
    book.chain(filled(fee=70, block=51))
    assert (book.position().fees_micro, book.position().settled_micro) == (70, 13 * SHARE)
    book.drop(filled(block=51))
    assert (state_of(book), book.position().fees_micro) == ((FillState.OBSERVED, False), 0)


@pytest.mark.req("R-22", "R-25")
def test_the_next_cycle_reports_what_was_booked_and_counts_it_as_drift_once() -> None:
    book = holding()
    book.chain(merged())
    result = book.look(balances(55, 6, 6))
    assert (result.causes, result.drift_micro, result.pausing_drift_micro) == (("POSITION_MERGED",), 4 * SHARE, 0)
    (report,) = book.last(SettlementReport)
    assert (report.cause, report.evidence) == ("POSITION_MERGED", "transaction 0xa, log 3, block 50")
    assert (book.look(balances(56, 6, 6)).drift_micro, book.last(SettlementReport)) == (0, ())


@pytest.mark.req("R-22", "R-25", "X-01")
def test_what_was_booked_and_taken_back_within_a_cycle_is_reported_with_both_causes_and_no_change() -> None:
    book = holding()
    book.chain(merged())
    book.drop(merged())
    book.look(balances(55))
    (report,) = book.last(SettlementReport)
    assert report.cause == "POSITION_MERGED+REORGANISED"
    assert report.internal_size_micro == report.clob_size_micro
    assert "block 50 (0xb50) was dropped by the chain" in report.evidence


@pytest.mark.req("R-22", "X-01")
def test_what_the_chain_takes_back_later_is_reported_and_no_drift() -> None:
    book = holding()
    book.chain(moved(Cause.TRANSFER_OUT, 0, yes=-4 * SHARE))
    book.look(balances(51, 6))
    book.drop(merged())
    result = book.look(balances(55))
    assert (result.causes, result.drift_micro, result.pausing_drift_micro) == (("REORGANISED",), 0, 0)
    (report,) = book.last(SettlementReport)
    assert report.clob_size_micro - report.internal_size_micro == 2 * SHARE


@pytest.mark.req("R-24", "L-12", "L-16")
@pytest.mark.parametrize("waiting", [True, False], ids=["its log waits", "its block comes later"])
def test_a_sale_that_is_seen_settled_before_its_purchase_halts_no_market(waiting: bool) -> None:
    """The CLOB shows the purchase late: it is on the chain, but not in the books (L-16)."""
    book = ChainBook()
    book.now_ms = AT_MS
    book.see(leg("s", 3 * SHARE, side=Side.SELL, order_id="o2", at_ms=AT_MS))
    if waiting:
        book.chain(filled(tx="0xp", block=49))
    book.chain(filled(-3 * SHARE, order_id="o2"))
    assert book.position().settled_micro == -3 * SHARE
    book.look(balances(48, 0, 0))
    assert book.state.halted == ""
    book.see(leg("p", 3 * SHARE, at_ms=AT_MS))
    book.chain(filled(tx="0xp", block=49))
    assert book.look(balances(55, 0, 0)).pending_count == 0
    assert (book.state.halted, book.position().settled_micro) == ("", 0)


@pytest.mark.req("R-13")
def test_a_redemption_of_both_tokens_is_an_entry_for_each() -> None:
    book = holding()
    book.chain(moved(Cause.REDEEMED, 10 * SHARE, yes=-10 * SHARE), moved(Cause.REDEEMED, 0, no=-10 * SHARE))
    assert [(entry.token_id, entry.proceeds_micro) for entry in book.entries() if isinstance(entry, Redemption)] == [
        (YES, 10 * SHARE),
        (NO, 0),
    ]
    assert [entry.entry_id for entry in book.entries()] == ["chain:0xa:3:yes", "chain:0xa:3:no"]


@pytest.mark.req("L-16", "D-12", "R-21")
@pytest.mark.parametrize("shown", [True, False], ids=["its log shown", "no logs this time"])
def test_a_difference_that_another_log_makes_up_by_now_is_looked_at_for_the_first_time(shown: bool) -> None:
    """The CLOB stays one trade behind, and both are of one size: neither is somebody else's."""
    book = holding()
    first, second = filled(), filled(tx="0xc", block=52)
    book.chain(first)
    assert book.look(balances(51, yes=13), hints=(first.hint,)).pending_count == 1
    flying(book, "first")
    book.chain(second)
    result = book.look(balances(53, yes=16), hints=(second.hint,) if shown else ())
    assert (result.pending_count, book.entries(), book.shares()) == (1, (), 13 * SHARE)
    flying(book, "second")
    result = book.look(balances(54, yes=16), hints=())
    assert (result.pending_count, book.entries(), book.shares()) == (0, (), 16 * SHARE)


@pytest.mark.req("R-24", "L-12", "L-16")
@pytest.mark.parametrize("waiting", [True, False], ids=["its log waits", "no log of it"])
def test_a_sale_stays_ahead_of_a_purchase_that_the_chain_has_shown_but_not_of_one_that_nothing_shows(
    waiting: bool,
) -> None:
    book = ChainBook()
    book.now_ms = AT_MS
    book.see(leg("s", 3 * SHARE, side=Side.SELL, order_id="o2", at_ms=AT_MS))
    if waiting:
        book.chain(filled())
    book.now_ms = AT_MS + MINUTE
    book.look(balances(48, 0, 0))
    assert book.state.halted == "", "the sale may turn out to have failed"
    book.tell(
        FillChecked(
            trade_id="s", order_id="o2", status=TradeStatus.MINED, receipt=None, chain_asked=True, ttl_ms=MINUTE
        )
    )
    book.look(balances(49, 0, 0))
    assert book.state.halted.startswith("INV-19") is not waiting


def strangers() -> tuple[ChainFact, ChainFact]:
    """Somebody else with the wallet's key buys three at 0.40, and sells them at 0.50."""
    bought = filled(3 * SHARE, 1_200_000, order_id="0xb", tx="0xb", log=1)
    return bought, filled(-3 * SHARE, 1_500_000, order_id="0xs", tx="0xs", log=2, block=51)


@pytest.mark.req("X-01", "L-15", "R-21")
def test_fills_of_others_that_cancel_each_other_are_both_booked_at_the_second_look() -> None:
    book = holding()
    book.chain(*strangers())
    book.look(balances(52))
    assert (book.entries(), list(book.state.pending)) == ((), [YES])
    book.look(balances(53))
    assert [entry.entry_id for entry in book.entries()] == [f"chain:0xb:1:{YES}", f"chain:0xs:2:{YES}"]
    assert (book.shares(), book.position().realized_pnl_micro, book.state.pending) == (10 * SHARE, 300_000, {})
    book.look(balances(54))
    assert len(book.entries()) == 2


@pytest.mark.req("X-01", "L-16")
def test_fills_that_cancel_each_other_are_not_booked_while_one_of_them_is_behind_the_block_or_is_ours() -> None:
    book = holding()
    book.chain(*strangers())
    for block in (50, 50):
        book.look(balances(block, yes=13))
    assert book.entries() == ()
    ours = holding()
    flying(ours, "t", order_id="0xb", transaction_hash="0xb")
    ours.chain(*strangers())
    ours.look(balances(52))
    assert ours.state.fills["t/0xb"].proven
    assert list(ours.state.pending) == [YES], "the sale alone is a difference now"


@pytest.mark.req("X-01", "X-14")
def test_what_a_cycle_booked_of_a_block_that_is_dropped_is_undone() -> None:
    book = holding()
    kept = replace(merged(), kept=True)
    book.chain(kept)
    assert book.entries() == ()
    book.look(balances(50, 6, 6), hints=(kept.hint,))
    assert [entry.entry_id for entry in book.entries()] == [kept.hint.logged_as]
    book.drop(kept)
    assert (book.entries(), book.shares(), book.shares(NO)) == ((), 10 * SHARE, 10 * SHARE)


@pytest.mark.req("R-22", "X-14")
def test_a_change_that_comes_back_in_another_block_is_drift_once() -> None:
    book = holding()
    book.chain(merged())
    assert book.look(balances(51, 6, 6)).drift_micro == 4 * SHARE
    book.drop(merged())
    book.chain(merged(block=52, fork="'"))
    result = book.look(balances(53, 6, 6))
    assert (result.drift_micro, result.causes) == (0, ("REORGANISED",))


@pytest.mark.req("D-12", "D-13", "R-01", "X-01")
def test_what_the_data_api_had_shown_first_gives_way_to_its_log_and_is_reported_once() -> None:
    book = holding()
    for _ in range(2):
        book.now_ms += MINUTE
        book.look(stand_in=(data_row(YES, 14 * SHARE + 90),))
    (guess,) = book.entries()
    assert (guess.shares_micro, book.shares()) == (4 * SHARE + 90, 14 * SHARE + 90)
    book.chain(fact(Cause.POSITION_SPLIT, -4 * SHARE, {YES: 4 * SHARE, NO: 4 * SHARE}))
    (split,) = book.entries()
    assert (split.entry_id, book.shares(), book.shares(NO)) == ("chain:0xa:3", 14 * SHARE, 14 * SHARE)
    assert [(note.token_id, note.cause) for note in book.state.noted] == [(NO, "POSITION_SPLIT")]
    assert book.position().cost_basis_micro == 4_000_000 + 2_000_000


@pytest.mark.req("D-12", "D-13", "R-01", "R-21")
def test_a_purchase_of_others_that_the_data_api_had_shown_first_gets_the_numbers_of_its_log() -> None:
    book = holding()
    for _ in range(2):
        book.now_ms += MINUTE
        book.look(stand_in=(data_row(YES, 13 * SHARE),))
    assert [entry.estimated for entry in book.entries()] == [True]
    bought = filled()
    book.chain(bought)
    (entry,) = book.entries()
    assert (entry.entry_id, entry.estimated, book.shares()) == (bought.hint.logged_as, False, 13 * SHARE)
    assert book.position().cost_basis_micro == 4_000_000 + 1_200_000


@pytest.mark.req("R-21", "L-16")
def test_whose_an_external_order_is_is_asked_until_the_exchange_has_answered_in_full() -> None:
    book = holding()
    for block in (51, 52):
        book.look(balances(block, yes=13), hints=(filled(order_id="0xb").hint,))
    assert image_of(book.state).untraded_orders == (("0xb", 0),)
    book.tell(OrderChecked(order_id="0xb", order=None, ttl_ms=MINUTE, trades_missing=True))
    assert book.state.unasked_orders == ("0xb",)
    book.tell(OrderChecked(order_id="0xb", order=None, ttl_ms=MINUTE))
    assert image_of(book.state).untraded_orders == ()
    assert book.shares() == 13 * SHARE


@pytest.mark.req("R-21", "L-19")
def test_an_order_with_two_external_fills_is_asked_about_once() -> None:
    book = holding()
    first, second = filled(order_id="0xb"), filled(order_id="0xb", tx="0xc", block=51)
    for block in (52, 53):
        book.look(balances(block, yes=16), hints=(first.hint, second.hint))
    assert (len(book.entries()), book.state.unasked_orders) == (2, ("0xb",))


@pytest.mark.req("L-14", "X-01", "L-16")
def test_a_difference_that_cash_explained_at_first_gets_the_numbers_of_the_log_that_is_read_by_then() -> None:
    book = holding()
    bought = filled(fee=30, order_id="0xb").hint
    inferred = replace(bought, logged_as="", evidence="inferred", at_ms=0, fee_micro=0, order_id="")
    book.look(balances(51, yes=13), hints=(inferred,))
    book.look(balances(52, yes=13), hints=(bought,))
    (entry,) = book.entries()
    assert (entry.entry_id, entry.estimated, book.position().fees_micro) == (bought.logged_as, False, 30)


@pytest.mark.req("L-14", "L-16", "X-01")
def test_a_log_that_waits_here_tells_the_cause_where_a_cycle_cannot_read_the_logs() -> None:
    book = holding()
    bought = filled(order_id="0xb")
    book.chain(bought)
    for block in (51, 52):
        assert book.entries() == ()
        book.look(balances(block, yes=13), hints=())
    (entry,) = book.entries()
    assert (entry.entry_id, book.shares()) == (bought.hint.logged_as, 13 * SHARE)
    assert [held.booked_as for held in book.state.tail] == [bought.hint.logged_as]
