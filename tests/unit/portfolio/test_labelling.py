"""What a transaction did to a wallet besides fills: the events name the cause, the wallet's own movements are it."""

from __future__ import annotations

from collections import Counter

import pytest

from portfolio.chain import (
    ChangeKind,
    PayoutRedeemed,
    PositionSplit,
)
from portfolio.facts import Side
from portfolio.labelling import label
from portfolio.labelling_book import NOBODY
from portfolio.labelling_scene import outer_events
from tests.unit.portfolio.labelled import is_told, only
from tests.unit.portfolio.transaction_logs import (
    ADAPTER,
    ALICE,
    BOB,
    BOOK,
    CTF,
    EXCHANGE,
    PUSD,
    QUESTIONS,
    RAIN,
    REDEEMER,
    SECOND_WALLET,
    SNOW,
    WALLET,
    Market,
    book,
    told,
)
from tests.unit.portfolio.transactions import Order, Tx

ROUTER = "0x99"
KIND = ChangeKind


ANY_WAY = pytest.mark.parametrize(
    ("market", "direct"),
    [(RAIN, False), (RAIN, True), (QUESTIONS[1], False), (QUESTIONS[1], True)],
    ids=["adapter", "direct", "neg-risk adapter", "neg-risk direct"],
)


@pytest.mark.req("L-14", "R-19", "X-10")
@ANY_WAY
def test_a_split_costs_its_amount_in_the_bucket_that_paid(market: Market, *, direct: bool) -> None:
    tx = Tx()
    tx.split(WALLET, market, 5, direct=direct)
    change = only(tx)
    assert (change.kind, change.condition_id) == (KIND.POSITION_SPLIT, market.name)
    assert change.neg_risk_market_id == market.event
    assert change.legs == ((market.yes, 5), (market.no, 5))
    assert change.cash == (("usdc_e" if direct else "pusd", -5),)


@pytest.mark.req("L-14", "R-19", "X-10")
@ANY_WAY
def test_a_merge_pays_its_amount_into_the_bucket_that_it_pays(market: Market, *, direct: bool) -> None:
    tx = Tx()
    tx.merge(WALLET, market, 5, direct=direct)
    change = only(tx)
    assert (change.kind, change.condition_id) == (KIND.POSITION_MERGED, market.name)
    assert change.legs == ((market.yes, -5), (market.no, -5))
    assert change.cash == (("usdc_e" if direct else "pusd", 5),)


@pytest.mark.req("L-14")
def test_the_proof_is_the_event_that_names_the_cause() -> None:
    tx = Tx()
    tx.merge(WALLET, RAIN, 5)
    merged = next(log for log in tx.logs if type(log).__name__ == "PositionsMerged")
    assert only(tx).evidence == f"transaction 0xaa, log {merged.log_index}, block 7"


@pytest.mark.req("L-14", "L-15", "R-19")
@ANY_WAY
@pytest.mark.parametrize(
    ("held", "payout"),
    [((7, 0), 7), ((0, 7), 0), ((7, 3), 7), ((4, 4), 4)],
    ids=["winner", "pays nothing", "both", "equal"],
)
def test_a_redemption_is_all_that_was_handed_in_for_what_was_paid(
    market: Market, held: tuple[int, int], payout: int, *, direct: bool
) -> None:
    """A batch may hold legs of nothing; the payout may be nothing, and the event is proof all the same."""
    tx = Tx()
    tx.redeem(WALLET, market, held, payout, direct=direct)
    change = only(tx)
    assert (change.kind, change.condition_id) == (KIND.REDEEMED, market.name)
    assert change.neg_risk_market_id == market.event
    wanted = ((market.yes, -held[0]), (market.no, -held[1]))
    assert change.legs == tuple((token, shares) for token, shares in wanted if shares)
    assert change.cash == ((("usdc_e" if direct else "pusd", payout),) if payout else ())


@pytest.mark.req("L-14", "R-19")
@pytest.mark.parametrize("payout", [7, 0])
def test_an_operator_may_redeem_for_the_holder(payout: int) -> None:
    tx = Tx()
    tx.redeem_for(WALLET, QUESTIONS[0], (7, 2), payout)
    assert only(tx).kind is KIND.REDEEMED
    assert is_told(tx)


