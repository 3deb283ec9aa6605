"""A market told of the chain between two cycles: what its logs show is booked at once, and undone with its block."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from portfolio.adjusting import logged_ids, stands_booked
from portfolio.entries import Cause, Conversion, FillState, Redemption, Trade
from portfolio.facts import Receipt, ReceiptStatus, Side, TradeStatus
from portfolio.images import image_of
from portfolio.outcomes import AdjustmentRow, FillRow, IssueRow, SettlementReport
from portfolio.reasons import IssueType
from portfolio.tail import ChainFact
from tests.unit.portfolio.chain_facts import BASE, ChainBook, balances, fact, filled, holding, merged
from tests.unit.portfolio.markets import (
    CENT,
    EVENT,
    MINUTE,
    NO,
    SECOND,
    SHARE,
    T0,
    YES,
    balances_at,
    leg,
    meta,
    order,
    question,
)

AT_MS = T0 + 90 * SECOND
"""Five seconds before block 50's time comes."""

CONFIRMED, FAILED, MINED = TradeStatus.CONFIRMED, TradeStatus.FAILED, TradeStatus.MINED


def flying(book: ChainBook, trade: str = "t", size: int = 3 * SHARE, **given: Any) -> None:
    """A trade of ``o1`` was seen."""
    book.see(leg(trade, size, at_ms=AT_MS, **given))


def state_of(book: ChainBook, trade: str = "t") -> tuple[FillState, bool]:
    booked = book.fill(trade)
    return booked.fill.state, booked.proven


# -- own fills ------------------------------------------------------------------------------------------------------


@pytest.mark.req("X-01", "L-03", "X-15")
@pytest.mark.parametrize("known", ["0xa", None], ids=["by its transaction", "by its size"])
def test_an_own_fill_is_settled_by_its_log_and_names_its_transaction(known: str | None) -> None:
    book = holding()
    flying(book, transaction_hash=known)
    book.chain(filled())
    fill = book.fill("t").fill
    assert state_of(book) == (FillState.SETTLED, True)
    assert (fill.transaction_hash, fill.settled_by) == ("0xa", "transaction 0xa, log 3, block 50")
    assert (book.shares(), book.position().settled_micro) == (13 * SHARE, 13 * SHARE)
    assert [(row.state, row.transaction_hash) for row in book.last(FillRow)] == [(FillState.SETTLED, "0xa")]
    assert (book.last(AdjustmentRow), book.state.noted, book.entries()) == ((), (), ()), "own fills are no drift (R-25)"


@pytest.mark.req("X-01", "L-03")
@pytest.mark.parametrize(
    "trade",
    [{"transaction_hash": "0xother"}, {"size": 2 * SHARE}, {"order_id": "o2"}, {"side": Side.SELL}],
    ids=["another transaction", "another size", "another order", "the other side"],
)
def test_a_log_that_is_not_of_the_fill_settles_it_not(trade: dict[str, Any]) -> None:
    book = holding()
    given = dict(trade)
    size = given.pop("size", 3 * SHARE)
    flying(book, size=size, **given)
    book.chain(filled())
    (booked,) = (one for one in book.state.fills.values() if one.fill.trade_id == "t")
    assert (booked.fill.state, booked.proven) == (FillState.OBSERVED, False)
    assert [held.booked_as for held in book.state.tail] == [""]


@pytest.mark.req("X-01", "X-02")
def test_of_two_fills_of_a_size_the_one_with_the_logs_transaction_is_settled() -> None:
    book = holding()
    flying(book, "first")
    flying(book, "second", transaction_hash="0xa")
    book.chain(filled())
    assert [book.fill(trade).proven for trade in ("first", "second")] == [False, True]


@pytest.mark.req("R-11", "R-20", "X-10")
def test_the_amounts_and_the_fee_of_the_log_win_and_the_row_that_says_so_names_it() -> None:
    book = holding()
    flying(book)
    flying(book, "other", token_id=NO, order_id="o2")
    book.chain(filled(paid=1_200_001, fee=70), filled(token=NO, order_id="o2", tx="0xc"))
    fill, position = book.fill("t").fill, book.position()
    assert (fill.amount_micro, fill.fee_micro) == (1_200_001, 70)
    assert (position.cost_basis_micro, position.fees_micro) == (5_200_001, 70)
    assert position.cash_flow_settled_micro == -4_000_000 - 1_200_001 - 70
    (restated,) = book.last(AdjustmentRow)
    assert (restated.cost_micro, restated.evidence) == (1, "transaction 0xa, log 3, block 50")


