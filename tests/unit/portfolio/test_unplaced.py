"""Transactions that move tokens of no known market wait, and with them what came of the same tokens later (X-01)."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from portfolio.chain import ChainTransaction
from portfolio.facts import Side
from portfolio.unplaced import NOTHING_WAITS, UNPLACED_BLOCKS, unplaced
from portfolio.views import MarketImage
from tests.unit.portfolio.chain_facts import balances, holding
from tests.unit.portfolio.markets import SHARE, YES
from tests.unit.portfolio.test_hinting import CAPITAL, image, merged, planned, sold
from tests.unit.portfolio.transaction_logs import ALICE, RAIN, WALLET
from tests.unit.portfolio.transactions import Order, Tx


def sent(token: str, shares: int = SHARE) -> ChainTransaction:
    tx = Tx()
    tx.tokens(WALLET, ALICE, (token, shares))
    return replace(tx.done(), transaction_hash=f"0xsent{token}{shares}")


def yes_alone() -> MarketImage:
    """The market while nothing is known of its NO."""
    return replace(image(), tokens=image().tokens[:1])


@pytest.mark.req("X-01", "L-14")
def test_nothing_waits_while_all_tokens_are_known() -> None:
    assert unplaced([merged(SHARE), sent(RAIN.yes)], WALLET, {RAIN.yes, RAIN.no}) == NOTHING_WAITS
    assert NOTHING_WAITS.sentence == ""


@pytest.mark.req("X-01", "L-14")
def test_what_moved_a_strange_token_waits_and_what_follows_of_its_other_tokens_but_no_fill() -> None:
    strange, later, other = merged(SHARE), sent(RAIN.yes), sent("elsewhere")
    filled, _ = sold(SHARE, 400_000)
    waits = unplaced([other, strange, filled, later], WALLET, {RAIN.yes, "elsewhere"})
    assert waits.transactions == {strange.transaction_hash, later.transaction_hash}
    assert waits.tokens == {RAIN.yes, RAIN.no}
    assert waits.sentence.startswith("2 transactions wait for metadata of tokens that they move: 0x")


@pytest.mark.req("X-01", "L-14", "X-10")
def test_a_difference_of_such_a_transaction_has_no_cause_yet_and_cash_is_not_judged() -> None:
    done = merged(4 * SHARE)
    found = planned(done, image=yes_alone(), found=(6 * SHARE, 6 * SHARE, CAPITAL + 4 * SHARE))
    view = found.views[RAIN.name]
    assert view.chain is not None
    assert (view.chain.waiting, view.hints, found.cash_unexplained_micro) == ((RAIN.yes,), (), None)
    assert done.transaction_hash in found.doubt
    whole = planned(done, image=image(), found=(6 * SHARE, 6 * SHARE, CAPITAL + 4 * SHARE))
    assert (whole.views[RAIN.name].chain.waiting, whole.doubt) == ((), "")  # type: ignore[union-attr]


@pytest.mark.req("X-01", "L-14")
def test_after_some_blocks_metadata_is_not_waited_for_any_more() -> None:
    old = replace(merged(4 * SHARE), block_number=9 - UNPLACED_BLOCKS)
    found = planned(old, image=yes_alone(), found=(6 * SHARE, 6 * SHARE, CAPITAL + 4 * SHARE))
    view = found.views[RAIN.name]
    assert view.chain is not None
    assert view.chain.waiting == ()


@pytest.mark.req("R-05", "X-01")
def test_a_market_does_not_book_a_difference_that_waits_however_often_it_sees_it() -> None:
    book = holding()
    for block in (50, 51, 52):
        book.look(replace(balances(block, 6), waiting=(YES,)))
    assert (book.shares(), list(book.state.pending), book.entries()) == (10 * SHARE, [YES], ())
    book.look(balances(53, 6))
    assert book.shares() == 6 * SHARE


@pytest.mark.req("X-01")
def test_a_fill_of_a_known_token_is_told_by_itself_beside_what_waits() -> None:
    tx = Tx()
    tx.match(
        RAIN,
        Order(user=ALICE, side=Side.BUY, token=RAIN.yes),
        Order(user=WALLET, side=Side.SELL, token=RAIN.yes, shares=SHARE, cash=400_000),
    )
    assert unplaced([sent("strange"), tx.done()], WALLET, {RAIN.yes}).tokens == {"strange"}
