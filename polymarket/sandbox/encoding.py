"""What calls return, ABI-encoded: the shapes that are asked for all the time by hand, the others by the library.

The library takes ten times as long, and every read of balances brings dozens of results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eth_abi.abi import encode

_WORD = 32


def encoded(kinds: Sequence[str], values: Sequence[Any]) -> bytes:
    """The values as ABI arguments of these types. ValueError or OverflowError where one is none of its type."""
    by_hand = _BY_HAND.get(kinds[0]) if len(kinds) == 1 else None
    return encode(kinds, values) if by_hand is None else by_hand(values[0])


def _word(value: int) -> bytes:
    return value.to_bytes(_WORD, "big")


def _numbers(values: Sequence[int]) -> bytes:
    return b"".join((_word(_WORD), _word(len(values)), *map(_word, values)))


def _outcomes(values: Sequence[tuple[bool, bytes]]) -> bytes:
    """First where each stands, then each: success, where its bytes begin, how many there are, the bytes."""
    places, parts, place = [], [], len(values) * _WORD
    for success, data in values:
        part = _word(success) + _word(2 * _WORD) + _word(len(data)) + data + b"\0" * (-len(data) % _WORD)
        places.append(_word(place))
        parts.append(part)
        place += len(part)
    return b"".join((_word(_WORD), _word(len(values)), *places, *parts))


_BY_HAND: Mapping[str, Callable[[Any], bytes]] = {
    "uint256": _word,
    "uint256[]": _numbers,
    "(bool,bytes)[]": _outcomes,
}
