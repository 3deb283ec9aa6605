"""What came and went by itself: transfers, deposits, withdrawals, rewards, and collateral that changed its bucket."""

from __future__ import annotations

import pytest

from portfolio.chain import (
    ChangeKind,
    CollateralWrapped,
)
from portfolio.labelling import label
from portfolio.labelling_book import NOBODY
from tests.unit.portfolio.labelled import is_told, only
from tests.unit.portfolio.transaction_logs import (
    ALICE,
    BOB,
    BOOK,
    CAROL,
    EVENT,
    ONRAMP,
    PUSD,
    QUESTIONS,
    RAIN,
    REWARDS,
    SECOND_WALLET,
    VAULT,
    WALLET,
)
from tests.unit.portfolio.transactions import Tx

KIND = ChangeKind


@pytest.mark.req("X-10", "R-19")
def test_collateral_that_changes_its_bucket_is_a_wrap_and_together_nothing() -> None:
    tx = Tx()
    tx.wrap(WALLET, 5)
    tx.unwrap(WALLET, 3)
    tx.unwrap_wcol(WALLET, 2)
    changes = label(tx.done(), WALLET, BOOK)
    assert [change.kind for change in changes] == [KIND.WRAP] * 3
    assert [change.cash for change in changes] == [
        (("usdc_e", -5), ("pusd", 5)),
        (("pusd", -3), ("usdc_e", 3)),
        (("wcol", -2), ("usdc_e", 2)),
    ]
    assert {change.cash_micro for change in changes} == {0}


@pytest.mark.req("X-10")
@pytest.mark.parametrize(
    ("gone", "come"),
    [
        (("usdc_e", ALICE), ("pusd", NOBODY)),
        (("usdc_e", PUSD), ("pusd", ALICE)),
        (("pusd", PUSD), ("pusd", NOBODY)),
    ],
    ids=["paid to somebody", "paid by somebody", "one bucket"],
)
def test_equal_amounts_alone_are_no_wrap(gone: tuple[str, str], come: tuple[str, str]) -> None:
    tx = Tx()
    tx.cash(gone[0], WALLET, gone[1], 5)
    tx.cash(come[0], come[1], WALLET, 5)
    assert [change.kind for change in label(tx.done(), WALLET, BOOK)] == [KIND.WITHDRAWAL, KIND.DEPOSIT]


@pytest.mark.req("X-10")
def test_a_merge_is_paid_by_a_wrap_that_is_not_the_wallets() -> None:
    tx = Tx()
    tx.merge(WALLET, RAIN, 5)
    tx.send_cash(WALLET, CAROL, 5, "usdc_e")
    assert is_told(tx)


@pytest.mark.req("X-10")
def test_what_is_wrapped_for_somebody_else_leaves_one_wallet_and_comes_to_the_other() -> None:
    tx = Tx()
    tx.wrap_to(WALLET, SECOND_WALLET, 5)
    given = label(tx.done(), WALLET, BOOK)
    got = label(tx.done(), SECOND_WALLET, BOOK)
    assert [(change.kind, change.cash, change.counterparty) for change in given] == [
        (KIND.WITHDRAWAL, (("usdc_e", -5),), PUSD)
    ]
    assert [(change.kind, change.cash, change.counterparty) for change in got] == [
        (KIND.DEPOSIT, (("pusd", 5),), NOBODY)
    ]


@pytest.mark.req("X-10")
def test_collateral_of_a_kind_that_is_not_counted_arrives_as_a_deposit() -> None:
    tx = Tx()
    tx.cash("pusd", NOBODY, WALLET, 5)
    native = {"caller": ONRAMP, "asset": "0x3c", "receiver": WALLET, "amount_micro": 5, "unwrapped": False}
    tx.emit(CollateralWrapped, PUSD, **native)
    assert only(tx).kind is KIND.DEPOSIT


@pytest.mark.req("X-10")
def test_collateral_that_comes_and_goes_is_a_deposit_a_withdrawal_or_a_reward() -> None:
    tx = Tx()
    tx.send_cash(ALICE, WALLET, 5)
    tx.send_cash(WALLET, BOB, 3, "usdc_e")
    tx.send_cash(REWARDS, WALLET, 2)
    changes = label(tx.done(), WALLET, BOOK)
    assert [(change.kind, change.cash, change.counterparty, change.log_index) for change in changes] == [
        (KIND.DEPOSIT, (("pusd", 5),), ALICE, 100),
        (KIND.WITHDRAWAL, (("usdc_e", -3),), BOB, 101),
        (KIND.REWARD, (("pusd", 2),), REWARDS, 102),
    ]


@pytest.mark.req("L-14", "X-01")
def test_a_transfer_names_the_other_side_and_the_condition() -> None:
    tx = Tx()
    tx.send_tokens(ALICE, WALLET, QUESTIONS[0], QUESTIONS[0].no, 5)
    tx.send_tokens(WALLET, SECOND_WALLET, RAIN, RAIN.yes, 3)
    came, went = label(tx.done(), WALLET, BOOK)
    assert (came.kind, came.legs, came.counterparty) == (KIND.TRANSFER_IN, ((QUESTIONS[0].no, 5),), ALICE)
    assert (came.condition_id, came.neg_risk_market_id) == ("q0", EVENT)
    assert (went.kind, went.legs, went.counterparty) == (KIND.TRANSFER_OUT, ((RAIN.yes, -3),), SECOND_WALLET)
    assert is_told(tx, SECOND_WALLET)


@pytest.mark.req("L-14")
def test_what_goes_to_and_fro_with_one_other_side_is_its_difference() -> None:
    tx = Tx()
    tx.tokens(WALLET, ALICE, (RAIN.yes, 5))
    tx.tokens(ALICE, WALLET, (RAIN.yes, 2))
    tx.cash("pusd", ALICE, WALLET, 4)
    tx.cash("pusd", WALLET, ALICE, 4)
    change = only(tx)
    assert (change.kind, change.legs, change.log_index) == (KIND.TRANSFER_OUT, ((RAIN.yes, -3),), 100)


@pytest.mark.req("L-14", "X-10")
def test_what_a_wallet_sends_to_itself_changes_nothing() -> None:
    tx = Tx()
    tx.tokens(WALLET, WALLET, (RAIN.yes, 5))
    tx.cash("pusd", WALLET, WALLET, 5)
    tx.cash("usdc_e", ALICE, VAULT, 5)
    assert label(tx.done(), WALLET, BOOK) == ()
