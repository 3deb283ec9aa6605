"""Retention dates (R-09)."""

from __future__ import annotations

import pytest

from portfolio.retention import (
    OPERATIONS_YEARS,
    SETTLEMENT_YEARS,
    iso_date,
    purgeable,
    purgeable_from_ms,
    retained_until_date,
    retained_until_ms,
)

WIRE_EXAMPLE_MS = 1_746_792_000_000
"""2025-05-09T12:00:00Z."""


@pytest.mark.req("S-09")
def test_the_wire_example_is_kept_seven_years_not_the_eight_it_shows() -> None:
    """The document's sample says 2033-05-09, which does not fit its own timestamp (R-09)."""
    assert iso_date(WIRE_EXAMPLE_MS) == "2025-05-09"
    assert retained_until_date(WIRE_EXAMPLE_MS, SETTLEMENT_YEARS) == "2032-05-09"
    assert retained_until_ms(WIRE_EXAMPLE_MS, SETTLEMENT_YEARS) == 1_967_716_800_000


@pytest.mark.req("S-09")
def test_operations_reports_are_kept_one_calendar_year() -> None:
    assert retained_until_date(WIRE_EXAMPLE_MS, OPERATIONS_YEARS) == "2026-05-09"
    assert retained_until_ms(WIRE_EXAMPLE_MS, OPERATIONS_YEARS) - WIRE_EXAMPLE_MS == 365 * 86_400_000


@pytest.mark.req("S-09")
@pytest.mark.parametrize(
    ("synced_at_ms", "years", "date"),
    [
        (1_709_164_800_000, 7, "2031-03-01"),  # 2024-02-29T00:00Z
        (1_709_251_199_999, 1, "2025-03-01"),  # 2024-02-29T23:59:59.999Z
        (1_709_164_799_999, 7, "2031-02-28"),  # 2024-02-28T23:59:59.999Z
        (1_709_164_800_000, 4, "2028-02-29"),  # to a leap year
        (1_609_459_199_999, 7, "2027-12-31"),  # 2020-12-31T23:59:59.999Z
        (0, 7, "1977-01-01"),
    ],
)
def test_dates_are_calendar_years_in_utc(synced_at_ms: int, years: int, date: str) -> None:
    assert retained_until_date(synced_at_ms, years) == date
    assert retained_until_ms(synced_at_ms, years) % 86_400_000 == synced_at_ms % 86_400_000


@pytest.mark.req("S-09")
def test_a_row_is_purgeable_only_from_the_following_midnight() -> None:
    until = retained_until_ms(WIRE_EXAMPLE_MS, SETTLEMENT_YEARS)
    midnight = purgeable_from_ms(until)
    assert (iso_date(midnight), midnight % 86_400_000) == ("2032-05-10", 0)
    assert not purgeable(until, until + 1)
    assert not purgeable(until, midnight - 1)
    assert purgeable(until, midnight)


@pytest.mark.req("S-09")
def test_a_row_kept_until_midnight_exactly_is_kept_that_whole_day() -> None:
    until = retained_until_ms(1_709_164_800_000, SETTLEMENT_YEARS)
    assert purgeable_from_ms(until) == until + 86_400_000
