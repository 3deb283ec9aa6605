"""A market told of the chain between two cycles: what its logs show is booked at once (X-01)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from portfolio.adjusting import stands_booked
from portfolio.entries import Cause, Conversion, FillState, Trade
from portfolio.facts import Side, TradeStatus
from portfolio.images import image_of
from portfolio.outcomes import AdjustmentRow, FillRow, IssueRow, SettlementReport
from portfolio.tail import ChainFact
from tests.unit.portfolio.chain_facts import (
    AT_MS,
    CONVERSION,
    ChainBook,
    balances,
    event,
    expired,
    fact,
    filled,
    flying,
    holding,
    merged,
    moved,
    replace_log,
    state_of,
)
from tests.unit.portfolio.markets import (
    CENT,
    NO,
    SHARE,
    YES,
    balances_at,
    leg,
    meta,
    order,
)

CONFIRMED, FAILED, MINED = TradeStatus.CONFIRMED, TradeStatus.FAILED, TradeStatus.MINED


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
    assert [(note.token_id, note.shares_micro, note.cause) for note in book.state.noted] == [
        (YES, -4 * SHARE, "POSITION_MERGED"),
        (NO, -4 * SHARE, "POSITION_MERGED"),
    ]
    assert (book.position().cost_basis_micro, book.position().realized_pnl_micro) == (2_400_000, 2_000_000 - 1_600_000)


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
    result = book.look(balances(55, 9, 9))
    assert (result.drift_micro, result.pausing_drift_micro) == (SHARE, SHARE // 2)


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
