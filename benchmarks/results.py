"""What a benchmark reports, and how numbers are summed up."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the report. ``value`` and ``floor`` in ``unit``; ``ratio`` is value / floor.

    ``further`` are numbers beside them, in units that their names tell.
    """

    name: str
    value: float
    unit: str
    floor: float
    ratio: float
    goal: str
    met: bool
    further: dict[str, float]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least so large a share of all values does not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