@pytest.mark.req("L-16", "R-21", "X-01")
def test_a_log_before_its_trade_waits_books_nothing_and_settles_the_trade_when_it_comes() -> None:
    book = holding()
    before = book.figures()
    book.chain(filled(fee=70))
    assert (book.figures(), book.entries(), book.step.rows) == (before, (), ())
    flying(book)
    assert (state_of(book), book.fill("t").fill.fee_micro) == ((FillState.SETTLED, True), 70)
    assert [held.booked_as for held in book.state.tail] == ["t/o1"]


@pytest.mark.req("L-16", "D-03")
def test_a_log_takes_nothing_from_an_orders_figure_and_settles_the_trade_that_takes_its_place() -> None:
    book = holding()
    book.show(order("o7", price_micro=40 * CENT, size_matched_micro=3 * SHARE), at_ms=AT_MS)
    book.chain(filled(fee=70, order_id="o7"))
    assert (book.shares(), book.position().settled_micro) == (13 * SHARE, 10 * SHARE)
    flying(book, order_id="o7")
    assert (book.shares(), book.position().settled_micro, book.position().fees_micro) == (13 * SHARE, 13 * SHARE, 70)
    assert book.state.tail[0].booked_as == "t/o7"


@pytest.mark.req("L-16", "X-01")
def test_a_log_waits_past_trades_of_its_order_that_it_does_not_fit() -> None:
    book = holding()
    book.chain(filled(), filled(2 * SHARE, 800_000, tx="0xd"))
    flying(book, "other", 5 * SHARE)
    flying(book, "second", 2 * SHARE)
    assert [held.booked_as for held in book.state.tail] == ["", "second/o1"]
    book.see(leg("x", 3 * SHARE, order_id="o9", at_ms=AT_MS))
    assert book.state.tail[0].booked_as == "", "another order's"


@pytest.mark.req("R-10", "X-01")
def test_the_log_of_a_fill_that_had_failed_waits_until_the_exchange_takes_it_back() -> None:
    book = holding()
    flying(book, status=FAILED)
    book.chain(filled())
    assert (book.shares(), book.state.tail[0].booked_as) == (10 * SHARE, "")
    flying(book, status=CONFIRMED)
    assert (book.shares(), state_of(book), book.state.tail[0].booked_as) == (
        13 * SHARE,
        (FillState.SETTLED, True),
        "t/o1",
    )


@pytest.mark.req("R-10", "X-01")
def test_an_expired_fill_comes_back_by_its_log() -> None:
    book = expired()
    book.chain(filled())
    assert (book.shares(), state_of(book)) == (13 * SHARE, (FillState.SETTLED, True))


def expired() -> ChainBook:
    book = holding()
    flying(book)
    book.now_ms = AT_MS + 16 * MINUTE
    book.check("t")
    assert state_of(book) == (FillState.EXPIRED, False)
    return book


# -- what others did ------------------------------------------------------------------------------------------------


@pytest.mark.req("R-21", "L-16", "L-15", "R-22")
def test_an_external_fill_waits_and_is_booked_by_the_second_look_of_a_cycle() -> None:
    book = holding()
    sale = filled(-3 * SHARE, order_id="strange", fee=30)
    book.chain(sale)
    assert (book.entries(), book.state.noted) == ((), ())
    for block in (51, 52):
        book.look(balances(block, yes=7), hints=(sale.hint,))
    (entry,) = book.entries()
    assert isinstance(entry, Trade)
    assert (entry.entry_id, entry.amount_micro, entry.fee_micro) == ("chain:0xa:3:yes", 1_200_000, 30)
    assert [change.booked for change in image_of(book.state).chained] == [True]
    assert book.chain(sale).rows == ()
    assert len(book.state.adjustments) == 1


