"""Numbers of money: from the characters of the wire to integers of 1e-6, without a float in between (D-08, R-16)."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal

from polymarket.payloads.fields import FieldError, number_text

MICRO_DIGITS = 6
MAX_MICRO = 2**63 - 1
"""Nothing larger fits a table's integer, and no real amount comes near it (nine million million shares)."""

_LONGEST = 64
_SHORT = re.compile(rb'(")?(0|[1-9][0-9]{0,11})(?:\.([0-9]{1,6}))?(?(1)")')
"""What nearly every amount looks like: nothing in it to round, to carry out or to bound."""

_TO_MICRO: tuple[int, ...] = tuple(10 ** (MICRO_DIGITS - digits) for digits in range(MICRO_DIGITS + 1))
_PLAIN = re.compile(r"(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,3}))?")
_SIGNED = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_EXACT = Context(prec=_LONGEST * 2)


def parse_micro(token: bytes) -> int | None:
    """Exact integer of 1e-6 in a raw JSON token, a number or a string of one; None where it is empty or null.

    Refuses with :class:`FieldError` what is negative, not finite, finer than 1e-6, larger than :data:`MAX_MICRO` or
    not a number. Digits beyond the sixth that are zero are not finer; exponents are carried out exactly.
    """
    short = _SHORT.fullmatch(token)
    if short is not None:
        _, whole, fraction = short.groups()
        return int(whole) * _TO_MICRO[0] if fraction is None else int(whole + fraction) * _TO_MICRO[len(fraction)]
    text = number_text(token)
    return None if text is None else micro_of_text(text)


def micro_of_text(text: str) -> int:
    """As :func:`parse_micro`, from the characters of the number."""
    match = _PLAIN.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise FieldError("was not a plain non-negative decimal number")
    whole, fraction, exponent = match[1], match[2] or "", int(match[3] or "0")
    mantissa = int(whole + fraction)
    shift = MICRO_DIGITS - len(fraction) + exponent
    if mantissa == 0:
        return 0
    if shift >= 0:
        return _bounded(mantissa * 10**shift)
    value, finer = divmod(mantissa, 10**-shift)
    if finer:
        raise FieldError("was finer than 1e-6, the smallest unit there is")
    return _bounded(value)


def parse_rounded_micro(token: bytes) -> int | None:
    """Nearest integer of 1e-6 (half to even) of an *informative* number; it may be negative; None where empty or null.

    For the Data API and displayed prices only: their source has rounded them already, so one more rounding of the
    decimal text loses nothing that was there, and nothing exact is ever built on them (D-13).
    """
    text = number_text(token)
    if text is None:
        return None
    if len(text) > _LONGEST or _SIGNED.fullmatch(text) is None:
        raise FieldError("was not a decimal number")
    scaled = Decimal(text).scaleb(MICRO_DIGITS, context=_EXACT)
    if abs(scaled) > MAX_MICRO:
        raise FieldError("was larger than any amount there can be")
    return int(scaled.to_integral_value(rounding=ROUND_HALF_EVEN))


def _bounded(value: int) -> int:
    if value > MAX_MICRO:
        raise FieldError("was larger than any amount there can be")
    return value
