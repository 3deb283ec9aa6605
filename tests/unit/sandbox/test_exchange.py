"""Orders meet by price and time, across tokens too; trades live from MATCHED to CONFIRMED or FAILED."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymarket.sandbox import addresses
from polymarket.sandbox.acting import act
from polymarket.sandbox.actions import ExternalTrade, FailTrade, FillOrder, Resolve, TransferOut
from polymarket.sandbox.amounts import ONE, decimal_text, notional, parse_decimal, taker_fee
from polymarket.sandbox.chain import COIN
from polymarket.sandbox.trading import (
    BUY,
    CANCELED_EXPIRED,
    CANCELED_NOT_BACKED,
    CANCELED_RESOLVED,
    CONFIRMED,
    FAILED,
    MATCHED,
    MINED,
    SELL,
    OrderRefusedError,
    OrderTerms,
    Trade,
    taker_price,
)
from polymarket.sandbox.world import World, in_flight
from tests.unit.sandbox.worlds import NOW_MS, SHARE, check_books, check_conservation, do, world

pytestmark = pytest.mark.req("X-07")

CENT = 10_000


@pytest.fixture
def here() -> World:
    """A quiet world whose makers have left the fifth market, so that its book is the test's own."""
    quiet = world()
    market = quiet.directory.markets[4]
    quiet.exchange.cancel_where(lambda order: order.condition_id == market.condition_id, "CANCELED")
    return quiet


def terms(token: str, side: str, cents: int, shares: int, order_type: str = "GTC") -> OrderTerms:
    return OrderTerms(token=token, side=side, price=cents * CENT, size=shares * SHARE, order_type=order_type)


