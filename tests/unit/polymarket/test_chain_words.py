"""The quick way past the ABI codec reads what the codec reads, and leaves it whatever is laid otherwise."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from polymarket.chain_words import number, numbers, outcomes

pytestmark = pytest.mark.req("R-31", "X-01")

WORD = 32
UINT = st.integers(min_value=0, max_value=2**256 - 1)
OUTCOMES = st.lists(st.tuples(st.booleans(), st.binary(max_size=100)), max_size=6)


@given(UINT)
def test_a_number_is_the_one_that_was_encoded(value: int) -> None:
    assert number(encode(["uint256"], [value])) == value


@given(st.lists(UINT, max_size=20))
def test_numbers_are_those_that_were_encoded(values: list[int]) -> None:
    assert numbers(encode(["uint256[]"], [values])) == tuple(values)


@given(OUTCOMES)
def test_outcomes_are_those_that_were_encoded(values: list[tuple[bool, bytes]]) -> None:
    assert outcomes(encode(["(bool,bytes)[]"], [values])) == values


@given(OUTCOMES, st.data())
def test_what_is_cut_off_or_longer_is_left_to_the_codec(values: list[tuple[bool, bytes]], data: st.DataObject) -> None:
    whole = encode(["(bool,bytes)[]"], [values])
    cut = data.draw(st.integers(min_value=0, max_value=len(whole) - 1))
    assert outcomes(whole[:cut]) is None
    assert outcomes(whole + b"\0" * WORD) is None
    array = encode(["uint256[]"], [[len(one) for _, one in values]])
    assert numbers(array[: min(cut, len(array) - 1)]) is None
    assert numbers(array + b"\0" * WORD) is None


@given(OUTCOMES.filter(bool), st.data())
def test_a_changed_byte_is_never_read_as_what_was_encoded(
    values: list[tuple[bool, bytes]], data: st.DataObject
) -> None:
    whole = bytearray(encode(["(bool,bytes)[]"], [values]))
    place = data.draw(st.integers(min_value=0, max_value=len(whole) - 1))
    whole[place] ^= data.draw(st.integers(min_value=1, max_value=255))
    assert outcomes(bytes(whole)) != values


def test_a_number_of_another_length_and_an_empty_answer_are_left_to_the_codec() -> None:
    assert number(b"") is None
    assert number(b"\0" * 33) is None
    assert numbers(b"") is None
    assert outcomes(b"") is None
