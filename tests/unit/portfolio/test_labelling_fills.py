"""Fills told from a transaction: by the exchange's event, with exactly the movements that are theirs."""

from __future__ import annotations

from collections import Counter

import pytest

from portfolio.chain import ChangeKind
from portfolio.facts import Side
from portfolio.labelling import IncompleteTransactionError, label
from portfolio.labelling_book import TokenBook
from tests.unit.portfolio.labelled import is_told
from tests.unit.portfolio.transaction_logs import (
    ALICE,
    BOB,
    BOOK,
    CAROL,
    EXCHANGE,
    FEES,
    RAIN,
    SECOND_WALLET,
    SNOW,
    WALLET,
    book,
    told,
)
from tests.unit.portfolio.transactions import Order, Tx

FILL, DEPOSIT, WITHDRAWAL = ChangeKind.FILL, ChangeKind.DEPOSIT, ChangeKind.WITHDRAWAL


def buy(user: str, shares: int = 0, cash: int = 0, fee: int = 0, token: str = RAIN.yes) -> Order:
    return Order(user=user, side=Side.BUY, token=token, shares=shares, cash=cash, fee=fee)


def sell(user: str, shares: int = 0, cash: int = 0, fee: int = 0, token: str = RAIN.yes) -> Order:
    return Order(user=user, side=Side.SELL, token=token, shares=shares, cash=cash, fee=fee)


@pytest.mark.req("X-01", "L-14", "R-20")
def test_a_fill_names_its_order_its_side_its_fee_and_its_proof() -> None:
    tx = Tx()
    tx.match(RAIN, buy(WALLET, fee=2), sell(ALICE, 10, 6))
    (change,) = label(tx.done(), WALLET, BOOK)
    assert (change.kind, change.order_id, change.took) == (FILL, "order-103", True)
    assert (change.condition_id, change.neg_risk_market_id) == ("rain", "")
    assert (change.legs, change.cash, change.cash_micro) == (((RAIN.yes, 10),), (("pusd", -8),), -8)
    assert (change.fee_micro, change.counterparty) == (2, EXCHANGE)
    assert (change.transaction_hash, change.block_number, change.block_hash) == ("0xaa", 7, "0xbb")
    assert (change.block_time_ms, change.log_index, change.wallet) == (1_000, 103, WALLET)
    assert change.evidence == "transaction 0xaa, log 103, block 7"


@pytest.mark.req("X-01", "R-11")
def test_a_maker_fill_names_the_taker_as_its_other_side() -> None:
    tx = Tx()
    tx.match(RAIN, buy(ALICE), sell(WALLET, 10, 6))
    (change,) = label(tx.done(), WALLET, BOOK)
    assert (change.took, change.counterparty, change.fee_micro) == (False, ALICE, 0)


@pytest.mark.req("X-01", "X-10", "R-20")
@pytest.mark.parametrize("taker", [buy(WALLET, fee=2), sell(WALLET, fee=2)])
def test_a_taker_fill_against_several_makers_is_one(taker: Order) -> None:
    other = sell if taker.side is Side.BUY else buy
    tx = Tx()
    tx.match(RAIN, taker, other(ALICE, 10, 6, fee=1), other(BOB, 4, 2))
    (change,) = label(tx.done(), WALLET, BOOK)
    sign = 1 if taker.side is Side.BUY else -1
    assert (change.legs, change.cash) == (((RAIN.yes, sign * 14),), (("pusd", -sign * 8 - 2),))


@pytest.mark.req("X-01", "X-10")
@pytest.mark.parametrize("taker", [buy(ALICE), sell(ALICE)])
def test_each_order_of_a_maker_is_a_fill_of_its_own(taker: Order) -> None:
    other = sell if taker.side is Side.BUY else buy
    tx = Tx()
    tx.match(RAIN, taker, other(WALLET, 10, 6, fee=1), other(BOB, 1, 1), other(WALLET, 4, 2))
    assert [change.legs[0][1] for change in label(tx.done(), WALLET, BOOK)] in ([-10, -4], [10, 4])
    assert is_told(tx)


@pytest.mark.req("X-01", "X-10")
@pytest.mark.parametrize("taker", [buy(WALLET, fee=1), sell(WALLET, fee=1)])
def test_a_wallet_that_trades_with_itself_has_both_fills(taker: Order) -> None:
    other = sell if taker.side is Side.BUY else buy
    tx = Tx()
    tx.match(RAIN, taker, other(WALLET, 10, 6, fee=1), other(ALICE, 3, 2))
    changes = label(tx.done(), WALLET, BOOK)
    assert [(change.kind, change.took) for change in changes] == [(FILL, False), (FILL, True)]
    assert is_told(tx)
    own = label(tx.own_logs(WALLET), WALLET, BOOK)
    assert Counter(told(change) for change in own) == Counter(tx.expected[WALLET])