@pytest.mark.req("X-10", "R-19")
def test_a_question_redeemed_at_the_tokens_themselves_pays_wrapped_collateral() -> None:
    tx = Tx()
    tx.ctf_redeem(WALLET, QUESTIONS[0], (7, 2), 7)
    change = only(tx)
    assert (change.kind, change.cash) == (KIND.REDEEMED, (("wcol", 7),))


@pytest.mark.req("L-14")
def test_redeeming_nothing_changes_nothing() -> None:
    tx = Tx()
    tx.redeem(WALLET, RAIN, (0, 0), 0)
    assert label(tx.done(), WALLET, BOOK) == ()


@pytest.mark.req("L-14", "X-01")
def test_a_batch_over_several_markets_is_told_market_by_market() -> None:
    tx = Tx()
    tx.split(WALLET, RAIN, 5)
    tx.redeem(WALLET, SNOW, (5, 5), 5)
    tx.redeem(WALLET, QUESTIONS[3], (5, 0), 0)
    tx.merge(WALLET, QUESTIONS[2], 5)
    tx.match(RAIN, Order(user=WALLET, side=Side.BUY, token=RAIN.yes), selling(ALICE))
    tx.split(WALLET, RAIN, 6)
    tx.convert(WALLET, (0, 1), 5)
    tx.send_tokens(ALICE, WALLET, RAIN, RAIN.no, 5)
    tx.send_cash(BOB, WALLET, 5)
    assert is_told(tx)
    assert len(label(tx.done(), WALLET, BOOK)) == 9


def selling(user: str) -> Order:
    return Order(user=user, side=Side.SELL, token=RAIN.yes, shares=5, cash=3)


@pytest.mark.req("L-14", "R-19")
def test_two_holders_in_one_transaction_get_what_each_was_paid() -> None:
    tx = Tx()
    tx.redeem_for(ALICE, RAIN, (9, 0), 9)
    tx.redeem_for(WALLET, RAIN, (2, 7), 2)
    tx.redeem_for(SECOND_WALLET, RAIN, (0, 7), 0)
    assert is_told(tx)
    assert is_told(tx, SECOND_WALLET)


@pytest.mark.req("L-14")
def test_what_others_did_in_the_transaction_is_not_ours() -> None:
    tx = Tx()
    tx.split(ALICE, RAIN, 5)
    tx.merge(ALICE, SNOW, 5)
    tx.redeem(BOB, QUESTIONS[0], (5, 0), 5)
    tx.send_tokens(ALICE, WALLET, RAIN, RAIN.yes, 5)
    tx.send_tokens(ALICE, WALLET, RAIN, RAIN.no, 5)
    tx.send_tokens(WALLET, BOB, QUESTIONS[0], QUESTIONS[0].yes, 5)
    assert is_told(tx)


@pytest.mark.req("L-14", "X-01")
def test_the_proof_is_the_own_event_where_others_did_the_same() -> None:
    tx = Tx()
    for user in (ALICE, WALLET, BOB):
        tx.split(user, RAIN, 5)
        tx.merge(user, RAIN, 5)
        tx.redeem_for(user, SNOW, (5, 0), 5)
        tx.convert(user, (0, 1), 5)
    assert is_told(tx)
    named = [log.log_index for log in outer_events(tx.done())]
    assert [change.log_index for change in label(tx.done(), WALLET, BOOK)] == named[4:8]


@pytest.mark.req("X-10", "L-14")
@pytest.mark.parametrize("direct", [False, True])
def test_each_call_is_paid_by_the_collateral_that_moved_with_it(*, direct: bool) -> None:
    tx = Tx()
    tx.unwrap(WALLET, 5)
    tx.merge(WALLET, RAIN, 5, direct=direct)
    tx.wrap(WALLET, 5)
    tx.split(WALLET, RAIN, 5, direct=direct)
    tx.unwrap(WALLET, 5)
    tx.redeem(WALLET, SNOW, (5, 0), 5, direct=direct)
    tx.wrap(WALLET, 5)
    tx.convert(WALLET, (0, 1), 5, direct=direct)
    assert is_told(tx)


