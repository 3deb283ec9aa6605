"""Exactness of the integer arithmetic."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio.units import MICRO, allocate, div_half_even, floor_share, format_micro, micro_to_number, mul_price

AMOUNTS = st.integers(-(10**18), 10**18)
POSITIVE = st.integers(0, 10**18)


@pytest.mark.req("L-11")
@given(POSITIVE, st.lists(POSITIVE, min_size=1, max_size=6))
def test_an_allocation_loses_nothing_and_stays_within_a_unit(total: int, weights: list[int]) -> None:
    parts = allocate(total, weights)
    shares = weights if sum(weights) else [1] * len(weights)
    assert sum(parts) == total
    for part, share in zip(parts, shares, strict=True):
        assert 0 <= part - Fraction(total * share, sum(shares)) + 1 <= 2
        assert part == 0 or share > 0


@pytest.mark.req("L-11")
@given(st.lists(POSITIVE, min_size=1, max_size=6), st.data())
def test_no_part_exceeds_its_weight_unless_the_total_exceeds_them_all(weights: list[int], data: st.DataObject) -> None:
    total = data.draw(st.integers(0, sum(weights)))
    assert all(part <= weight for part, weight in zip(allocate(total, weights), weights, strict=True))


@given(POSITIVE, st.integers(1, 10**18), st.data())
def test_a_floored_share_is_within_a_unit_below_the_exact_one(total: int, whole: int, data: st.DataObject) -> None:
    part = data.draw(st.integers(0, whole))
    assert 0 <= Fraction(total * part, whole) - floor_share(total, part, whole) < 1
    assert floor_share(total, whole, whole) == total


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**9))
def test_division_rounds_as_decimal_does(numerator: int, denominator: int) -> None:
    with localcontext(prec=60):
        exact = Decimal(numerator) / Decimal(denominator)
        assert div_half_even(numerator, denominator) == int(exact.quantize(Decimal(1), ROUND_HALF_EVEN))


@given(st.integers(0, 10**15), st.integers(0, MICRO))
def test_a_value_is_the_exact_product_rounded(shares: int, price: int) -> None:
    assert abs(mul_price(shares, price) - Fraction(shares * price, MICRO)) <= Fraction(1, 2)


@given(AMOUNTS)
def test_text_and_number_are_exact(value: int) -> None:
    assert Decimal(format_micro(value)).scaleb(6) == value
    assert micro_to_number(value) == Decimal(value).scaleb(-6)
    assert "E" not in format_micro(value)
    assert str(micro_to_number(value)) == format_micro(value) or abs(value) < 10
