"""The money parser: exact, and strict about what it takes (D-08, R-16)."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from polymarket.payloads import MAX_MICRO, FieldError, parse_micro, parse_rounded_micro

MICRO = Decimal("0.000001")


@pytest.mark.req("R-16", "D-08")
@given(st.integers(min_value=0, max_value=MAX_MICRO), st.booleans())
def test_every_amount_survives_the_way_over_the_wire(micro: int, quoted: bool) -> None:
    whole, fraction = divmod(micro, 10**6)
    text = f"{whole}.{fraction:06d}"
    assert parse_micro((f'"{text}"' if quoted else text).encode()) == micro
    short = text.rstrip("0").rstrip(".")
    assert parse_micro(short.encode()) == micro


@pytest.mark.req("R-16", "D-08")
@given(st.from_regex(r"[0-9]{0,12}\.?[0-9]{0,9}([eE][+-]?[0-9]{1,2})?", fullmatch=True))
@example("1e-6")
@example("1e-7")
@example("1.0000000")
@example("0.1234567")
def test_what_is_accepted_is_exactly_what_decimal_says_and_never_finer(text: str) -> None:
    try:
        micro = parse_micro(json.dumps(text).encode())
    except FieldError:
        return
    if micro is None:
        assert text == ""
        return
    assert Decimal(text) == micro * MICRO
    assert (Decimal(text) / MICRO) % 1 == 0


@pytest.mark.req("R-16")
@given(st.text(max_size=20))
def test_any_text_is_either_an_amount_or_refused(text: str) -> None:
    try:
        micro = parse_micro(json.dumps(text).encode())
    except FieldError:
        return
    assert micro is None or 0 <= micro <= MAX_MICRO


@pytest.mark.req("R-16")
@pytest.mark.parametrize(
    "token",
    [
        "-1", '"-1"', "-0", '"-0.0"', "0.1234567", '"0.1234567"', "1e-7", '"NaN"', '"Infinity"', '"-Infinity"', '"nan"',
        '"+1"', '" 1"', '"1 "', '"1,5"', '".5"', '"5."', '"0x10"', '"1_000"', '"٣"', '"007"', "true", "[]", "{}", "",
        "1e999", '"9223372036854.775808"', '"1' + "0" * 70 + '"', '"1e30"',
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused(token: str) -> None:
    with pytest.raises(FieldError):
        parse_micro(token.encode())


@pytest.mark.req("R-16")
@pytest.mark.parametrize(
    ("token", "micro"),
    [
        ('"100"', 100_000_000), ("100", 100_000_000), ('"8.59"', 8_590_000), ("1.219511", 1_219_511), ("0", 0),
        ('"0.0000000"', 0), ('"1.2300000000"', 1_230_000), ("1e-6", 1), ("1.5E3", 1_500_000_000), ("25e-2", 250_000),
    ],
)  # fmt: skip
def test_numbers_and_strings_of_numbers_are_exact(token: str, micro: int) -> None:
    assert parse_micro(token.encode()) == micro


@pytest.mark.req("R-16")
@pytest.mark.parametrize("token", ['""', "null"])
def test_empty_is_unknown_and_not_zero(token: str) -> None:
    assert parse_micro(token.encode()) is None
    assert parse_rounded_micro(token.encode()) is None


@pytest.mark.req("D-13")
@pytest.mark.parametrize(
    ("token", "micro"),
    [
        ("28.09", 28_090_000), ("0.0000005", 0), ("0.0000015", 2), ("0.00000251", 3), ("-1.2404", -1_240_400),
        ("1e-06", 1), ("0.1234567", 123_457), ("449.69999999999999", 449_700_000),
    ],
)  # fmt: skip
def test_informative_numbers_are_rounded_half_to_even_from_their_text(token: str, micro: int) -> None:
    assert parse_rounded_micro(token.encode()) == micro


@pytest.mark.parametrize("token", ['"NaN"', "1e999", '"abc"', "true"])
def test_even_an_informative_number_must_be_one(token: str) -> None:
    with pytest.raises(FieldError):
        parse_rounded_micro(token.encode())
