"""Integers of 1e-6: rounding, cutting, writing."""

from __future__ import annotations

import msgspec
import pytest

from portfolio.units import MICRO, allocate, div_half_even, floor_share, format_micro, micro_to_number, mul_price


@pytest.mark.parametrize(
    ("numerator", "denominator", "rounded"),
    [
        (5, 10, 0),
        (15, 10, 2),
        (25, 10, 2),
        (24, 10, 2),
        (26, 10, 3),
        (-5, 10, 0),
        (-15, 10, -2),
        (-16, 10, -2),
        (0, 3, 0),
    ],
)
def test_ties_go_to_the_even_neighbour(numerator: int, denominator: int, rounded: int) -> None:
    assert div_half_even(numerator, denominator) == rounded


@pytest.mark.req("L-11")
@pytest.mark.parametrize(
    ("shares", "price", "value"),
    [
        (100 * MICRO, 600_000, 60 * MICRO),
        (1, 500_000, 0),
        (3, 500_000, 2),
        (1, 500_001, 1),
        (8_590_001, 123_457, 1_060_496),
    ],
)
def test_value_is_shares_times_price_half_to_even(shares: int, price: int, value: int) -> None:
    assert mul_price(shares, price) == value


def test_a_share_is_floored_and_the_last_one_is_everything() -> None:
    assert floor_share(10, 1, 3) == 3
    assert floor_share(10, 3, 3) == 10


@pytest.mark.req("L-11")
@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (3, (1, 1), (2, 1)),
        (10, (1, 1, 1), (4, 3, 3)),
        (11, (1, 1, 1), (4, 4, 3)),
        (7, (0, 0), (4, 3)),
        (7, (0, 3), (0, 7)),
        (5, (0, 1, 1), (0, 3, 2)),
        (0, (1, 2), (0, 0)),
        (0, (), ()),
        (100, (1, 2), (34, 66)),
    ],
)
def test_left_over_units_go_to_the_earliest_parts_of_positive_weight(
    total: int, weights: tuple[int, ...], parts: tuple[int, ...]
) -> None:
    assert allocate(total, weights) == parts


@pytest.mark.parametrize(("total", "weights"), [(-1, (1,)), (1, (1, -1))])
def test_a_negative_allocation_is_refused(total: int, weights: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least 0"):
        allocate(total, weights)


def test_units_without_a_taker_are_refused() -> None:
    with pytest.raises(ValueError, match="pass at least one weight"):
        allocate(1, ())


@pytest.mark.req("S-08")
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1_250_000_000, "1250.0"),
        (50_000_000, "50.0"),
        (0, "0.0"),
        (1, "0.000001"),
        (-500_000, "-0.5"),
        (-1, "-0.000001"),
        (52_341_123_450, "52341.12345"),
    ],
)
def test_amounts_are_written_as_in_the_document(value: int, text: str) -> None:
    assert format_micro(value) == text


@pytest.mark.req("S-08")
def test_a_json_number_has_the_exact_digits() -> None:
    encoder = msgspec.json.Encoder(decimal_format="number")
    numbers = [micro_to_number(value) for value in (1_250_000_000, 10, 9_007_199_254_740_993_000_001)]
    assert encoder.encode(numbers) == b"[1250.0,0.00001,9007199254740993.000001]"
