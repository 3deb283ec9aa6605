"""Trading fees: the exchange's formula on integers (R-20).

Here: the taker's fee at one price level and over several. Not here: where rate and exponent come from (the market's
metadata, stored with the fill), and the fee the exchange logged, which wins wherever it is known.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Final, NamedTuple

import msgspec

from portfolio.units import MICRO

_STEP_MICRO: Final = 10
"""Fees are floored to 5 decimals of a pUSD."""


class FeeSchedule(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A market's fee parameters: ``rate_micro`` (0.07 is 70,000) and the exponent of p (1 - p)."""

    rate_micro: int
    exponent: int = 1


class Level(NamedTuple):
    """Shares taken from one maker at that maker's price."""

    shares_micro: int
    price_micro: int


def level_fee_micro(level: tuple[int, int], schedule: FeeSchedule) -> int:
    """Fee in micro pUSD of one level: shares x rate x (p (1 - p))^exponent, floored to 5 decimals (R-20)."""
    shares_micro, price_micro = level
    power: int = (price_micro * (MICRO - price_micro)) ** schedule.exponent
    return shares_micro * schedule.rate_micro * power // _denominator(schedule.exponent) * _STEP_MICRO


@cache
def _denominator(exponent: int) -> int:
    """Shares are micro and so is the fee; the rate brings one factor of MICRO and each power of p (1 - p) two."""
    scale: int = MICRO * MICRO ** (2 * exponent)
    return scale * _STEP_MICRO


def taker_fee_micro(levels: Iterable[tuple[int, int]], schedule: FeeSchedule) -> int:
    """Fee of a taker's fill: the sum over its maker levels, each floored by itself (R-20).

    Makers pay no such fee, only one of their builder's, which no public feed shows before the exchange's log.
    """
    total = 0
    for level in levels:
        total += level_fee_micro(level, schedule)
    return total
