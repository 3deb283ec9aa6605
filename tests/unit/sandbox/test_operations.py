"""What the contracts do: conversion, redemption, direct calls; and what Polymarket publishes about it."""

from __future__ import annotations

import msgspec
import pytest

from polymarket.sandbox import addresses
from polymarket.sandbox.acting import act
from polymarket.sandbox.actions import (
    AnyAction,
    Convert,
    ExternalTrade,
    FillOrder,
    Merge,
    Mine,
    Place,
    Redeem,
    Resolve,
    SetPrice,
    Split,
    TransferIn,
)
from polymarket.sandbox.published import TokenView
from polymarket.sandbox.trading import BUY, SELL, OrderRefusedError
from polymarket.sandbox.world import World
from tests.unit.sandbox.worlds import SHARE, check_books, check_conservation, do, world

pytestmark = pytest.mark.req("X-07")


@pytest.fixture
def here() -> World:
    return world()


def event_with_nos(here: World, *shares: str) -> str:
    """The neg-risk event, of whose first questions the wallet has bought NO."""
    markets = here.directory.markets[-3:]
    bought = zip(markets, shares, strict=False)
    do(here, *(ExternalTrade(token_id=m.tokens[1], side=BUY, size=n, price="0.6") for m, n in bought))
    return markets[0].neg_risk_market_id or ""