@pytest.mark.req("L-14")
def test_an_event_of_another_amount_takes_no_part_of_a_movement() -> None:
    tx = Tx()
    tx.split(ALICE, RAIN, 4)
    tx.split(WALLET, RAIN, 10)
    tx.merge(ALICE, SNOW, 4)
    tx.merge(WALLET, SNOW, 10)
    assert is_told(tx)


@pytest.mark.req("L-14", "L-13")
def test_shares_given_to_somebody_who_redeems_them_for_nothing_are_a_transfer() -> None:
    tx = Tx()
    tx.send_tokens(WALLET, ALICE, RAIN, RAIN.no, 5)
    tx.redeem(ALICE, RAIN, (0, 5), 0, direct=True)
    assert is_told(tx)


@pytest.mark.req("L-14", "L-13")
def test_a_payout_that_went_elsewhere_makes_no_redemption() -> None:
    tx = Tx()
    tx.tokens(WALLET, REDEEMER, (RAIN.yes, 5))
    tx.emit(PayoutRedeemed, CTF, redeemer=REDEEMER, condition_id=RAIN.name, payout_micro=5)
    tx.wrap_to(REDEEMER, ALICE, 5)
    change = only(tx)
    assert (change.kind, change.counterparty) == (KIND.TRANSFER_OUT, REDEEMER)


@pytest.mark.req("L-14", "X-10")
def test_a_payout_comes_after_the_shares_went() -> None:
    tx = Tx()
    tx.cash("pusd", NOBODY, WALLET, 5)
    tx.redeem(WALLET, RAIN, (5, 0), 5)
    deposit, redeemed = label(tx.done(), WALLET, BOOK)
    assert (deposit.kind, deposit.cash_micro, deposit.log_index) == (KIND.DEPOSIT, 5, 100)
    assert told(redeemed) == tx.expected[WALLET][0]


@pytest.mark.req("L-14")
def test_redeemed_shares_go_before_the_event_that_pays_them() -> None:
    tx = Tx()
    tx.emit(PayoutRedeemed, CTF, redeemer=REDEEMER, condition_id=RAIN.name, payout_micro=0)
    tx.tokens(WALLET, REDEEMER, (RAIN.yes, 5))
    assert only(tx).kind is KIND.TRANSFER_OUT


@pytest.mark.req("R-19", "L-14")
def test_an_adapter_that_is_not_in_the_book_is_known_by_what_it_may_do() -> None:
    """Only contracts with the right to wrap emit a wrap: a new adapter needs no new book."""
    tx = Tx()
    tx.redeem(WALLET, RAIN, (0, 5), 0)
    tx.merge(WALLET, SNOW, 4)
    assert is_told(tx, known=book(RAIN, SNOW, protocol=BOOK.protocol - {ADAPTER}))


@pytest.mark.req("R-19", "L-14")
def test_a_contract_that_speaks_in_the_transaction_is_known_by_that() -> None:
    tx = Tx()
    tx.redeem(WALLET, RAIN, (0, 5), 0, direct=True)
    tx.merge(WALLET, QUESTIONS[0], 4, direct=True)
    assert is_told(tx, known=book(RAIN, *QUESTIONS, protocol=frozenset(), burns=frozenset()))


@pytest.mark.req("R-19", "L-14")
@pytest.mark.parametrize(("agent", "acts"), [(ROUTER, True), (SECOND_WALLET, False), (EXCHANGE, False)])
def test_somebodys_contract_may_split_for_the_wallet_but_our_other_wallet_trades_with_it(
    agent: str, *, acts: bool
) -> None:
    tx = Tx()
    tx.cash("pusd", WALLET, agent, 5)
    tx.ctf_split(agent, RAIN, 5)
    tx.tokens(agent, WALLET, (RAIN.yes, 5), (RAIN.no, 5))
    kinds = Counter(change.kind for change in label(tx.done(), WALLET, BOOK))
    assert kinds == ({KIND.POSITION_SPLIT: 1} if acts else {KIND.TRANSFER_IN: 2, KIND.WITHDRAWAL: 1})


