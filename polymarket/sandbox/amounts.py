"""Money of the sandbox: integers of 1e-6, their decimal text, the price of a fill and the exchange's fee.

Written apart from the service's own arithmetic on purpose: two independent computations can disagree.
"""

from __future__ import annotations

import re

ONE = 1_000_000
DECIMALS = 6
_FEE_UNIT = 10
_DECIMAL = re.compile(r"(\d{1,30})(?:\.(\d{0,6}))?")


def parse_decimal(text: str) -> int:
    """Millionths of a plain non-negative decimal text of at most six decimals; ValueError for anything else."""
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} was no amount; expected a plain decimal number with at most six decimals")
    whole, fraction = match.groups()
    return int(whole) * ONE + int((fraction or "").ljust(DECIMALS, "0"))


def decimal_text(micro: int) -> str:
    """The amount as the exchange writes it: ``100``, ``8.59``, ``-0.5``; no exponent, no trailing zeros."""
    whole, fraction = divmod(abs(micro), ONE)
    text = f"{whole}.{fraction:06d}".rstrip("0").rstrip(".")
    return f"-{text}" if micro < 0 else text


def rounded(micro: int, decimals: int) -> float:
    """The JSON float that the Data API shows: rounded to so many decimals."""
    return round(micro / ONE, decimals)


def notional(size: int, price: int) -> int:
    """Size × price in 1e-6 pUSD, half to even."""
    whole, rest = divmod(size * price, ONE)
    if rest * 2 > ONE or (rest * 2 == ONE and whole % 2):
        whole += 1
    return whole


def taker_fee(size: int, price: int, rate: int, exponent: int) -> int:
    """Fee in 1e-6 pUSD: shares × rate × (p (1 − p))^e, floored to five decimals (R-20)."""
    spread: int = (price * (ONE - price)) ** exponent
    exact: int = size * rate * spread // (ONE * ONE ** (2 * exponent))
    return exact // _FEE_UNIT * _FEE_UNIT
