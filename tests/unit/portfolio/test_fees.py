"""Fees by the exchange's formula, against amounts seen on chain (R-20)."""

from __future__ import annotations

import pytest

from portfolio.fees import FeeSchedule, Level, level_fee_micro, taker_fee_micro


@pytest.mark.req("X-10")
@pytest.mark.parametrize(
    ("shares", "price", "rate", "fee"),
    [
        (6_000_000, 480_000, 70_000, 104_830),  # logged on chain: 0.104832 was charged as 0.10483
        (20_432_200, 500_000, 50_000, 255_400),  # 0.2554025
        (5_138_920, 500_000, 50_000, 64_230),  # 0.0642365
        (1_055_128, 500_000, 50_000, 13_180),  # 0.0131891
        (100_000_000, 500_000, 40_000, 1_000_000),
        (1, 500_000, 70_000, 0),
        (100_000_000, 500_000, 0, 0),
    ],
)
def test_fees_are_floored_to_five_decimals_as_on_chain(shares: int, price: int, rate: int, fee: int) -> None:
    level = Level(shares_micro=shares, price_micro=price)
    assert level_fee_micro(level, FeeSchedule(rate_micro=rate)) == fee


@pytest.mark.req("X-10")
def test_the_exponent_applies_to_the_spread_alone() -> None:
    level = Level(shares_micro=100_000_000, price_micro=200_000)
    amounts = [level_fee_micro(level, FeeSchedule(rate_micro=50_000, exponent=exponent)) for exponent in (0, 1, 2)]
    assert amounts == [5_000_000, 800_000, 128_000]


@pytest.mark.req("X-10")
def test_a_fee_is_computed_per_maker_level_and_not_on_the_average_price() -> None:
    levels = [Level(shares_micro=10_000_000, price_micro=price) for price in (400_000, 600_000)]
    average = Level(shares_micro=20_000_000, price_micro=500_000)
    schedule = FeeSchedule(rate_micro=70_000)
    assert taker_fee_micro(levels, schedule) == 336_000
    assert level_fee_micro(average, schedule) == 350_000
    assert taker_fee_micro([], schedule) == 0