@pytest.mark.req("X-10", "L-14")
@pytest.mark.parametrize("taker", [buy(WALLET, fee=1), sell(WALLET, fee=1)])
def test_what_else_a_wallet_pays_is_no_part_of_a_trade_with_itself(taker: Order) -> None:
    other = sell if taker.side is Side.BUY else buy
    tx = Tx()
    tx.send_cash(WALLET, CAROL, 7)
    tx.send_tokens(CAROL, WALLET, RAIN, RAIN.yes, 12)
    tx.cash("pusd", WALLET, WALLET, 2)
    tx.match(RAIN, taker, other(WALLET, 10, 6, fee=1), other(ALICE, 3, 2))
    assert is_told(tx)


@pytest.mark.req("X-01", "R-19")
@pytest.mark.parametrize(
    ("taker", "makers"),
    [
        (buy(WALLET, fee=1), (buy(ALICE, 10, 4, token=RAIN.no), sell(BOB, 3, 2))),
        (buy(ALICE, fee=1), (buy(WALLET, 10, 4, fee=1, token=RAIN.no), sell(WALLET, 3, 2))),
        (sell(WALLET, fee=1), (sell(ALICE, 10, 4, token=RAIN.no), buy(BOB, 3, 2))),
        (sell(ALICE, fee=1), (sell(WALLET, 10, 4, fee=1, token=RAIN.no), buy(WALLET, 3, 2))),
        (buy(WALLET), (buy(WALLET, 10, 4, token=RAIN.no),)),
    ],
    ids=["mint taken", "mint made", "merge taken", "merge made", "minted with itself"],
)
def test_what_the_exchange_mints_or_merges_for_a_match_is_no_split_of_the_wallet(
    taker: Order, makers: tuple[Order, ...]
) -> None:
    tx = Tx()
    tx.match(RAIN, taker, *makers)
    assert is_told(tx)


@pytest.mark.req("X-10", "X-01")
def test_collateral_that_a_purchase_did_not_need_lowers_what_it_cost() -> None:
    tx = Tx()
    tx.match(RAIN, buy(WALLET, fee=1), buy(ALICE, 10, 4, token=RAIN.no), surplus=3)
    (change,) = label(tx.done(), WALLET, BOOK)
    assert (change.legs, change.cash, change.fee_micro) == (((RAIN.yes, 10),), (("pusd", -7),), 1)


@pytest.mark.req("X-01", "L-14")
def test_shares_that_a_sale_did_not_need_were_not_sold() -> None:
    tx = Tx()
    tx.match(RAIN, sell(WALLET, fee=1), sell(ALICE, 10, 4, token=RAIN.no), surplus=3)
    (change,) = label(tx.done(), WALLET, BOOK)
    assert (change.legs, change.cash) == (((RAIN.yes, -10),), (("pusd", 5),))


@pytest.mark.req("X-01", "X-10")
def test_what_came_back_belongs_to_the_match_that_it_stands_in() -> None:
    tx = Tx()
    tx.match(RAIN, buy(WALLET), sell(ALICE, 3, 1))
    tx.match(RAIN, buy(WALLET), buy(ALICE, 3, 1, token=RAIN.no), surplus=1)
    tx.match(RAIN, buy(ALICE), sell(WALLET, 4, 1))
    assert [change.cash_micro for change in label(tx.done(), WALLET, BOOK)] == [-1, -2, 1]


@pytest.mark.req("X-10")
def test_more_than_the_order_brought_is_no_refund_but_a_deposit() -> None:
    tx = Tx()
    tx.cash("pusd", WALLET, EXCHANGE, 6)
    tx.tokens(EXCHANGE, WALLET, (RAIN.yes, 10))
    tx.cash("pusd", EXCHANGE, WALLET, 9)
    tx.filled(buy(WALLET, 10, 6), EXCHANGE)
    fill, deposit = sorted(label(tx.done(), WALLET, BOOK), key=lambda change: change.kind is DEPOSIT)
    assert (fill.kind, fill.legs, fill.cash) == (FILL, ((RAIN.yes, 10),), ())
    assert (deposit.kind, deposit.cash, deposit.counterparty) == (DEPOSIT, (("pusd", 3),), EXCHANGE)


@pytest.mark.req("X-10")
def test_only_a_taker_is_given_back_anything() -> None:
    tx = Tx()
    tx.cash("pusd", EXCHANGE, WALLET, 2)
    tx.match(RAIN, sell(ALICE), buy(WALLET, 10, 6))
    changes = label(tx.done(), WALLET, BOOK)
    assert [(change.kind, change.cash_micro) for change in changes] == [(DEPOSIT, 2), (FILL, -6)]


@pytest.mark.req("X-10", "R-20")
def test_where_the_event_states_more_than_moved_the_difference_stands_alone() -> None:
    tx = Tx()
    tx.cash("pusd", WALLET, ALICE, 4)
    tx.tokens(ALICE, WALLET, (RAIN.yes, 8))
    tx.filled(sell(ALICE, 8, 4), WALLET)
    tx.filled(buy(WALLET, 10, 6), EXCHANGE)
    changes = label(tx.done(), WALLET, BOOK)
    assert {(change.kind, change.legs, change.cash, change.counterparty) for change in changes} == {
        (FILL, ((RAIN.yes, 10),), (("pusd", -6),), EXCHANGE),
        (ChangeKind.TRANSFER_OUT, ((RAIN.yes, -2),), (), EXCHANGE),
        (DEPOSIT, (), (("pusd", 2),), EXCHANGE),
    }


