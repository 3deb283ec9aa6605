"""A comparison at a block leaves out what the chain's logs showed behind it, and nothing else (X-02, R-05)."""

from __future__ import annotations

import pytest

from portfolio.comparison import as_of, examine_market
from portfolio.cycle import Frame, Plan, plan
from portfolio.facts import Balances, CollateralBalance, Side, TokenBalance, TradeStatus
from portfolio.images import image_of
from portfolio.readings import Readings
from portfolio.tail import ChainFact
from portfolio.views import TokenImage, ViewPolicy
from portfolio.wallet import WalletState
from tests.unit.portfolio.chain_facts import BASE, ChainBook, balances, filled, holding, merged
from tests.unit.portfolio.markets import NO, SECOND, SHARE, T0, YES, leg

AT_MS = T0 + 90 * SECOND
CASH = 100 * SHARE
"""Collateral at the block of the last comparison, of which eight pUSD had been paid for the twenty shares."""


def planned(book: ChainBook, block: int, yes: int, no: int, cash: int) -> Plan:
    """A cycle at the block, in whole shares and in micro pUSD; the wallet's logs are not read."""
    found = Balances(
        block_number=block,
        block_hash=f"0xb{block}",
        block_time_ms=T0 + 2 * SECOND * block,
        collateral=(CollateralBalance(name="pusd", amount_micro=cash),),
        tokens=(
            TokenBalance(token_id=YES, amount_micro=yes * SHARE),
            TokenBalance(token_id=NO, amount_micro=no * SHARE),
        ),
    )
    readings = Readings(balances=found, positions=(), orders=(), orders_read_at_ms=0, fates=())
    frame = Frame(cycle_id="main-1", synced_at_ms=book.now_ms, policy=ViewPolicy(), own_keys=())
    wallet = WalletState(wallet="main", opened=True, capital_micro=CASH + 8 * SHARE)
    return plan([image_of(book.state)], readings, frame, wallet)


def yes_of(book: ChainBook, block: int) -> TokenImage:
    return as_of(image_of(book.state), block).tokens[0]


def busy() -> ChainBook:
    """A purchase of three in block 50, a merge of four in 52, and a sale of one that is in flight."""
    book = holding()
    book.now_ms = AT_MS
    book.see(leg("b", 3 * SHARE, at_ms=AT_MS), leg("s", SHARE, side=Side.SELL, order_id="o2", at_ms=AT_MS))
    book.chain(filled(fee=70), merged(tx="0xm", block=52))
    return book


@pytest.mark.req("X-02", "R-05")
@pytest.mark.parametrize(("block", "shares"), [(49, 10), (50, 13), (51, 13), (52, 9), (60, 9)])
def test_what_a_later_block_has_is_in_no_earlier_balance(block: int, shares: int) -> None:
    token = yes_of(busy(), block)
    assert (token.proven_micro, token.settled_micro) == (shares * SHARE, shares * SHARE)
    assert (token.shares_micro, len(token.unproven)) == ((shares - 1) * SHARE, 1), "what is in flight stays so"


@pytest.mark.req("X-02", "X-10")
@pytest.mark.parametrize(("block", "moved"), [(49, 0), (51, -1_200_070), (52, -1_200_070 + 4 * SHARE)])
def test_the_cash_of_a_later_block_is_in_no_earlier_balance(block: int, moved: int) -> None:
    image = as_of(image_of(busy().state), block)
    assert image.proven_cash_micro == -8 * SHARE + moved


@pytest.mark.req("X-02", "S-25")
def test_an_image_of_which_nothing_lies_behind_the_block_is_left_as_it_is() -> None:
    image = image_of(busy().state)
    assert as_of(image, 52) is image
    assert as_of(image_of(holding().state), 0).chained == ()


@pytest.mark.req("X-02", "L-16")
def test_a_log_that_waits_for_its_trade_is_in_no_book_and_is_left_out_of_none() -> None:
    book = holding()
    book.chain(filled())
    image = image_of(book.state)
    assert [(change.booked, change.legs, change.cash_micro) for change in image.chained] == [(False, (), 0)]
    assert as_of(image, BASE) is image


@pytest.mark.req("X-02", "X-01")
def test_what_was_undone_or_failed_since_is_left_out_of_nothing() -> None:
    book = busy()
    book.see(leg("b", 3 * SHARE, at_ms=AT_MS, status=TradeStatus.FAILED))
    assert [change.legs for change in image_of(book.state).chained] == [(), merged().hint.legs]
    book.drop(merged(block=52))
    assert yes_of(book, 49).proven_micro == 10 * SHARE
    assert [change.logged_as for change in image_of(book.state).chained] == ["chain:0xa:3:yes"]


@pytest.mark.req("X-02", "D-12")
def test_an_entry_that_gave_way_to_a_trade_is_left_out_as_that_trade() -> None:
    book = holding()
    book.chain(filled(-3 * SHARE))
    for block in (51, 52):
        book.look(balances(block, yes=7), hints=(filled(-3 * SHARE).hint,))
    book.see(leg("own", 3 * SHARE, side=Side.SELL, at_ms=AT_MS))
    assert (yes_of(book, 50).proven_micro, yes_of(book, 49).proven_micro) == (7 * SHARE, 10 * SHARE)


@pytest.mark.req("X-02", "R-05", "X-10", "L-16")
@pytest.mark.parametrize(
    ("block", "yes", "no", "cash"),
    [(49, 10, 10, CASH), (51, 13, 10, CASH - 1_200_070), (55, 9, 6, CASH - 1_200_070 + 4 * SHARE)],
    ids=["before all", "between", "behind all"],
)
def test_a_cycle_finds_no_difference_whichever_side_of_a_booked_fact_its_block_is(
    block: int, yes: int, no: int, cash: int
) -> None:
    book = busy()
    found = planned(book, block, yes, no, cash)
    (view,) = found.views.values()
    assert (found.cash_unexplained_micro, found.settled_clean) == (0, True)
    assert view.chain is not None
    exams = examine_market(image_of(book.state), view.chain, 30_000)
    assert [(exam.difference_micro, exam.explained) for exam in exams] == [(0, ()), (0, ())]
    book.now_ms = AT_MS
    result = book.look(view.chain)
    assert (result.pending_count, book.state.halted) == (0, "")
    assert result.causes == ("POSITION_MERGED",), "the merge's own note, and no more"


@pytest.mark.req("X-02", "L-13")
@pytest.mark.parametrize("block", [49, 51, 55])
def test_a_base_unit_that_the_logs_do_not_show_is_found_all_the_same(block: int) -> None:
    book = busy()
    shares = {49: 10, 51: 13, 55: 9}[block] * SHARE
    exact = balances(block)
    chain = type(exact)(
        block_number=block, block_time_ms=exact.block_time_ms, balances=((YES, shares + 1),), exact=(YES,)
    )
    assert [exam.difference_micro for exam in examine_market(image_of(book.state), chain, 30_000)] == [1]


@pytest.mark.req("X-02", "X-01")
def test_two_changes_behind_the_block_that_cancel_each_other_are_both_left_out() -> None:
    book = holding()
    away: ChainFact = merged(tx="0xm", block=52)
    book.chain(merged(), away)
    assert (yes_of(book, 49).settled_micro, yes_of(book, 51).settled_micro) == (10 * SHARE, 6 * SHARE)
    assert as_of(image_of(book.state), 49).tokens[1].settled_micro == 10 * SHARE