@pytest.mark.req("X-01", "L-14", "L-15", "R-22", "L-22")
def test_a_merge_is_booked_at_once_with_its_transaction_an_issue_and_a_note_for_the_cycle() -> None:
    book = holding()
    book.chain(merged())
    (entry,) = book.entries()
    assert (entry.entry_id, entry.evidence, entry.estimated) == (
        "chain:0xa:3",
        "transaction 0xa, log 3, block 50",
        False,
    )
    assert {row.evidence for row in book.last(AdjustmentRow)} == {entry.evidence}
    assert [(row.type, row.subject, row.before, row.after, row.cause) for row in book.last(IssueRow)] == [
        ("POSITION_DRIFT", YES, "10.0", "6.0", "POSITION_MERGED"),
        ("POSITION_DRIFT", NO, "10.0", "6.0", "POSITION_MERGED"),
    ]
    assert [(note.token_id, note.shares_micro, note.cause, note.pausing) for note in book.state.noted] == [
        (YES, -4 * SHARE, "POSITION_MERGED", False),
        (NO, -4 * SHARE, "POSITION_MERGED", False),
    ]
    assert (book.position().cost_basis_micro, book.position().realized_pnl_micro) == (2_400_000, 2_000_000 - 1_600_000)


def moved(cause: Cause, cash: int, **legs: int) -> ChainFact:
    return fact(cause, cash, legs)


BOOKED = [
    (moved(Cause.POSITION_SPLIT, -4 * SHARE, yes=4 * SHARE, no=4 * SHARE), (14, 6_000_000, 0, False)),
    (moved(Cause.REDEEMED, 4 * SHARE, yes=-4 * SHARE), (6, 2_400_000, 2_400_000, False)),
    (moved(Cause.REDEEMED, 0, yes=-10 * SHARE), (0, 0, -4_000_000, False)),
    (moved(Cause.TRANSFER_OUT, 0, yes=-4 * SHARE), (6, 2_400_000, 0, False)),
    (moved(Cause.TRANSFER_IN, 0, yes=4 * SHARE), (14, 4_000_000 + 4 * 700_000, 0, True)),
]


