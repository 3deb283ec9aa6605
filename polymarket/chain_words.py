"""Results of calls, cut by their places as Solidity lays them: what every read of balances brings (R-31).

A way past the generic codec, which takes ten times as long, for three shapes. What is laid otherwise is None here and
is left to the codec, which says what is wrong with it.
"""

from __future__ import annotations

_WORD = 32
_OUTCOME = 3 * _WORD
"""Words of an outcome before its bytes: success, where the bytes are, how many."""


def number(data: bytes) -> int | None:
    """A ``uint256``."""
    return int.from_bytes(data, "big") if len(data) == _WORD else None


def numbers(data: bytes) -> tuple[int, ...] | None:
    """A ``uint256[]``."""
    if len(data) < 2 * _WORD or _at(data, 0) != _WORD or len(data) != (_at(data, _WORD) + 2) * _WORD:
        return None
    return tuple(_at(data, place) for place in range(2 * _WORD, len(data), _WORD))


def outcomes(data: bytes) -> list[tuple[bool, bytes]] | None:
    """A ``(bool,bytes)[]``, which is what a multicall returns."""
    if len(data) < 2 * _WORD or _at(data, 0) != _WORD:
        return None
    first, count = 2 * _WORD, _at(data, _WORD)
    found: list[tuple[bool, bytes]] = []
    start = first + count * _WORD
    for index in range(count):
        success, offset, length = (_at(data, start + part * _WORD) for part in range(3))
        end = start + _OUTCOME + length
        following = end + -length % _WORD
        laid = _at(data, first + index * _WORD) == start - first and success <= 1 and offset == 2 * _WORD
        if not laid or following > len(data) or any(data[end:following]):
            return None
        found.append((success == 1, data[start + _OUTCOME : end]))
        start = following
    return found if start == len(data) else None


def _at(data: bytes, place: int) -> int:
    """The word there; less than one at the end, where whoever asks sees that the whole is too short."""
    return int.from_bytes(data[place : place + _WORD], "big")
