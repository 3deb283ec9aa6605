"""What the sandbox encodes by hand is what the library encodes."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from polymarket.sandbox.encoding import encoded

pytestmark = pytest.mark.req("X-07")

UINT = st.integers(min_value=0, max_value=2**256 - 1)
ONE_OF_EACH = st.one_of(
    st.tuples(st.just("uint256"), UINT),
    st.tuples(st.just("uint256[]"), st.lists(UINT, max_size=10)),
    st.tuples(st.just("(bool,bytes)[]"), st.lists(st.tuples(st.booleans(), st.binary(max_size=70)), max_size=5)),
    st.tuples(st.just("bytes32"), st.binary(min_size=32, max_size=32)),
    st.tuples(st.just("string"), st.text(max_size=40)),
)


@given(ONE_OF_EACH)
def test_a_value_is_encoded_as_by_the_library(one: tuple[str, Any]) -> None:
    kind, value = one
    assert encoded([kind], [value]) == encode([kind], [value])


@given(UINT, st.lists(st.binary(max_size=40), max_size=4))
def test_several_values_are_encoded_as_by_the_library(number: int, parts: list[bytes]) -> None:
    assert encoded(["uint256", "bytes[]"], [number, parts]) == encode(["uint256", "bytes[]"], [number, parts])