@pytest.mark.req("X-01", "R-13", "L-15")
@pytest.mark.parametrize(
    ("change", "after"), BOOKED, ids=["split", "redeemed", "redeemed for nothing", "sent away", "received"]
)
def test_each_change_is_booked_at_once_at_the_cost_that_its_kind_has(
    change: ChainFact, after: tuple[int, int, int, bool]
) -> None:
    book = holding()
    book.chain(change, prices={YES: 70 * CENT})
    (entry,) = book.entries()
    held = book.position()
    assert (held.shares_micro // SHARE, held.cost_basis_micro, held.realized_pnl_micro, entry.estimated) == after
    assert held.settled_micro == held.shares_micro
    assert {note.cause for note in book.state.noted} == {change.hint.cause.value}


@pytest.mark.req("R-22")
def test_a_transfer_may_pause_and_a_redemption_may_not() -> None:
    book = holding()
    book.chain(moved(Cause.TRANSFER_OUT, 0, yes=-SHARE), replace_log(moved(Cause.REDEEMED, SHARE, no=-SHARE), 4))
    assert [note.pausing for note in book.state.noted] == [True, False]
    result = book.look(balances(55, 9, 9))
    assert (result.drift_micro, result.pausing_drift_micro) == (SHARE, SHARE // 2)


def replace_log(one: ChainFact, log: int, **given: Any) -> ChainFact:
    """The same in another log."""
    name = one.hint.logged_as.replace(":3", f":{log}")
    return replace(one, hint=replace(one.hint, logged_as=name), **given)


@pytest.mark.req("R-13", "R-03")
@pytest.mark.parametrize(
    ("price", "held", "cost"),
    [(55 * CENT, True, 55 * CENT), (None, True, 40 * CENT), (None, False, SHARE)],
    ids=["metadata's price", "own average", "nothing known"],
)
def test_before_a_cycle_has_told_prices_a_transfer_comes_in_at_the_price_that_is_known(
    price: int | None, held: bool, cost: int
) -> None:
    known = meta()
    tokens = tuple(replace(token, price_micro=price) for token in known.tokens)
    book = holding(replace(known, tokens=tokens)) if held else ChainBook(replace(known, tokens=tokens))
    book.chain(moved(Cause.TRANSFER_IN, 0, yes=2 * SHARE))
    assert book.position().carried_in_micro == 2 * cost


def event() -> ChainBook:
    """Three questions; ten NO of the first two, at 0.40."""
    book = ChainBook(*(question(index) for index in range(3)), market_id=EVENT)
    for index in (0, 1):
        bought = leg(f"t{index}", token_id=f"n{index}", condition_id=f"0xc{index}", status=CONFIRMED)
        book.see(bought)
    book.look(balances_at(BASE, {"n0": 10 * SHARE, "n1": 10 * SHARE}), prices=())
    return book


CONVERSION = fact(
    Cause.CONVERTED,
    4 * SHARE,
    {"n0": -4 * SHARE, "n1": -4 * SHARE, "y2": 4 * SHARE},
    condition_id="",
)


@pytest.mark.req("X-01", "R-13", "D-01")
def test_a_conversion_is_booked_at_once_over_all_questions_of_its_event() -> None:
    book = event()
    book.chain(CONVERSION)
    (entry,) = book.entries()
    assert isinstance(entry, Conversion)
    assert {token: book.shares(token) for token in ("n0", "n1", "y2")} == {
        "n0": 6 * SHARE,
        "n1": 6 * SHARE,
        "y2": 4 * SHARE,
    }
    assert [note.condition_id for note in book.state.noted] == ["0xc0", "0xc1", "0xc2"]


@pytest.mark.req("X-01", "L-22", "R-25")
def test_a_conversion_that_is_undone_is_reported_for_each_of_its_questions() -> None:
    book = event()
    before = book.figures()
    book.chain(CONVERSION)
    book.look(balances_at(55, {"n0": 6 * SHARE, "n1": 6 * SHARE, "y2": 4 * SHARE}), prices=())
    book.drop(CONVERSION)
    assert {token: held for token, held in book.figures().items() if token in before} == before
    book.look(balances_at(56, {"n0": 10 * SHARE, "n1": 10 * SHARE, "y2": 0}), prices=())
    reports = book.last(SettlementReport)
    assert [(report.market_id, report.cause) for report in reports] == [
        ("0xc0", "REORGANISED"),
        ("0xc1", "REORGANISED"),
        ("0xc2", "REORGANISED"),
    ]


@pytest.mark.req("X-01", "L-14")
def test_a_token_of_no_known_condition_is_booked_and_undone_like_any() -> None:
    book = holding()
    strange = fact(Cause.TRANSFER_IN, 0, {"strange": SHARE})
    book.chain(strange)
    assert (book.shares("strange"), book.position("strange").carried_in_micro) == (SHARE, SHARE)
    book.drop(strange)
    assert book.shares("strange") == 0


# -- repetition -----------------------------------------------------------------------------------------------------


@pytest.mark.req("L-19", "D-16")
def test_a_repetition_changes_nothing_and_is_not_journaled() -> None:
    book = holding()
    flying(book)
    facts = (filled(), merged(tx="0xm"), filled(order_id="strange", tx="0xs"))
    book.chain(*facts)
    known = book.state
    for told in (facts, facts[::-1], facts[1:2]):
        step = book.chain(*told)
        assert (step.state is known, step.rows) == (True, ())


@pytest.mark.req("L-19", "R-31")
def test_a_log_that_settled_a_fill_and_was_forgotten_since_is_no_other_fills() -> None:
    book = holding()
    flying(book)
    book.chain(filled())
    book.chain(merged(tx="0xm", block=60), final=55)
    flying(book, "twin")
    known = book.state
    assert book.chain(filled()).state is known
    assert state_of(book, "twin") == (FillState.OBSERVED, False)


@pytest.mark.req("L-19", "X-01")
def test_two_equal_fills_of_an_order_in_one_transaction_have_a_log_each() -> None:
    book = holding()
    for trade in ("first", "second"):
        flying(book, trade, transaction_hash="0xa")
    book.chain(filled())
    assert [book.fill(trade).proven for trade in ("first", "second")] == [True, False]
    book.chain(filled(log=9))
    assert {held.booked_as for held in book.state.tail} == {"first/o1", "second/o1"}
    assert book.position().settled_micro == 16 * SHARE


@pytest.mark.req("L-19", "X-01")
def test_what_a_cycle_has_booked_by_its_log_is_not_booked_again_when_the_log_is_told() -> None:
    book = holding()
    book.look(balances(51, 6, 6), hints=(merged().hint,))
    known = book.state
    assert book.chain(merged()).state is known
    assert stands_booked(known, "chain:0xa:3")


# -- reorganisations ------------------------------------------------------------------------------------------------


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


# -- finality -------------------------------------------------------------------------------------------------------


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


# -- a trade in the place of an entry (D-12) --------------------------------------------------------------------------


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


# -- what a cycle makes of it -----------------------------------------------------------------------------------------


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
