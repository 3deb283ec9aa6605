"""Labelled changes as hints that a market's comparison takes."""

from __future__ import annotations

from typing import Any

import pytest

from portfolio.entries import Carry, Cause, Conversion, Merge, Redemption, Split
from portfolio.facts import Payout, Side, TradeStatus
from portfolio.labelling import label
from portfolio.labelling_hints import hints_of
from portfolio.views import CauseHint
from tests.unit.portfolio.markets import CENT, SHARE, Book, chain, leg, question
from tests.unit.portfolio.transaction_logs import ALICE, BOOK, EVENT, QUESTIONS, RAIN, WALLET, book
from tests.unit.portfolio.transactions import Order, Tx

RESOLVED = {RAIN.name: Payout(condition_id=RAIN.name, numerators=(1, 1), denominator=2)}


def hints(tx: Tx, payouts: dict[str, Payout] | None = None) -> list[CauseHint]:
    return list(hints_of(label(tx.done(), WALLET, BOOK), BOOK, payouts or {}))


@pytest.mark.req("L-14", "L-15")
def test_a_split_and_a_merge_keep_both_legs_yes_first() -> None:
    tx = Tx()
    tx.split(WALLET, RAIN, 5)
    tx.merge(WALLET, RAIN, 3)
    split, merge = hints(tx)
    assert (split.cause, split.legs, split.cash_micro) == (
        Cause.POSITION_SPLIT,
        ((RAIN.yes, 5), (RAIN.no, 5)),
        -5,
    )
    assert (merge.cause, merge.legs, merge.cash_micro) == (
        Cause.POSITION_MERGED,
        ((RAIN.yes, -3), (RAIN.no, -3)),
        3,
    )
    assert (split.condition_id, split.evidence) == ("rain", "transaction 0xaa, log 106, block 7")


@pytest.mark.req("R-21", "L-15")
@pytest.mark.parametrize(
    ("side", "cause", "shares", "cash"),
    [(Side.BUY, Cause.EXTERNAL_BUY, 10, -7), (Side.SELL, Cause.EXTERNAL_SALE, -10, 5)],
)
def test_a_fill_is_an_external_trade_at_what_it_moved_with_its_fee_beside_it(
    side: Side, cause: Cause, shares: int, cash: int
) -> None:
    tx = Tx()
    other = Side.SELL if side is Side.BUY else Side.BUY
    taker = Order(user=WALLET, side=side, token=RAIN.yes, fee=1)
    tx.match(RAIN, taker, Order(user=ALICE, side=other, token=RAIN.yes, shares=10, cash=6))
    (hint,) = hints(tx)
    assert (hint.cause, hint.legs, hint.cash_micro) == (cause, ((RAIN.yes, shares),), cash)
    assert hint.fee_micro == 1


@pytest.mark.req("L-14")
def test_a_transfer_moves_no_cash() -> None:
    tx = Tx()
    tx.send_tokens(ALICE, WALLET, RAIN, RAIN.yes, 5)
    tx.send_tokens(WALLET, ALICE, RAIN, RAIN.no, 3)
    assert [(hint.cause, hint.legs, hint.cash_micro) for hint in hints(tx)] == [
        (Cause.TRANSFER_IN, ((RAIN.yes, 5),), 0),
        (Cause.TRANSFER_OUT, ((RAIN.no, -3),), 0),
    ]


@pytest.mark.req("X-10", "L-14")
def test_collateral_alone_explains_no_balance_of_tokens() -> None:
    tx = Tx()
    tx.send_cash(ALICE, WALLET, 5)
    tx.wrap(WALLET, 5)
    assert hints(tx) == []


@pytest.mark.req("L-15", "R-13")
def test_one_redeemed_token_has_the_whole_payout() -> None:
    tx = Tx()
    tx.redeem(WALLET, RAIN, (7, 0), 7)
    (hint,) = hints(tx)
    assert (hint.cause, hint.legs, hint.cash_micro) == (Cause.REDEEMED, ((RAIN.yes, -7),), 7)


@pytest.mark.req("L-15", "R-13")
def test_two_redeemed_tokens_share_the_payout_as_the_condition_pays() -> None:
    tx = Tx()
    tx.redeem(WALLET, RAIN, (7, 4), 5)
    assert [(hint.legs, hint.cash_micro) for hint in hints(tx, RESOLVED)] == [
        (((RAIN.yes, -7),), 3),
        (((RAIN.no, -4),), 2),
    ]


