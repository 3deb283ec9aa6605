"""Calls inside a multicall: what is asked, of whom, and how much an answer weighs."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

WORD = 32


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call inside a multicall. ``weight`` is the number of values it returns.

    ``may_fail``: one that reverts means zero. ``hashed``: the answer is one word, no amount; anything else is no answer
    and means zero too, which no hash is.
    """

    name: str
    target: str
    data: bytes
    returns: str = "uint256"
    weight: int = 1
    may_fail: bool = False
    hashed: bool = False


def shards(calls: Sequence[Call], batch: int) -> list[list[Call]]:
    """The calls in their order, in groups that weigh ``batch`` at most; there is always one group."""
    groups: list[list[Call]] = [[]]
    weight = 0
    for call in calls:
        if groups[-1] and weight + call.weight > batch:
            groups.append([])
            weight = 0
        groups[-1].append(call)
        weight += call.weight
    return groups