@pytest.mark.req("X-10", "R-20")
def test_where_more_moved_than_the_event_states_the_difference_stands_alone() -> None:
    tx = Tx()
    tx.tokens(EXCHANGE, WALLET, (RAIN.yes, 12))
    tx.cash("pusd", WALLET, EXCHANGE, 9)
    tx.filled(buy(WALLET, 10, 6), ALICE)
    changes = label(tx.done(), WALLET, BOOK)
    assert {(change.kind, change.legs, change.cash_micro) for change in changes} == {
        (FILL, ((RAIN.yes, 10),), -6),
        (ChangeKind.TRANSFER_IN, ((RAIN.yes, 2),), 0),
        (WITHDRAWAL, (), -3),
    }


@pytest.mark.req("L-14", "X-10")
def test_a_fill_and_a_transfer_in_one_transaction_are_told_apart() -> None:
    tx = Tx()
    tx.send_cash(WALLET, CAROL, 5)
    tx.match(RAIN, buy(WALLET, fee=1), sell(ALICE, 10, 5, fee=1))
    tx.send_tokens(CAROL, WALLET, RAIN, RAIN.yes, 4)
    tx.send_tokens(WALLET, BOB, SNOW, SNOW.no, 2)
    assert is_told(tx)


@pytest.mark.req("R-20")
def test_a_fee_to_an_address_that_is_not_known_is_a_fee_all_the_same() -> None:
    tx = Tx()
    tx.send_cash(WALLET, CAROL, 5)
    tx.match(RAIN, buy(WALLET, fee=1), sell(ALICE, 10, 5))
    assert is_told(tx, known=book(RAIN, fee_receivers=frozenset(), protocol=BOOK.protocol - {FEES}))


@pytest.mark.req("L-14", "X-10")
@pytest.mark.parametrize("known", [BOOK, book(RAIN, exchanges=frozenset())])
def test_what_the_exchange_moved_beyond_its_events_is_no_split(known: TokenBook) -> None:
    tx = Tx()
    tx.cash("pusd", WALLET, EXCHANGE, 5)
    tx.match(RAIN, buy(ALICE), buy(BOB, 5, 3, token=RAIN.no))
    tx.tokens(EXCHANGE, WALLET, (RAIN.yes, 5), (RAIN.no, 5))
    kinds = Counter(change.kind for change in label(tx.done(), WALLET, known))
    assert kinds == {ChangeKind.TRANSFER_IN: 2, WITHDRAWAL: 1}


@pytest.mark.req("L-14")
def test_a_fill_of_a_token_that_is_not_known_names_no_condition() -> None:
    tx = Tx()
    tx.match(RAIN, buy(WALLET), sell(ALICE, 10, 5))
    (change,) = label(tx.done(), WALLET, book())
    assert (change.kind, change.condition_id, change.legs) == (FILL, "", ((RAIN.yes, 10),))


@pytest.mark.req("S-16", "X-01")
def test_two_wallets_of_ours_each_have_their_own_side() -> None:
    tx = Tx()
    tx.match(RAIN, buy(WALLET, fee=1), sell(SECOND_WALLET, 10, 5), sell(ALICE, 3, 2))
    assert is_told(tx)
    assert is_told(tx, SECOND_WALLET)
    assert label(tx.done(), CAROL, BOOK) == ()


@pytest.mark.req("X-01")
@pytest.mark.parametrize("taker", [buy(WALLET, fee=1), sell(WALLET, fee=1)])
def test_the_wallets_own_logs_are_enough_for_its_fills(taker: Order) -> None:
    other = sell if taker.side is Side.BUY else buy
    tx = Tx()
    tx.match(RAIN, taker, other(ALICE, 10, 6, fee=1), other(BOB, 4, 2))
    changes = label(tx.own_logs(WALLET), WALLET, BOOK)
    assert [told(change) for change in changes] == tx.expected[WALLET]


@pytest.mark.req("X-01", "L-13")
def test_without_the_other_logs_a_token_movement_that_is_no_fill_is_refused() -> None:
    tx = Tx()
    tx.match(RAIN, buy(WALLET), sell(ALICE, 10, 6))
    tx.merge(WALLET, SNOW, 4)
    with pytest.raises(IncompleteTransactionError, match=r"moved snow-yes, snow-no of 0xa1 without a fill"):
        label(tx.own_logs(WALLET), WALLET, BOOK)


@pytest.mark.req("X-10")
def test_without_the_other_logs_collateral_can_still_be_told() -> None:
    tx = Tx()
    tx.send_cash(ALICE, WALLET, 5)
    tx.wrap(WALLET, 3)
    changes = label(tx.own_logs(WALLET), WALLET, BOOK)
    assert Counter(told(change) for change in changes) == Counter(tx.expected[WALLET])