@pytest.mark.req("L-15", "L-13")
def test_a_payout_of_two_tokens_is_not_cut_by_guess() -> None:
    tx = Tx()
    tx.redeem(WALLET, RAIN, (7, 4), 5)
    assert hints(tx) == []
    changes = label(tx.done(), WALLET, BOOK)
    assert hints_of(changes, book(), RESOLVED) == ()


@pytest.mark.req("L-15")
def test_two_redeemed_tokens_that_paid_nothing_need_no_payout() -> None:
    tx = Tx()
    tx.redeem(WALLET, RAIN, (7, 4), 0)
    assert [(hint.legs, hint.cash_micro) for hint in hints(tx)] == [(((RAIN.yes, -7),), 0), (((RAIN.no, -4),), 0)]


def taken(market_tx: Tx, book_: Book, **balances: int) -> Book:
    """The market looks twice at the balances after the transaction, with its hints."""
    told = [
        CauseHint(
            cause=hint.cause,
            condition_id=hint.condition_id,
            legs=tuple((NAMES[token], shares) for token, shares in hint.legs),
            cash_micro=hint.cash_micro,
            evidence=hint.evidence,
        )
        for hint in hints(market_tx)
    ]
    book_.look_twice(balances, hints=tuple(told))
    return book_


NAMES = {token: f"{token[3]}{index}" for index, market in enumerate(QUESTIONS) for token in (market.yes, market.no)}
"""Token ids of the transactions as the markets' builders call them: ``q0-yes`` is ``y0``."""


def event_book(**held: Any) -> Book:
    """A neg-risk event whose holdings are proven; every share cost 0.90."""
    kept = Book(*(question(index) for index in range(4)), market_id="0xe0")
    for token, shares in held.items():
        given = {"condition_id": f"0xc{token[1]}", "token_id": token, "status": TradeStatus.CONFIRMED}
        kept.see(leg(token, shares, price=90 * CENT, **given))
    kept.look(chain(40, **held))
    return kept


@pytest.mark.req("L-15", "R-13")
@pytest.mark.parametrize("fee_bips", [0, 1_000])
def test_a_conversion_is_booked_with_its_fee(fee_bips: int) -> None:
    tx = Tx()
    tx.convert(WALLET, (0, 1), 4 * SHARE, fee_bips=fee_bips)
    out = 4 * SHARE - 4 * SHARE * fee_bips // 10_000
    kept = taken(tx, event_book(n0=4 * SHARE, n1=4 * SHARE), n0=0, n1=0, y2=out, y3=out)
    (entry,) = kept.entries()
    assert isinstance(entry, Conversion)
    assert (entry.shares_micro, entry.yes_shares_micro, entry.collateral_micro) == (4 * SHARE, out, out)
    assert entry.evidence.startswith("transaction 0xaa, log ")
    cost = 7_200_000 - out
    assert [kept.position(token).shares_micro for token in ("n0", "n1", "y2", "y3")] == [0, 0, out, out]
    assert sum(kept.position(token).cost_basis_micro for token in ("y2", "y3")) == cost


@pytest.mark.req("L-15", "R-13")
def test_a_conversion_of_all_questions_realises_what_the_fee_left() -> None:
    tx = Tx()
    tx.convert(WALLET, (0, 1, 2, 3), 4 * SHARE, fee_bips=1_000)
    held = {f"n{index}": 4 * SHARE for index in range(4)}
    kept = taken(tx, event_book(**held), **dict.fromkeys(held, 0))
    (entry,) = kept.entries()
    assert isinstance(entry, Conversion)
    assert (entry.yes_token_ids, entry.shares_micro, entry.collateral_micro) == ((), 4 * SHARE, 10_800_000)
    assert sum(kept.position(token).realized_pnl_micro for token in held) == 10_800_000 - 14_400_000


@pytest.mark.req("L-14", "L-15")
def test_hints_of_a_transaction_become_the_entries_of_its_causes() -> None:
    tx = Tx()
    tx.split(WALLET, QUESTIONS[0], 6 * SHARE)
    tx.merge(WALLET, QUESTIONS[1], SHARE)
    tx.redeem(WALLET, QUESTIONS[2], (2 * SHARE, 0), 2 * SHARE)
    tx.send_tokens(ALICE, WALLET, QUESTIONS[3], QUESTIONS[3].yes, SHARE)
    start = {"y1": SHARE, "n1": SHARE, "y2": 2 * SHARE}
    after = {"y0": 6 * SHARE, "n0": 6 * SHARE, "y1": 0, "n1": 0, "y2": 0, "y3": SHARE}
    kept = taken(tx, event_book(**start), **after)
    assert {type(entry) for entry in kept.entries()} == {Split, Merge, Redemption, Carry}
    assert EVENT == "0x0e"
