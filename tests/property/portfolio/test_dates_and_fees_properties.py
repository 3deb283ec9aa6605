"""Retention against the calendar, and fees against exact fractions."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio.fees import FeeSchedule, Level, level_fee_micro, taker_fee_micro
from portfolio.retention import (
    OPERATIONS_YEARS,
    SETTLEMENT_YEARS,
    iso_date,
    purgeable,
    purgeable_from_ms,
    retained_until_date,
    retained_until_ms,
)
from portfolio.units import MICRO

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
INSTANTS = st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(9990, 1, 1), timezones=st.just(dt.UTC)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
YEARS = st.sampled_from([SETTLEMENT_YEARS, OPERATIONS_YEARS])
LEVELS = st.builds(Level, shares_micro=st.integers(0, 10**12), price_micro=st.integers(0, MICRO))
SCHEDULES = st.builds(FeeSchedule, rate_micro=st.integers(0, 100_000), exponent=st.integers(0, 3))


def ms(moment: dt.datetime) -> int:
    return (moment - EPOCH) // dt.timedelta(milliseconds=1)


@pytest.mark.req("S-09")
@given(INSTANTS, YEARS)
def test_the_calendar_agrees(moment: dt.datetime, years: int) -> None:
    year = moment.year + years
    try:
        expected = moment.replace(year=year)
    except ValueError:
        expected = moment.replace(year=year, month=3, day=1)
    assert retained_until_ms(ms(moment), years) == ms(expected)
    assert retained_until_date(ms(moment), years) == expected.date().isoformat()
    assert iso_date(ms(moment)) == moment.date().isoformat()


@pytest.mark.req("S-09")
@given(INSTANTS, YEARS)
def test_nothing_is_purged_before_its_last_day_is_over(moment: dt.datetime, years: int) -> None:
    until = retained_until_ms(ms(moment), years)
    first = purgeable_from_ms(until)
    assert first % 86_400_000 == 0
    assert 0 < first - until <= 86_400_000
    assert not purgeable(until, until)
    assert not purgeable(until, first - 1)
    assert purgeable(until, first)


@pytest.mark.req("X-10")
@given(LEVELS, SCHEDULES)
def test_a_fee_is_the_exact_one_floored_to_five_decimals(level: Level, schedule: FeeSchedule) -> None:
    price = Fraction(level.price_micro, MICRO)
    exact = Fraction(level.shares_micro * schedule.rate_micro, MICRO) * (price * (1 - price)) ** schedule.exponent
    fee = level_fee_micro(level, schedule)
    assert fee % 10 == 0
    assert 0 <= exact - fee < 10


@pytest.mark.req("X-10")
@given(st.lists(LEVELS, max_size=5), SCHEDULES)
def test_fees_are_symmetric_and_add_up_over_levels(levels: list[Level], schedule: FeeSchedule) -> None:
    mirrored = [Level(shares_micro=level.shares_micro, price_micro=MICRO - level.price_micro) for level in levels]
    assert taker_fee_micro(mirrored, schedule) == taker_fee_micro(levels, schedule)
    assert taker_fee_micro(levels, schedule) == sum(level_fee_micro(level, schedule) for level in levels)