@pytest.mark.req("L-14", "L-13")
@pytest.mark.parametrize("missing", ["cash", "token"])
def test_a_split_that_does_not_fit_the_movements_is_not_told(missing: str) -> None:
    tx = Tx()
    if missing != "cash":
        tx.cash("pusd", WALLET, PUSD, 5)
    tx.emit(PositionSplit, CTF, stakeholder=ADAPTER, condition_id=RAIN.name, amount_micro=5)
    tx.tokens(ADAPTER, WALLET, (RAIN.yes, 5), (RAIN.no, 5 if missing != "token" else 4))
    assert KIND.POSITION_SPLIT not in {change.kind for change in label(tx.done(), WALLET, BOOK)}


@pytest.mark.req("L-14")
@pytest.mark.parametrize("direct", [False, True])
def test_one_condition_that_is_not_known_is_told_by_its_event(*, direct: bool) -> None:
    split, merge, redeem = Tx(), Tx(), Tx()
    split.split(WALLET, RAIN, 5, direct=direct)
    merge.merge(WALLET, QUESTIONS[0], 5, direct=direct)
    redeem.redeem(WALLET, RAIN, (5, 2), 5, direct=direct)
    for tx in (split, merge, redeem):
        assert told(only(tx, book(SNOW))) == tx.expected[WALLET][0]


@pytest.mark.req("L-14")
def test_a_condition_that_is_not_known_is_told_beside_a_known_event() -> None:
    tx = Tx()
    tx.convert(WALLET, (0, 1), 4)
    tx.split(WALLET, RAIN, 5)
    assert is_told(tx, known=book(*QUESTIONS))


@pytest.mark.req("L-14")
def test_a_condition_that_is_not_known_is_told_beside_a_known_one() -> None:
    tx = Tx()
    tx.merge(WALLET, SNOW, 4)
    tx.split(WALLET, RAIN, 5)
    assert is_told(tx, known=book(SNOW))


@pytest.mark.req("L-14", "L-13")
def test_of_two_conditions_that_are_not_known_neither_is_guessed() -> None:
    tx = Tx()
    tx.split(WALLET, RAIN, 5)
    tx.split(WALLET, SNOW, 5)
    changes = label(tx.done(), WALLET, book())
    assert Counter(change.kind for change in changes) == {KIND.TRANSFER_IN: 4, KIND.WITHDRAWAL: 1}
    assert {change.condition_id for change in changes} == {""}


@pytest.mark.req("L-14", "L-13")
def test_a_token_is_not_guessed_to_be_of_either_of_two_conditions_that_are_not_known() -> None:
    tx = Tx()
    tx.redeem(ALICE, SNOW, (5, 0), 5)
    tx.redeem(WALLET, RAIN, (5, 0), 5)
    changes = label(tx.done(), WALLET, book())
    assert [change.kind for change in changes] == [KIND.TRANSFER_OUT, KIND.DEPOSIT]


@pytest.mark.req("L-14")
def test_an_unknown_token_from_somebody_else_is_not_of_the_condition() -> None:
    tx = Tx()
    tx.tokens(ALICE, WALLET, ("stray", 1))
    tx.redeem(WALLET, RAIN, (5, 2), 5)
    came, redeemed = label(tx.done(), WALLET, book())
    assert (came.kind, came.condition_id) == (KIND.TRANSFER_IN, "")
    assert told(redeemed) == tx.expected[WALLET][0]


@pytest.mark.req("L-14", "L-13")
def test_three_tokens_are_not_those_of_one_condition() -> None:
    tx = Tx()
    tx.split(WALLET, RAIN, 5)
    tx.tokens(WALLET, CTF, ("stray", 1))
    kinds = Counter(change.kind for change in label(tx.done(), WALLET, book()))
    assert kinds == {KIND.TRANSFER_IN: 2, KIND.TRANSFER_OUT: 1, KIND.WITHDRAWAL: 1}


@pytest.mark.req("L-14")
def test_the_resolution_of_a_condition_changes_no_wallet() -> None:
    tx = Tx()
    tx.resolve(RAIN)
    assert label(tx.done(), WALLET, BOOK) == ()
