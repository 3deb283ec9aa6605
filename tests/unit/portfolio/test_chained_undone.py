"""A market whose blocks the chain drops: what was booked from them is undone, and nothing else (X-01, X-14)."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from portfolio.adjusting import logged_ids
from portfolio.entries import Cause, FillState
from portfolio.facts import Receipt, ReceiptStatus, Side, TradeStatus
from portfolio.images import image_of
from portfolio.outcomes import AdjustmentRow, IssueRow
from portfolio.reasons import IssueType
from portfolio.tail import ChainFact
from tests.unit.portfolio.chain_facts import (
    AT_MS,
    ChainBook,
    balances,
    expired,
    filled,
    flying,
    holding,
    merged,
    moved,
    state_of,
)
from tests.unit.portfolio.markets import (
    CENT,
    NO,
    SECOND,
    SHARE,
    T0,
    YES,
    leg,
)

CONFIRMED, FAILED, MINED = TradeStatus.CONFIRMED, TradeStatus.FAILED, TradeStatus.MINED


@pytest.mark.req("X-01", "X-14", "L-19", "D-02")
def test_the_transaction_in_another_block_undoes_the_old_entry_and_books_a_new_one_under_an_id_of_its_own() -> None:
    book, straight = holding(), holding()
    book.chain(merged())
    again = merged(block=52)
    book.chain(again)
    straight.chain(again)
    assert logged_ids(book.state, "chain:0xa:3") == ("chain:0xa:3", "chain:0xa:3#2")
    (entry,) = book.entries()
    assert (entry.entry_id, entry.evidence) == ("chain:0xa:3#2", "transaction 0xa, log 3, block 52")
    assert book.figures() == straight.figures()
    assert [(held.fact, held.booked_as) for held in book.state.tail] == [(again, "chain:0xa:3#2")]
    undone = book.said(AdjustmentRow, cause=Cause.REORGANISED)
    assert [(row.token_id, row.size_micro) for row in undone] == [(NO, 4 * SHARE), (YES, 4 * SHARE)]
    assert {row.evidence for row in undone} == {"block 50 (0xb50) was dropped by the chain"}
    book.chain(merged(block=53))
    assert [entry.entry_id for entry in book.entries()] == ["chain:0xa:3#3"]


@pytest.mark.req("X-01", "X-14")
def test_all_that_a_transaction_did_moves_with_it() -> None:
    book = holding()
    flying(book)
    first = (filled(fee=7), merged(log=9))
    book.chain(*first)
    figures = book.figures()
    book.chain(*(replace(one, block_number=52, block_hash="0xb52") for one in first))
    assert book.figures() == figures
    assert {held.fact.block_number for held in book.state.tail} == {52}
    assert state_of(book) == (FillState.SETTLED, True)


@pytest.mark.req("X-01", "X-14")
def test_a_block_that_comes_back_is_booked_again() -> None:
    book = holding()
    book.chain(merged())
    figures = book.figures()
    book.drop(merged())
    book.chain(merged())
    assert (book.figures(), [entry.entry_id for entry in book.entries()]) == (figures, ["chain:0xa:3#2"])


@pytest.mark.req("X-01", "X-14", "L-13", "X-10", "R-13")
@pytest.mark.parametrize(
    "change",
    [
        merged(),
        moved(Cause.POSITION_SPLIT, -3 * SHARE, yes=3 * SHARE, no=3 * SHARE),
        moved(Cause.REDEEMED, 7, yes=-3_333_333),
        moved(Cause.REDEEMED, 0, yes=-10 * SHARE),
        moved(Cause.TRANSFER_OUT, 0, yes=-3_333_333),
        moved(Cause.TRANSFER_IN, 0, yes=3),
    ],
    ids=["merge", "split", "redemption", "worthless", "out", "in"],
)
def test_a_dropped_block_leaves_the_books_to_the_base_unit_as_they_were(change: ChainFact) -> None:
    book = holding()
    before, cash = book.figures(), image_of(book.state).proven_cash_micro
    book.chain(change)
    assert book.figures() != before
    book.drop(change)
    assert (book.figures(), image_of(book.state).proven_cash_micro, book.state.tail) == (before, cash, ())
    rows = book.said(AdjustmentRow, cause=Cause.REORGANISED)
    assert sorted((row.token_id, row.size_micro) for row in rows) == sorted(
        (token, -shares) for token, shares in change.hint.legs
    )
    issues = book.said(IssueRow, type=IssueType.CHAIN_REORGANISED.value)
    assert [row.subject for row in issues] == [token for token, _ in change.hint.legs]
    (booked,) = book.state.adjustments.values()
    assert booked.superseded, "it stays visible"


@pytest.mark.req("X-01", "D-02", "L-11")
def test_what_came_behind_a_dropped_entry_is_folded_without_it() -> None:
    book, straight = holding(), holding()
    gone = moved(Cause.TRANSFER_IN, 0, yes=10 * SHARE)
    book.chain(gone, prices={YES: 90 * CENT})
    for each in (book, straight):
        each.see(leg("s", 5 * SHARE, price=70 * CENT, side=Side.SELL, at_ms=T0 + 200 * SECOND))
    assert book.position().realized_pnl_micro == 3_500_000 - 3_250_000
    book.drop(gone)
    assert book.figures() == straight.figures()


@pytest.mark.req("X-01", "X-14", "R-11", "R-20", "X-10")
@pytest.mark.parametrize("known", ["0xa", None], ids=["hash known", "hash from the log"])
def test_a_fill_whose_block_is_dropped_is_in_flight_again_with_the_exchanges_own_numbers(known: str | None) -> None:
    book = holding()
    flying(book, transaction_hash=known)
    before, fill = book.figures(), book.fill("t").fill
    shown = filled(paid=1_200_001, fee=70)
    book.chain(shown)
    book.drop(shown)
    assert (book.figures(), book.fill("t").fill, book.fill("t").proven) == (before, fill, False)
    assert (book.fill("t").logged, image_of(book.state).tokens[0].proven_micro) == (False, 10 * SHARE)
    (row,) = book.said(IssueRow, type="CHAIN_REORGANISED")
    assert (row.subject, row.before, row.after) == ("t/o1", "SETTLED", "OBSERVED")
    (taken,) = book.said(AdjustmentRow, cause=Cause.REORGANISED)
    assert (taken.size_micro, taken.cost_micro, taken.evidence) == (0, -1, "block 50 (0xb50) was dropped by the chain")
    assert book.state.noted == (), "nothing but where the shares are has changed"


@pytest.mark.req("X-01", "R-10", "X-14")
@pytest.mark.parametrize(
    ("meanwhile", "after", "shares"),
    [(MINED, FillState.OBSERVED, 13), (CONFIRMED, FillState.SETTLED, 13), (FAILED, FillState.FAILED, 10)],
)
def test_a_fill_whose_block_is_dropped_is_what_the_exchange_says_of_it(
    meanwhile: TradeStatus, after: FillState, shares: int
) -> None:
    """Whether that was heard before the block was dropped or after it."""
    for early in (True, False):
        book = holding()
        flying(book)
        shown = filled(fee=70)
        book.chain(shown)
        if early:
            flying(book, status=meanwhile)
        book.drop(shown)
        flying(book, status=meanwhile)
        assert (state_of(book), book.shares()) == ((after, False), shares * SHARE)
        assert book.position().fees_micro == 0
        assert book.position().settled_micro == (13 if after is FillState.SETTLED else 10) * SHARE


@pytest.mark.req("X-01", "R-10")
@pytest.mark.parametrize(
    ("meanwhile", "after", "shares"), [(None, FillState.EXPIRED, 10), (MINED, FillState.OBSERVED, 13)]
)
def test_a_fill_that_a_log_had_brought_back_is_gone_again_with_it_unless_the_exchange_speaks_for_it(
    meanwhile: TradeStatus | None, after: FillState, shares: int
) -> None:
    book = expired()
    book.chain(filled())
    if meanwhile is not None:
        flying(book, status=meanwhile)
    book.drop(filled())
    assert (state_of(book), book.shares()) == ((after, False), shares * SHARE)
    book.chain(filled(block=52))
    assert (state_of(book), book.shares()) == ((FillState.SETTLED, True), 13 * SHARE)


@pytest.mark.req("X-01", "R-10", "X-02")
def test_a_receipt_of_the_dropped_block_settles_nothing_any_more() -> None:
    book = holding()
    flying(book, transaction_hash="0xa")
    receipt = Receipt(transaction_hash="0xa", status=ReceiptStatus.SUCCEEDED, block_number=50)
    book.check("t", receipt=receipt)
    book.chain(filled())
    book.drop(filled())
    assert (state_of(book), book.fill("t").fill.settled_by) == ((FillState.OBSERVED, False), "")
    assert book.position().settled_micro == 10 * SHARE


@pytest.mark.req("X-01", "L-03")
def test_a_transaction_that_a_message_names_stays_known_when_its_block_is_dropped() -> None:
    book = holding()
    flying(book)
    book.chain(filled())
    flying(book, status=MINED, transaction_hash="0xa", updated_at_ms=AT_MS + SECOND)
    book.drop(filled())
    assert book.fill("t").fill.transaction_hash == "0xa"


@pytest.mark.req("X-01", "X-14")
def test_a_fill_that_the_exchange_tries_anew_is_settled_by_the_log_of_its_new_transaction() -> None:
    book = holding()
    flying(book, transaction_hash="0xa")
    book.chain(filled())
    flying(book, status=TradeStatus.RETRYING, transaction_hash="0xn", updated_at_ms=AT_MS + SECOND)
    book.drop(filled())
    assert (state_of(book), book.fill("t").fill.transaction_hash) == ((FillState.OBSERVED, False), "0xn")
    book.chain(filled(tx="0xn", block=52))
    assert state_of(book) == (FillState.SETTLED, True)


@pytest.mark.req("X-01", "R-11")
def test_a_fill_whose_size_the_exchange_changed_meanwhile_keeps_the_exchanges_amounts() -> None:
    book = holding()
    flying(book)
    book.chain(filled(paid=1_200_001))
    flying(book, size=2 * SHARE, status=MINED, updated_at_ms=AT_MS + SECOND)
    book.drop(filled())
    assert (book.fill("t").fill.amount_micro, book.shares()) == (800_000, 12 * SHARE)


@pytest.mark.req("X-01", "R-23")
def test_a_fill_that_an_opening_has_set_aside_stays_history() -> None:
    book = ChainBook()
    flying(book)
    book.chain(filled())
    book.look(balances(55, 9, 0), opening=True)
    assert book.fill("t").fill.state is FillState.SUPERSEDED
    book.drop(filled())
    assert (book.fill("t").fill.state, book.shares()) == (FillState.SUPERSEDED, 9 * SHARE)


@pytest.mark.req("X-01", "L-19")
def test_a_block_is_dropped_once_however_often_it_is_said() -> None:
    book = holding()
    flying(book)
    book.chain(filled(), merged(tx="0xm"))
    book.drop(filled())
    known = book.state
    step = book.drop(filled())
    assert (step.state is known, step.rows) == (True, ())
    book.chain(filled(block=52), merged(tx="0xm", block=52))
    known = book.state
    assert book.drop(filled()).state is known, "what is in another block by now stands"


@pytest.mark.req("X-01", "X-14")
def test_only_the_blocks_that_were_dropped_are_undone() -> None:
    book = holding()
    book.chain(merged(SHARE), merged(2 * SHARE, tx="0xm", block=51), merged(3 * SHARE, tx="0xn", block=52, fork="x"))
    book.drop(merged(tx="0xm", block=51), merged(tx="0xn", block=52))
    assert book.shares() == 6 * SHARE, "of block 52 another one was dropped"


@pytest.mark.req("X-01", "L-16")
def test_a_log_that_waited_is_forgotten_with_its_block() -> None:
    book = holding()
    book.chain(filled())
    book.drop(filled())
    flying(book)
    assert (state_of(book), book.state.tail) == ((FillState.OBSERVED, False), ())


@pytest.mark.req("R-31", "X-14")
def test_what_is_final_and_was_compared_is_forgotten_and_not_undone() -> None:
    book = holding()
    book.chain(merged(SHARE), merged(SHARE, tx="0xm", block=51))
    book.chain(merged(SHARE, tx="0xn", block=60), final=50)
    assert [held.fact.block_number for held in book.state.tail] == [51, 60]
    known = book.state
    assert book.drop(merged(SHARE)).state is known
    book.drop(merged(SHARE, tx="0xm", block=51))
    assert book.shares() == 8 * SHARE


@pytest.mark.req("R-31", "D-16")
def test_finality_alone_is_not_journaled() -> None:
    book = holding()
    book.chain(merged(SHARE))
    known = book.state
    assert book.chain(merged(SHARE), final=90).state is known
    assert book.chain(final=90).state is known
