"""A cycle's differences explained: by the chain's logs where they say exactly what was found, else by cash (X-01)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from portfolio.chain import ChainTransaction, ChangeKind, OrderFilled
from portfolio.cycle import Frame, Plan, plan
from portfolio.entries import Cause
from portfolio.facts import Balances, CollateralBalance, OrderStatus, Side, TokenBalance
from portfolio.labelling import label
from portfolio.labelling_hints import log_name
from portfolio.readings import Logs, Readings
from portfolio.views import CauseHint, ChainedImage, MarketImage, OrderImage, TokenImage, UnprovenFill, ViewPolicy
from portfolio.wallet import DirectoryEntry, WalletState
from tests.unit.portfolio.transaction_logs import ALICE, BOOK, RAIN, WALLET
from tests.unit.portfolio.transactions import Order, Tx

SHARE = 1_000_000
CAPITAL = 1_000 * SHARE
OPENED = WalletState(wallet="main", opened=True, capital_micro=CAPITAL)


def token(token_id: str, outcome: int, *unproven: UnprovenFill) -> TokenImage:
    return TokenImage(
        token_id=token_id,
        condition_id=RAIN.name,
        contract="0xc",
        outcome_index=outcome,
        question_index=None,
        shares_micro=10 * SHARE + sum(fill.shares_micro for fill in unproven),
        settled_micro=10 * SHARE,
        proven_micro=10 * SHARE,
        cost_basis_micro=0,
        unproven=unproven,
        pending=False,
    )


def image(*orders: OrderImage, unproven: tuple[UnprovenFill, ...] = ()) -> MarketImage:
    return MarketImage(
        wallet="main",
        market_id=RAIN.name,
        version=1,
        neg_risk=False,
        flag_mismatch=False,
        question_count=None,
        tokens=(token(RAIN.yes, 0, *unproven), token(RAIN.no, 1)),
        orders=orders,
        proven_cash_micro=0,
        noted=False,
        halted=False,
    )


def planned(
    *transactions: ChainTransaction,
    image: MarketImage,
    found: tuple[int, int, int] = (10 * SHARE, 10 * SHARE, CAPITAL),
    wallet: WalletState = OPENED,
    compared: int = 0,
) -> Plan:
    """The plan of a cycle that found these balances of YES, NO and cash, and these transactions in the logs."""
    yes, no, cash = found
    balances = Balances(
        block_number=9,
        block_hash="0x9",
        block_time_ms=0,
        collateral=(CollateralBalance(name="pusd", amount_micro=cash),),
        tokens=(TokenBalance(token_id=RAIN.yes, amount_micro=yes), TokenBalance(token_id=RAIN.no, amount_micro=no)),
    )
    # The book comes without tokens: those are the images' to say.
    logs = Logs(
        address=WALLET,
        cash_until_block=compared,
        transactions=transactions,
        book=msgspec.structs.replace(BOOK, tokens={}),
    )
    readings = Readings(balances=balances, positions=(), orders=(), orders_read_at_ms=0, fates=(), logs=logs)
    frame = Frame(cycle_id="main-1", synced_at_ms=1, policy=ViewPolicy(), own_keys=())
    return plan([image], readings, frame, wallet)


def told(found: Plan) -> tuple[CauseHint, ...]:
    return found.views[RAIN.name].hints


def merged(shares: int) -> ChainTransaction:
    tx = Tx()
    tx.merge(WALLET, RAIN, shares)
    return tx.done()


def deposited(amount: int) -> ChainTransaction:
    tx = Tx()
    tx.cash("pusd", ALICE, WALLET, amount)
    return tx.done()


def sold(shares: int, cash: int) -> tuple[ChainTransaction, str]:
    """Alice takes an order of the wallet; the transaction and the order's id."""
    tx = Tx()
    maker = Order(user=WALLET, side=Side.SELL, token=RAIN.yes, shares=shares, cash=cash)
    tx.match(RAIN, Order(user=ALICE, side=Side.BUY, token=RAIN.yes), maker)
    done = tx.done()
    (order_id,) = (log.order_id for log in done.logs if isinstance(log, OrderFilled) and log.maker == WALLET)
    return done, order_id


@pytest.mark.req("X-01", "L-14")
def test_what_the_logs_show_is_the_cause_with_its_transaction() -> None:
    done = merged(4 * SHARE)
    (hint,) = told(planned(done, image=image(), found=(6 * SHARE, 6 * SHARE, CAPITAL + 4 * SHARE)))
    assert (hint.cause, hint.cash_micro) == (Cause.POSITION_MERGED, 4 * SHARE)
    assert hint.logged_as.startswith(f"chain:{done.transaction_hash}:")
    assert hint.evidence.startswith(f"transaction {done.transaction_hash}, log ")
    assert hint.at_ms == done.block_time_ms


