"""NO of some questions of a neg-risk event that became YES of the others: one change, its legs and its fee."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from portfolio.chain import (
    ChangeKind,
    PositionsConverted,
)
from portfolio.labelling import label
from portfolio.labelling_book import NOBODY
from tests.unit.portfolio.labelled import is_told, only
from tests.unit.portfolio.transaction_logs import (
    BOOK,
    EVENT,
    NEG_ADAPTER,
    NRA,
    QUESTIONS,
    RAIN,
    WALLET,
    book,
    told,
)
from tests.unit.portfolio.transactions import Tx

KIND = ChangeKind


@pytest.mark.req("L-14", "R-13")
@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("fee_bips", [0, 250])
@pytest.mark.parametrize("indexes", [(2,), (0, 2), (1, 2, 3), (0, 1, 2, 3)])
def test_a_conversion_is_one_change_of_the_event(indexes: Sequence[int], fee_bips: int, *, direct: bool) -> None:
    """Of the fee, the same part is missing from the collateral and from each YES."""
    amount = 4_001
    out = amount - amount * fee_bips // 10_000
    tx = Tx()
    tx.convert(WALLET, indexes, amount, fee_bips=fee_bips, direct=direct)
    change = only(tx)
    assert (change.kind, change.condition_id, change.neg_risk_market_id) == (KIND.CONVERTED, "", EVENT)
    given = [(market.no, -amount) for market in QUESTIONS if market.index in indexes]
    taken = [(market.yes, out) for market in QUESTIONS if market.index not in indexes]
    assert change.legs == (*given, *taken)
    assert change.cash_micro == (len(indexes) - 1) * out


@pytest.mark.req("L-14")
@pytest.mark.parametrize("direct", [False, True])
def test_two_conversions_of_one_event_keep_their_amounts(*, direct: bool) -> None:
    tx = Tx()
    tx.convert(WALLET, (0, 1), 4_000, fee_bips=250, direct=direct)
    tx.convert(WALLET, (0, 1), 800, fee_bips=250, direct=direct)
    tx.split(WALLET, QUESTIONS[2], 800)
    assert is_told(tx)


@pytest.mark.req("L-14", "X-08")
def test_a_question_that_the_book_does_not_know_yet_is_part_of_its_conversion() -> None:
    tx = Tx()
    tx.convert(WALLET, (0, 1), 4)
    known = book(*QUESTIONS[:3])
    assert told(only(tx, known)) == tx.expected[WALLET][0]
    assert [token for token, _ in only(tx, known).legs] == ["q0-no", "q1-no", "q2-yes", "q3-yes"]


@pytest.mark.req("L-14")
@pytest.mark.parametrize("indexes", [(2,), (0, 1), (0, 1, 2, 3)])
def test_a_conversion_of_an_event_that_is_not_known_at_all_is_told_by_its_event(indexes: Sequence[int]) -> None:
    tx = Tx()
    tx.convert(WALLET, indexes, 4)
    assert told(only(tx, book(RAIN))) == tx.expected[WALLET][0]


@pytest.mark.req("L-14", "L-13")
def test_a_conversion_that_does_not_fit_the_movements_is_not_told() -> None:
    def converted(index_set: int) -> Tx:
        tx = Tx()
        tx.tokens(WALLET, NEG_ADAPTER, (QUESTIONS[0].no, 4))
        values = {"neg_risk_market_id": EVENT, "index_set": index_set, "amount_micro": 4}
        tx.emit(PositionsConverted, NRA, stakeholder=NEG_ADAPTER, **values)
        return tx

    for index_set in (0b1, 0b11, 0b10):
        assert [change.kind for change in label(converted(index_set).done(), WALLET, BOOK)] == [KIND.TRANSFER_OUT]


@pytest.mark.req("L-14", "L-13")
def test_other_tokens_of_the_event_and_of_the_amount_are_no_part_of_a_conversion() -> None:
    tx = Tx()
    tx.tokens(WALLET, NEG_ADAPTER, (QUESTIONS[1].yes, 4))
    tx.tokens(WALLET, NEG_ADAPTER, (QUESTIONS[0].no, 3))
    tx.tokens(WALLET, NEG_ADAPTER, (QUESTIONS[0].no, 4))
    tx.tokens(NEG_ADAPTER, WALLET, (QUESTIONS[2].no, 4))
    tx.nra_convert(NEG_ADAPTER, (0,), 4, 0)
    tx.tokens(NEG_ADAPTER, WALLET, *((market.yes, 4) for market in QUESTIONS[1:]))
    assert {(change.kind, change.legs) for change in label(tx.done(), WALLET, BOOK)} == {
        (KIND.CONVERTED, (("q0-no", -4), ("q1-yes", 4), ("q2-yes", 4), ("q3-yes", 4))),
        (KIND.TRANSFER_OUT, (("q1-yes", -4),)),
        (KIND.TRANSFER_OUT, (("q0-no", -3),)),
        (KIND.TRANSFER_IN, (("q2-no", 4),)),
    }


@pytest.mark.req("L-14", "L-13")
@pytest.mark.parametrize("cash", [10, 15], ids=["not the same of each", "too much"])
def test_handing_in_all_questions_without_being_paid_is_no_conversion(cash: int) -> None:
    tx = Tx()
    tx.tokens(WALLET, NEG_ADAPTER, *((market.no, 4) for market in QUESTIONS))
    values = {"neg_risk_market_id": EVENT, "index_set": 0b1111, "amount_micro": 4}
    tx.emit(PositionsConverted, NRA, stakeholder=NEG_ADAPTER, **values)
    tx.cash("pusd", NOBODY, WALLET, cash)
    kinds = Counter(change.kind for change in label(tx.done(), WALLET, BOOK))
    assert kinds == {KIND.TRANSFER_OUT: 4, KIND.DEPOSIT: 1}


@pytest.mark.req("L-14", "L-13")
@pytest.mark.parametrize(
    ("indexes", "batch"),
    [
        ((0,), [("q1-yes", 4), ("q2-yes", 3)]),
        ((0,), [("q1-yes", 5), ("q2-yes", 5)]),
        ((0,), [("new", 4)]),
        ((0,), [("rain-yes", 4)]),
        ((0, 1), [("q2-yes", 4), ("q3-yes", 4)]),
    ],
    ids=["uneven", "too much", "nothing known", "another market", "no collateral"],
)
def test_a_batch_that_does_not_fit_was_not_given_for_the_shares(
    indexes: Sequence[int], batch: list[tuple[str, int]]
) -> None:
    tx = Tx()
    tx.tokens(WALLET, NEG_ADAPTER, *((QUESTIONS[index].no, 4) for index in indexes))
    index_set = sum(1 << index for index in indexes)
    values = {"neg_risk_market_id": EVENT, "index_set": index_set, "amount_micro": 4}
    tx.emit(PositionsConverted, NRA, stakeholder=NEG_ADAPTER, **values)
    tx.tokens(NEG_ADAPTER, WALLET, *batch)
    kinds = Counter(change.kind for change in label(tx.done(), WALLET, BOOK))
    assert kinds == {KIND.TRANSFER_OUT: len(indexes), KIND.TRANSFER_IN: len(batch)}
