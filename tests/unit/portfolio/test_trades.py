"""Which part of a trade is the wallet's, at which price, and by whose key."""

from __future__ import annotations

from typing import Any

import pytest

from portfolio.facts import MakerLeg, Role, Side, Trade, TradeStatus
from portfolio.trades import own_legs
from tests.unit.portfolio.markets import CENT, CONDITION, FOREIGN_KEY, NO, OWN_KEY, SHARE, YES

FUNDER = "0xAbC1"
STRANGER = "0xdead"


def maker(order_id: str = "m1", **given: Any) -> MakerLeg:
    values: dict[str, Any] = {
        "order_id": order_id,
        "owner": "someone",
        "maker_address": STRANGER,
        "token_id": YES,
        "price_micro": 40 * CENT,
        "size_micro": 10 * SHARE,
        "side": Side.SELL,
    }
    return MakerLeg(**(values | given))


def trade(*legs: MakerLeg, **given: Any) -> Trade:
    values: dict[str, Any] = {
        "trade_id": "t1",
        "taker_order_id": "taker-order",
        "condition_id": CONDITION,
        "token_id": YES,
        "side": Side.BUY,
        "size_micro": 10 * SHARE,
        "price_micro": 40 * CENT,
        "status": TradeStatus.MATCHED,
        "matched_at_ns": 5,
        "updated_at_ms": 0,
        "owner": "someone",
        "maker_address": STRANGER,
        "transaction_hash": "0xhash",
        "trader_side": None,
        "bucket_index": 0,
        "legs": legs,
    }
    return Trade(**(values | given))


@pytest.mark.req("L-01", "R-11")
def test_a_maker_sees_only_its_own_leg_at_its_own_price_and_size() -> None:
    mine = maker("mine", maker_address=FUNDER, owner=OWN_KEY, size_micro=4 * SHARE, price_micro=39 * CENT)
    (leg,) = own_legs(trade(maker(), mine), FUNDER.lower(), {OWN_KEY})
    assert (leg.trade_id, leg.order_id, leg.role, leg.side) == ("t1", "mine", Role.MAKER, Side.SELL)
    assert (leg.size_micro, leg.price_micro, leg.amount_micro) == (4 * SHARE, 39 * CENT, 1_560_000)
    assert (leg.transaction_hash, leg.matched_at_ns, leg.levels) == ("0xhash", 5, ())


@pytest.mark.req("L-01")
def test_each_of_several_orders_of_ours_in_one_trade_is_a_leg_of_its_own() -> None:
    mine = [maker(name, maker_address=FUNDER, owner=OWN_KEY) for name in ("a", "b")]
    legs = own_legs(trade(*mine, maker_address=FUNDER, size_micro=20 * SHARE), FUNDER, {OWN_KEY})
    assert [leg.order_id for leg in legs] == ["taker-order", "a", "b"]


def test_a_trade_of_others_has_no_leg_of_ours() -> None:
    assert own_legs(trade(maker()), FUNDER, {OWN_KEY}) == ()


@pytest.mark.req("R-21")
def test_a_leg_by_a_key_that_is_not_configured_is_external_on_either_side() -> None:
    legs = own_legs(
        trade(maker("m", maker_address=FUNDER, owner=FOREIGN_KEY), maker_address=FUNDER, owner=OWN_KEY),
        FUNDER,
        {OWN_KEY},
    )
    assert [leg.external for leg in legs] == [False, True]


@pytest.mark.req("R-11")
def test_a_taker_pays_the_sum_of_its_makers_legs() -> None:
    levels = (maker(size_micro=4 * SHARE, price_micro=39 * CENT), maker("m2", size_micro=6 * SHARE))
    (leg,) = own_legs(trade(*levels, maker_address=FUNDER), FUNDER, {"someone"})
    assert leg.levels == ((4 * SHARE, 39 * CENT), (6 * SHARE, 40 * CENT))
    assert (leg.role, leg.amount_micro) == (Role.TAKER, 1_560_000 + 2_400_000)


@pytest.mark.req("R-11")
def test_a_leg_on_the_other_token_counts_at_the_complement_of_its_price() -> None:
    minted = maker(token_id=NO, side=Side.BUY, price_micro=61 * CENT)
    (leg,) = own_legs(trade(minted, maker_address=FUNDER), FUNDER, set())
    assert leg.levels == ((10 * SHARE, 39 * CENT),)


@pytest.mark.req("R-11")
def test_a_taker_row_whose_legs_do_not_add_up_keeps_its_own_size_and_price() -> None:
    (leg,) = own_legs(trade(maker(size_micro=1), maker_address=FUNDER), FUNDER, set())
    assert leg.levels == ((10 * SHARE, 40 * CENT),)
    assert leg.amount_micro == 4_000_000


@pytest.mark.parametrize(
    ("taker_side", "token", "expected"),
    [(Side.BUY, YES, Side.SELL), (Side.SELL, YES, Side.BUY), (Side.BUY, NO, Side.BUY), (Side.SELL, NO, Side.SELL)],
)
def test_the_side_of_a_leg_without_one_follows_from_its_token(taker_side: Side, token: str, expected: Side) -> None:
    leg = maker(maker_address=FUNDER, token_id=token, side=None)
    assert own_legs(trade(leg, side=taker_side), FUNDER, set())[0].side is expected