@pytest.mark.req("X-01", "X-10")
def test_what_the_logs_leave_over_is_inferred_from_the_cash_that_they_leave_over() -> None:
    cash = CAPITAL + 4 * SHARE + 500_000
    hints = told(planned(merged(4 * SHARE), image=image(), found=(6 * SHARE, 5 * SHARE, cash)))
    assert [(hint.cause, hint.logged_as) for hint in hints] == [
        (Cause.POSITION_MERGED, ""),
        (Cause.EXTERNAL_SALE, ""),
    ]


@pytest.mark.req("R-21", "L-16")
@pytest.mark.parametrize("held", ["live", "in flight", "unknown"])
def test_the_log_of_an_own_fill_explains_no_difference(held: str) -> None:
    done, order_id = sold(2 * SHARE, SHARE)
    live = OrderImage(
        order_id=order_id,
        condition_id=RAIN.name,
        price_micro=500_000,
        remaining_micro=SHARE,
        size_matched_micro=0,
        status=OrderStatus.LIVE,
    )
    known = {"live": image(live), "in flight": image(unproven=(flying(order_id, -SHARE),)), "unknown": image()}[held]
    hints = told(planned(done, image=known, found=(8 * SHARE, 10 * SHARE, CAPITAL + SHARE)))
    assert [bool(hint.logged_as) for hint in hints] == [held == "unknown"]


def flying(order_id: str, shares: int, **given: Any) -> UnprovenFill:
    values: dict[str, Any] = {"trade_id": "t", "cash_micro": 0, "confirmed": False, "matched_at_ms": 0} | given
    return UnprovenFill(order_id=order_id, shares_micro=shares, **values)


@pytest.mark.req("X-02", "X-01")
@pytest.mark.parametrize(
    ("fill", "settled", "exact"),
    [
        ({}, True, True),
        ({"transaction_hash": "0xaa"}, True, True),
        ({"transaction_hash": "0xother"}, False, False),
        ({"trade_id": "provisional"}, False, False),
        ({"shares_micro": -3 * SHARE}, False, False),
    ],
    ids=["no hash yet", "its hash", "another hash", "provisional", "another size"],
)
def test_a_fill_has_settled_when_the_log_is_of_its_order_and_fits(
    fill: dict[str, Any], settled: bool, exact: bool
) -> None:
    done, order_id = sold(2 * SHARE, SHARE)
    values = {"shares": -2 * SHARE} | {key: value for key, value in fill.items() if key != "shares_micro"}
    if "shares_micro" in fill:
        values["shares"] = fill["shares_micro"]
    known = image(unproven=(flying(order_id, **values),))
    chain = planned(done, image=known, found=(8 * SHARE, 10 * SHARE, CAPITAL + SHARE)).views[RAIN.name].chain
    assert chain is not None
    assert [(log.trade_id, log.amount_micro, log.transaction_hash) for log in chain.settled] == (
        [("t", SHARE, "0xaa")] if settled else []
    )
    assert (RAIN.yes in chain.exact, RAIN.no in chain.exact) == (exact, True)


@pytest.mark.req("X-02", "R-05")
def test_a_fill_that_must_have_settled_and_is_in_no_log_leaves_its_token_to_the_balance() -> None:
    old = flying("o", -2 * SHARE, confirmed=True, matched_at_ms=-60_000)
    chain = planned(image=image(unproven=(old,)), found=(8 * SHARE, 10 * SHARE, CAPITAL)).views[RAIN.name].chain
    assert chain is not None
    assert chain.exact == (RAIN.no,)


@pytest.mark.req("X-10", "L-14")
def test_a_deposit_in_the_logs_is_no_unexplained_cash() -> None:
    found = planned(deposited(650 * SHARE), image=image(), found=(10 * SHARE, 10 * SHARE, CAPITAL + 650 * SHARE + 7))
    assert [(flow.kind, flow.cash_micro) for flow in found.inflows] == [(ChangeKind.DEPOSIT, 650 * SHARE)]
    assert found.cash_unexplained_micro == 7


@pytest.mark.req("X-10", "L-19")
def test_a_deposit_is_told_once_though_its_block_is_read_again() -> None:
    done = deposited(650 * SHARE)
    assert planned(done, image=image(), compared=done.block_number).inflows == ()


@pytest.mark.req("X-02", "L-16")
def test_where_the_logs_do_not_make_up_the_balance_it_decides_as_if_there_were_none() -> None:
    """The node keeps back the log of a fill that the balance holds."""
    known = image(unproven=(flying("o", -2 * SHARE),))
    planning = planned(image=known, found=(8 * SHARE, 10 * SHARE, CAPITAL))
    chain = planning.views[RAIN.name].chain
    assert chain is not None
    assert (chain.settled, chain.exact, told(planning)) == ((), (RAIN.no,), ())