def levels(trade: Trade) -> list[tuple[int, int]]:
    """What the taker met: price in cents and shares, in order."""
    return [(taker_price(leg, trade.token) // CENT, leg.size // SHARE) for leg in trade.legs]


def test_a_buyer_meets_the_best_price_first_and_the_older_order_at_one_price(here: World) -> None:
    yes, no = here.directory.markets[4].tokens
    first, second, third, *_ = here.traders
    here.place(first, terms(yes, SELL, 42, 10))
    here.place(second, terms(yes, SELL, 40, 10))
    here.place(third, terms(no, BUY, 60, 10))
    here.place(first, terms(no, BUY, 61, 10))
    _, trade = here.place(here.wallet.strategy, terms(yes, BUY, 41, 35))
    assert trade is not None
    assert levels(trade) == [(39, 10), (40, 10), (40, 10)]
    assert [leg.party.owner for leg in trade.legs] == [first.owner, second.owner, third.owner]
    assert here.exchange.orders[trade.taker_order_id].remaining == 5 * SHARE
    assert trade.price == 41 * CENT, "on top stands the taker's limit, not what it paid"


def test_a_match_of_mixed_legs_settles_to_the_base_unit(here: World) -> None:
    market = here.directory.markets[4]
    yes, no = market.tokens
    first, second, *_ = here.traders
    here.place(first, terms(yes, SELL, 40, 10))
    here.place(second, terms(no, BUY, 60, 20))
    cash = here.cash()["pusd"]
    others = here.chain.balance(market.token_contract, second.address, int(no))
    _, trade = here.place(here.wallet.strategy, terms(yes, BUY, 40, 30))
    here.mine()
    assert trade is not None
    assert cash - here.cash()["pusd"] == 12 * SHARE + trade.taker_fee
    assert here.balance(market, yes) == 30 * SHARE
    assert here.chain.balance(market.token_contract, second.address, int(no)) - others == 20 * SHARE
    check_conservation(here, here.chain.head.number)
    check_books(here)


def test_two_sellers_of_opposite_outcomes_merge(here: World) -> None:
    yes, no = here.directory.markets[4].tokens
    here.place(here.traders[0], terms(yes, SELL, 40, 10))
    _, trade = here.place(here.traders[1], terms(no, SELL, 60, 10))
    here.mine()
    assert trade is not None
    assert trade.status == MINED
    check_conservation(here, here.chain.head.number)


def test_one_wallet_does_not_trade_with_itself(here: World) -> None:
    token = here.directory.markets[4].tokens[0]
    here.place(here.wallet.other, terms(token, BUY, 40, 10))
    do(here, ExternalTrade(token_id=token, side=BUY, size="20", price="0.4"))
    order, trade = here.place(here.wallet.strategy, terms(token, SELL, 40, 10))
    assert trade is None
    assert order.live


@pytest.mark.parametrize(("order_type", "matched", "status"), [("FOK", 0, "CANCELED_order"), ("FAK", 10, "CANCELED")])
def test_an_order_that_may_not_rest_is_filled_or_killed(
    here: World, order_type: str, matched: int, status: str
) -> None:
    token = here.directory.markets[4].tokens[0]
    here.place(here.traders[0], terms(token, SELL, 40, 10))
    order, _ = here.place(here.wallet.strategy, terms(token, BUY, 40, 30, order_type))
    assert (order.matched // SHARE, order.status[: len(status)]) == (matched, status)
    assert order not in here.exchange.live_orders(here.wallet.address)


@pytest.mark.parametrize(
    ("side", "cents", "shares", "reason"),
    [
        (BUY, 40, 4, "minimum"),
        (BUY, 99, 60_000, "balance"),
        (SELL, 40, 10, "balance"),
        (BUY, 0, 10, "tick"),
        (BUY, 100, 10, "tick"),
        ("HOLD", 40, 10, "side"),
    ],
)
def test_the_exchange_refuses_what_the_real_one_refuses(
    here: World, side: str, cents: int, shares: int, reason: str
) -> None:
    with pytest.raises(OrderRefusedError, match=reason):
        here.place(here.wallet.strategy, terms(here.directory.markets[4].tokens[0], side, cents, shares))


def test_a_post_only_order_may_not_cross(here: World) -> None:
    token = here.directory.markets[4].tokens[0]
    here.place(here.traders[0], terms(token, SELL, 40, 10))
    crossing = OrderTerms(token=token, side=BUY, price=40 * CENT, size=10 * SHARE, post_only=True)
    with pytest.raises(OrderRefusedError, match="post-only"):
        here.place(here.wallet.strategy, crossing)


def test_an_order_that_lost_its_shares_is_cancelled_when_it_should_trade(here: World) -> None:
    market = here.directory.markets[1]
    order = next(o for o in here.exchange.live_orders(here.wallet.address) if o.terms.side == SELL)
    market = here.directory.by_token[order.terms.token]
    do(here, TransferOut(token_id=order.terms.token, amount=decimal_text(here.balance(market, order.terms.token))))
    _, trade = here.place(here.traders[0], terms(order.terms.token, BUY, 99, 20_100))
    assert order.status == CANCELED_NOT_BACKED
    assert trade is not None
    assert order.order_id not in {leg.order_id for leg in trade.legs}


def test_shares_that_are_sold_but_not_yet_delivered_cannot_be_sold_again(here: World) -> None:
    market = here.directory.markets[0]
    token = market.tokens[0]
    held = decimal_text(here.balance(market, token))
    act(here, ExternalTrade(token_id=token, side=SELL, size=held, price="0.3"))
    with pytest.raises(OrderRefusedError, match="balance"):
        here.place(here.wallet.strategy, terms(token, SELL, 50, 10))
    with pytest.raises(OrderRefusedError, match="fewer"):
        act(here, ExternalTrade(token_id=token, side=SELL, size="1", price="0.3"))


def test_an_order_expires_at_its_time(here: World) -> None:
    token = here.directory.markets[4].tokens[0]
    expiring = OrderTerms(
        token=token, side=BUY, price=CENT, size=10 * SHARE, order_type="GTD", expires_s=NOW_MS // 1000 + 60
    )
    order, _ = here.place(here.wallet.strategy, expiring)
    here.advance(NOW_MS + 58_000)
    assert order.live
    here.advance(NOW_MS + 60_000)
    assert order.status == CANCELED_EXPIRED


def test_a_resolved_market_cancels_its_orders_and_takes_no_more(here: World) -> None:
    market = here.directory.markets[0]
    order = next(o for o in here.exchange.live_orders(here.wallet.address) if o.condition_id == market.condition_id)
    do(here, Resolve(condition_id=market.condition_id, payouts=[1, 0]))
    assert order.status == CANCELED_RESOLVED
    with pytest.raises(OrderRefusedError, match="closed"):
        here.place(here.wallet.strategy, terms(market.tokens[0], BUY, 40, 10))


def test_a_trade_lives_from_matched_over_mined_to_confirmed(here: World) -> None:
    token = here.directory.markets[0].tokens[0]
    made = act(here, ExternalTrade(token_id=token, side=BUY, size="10", price="0.4"))
    trade = here.exchange.trades[str(made["trade_id"])]
    before = here.books.tokens[token]
    assert (trade.status, trade.transaction_hash, trade.block) == (MATCHED, "", None)
    assert (in_flight(here, token), here.books.tokens[token]) == (10 * SHARE, before)
    here.mine()
    assert (trade.status, trade.block) == (MINED, here.chain.head.number)
    assert trade.transaction_hash in here.chain.head.transactions
    assert (in_flight(here, token), here.books.tokens[token]) == (0, before + 10 * SHARE)
    here.mine(here.options.confirm_blocks - 1)
    assert trade.status == MINED
    here.mine()
    assert trade.status == CONFIRMED


def test_a_trade_fails_on_request_and_leaves_on_the_chain_a_transaction_that_did_nothing(here: World) -> None:
    order = here.exchange.live_orders(here.wallet.address)[0]
    cash, tokens = here.cash(), here.books.tokens
    made = act(here, FillOrder(order_id=order.order_id, size="20"))
    act(here, FailTrade(trade_id=str(made["trade_id"])))
    here.mine()
    trade = here.exchange.trades[str(made["trade_id"])]
    receipt = here.chain.receipt(trade.transaction_hash)
    assert receipt is not None
    assert (trade.status, receipt.block, receipt.succeeded) == (FAILED, here.chain.head.number, False)
    assert trade.transaction_hash in here.chain.head.transactions
    assert (here.cash(), here.books.tokens) == (cash, tokens)
    assert order.matched == 20 * SHARE, "what was matched stays matched; only the fill is undone (D-03)"


def test_a_trade_can_wait_for_its_block(here: World) -> None:
    token = here.directory.markets[0].tokens[0]
    made = act(here, ExternalTrade(token_id=token, side=BUY, size="10", price="0.4", delay_blocks=2))
    trade = here.exchange.trades[str(made["trade_id"])]
    here.mine(2)
    assert trade.status == MATCHED
    here.mine()
    assert trade.status == MINED


def test_a_sale_whose_shares_left_before_its_block_fails(here: World) -> None:
    order = next(o for o in here.exchange.live_orders(here.wallet.address) if o.terms.side == SELL)
    market = here.directory.by_token[order.terms.token]
    held = here.balance(market, order.terms.token)
    (made, _) = do(
        here,
        FillOrder(order_id=order.order_id),
        TransferOut(token_id=order.terms.token, amount=decimal_text(held)),
    )
    assert here.exchange.trades[str(made["trade_id"])].status == FAILED
    assert here.balance(market, order.terms.token) == 0
    check_conservation(here, here.chain.head.number)
    check_books(here)


@pytest.mark.req("R-20")
@pytest.mark.parametrize(
    ("size", "price", "rate", "fee"),
    [
        ("6", "0.48", 70_000, "0.10483"),
        ("22.84", "0.52", 50_000, "0.28504"),
        ("7.44", "0.9", 50_000, "0.03348"),
        ("100", "0.5", 0, "0"),
    ],
)
def test_the_fee_is_floored_to_five_decimals_as_on_the_chain(size: str, price: str, rate: int, fee: str) -> None:
    assert taker_fee(parse_decimal(size), parse_decimal(price), rate, 1) == parse_decimal(fee)


@pytest.mark.req("R-20")
def test_only_the_taker_pays_and_for_each_level(here: World) -> None:
    market = here.directory.markets[4]
    market.fee_rate = 50_000
    token = market.tokens[0]
    here.place(here.traders[0], terms(token, SELL, 40, 10))
    here.place(here.traders[1], terms(token, SELL, 50, 10))
    _, trade = here.place(here.wallet.strategy, terms(token, BUY, 50, 20))
    assert trade is not None
    assert trade.taker_fee == 120_000 + 125_000
    receiver = here.chain.balance(addresses.PUSD, addresses.FEE_RECEIVER, COIN)
    here.mine()
    assert here.chain.balance(addresses.PUSD, addresses.FEE_RECEIVER, COIN) - receiver == trade.taker_fee
    order = here.exchange.live_orders(here.wallet.address)[0]
    cash = here.cash()["pusd"]
    do(here, FillOrder(order_id=order.order_id, size="10"))
    assert cash - here.cash()["pusd"] == notional(10 * SHARE, order.terms.price)


@given(st.integers(0, 10**15))
def test_decimal_text_reads_back(micro: int) -> None:
    assert parse_decimal(decimal_text(micro)) == micro


@given(st.integers(0, 10**12), st.integers(0, ONE))
def test_size_times_price_is_the_nearest_integer_and_half_goes_to_even(size: int, price: int) -> None:
    result, exact = notional(size, price), size * price
    assert abs(2 * (result * ONE - exact)) <= ONE
    if exact % ONE * 2 == ONE:
        assert result % 2 == 0


@pytest.mark.parametrize("text", ["", "-1", "1e3", "NaN", "0.0000001", "1,5", " 1"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a plain decimal number"):
        parse_decimal(text)
