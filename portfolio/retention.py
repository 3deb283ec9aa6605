"""How long reports are kept: calendar years in UTC, on integers of milliseconds (R-09).

Settlement reports stay seven years, operations reports one. Here is only the arithmetic; what purges is elsewhere.
The wire example of the source document shows ``synced_at_ms`` 1746792000000, which is 2025-05-09T12:00:00Z, beside
``retained_until`` 2033-05-09: eight years. The rule is seven, so this module answers 2032-05-09 (R-09).
"""

from __future__ import annotations

import datetime as dt
from typing import Final

SETTLEMENT_YEARS: Final = 7
OPERATIONS_YEARS: Final = 1

_DAY_MS: Final = 86_400_000
_EPOCH_DAY: Final = dt.date(1970, 1, 1).toordinal()


def retained_until_ms(synced_at_ms: int, years: int) -> int:
    """The same time of day ``years`` calendar years later, ms UTC; 29 February becomes 1 March in a common year."""
    day, time_of_day_ms = divmod(synced_at_ms, _DAY_MS)
    synced_on = dt.date.fromordinal(_EPOCH_DAY + day)
    year = synced_on.year + years
    try:
        kept_until = synced_on.replace(year=year)
    except ValueError:  # 29 February of a leap year, and no such day in the year of expiry
        kept_until = dt.date(year, 3, 1)
    return (kept_until.toordinal() - _EPOCH_DAY) * _DAY_MS + time_of_day_ms


def iso_date(at_ms: int) -> str:
    """The UTC date of an instant, ``YYYY-MM-DD``: how ``retained_until`` is shown in a report."""
    return dt.date.fromordinal(_EPOCH_DAY + at_ms // _DAY_MS).isoformat()


def retained_until_date(synced_at_ms: int, years: int) -> str:
    """The ``retained_until`` of a report synced at ``synced_at_ms``, as its UTC date."""
    return iso_date(retained_until_ms(synced_at_ms, years))


def purgeable_from_ms(retained_until: int) -> int:
    """The first instant at which a row may be purged: the UTC midnight after its ``retained_until`` (ms)."""
    return (retained_until // _DAY_MS + 1) * _DAY_MS


def purgeable(retained_until: int, now_ms: int) -> bool:
    """Whether a row kept until ``retained_until`` (ms) may be purged at ``now_ms``; its whole last day is kept."""
    return now_ms >= purgeable_from_ms(retained_until)
