"""Amounts and times as people type them, exactly; what cannot be read is a usage error in one line that says why."""

from __future__ import annotations

import datetime as dt
import re

from service.cli.failures import CommandFailed, Exit

_DECIMAL = re.compile(r"(-?)((?:0|[1-9][0-9]*)(?:\.[0-9]+)?)", re.ASCII)
_SPAN = re.compile(r"(?:[0-9]{1,9}[wdhms])+", re.ASCII)
_PART = re.compile(r"([0-9]+)([wdhms])", re.ASCII)
_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_UNIX = re.compile(r"0|[0-9]{9,18}", re.ASCII)
"""Fewer digits are a date of ISO 8601 without dashes, or a slip."""

_SHOWN_MAX = 40
_MS_PER_S = 1000
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def amount_micro(option: str, text: str) -> int:
    """An amount above 0 as an integer of 1e-6; raises CommandFailed (exit 2). No float is ever made."""
    from polymarket.payloads import FieldError, parse_micro

    match = _DECIMAL.fullmatch(text.strip())
    if match is None:
        raise usage(f"{option} {_shown(text)} is no plain decimal number such as 12.5")
    sign, digits = match.groups()
    try:
        micro = parse_micro(digits.encode())
    except FieldError as error:
        raise usage(f"{option} {_shown(text)} {error}") from None
    if sign == "-" or not micro:
        raise usage(f"{option} {_shown(text)} is not above 0")
    return micro


def price_micro(option: str, text: str) -> int:
    """A price of a share in pUSD, between 0 and 1, both excluded, as an integer of 1e-6."""
    from portfolio.units import MICRO

    micro = amount_micro(option, text)
    if micro >= MICRO:
        raise usage(f"{option} {_shown(text)} is not below 1: a share pays at most 1 pUSD")
    return micro


def said(option: str, text: str) -> str:
    """Text that goes into the records, so there must be some."""
    if not text.strip():
        raise usage(f"{option} is empty; it is recorded who did it and why")
    return text.strip()


def moment_ms(option: str, text: str, now_ms: int) -> int:
    """A time in ms UTC: a date or a time of ISO 8601 (UTC unless it says so), Unix seconds, or a span before now."""
    given = text.strip()
    at_ms = _moment(given, now_ms)
    if at_ms is None:
        raise usage(
            f"{option} {_shown(text)} is no time; write a date (2026-05-01), a time in UTC (2026-05-01T13:30, or with "
            "an offset: 2026-05-01T13:30+02:00), Unix seconds (1777642200), or how long ago (90m, 2h, 3d)"
        )
    if at_ms > now_ms:
        seconds = "; Unix time is in seconds here, not in ms" if given.isdigit() else ""
        raise usage(f"{option} {_shown(text)} lies in the future{seconds}")
    if at_ms < 0:
        raise usage(f"{option} {_shown(text)} lies before 1970, when there was nothing to trade")
    return at_ms


def _moment(text: str, now_ms: int) -> int | None:
    if _UNIX.fullmatch(text):
        return int(text) * _MS_PER_S
    if _SPAN.fullmatch(text.lower()):
        seconds = sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(text.lower()))
        return now_ms - seconds * _MS_PER_S
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=dt.UTC)
    return (at - _EPOCH) // dt.timedelta(milliseconds=1)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…")


def usage(text: str) -> CommandFailed:
    """The failure of a command that was called wrongly: exit code 2."""
    return CommandFailed(text, Exit.USAGE)