@pytest.mark.req("X-02", "R-20")
@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_the_fee_stands_beside_the_amount_that_a_log_shows(side: Side) -> None:
    tx = Tx()
    taker = Order(user=WALLET, side=side, token=RAIN.yes, fee=7)
    other = Side.SELL if side is Side.BUY else Side.BUY
    tx.match(RAIN, taker, Order(user=ALICE, side=other, token=RAIN.yes, shares=2 * SHARE, cash=SHARE))
    done = tx.done()
    (order_id,) = (log.order_id for log in done.logs if isinstance(log, OrderFilled) and log.maker == WALLET)
    shares = 2 * SHARE if side is Side.BUY else -2 * SHARE
    known = image(unproven=(flying(order_id, shares),))
    found = (10 * SHARE + shares, 10 * SHARE, CAPITAL - shares // 2 - 7)
    planning = planned(done, image=known, found=found)
    chain = planning.views[RAIN.name].chain
    assert chain is not None
    assert [(log.amount_micro, log.fee_micro) for log in chain.settled] == [(SHARE, 7)]
    assert planning.cash_unexplained_micro == 0


@pytest.mark.req("X-01", "D-06")
def test_logs_that_lack_events_are_not_believed_and_the_plan_says_so() -> None:
    tx = Tx()
    tx.merge(WALLET, RAIN, 4 * SHARE)
    found = planned(tx.done(complete=False), image=image(), found=(6 * SHARE, 6 * SHARE, CAPITAL + 4 * SHARE))
    assert found.doubt.startswith("chain.logs: transaction 0xaa moved ")
    assert [hint.logged_as for hint in told(found)] == [""]


@pytest.mark.req("R-23")
def test_the_first_cycle_asks_nothing_of_the_logs() -> None:
    found = planned(merged(4 * SHARE), image=image(), wallet=WalletState(wallet="main"))
    assert found.inflows == ()


@pytest.mark.req("X-10", "X-01")
def test_logs_are_believed_where_cash_cannot_be_judged() -> None:
    missing = msgspec.structs.replace(OPENED, directory={"0xother": DirectoryEntry(market_id="0xother", token_ids=())})
    found = planned(merged(4 * SHARE), image=image(), found=(6 * SHARE, 6 * SHARE, CAPITAL), wallet=missing)
    assert (found.cash_unexplained_micro, [hint.cause for hint in told(found)]) == (None, [Cause.POSITION_MERGED])


def chained(done: ChainTransaction, *legs: tuple[str, int], booked: bool = True) -> ChainedImage:
    """What the transaction's one change of these legs became."""
    logs = {change.legs: log_name(change, change.legs) for change in label(done, WALLET, BOOK)}
    return ChainedImage(logged_as=logs[legs], block_number=done.block_number, block_hash=done.block_hash, booked=booked)


@pytest.mark.req("X-01", "L-19")
@pytest.mark.parametrize("booked", [True, False], ids=["booked", "waiting"])
def test_a_log_that_was_booked_explains_no_difference_that_is_found_beside_it(booked: bool) -> None:
    done = merged(4 * SHARE)
    known = chained(done, (RAIN.yes, -4 * SHARE), (RAIN.no, -4 * SHARE), booked=booked)
    held = msgspec.structs.replace(image(), chained=(known,))
    cash = CAPITAL + 4 * SHARE
    hints = told(planned(done, image=held, found=(6 * SHARE, 6 * SHARE, cash)))
    assert [bool(hint.logged_as) for hint in hints] == [not booked]


@pytest.mark.req("X-01", "X-02")
def test_a_log_beside_a_booked_one_still_explains_its_own_difference() -> None:
    old, new = merged(4 * SHARE), msgspec.structs.replace(merged(3 * SHARE), transaction_hash="0xac")
    known = chained(old, (RAIN.yes, -4 * SHARE), (RAIN.no, -4 * SHARE))
    held = msgspec.structs.replace(image(), chained=(known,))
    (hint,) = told(planned(old, new, image=held, found=(7 * SHARE, 7 * SHARE, CAPITAL + 3 * SHARE)))
    assert hint.logged_as.startswith("chain:0xac:")


@pytest.mark.req("X-02", "L-16")
@pytest.mark.parametrize("booked", [True, False], ids=["booked", "waiting"])
def test_the_log_of_a_fill_that_was_settled_by_it_leaves_its_order_exact(booked: bool) -> None:
    """Else the log would be of a trade that was not seen yet, and the balance would have to decide."""
    done, order_id = sold(2 * SHARE, SHARE)
    live = OrderImage(
        order_id=order_id,
        condition_id=RAIN.name,
        price_micro=500_000,
        remaining_micro=SHARE,
        size_matched_micro=2 * SHARE,
        status=OrderStatus.LIVE,
    )
    held = msgspec.structs.replace(image(live), chained=(chained(done, (RAIN.yes, -2 * SHARE), booked=booked),))
    chain = planned(done, image=held, found=(10 * SHARE, 10 * SHARE, CAPITAL)).views[RAIN.name].chain
    assert chain is not None
    assert (RAIN.yes in chain.exact) is booked
