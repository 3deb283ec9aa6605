"""The chain's facts: as markets are handed them, in a market's image, and by way of the journal (X-01)."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from messages.codec import SCHEMA, decode, encode, kind_of_event
from portfolio.adjusting import logged_ids, logged_name, stands_booked
from portfolio.chain import ChainTransaction
from portfolio.entries import Cause
from portfolio.events import ChainDropped, ChainSeen, FillSeen
from portfolio.facts import Payout, Side
from portfolio.hinting import booked_logs
from portfolio.images import image_of
from portfolio.labelling import label
from portfolio.state import digest
from portfolio.tail import ChainFact, DroppedBlock, facts_of
from portfolio.views import TokenPrice
from tests.unit.portfolio.chain_facts import ChainBook, fact, filled, holding, merged
from tests.unit.portfolio.markets import NO, SECOND, SHARE, T0, YES, leg
from tests.unit.portfolio.transaction_logs import ALICE, BOOK, RAIN, WALLET
from tests.unit.portfolio.transactions import Order, Tx

AT_MS = T0 + 90 * SECOND


def facts(done: ChainTransaction, *payouts: Payout) -> tuple[ChainFact, ...]:
    known = {payout.condition_id: payout for payout in payouts}
    return facts_of(label(done, WALLET, BOOK), BOOK, known)


@pytest.mark.req("X-01", "R-21")
def test_a_fill_names_its_order_its_block_and_what_it_is_if_nobody_of_ours_made_it() -> None:
    tx = Tx()
    maker = Order(user=WALLET, side=Side.SELL, token=RAIN.yes, shares=2 * SHARE, cash=SHARE)
    tx.match(RAIN, Order(user=ALICE, side=Side.BUY, token=RAIN.yes), maker)
    done = tx.done()
    (found,) = facts(done)
    assert found.order_id.startswith("order-")
    assert (found.transaction_hash, found.block_number, found.block_hash) == (
        done.transaction_hash,
        done.block_number,
        done.block_hash,
    )
    assert (found.hint.cause, found.hint.legs, found.hint.cash_micro) == (
        Cause.EXTERNAL_SALE,
        ((RAIN.yes, -2 * SHARE),),
        SHARE,
    )


@pytest.mark.req("X-01", "X-10")
def test_collateral_that_moved_alone_is_no_markets_and_a_merge_is_nobodys_order() -> None:
    tx = Tx()
    tx.cash("pusd", ALICE, WALLET, SHARE)
    tx.merge(WALLET, RAIN, 4 * SHARE)
    assert [(found.hint.cause, found.order_id) for found in facts(tx.done())] == [(Cause.POSITION_MERGED, "")]


@pytest.mark.req("X-01", "R-13")
def test_a_redemption_of_both_tokens_is_a_fact_for_each_once_the_payout_is_known() -> None:
    tx = Tx()
    tx.redeem(WALLET, RAIN, (3 * SHARE, 2 * SHARE), 3 * SHARE)
    paid = Payout(condition_id=RAIN.name, numerators=(1, 0), denominator=1)
    told = [(found.hint.legs, found.hint.cash_micro) for found in facts(tx.done(), paid)]
    assert told == [(((RAIN.yes, -3 * SHARE),), 3 * SHARE), (((RAIN.no, -2 * SHARE),), 0)]
    assert facts(tx.done()) == (), "until then a cycle finds it in the balances"


@pytest.mark.req("X-02", "X-01")
def test_an_image_shows_of_each_fact_what_of_it_is_in_the_books() -> None:
    book = holding()
    book.see(leg("t", 3 * SHARE, at_ms=AT_MS))
    waiting = filled(order_id="strange", tx="0xs", block=52)
    book.chain(filled(fee=70), merged(tx="0xm", block=51), waiting)
    shown = [
        (change.block_number, change.block_hash, change.booked, dict(change.legs), change.cash_micro)
        for change in image_of(book.state).chained
    ]
    assert shown == [
        (50, "0xb50", True, {YES: 3 * SHARE}, -1_200_070),
        (51, "0xb51", True, {YES: -4 * SHARE, NO: -4 * SHARE}, 4 * SHARE),
        (52, "0xb52", False, {}, 0),
    ]
    assert booked_logs([image_of(book.state)]) == {"chain:0xa:3:yes", "chain:0xm:3"}


@pytest.mark.req("D-02", "L-19")
def test_the_ids_of_a_log_go_on_where_they_ended_and_sort_like_the_first() -> None:
    book = holding()
    name = merged().hint.logged_as
    assert (logged_ids(book.state, name), stands_booked(book.state, name)) == ((), False)
    times = []
    for number in (1, 2, 3):
        entry_id, at = logged_name(book.state, merged().hint)
        times.append(at)
        book.chain(merged())
        assert logged_ids(book.state, name)[-1] == entry_id
        assert (len(logged_ids(book.state, name)), stands_booked(book.state, name)) == (number, True)
        book.drop(merged())
        assert not stands_booked(book.state, name)
    assert times == sorted(times)
    assert {at.at_ns for at in times} == {(T0 + 100 * SECOND + 999) * 1_000_000 + 3}, "behind that second's trades"


@pytest.mark.req("D-02", "R-13")
@pytest.mark.parametrize("turned", [False, True])
def test_of_one_block_the_lower_log_index_is_folded_first_whatever_the_transactions_are_called(turned: bool) -> None:
    """Ten at 0.40 and four at 0.50 cost six; of these fourteen, four are redeemed."""
    book = holding()
    split = fact(Cause.POSITION_SPLIT, -4 * SHARE, {"yes": 4 * SHARE, "no": 4 * SHARE}, tx="0xb", log=9)
    paid = fact(Cause.REDEEMED, 4 * SHARE, {"yes": -4 * SHARE}, tx="0xa", log=10)
    book.chain(*((paid, split) if turned else (split, paid)))
    assert book.position().cost_basis_micro == 6 * SHARE - 6 * SHARE * 4 // 14


@pytest.mark.req("L-20", "D-20", "L-19")
def test_what_was_seen_and_dropped_comes_from_the_journal_as_it_was_taken() -> None:
    moved = replace(merged(), block_number=52, block_hash="0xb52")
    story = (
        FillSeen(leg=leg("t", 3 * SHARE, at_ms=AT_MS), feed="poll"),
        ChainSeen(facts=(filled(fee=7), merged()), final_block=40, prices=(TokenPrice(token_id=YES, price_micro=1),)),
        ChainSeen(facts=(moved,), final_block=41),
        ChainDropped(blocks=(DroppedBlock(block_number=52, block_hash="0xb52"),)),
    )
    book, again = ChainBook(), ChainBook()
    for event in story:
        book.tell(event)
        back = decode(encode(event), kind_of_event(event), SCHEMA)
        assert back == event
        again.tell(back)
    assert digest(book.state) == digest(again.state)
    assert (len(book.state.adjustments), len(book.state.tail)) == (2, 0)