def held(here: World) -> list[tuple[int, int]]:
    """YES and NO of each question, in shares."""
    pairs = [[here.balance(m, token) // SHARE for token in m.tokens] for m in here.directory.markets[-3:]]
    return [(yes, no) for yes, no in pairs]


@pytest.mark.req("R-06")
def test_converting_two_nos_gives_the_third_yes_and_one_dollar_each(here: World) -> None:
    event = event_with_nos(here, "60", "50")
    cash = here.cash()["pusd"]
    do(here, Convert(neg_risk_market_id=event, questions=[0, 1], amount="50"))
    assert held(here) == [(400, 10), (300, 0), (250, 0)]
    assert here.cash()["pusd"] - cash == 50 * SHARE
    check_conservation(here, here.chain.head.number)
    check_books(here)


def test_converting_one_no_gives_every_other_yes_and_no_cash(here: World) -> None:
    event = event_with_nos(here, "60")
    cash = here.cash()["pusd"]
    do(here, Convert(neg_risk_market_id=event, questions=[0], amount="60"))
    assert held(here) == [(400, 0), (360, 0), (260, 0)]
    assert here.cash()["pusd"] == cash


def test_converting_all_nos_gives_cash_only(here: World) -> None:
    event = event_with_nos(here, "30", "30", "30")
    cash = here.cash()["pusd"]
    do(here, Convert(neg_risk_market_id=event, questions=[0, 1, 2], amount="30"))
    assert held(here) == [(400, 0), (300, 0), (200, 0)]
    assert here.cash()["pusd"] - cash == 60 * SHARE
    check_conservation(here, here.chain.head.number)


def test_a_conversion_fee_goes_to_the_vault_in_shares_and_cash(here: World) -> None:
    event = event_with_nos(here, "50", "50")
    here.directory.by_neg_risk_id[event].fee_bips = 100
    third = here.directory.markets[-1]
    do(here, Convert(neg_risk_market_id=event, questions=[0, 1], amount="50"))
    vault = addresses.NEG_RISK_FEE_VAULT
    assert here.balance(third, third.tokens[0]) == 249_500_000
    assert here.chain.balance(third.token_contract, vault, int(third.tokens[0])) == 500_000
    assert here.chain.balance(addresses.USDC_E, vault) == 500_000
    check_conservation(here, here.chain.head.number)
    check_books(here)


@pytest.mark.req("R-19")
def test_a_direct_merge_pays_bridged_usdc(here: World) -> None:
    market = here.directory.markets[2]
    cash = here.cash()
    do(here, Merge(condition_id=market.condition_id, amount="100", direct=True))
    assert here.cash() == {**cash, "usdc_e": 100 * SHARE}
    check_books(here)


@pytest.mark.parametrize(("payouts", "paid"), [([1, 0], 600), ([0, 1], 600), ([1, 1], 600)])
def test_a_redemption_pays_what_the_oracle_reported(here: World, payouts: list[int], paid: int) -> None:
    market = here.directory.markets[2]
    cash = here.cash()["pusd"]
    do(here, Resolve(condition_id=market.condition_id, payouts=payouts))
    do(here, Redeem(condition_id=market.condition_id))
    assert here.cash()["pusd"] - cash == paid * SHARE
    assert [here.balance(market, token) for token in market.tokens] == [0, 0]
    check_conservation(here, here.chain.head.number)
    check_books(here)


def test_redeeming_before_the_resolution_is_refused(here: World) -> None:
    market = here.directory.markets[2]
    (result,) = do(here, Redeem(condition_id=market.condition_id))
    assert "not resolved" in here.refused[str(result["transaction_hash"])]


@pytest.mark.req("R-06")
def test_a_neg_risk_event_has_at_most_one_winner_and_no_shared_payout(here: World) -> None:
    first, second, third = here.directory.markets[-3:]
    results = do(
        here,
        Resolve(condition_id=third.condition_id, payouts=[1, 1]),
        Resolve(condition_id=first.condition_id, payouts=[1, 0]),
        Resolve(condition_id=second.condition_id, payouts=[1, 0]),
        Resolve(condition_id=first.condition_id, payouts=[0, 1]),
    )
    refused = [here.refused.get(str(result["transaction_hash"]), "") for result in results]
    assert [reason.split()[0] if reason else "" for reason in refused] == ["a", "", "the", "market"]
    assert (first.payouts, second.payouts, third.payouts) == ((1, 0), None, None)


@pytest.mark.parametrize(
    "action",
    [
        ExternalTrade(token_id="1", side=BUY, size="1", price="0.5"),
        Split(condition_id="0x00", amount="1"),
        FillOrder(order_id="0x00"),
        Convert(neg_risk_market_id="0x00", questions=[0], amount="1"),
    ],
)
def test_an_action_on_something_unknown_is_refused(here: World, action: AnyAction) -> None:
    with pytest.raises(OrderRefusedError):
        act(here, action)


def test_an_action_that_asks_too_much_is_refused(here: World) -> None:
    market = here.directory.markets[0]
    order = here.exchange.live_orders(here.wallet.address)[0]
    for action in (
        ExternalTrade(token_id=market.tokens[0], side=SELL, size="99999", price="0.5"),
        ExternalTrade(token_id=market.tokens[0], side=BUY, size="10", price="1"),
        FillOrder(order_id=order.order_id, size="99999"),
        Resolve(condition_id=market.condition_id, payouts=[1]),
        TransferIn(amount="1", asset="doge"),
    ):
        with pytest.raises(OrderRefusedError):
            act(here, action)


def test_a_token_can_be_named_by_its_market_and_outcome(here: World) -> None:
    market = here.directory.markets[4]
    do(here, ExternalTrade(condition_id=market.condition_id, outcome="No", side=BUY, size="10", price="0.5"))
    assert here.balance(market, market.tokens[1]) == 10 * SHARE
    with pytest.raises(OrderRefusedError, match="outcome"):
        act(here, Place(condition_id=market.condition_id, outcome="Maybe", side=BUY, size="10", price="0.5"))


def test_actions_are_read_from_json_by_their_kind_and_unknown_fields_are_refused() -> None:
    assert msgspec.json.decode(b'{"kind":"mine","blocks":3}', type=AnyAction) == Mine(blocks=3)
    for body in (b'{"kind":"mine","block":3}', b'{"kind":"steal"}'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(body, type=AnyAction)


def test_a_price_out_of_reach_moves_nothing(here: World) -> None:
    market = here.directory.markets[5]
    mid = market.mid
    act(here, SetPrice(condition_id=market.condition_id, price="0.999"))
    assert market.mid == mid


def test_published_positions_follow_polymarkets_method_as_of_any_block(here: World) -> None:
    market = here.directory.markets[4]
    token = market.tokens[0]
    do(here, ExternalTrade(token_id=token, side=BUY, size="10", price="0.4"))
    first = here.chain.head.number
    do(here, ExternalTrade(token_id=token, side=BUY, size="30", price="0.6"))
    do(here, ExternalTrade(token_id=token, side=SELL, size="20", price="0.7"))
    do(here, Split(condition_id=market.condition_id, amount="20"))
    view = here.published.view(token, here.chain.head.number)
    old = here.published.view(token, first)
    assert view is not None
    assert old is not None
    assert (old.amount, old.average) == (10 * SHARE, 400_000)
    assert (view.amount, view.average, view.realized) == (40 * SHARE, 525_000, 3 * SHARE)
    assert here.published.view(token, first - 1) is None


def test_a_published_sale_is_clamped_to_what_was_bought() -> None:
    view = TokenView(amount=10 * SHARE, average=400_000).sell(500_000, 25 * SHARE)
    assert (view.amount, view.realized) == (0, SHARE)


def test_a_conversion_is_published_at_the_cost_of_what_was_given(here: World) -> None:
    event = event_with_nos(here, "50", "50")
    third = here.directory.markets[-1]
    before = here.published.view(third.tokens[0], here.chain.head.number)
    do(here, Convert(neg_risk_market_id=event, questions=[0, 1], amount="50"))
    after = here.published.view(third.tokens[0], here.chain.head.number)
    assert before is not None
    assert after is not None
    assert after.average == (before.average * 200 + 200_000 * 50) // 250
