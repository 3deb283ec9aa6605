"""Shares from nobody and to nobody against collateral, by contracts whose events nobody knows (L-14, X-08)."""

from __future__ import annotations

import pytest

from portfolio.chain import ChangeKind
from portfolio.labelling import label
from portfolio.labelling_book import NOBODY
from tests.unit.portfolio.transaction_logs import ALICE, BOOK, RAIN, VAULT, WALLET, told
from tests.unit.portfolio.transactions import Tx

KIND = ChangeKind
BOTH = ((RAIN.yes, 5), (RAIN.no, 5))


def kinds(tx: Tx) -> list[ChangeKind]:
    return sorted(change.kind for change in label(tx.done(), WALLET, BOOK))


@pytest.mark.req("L-14", "X-08")
def test_both_outcomes_from_nobody_for_as_much_collateral_are_a_split() -> None:
    tx = Tx()
    tx.cash("pusd", WALLET, VAULT, 5)
    tx.tokens(NOBODY, WALLET, *BOTH)
    (change,) = label(tx.done(), WALLET, BOOK)
    assert told(change) == (KIND.POSITION_SPLIT, "rain", ((RAIN.no, 5), (RAIN.yes, 5)), (("pusd", -5),))


@pytest.mark.req("L-14", "X-08")
def test_both_outcomes_to_nobody_for_as_much_collateral_are_a_merge_whichever_is_first_in_the_batch() -> None:
    tx = Tx()
    tx.tokens(WALLET, NOBODY, *reversed(BOTH))
    tx.cash("pusd", VAULT, WALLET, 5)
    (change,) = label(tx.done(), WALLET, BOOK)
    assert told(change) == (KIND.POSITION_MERGED, "rain", ((RAIN.no, -5), (RAIN.yes, -5)), (("pusd", 5),))
    assert change.legs[0][0] == RAIN.yes


@pytest.mark.req("L-14", "X-08")
@pytest.mark.parametrize(("gone", "payout"), [(((RAIN.yes, 5),), 5), (((RAIN.yes, 5), (RAIN.no, 3)), 5), (BOTH, 0)])
def test_what_goes_to_nobody_otherwise_is_redeemed_for_what_is_paid(
    gone: tuple[tuple[str, int], ...], payout: int
) -> None:
    tx = Tx()
    tx.tokens(WALLET, NOBODY, *gone)
    if payout:
        tx.cash("pusd", VAULT, WALLET, payout)
    (change,) = label(tx.done(), WALLET, BOOK)
    assert (change.kind, change.condition_id, change.cash_micro) == (KIND.REDEEMED, "rain", payout)
    assert sorted(change.legs) == sorted((token, -shares) for token, shares in gone)


@pytest.mark.req("L-14", "X-10")
def test_more_than_the_shares_could_pay_is_no_payout_of_theirs() -> None:
    tx = Tx()
    tx.tokens(WALLET, NOBODY, (RAIN.yes, 5))
    tx.cash("pusd", VAULT, WALLET, 6)
    assert kinds(tx) == [KIND.DEPOSIT, KIND.REDEEMED]


@pytest.mark.req("L-14", "L-15")
@pytest.mark.parametrize(("come", "paid"), [(((RAIN.yes, 5),), 5), (((RAIN.yes, 5), (RAIN.no, 4)), 5), (BOTH, 4)])
def test_what_comes_from_nobody_and_does_not_fit_is_a_transfer(come: tuple[tuple[str, int], ...], paid: int) -> None:
    tx = Tx()
    tx.cash("pusd", WALLET, VAULT, paid)
    tx.tokens(NOBODY, WALLET, *come)
    assert kinds(tx) == sorted([KIND.TRANSFER_IN] * len(come) + [KIND.WITHDRAWAL])


@pytest.mark.req("L-14", "R-19")
def test_what_somebody_sends_is_a_transfer_whatever_is_paid_beside_it() -> None:
    tx = Tx()
    tx.cash("pusd", WALLET, VAULT, 5)
    tx.tokens(ALICE, WALLET, *BOTH)
    assert kinds(tx) == sorted([KIND.TRANSFER_IN] * 2 + [KIND.WITHDRAWAL])
