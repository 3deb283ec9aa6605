"""Integers of 1e-6 ("micro"): their scale, exact arithmetic on them, and how they are written out.

Nothing here parses: text from outside becomes integers in ``polymarket.payloads`` alone (D-07). Nothing here is a
float; ``micro_to_number`` gives a ``Decimal`` so that a JSON number is rendered digit by digit (D-24).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

MICRO: Final = 1_000_000
"""Micro per share and per pUSD; also the price 1.00."""

_DIGITS: Final = 6


def div_half_even(numerator: int, denominator: int) -> int:
    """``numerator / denominator`` rounded to the nearest integer, ties to the even one; ``denominator`` > 0."""
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    up = twice > denominator or (twice == denominator and quotient % 2 == 1)
    return quotient + int(up)


def mul_price(shares_micro: int, price_micro: int) -> int:
    """Value in micro pUSD of ``shares_micro`` at ``price_micro``, half to even (R-13).

    Only for amounts that no source states exactly; a stated amount is never recomputed.
    """
    return div_half_even(shares_micro * price_micro, MICRO)


def floor_share(total: int, part: int, whole: int) -> int:
    """``floor(total x part / whole)``, the cost rule of R-13; equals ``total`` where part = whole. ``whole`` > 0."""
    return total * part // whole


def allocate(total: int, weights: Sequence[int]) -> tuple[int, ...]:
    """Cut ``total`` ≥ 0 in proportion to ``weights`` ≥ 0, to the unit and without loss (R-13).

    Every part is floored; the left-over units go one each to the earliest parts of positive weight, so callers list
    YES before NO and lower question indexes first. Weights that are all zero count as equal. A part never exceeds
    its weight where ``total`` does not exceed their sum, and a part of weight zero gets nothing.

    Raises:
        ValueError: a negative total or weight, or something to allocate and nobody to take it.

    """
    if total < 0 or any(weight < 0 for weight in weights):
        raise ValueError(f"allocation needs a total and weights of at least 0; total was {total}, weights {weights!r}")
    if not weights:
        if total:
            raise ValueError(f"{total} units were to be allocated to no parts; pass at least one weight")
        return ()
    whole = sum(weights)
    shares = list(weights) if whole else [1] * len(weights)
    whole = whole or len(weights)
    parts = [floor_share(total, share, whole) for share in shares]
    takers = [index for index, share in enumerate(shares) if share]
    for index in takers[: total - sum(parts)]:
        parts[index] += 1
    return tuple(parts)


def format_micro(value_micro: int) -> str:
    """Plain decimal text, exact, at least one and at most six decimals: ``1250.0``, ``0.000001``, ``-0.5``."""
    whole, rest = divmod(abs(value_micro), MICRO)
    sign = "-" if value_micro < 0 else ""
    decimals = f"{rest:0{_DIGITS}d}".rstrip("0") or "0"
    return f"{sign}{whole}.{decimals}"


def micro_to_number(value_micro: int) -> Decimal:
    """The exact value for a JSON number, with the digits of ``format_micro`` (``1250.0``, as in the document; D-24)."""
    return Decimal(format_micro(value_micro))
