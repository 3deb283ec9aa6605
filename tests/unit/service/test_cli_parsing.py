"""Amounts and times as people type them: exact, or refused in one line that says why."""

from __future__ import annotations

import datetime as dt

import pytest

from service.cli.failures import CommandFailed, Exit
from service.cli.parsing import amount_micro, moment_ms, price_micro, said

NOW_MS = 1_778_000_000_000


@pytest.mark.req("L-26", "D-08")
@pytest.mark.parametrize(
    ("text", "micro"),
    [
        ("12.5", 12_500_000),
        ("1", 1_000_000),
        ("0.000001", 1),
        ("0.41000000", 410_000),
        (" 7 ", 7_000_000),
        ("9007199254.740993", 9_007_199_254_740_993),
    ],
)
def test_a_decimal_text_is_taken_to_the_unit(text: str, micro: int) -> None:
    assert amount_micro("--size", text) == micro


@pytest.mark.req("L-26", "R-16")
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0.0000001", "finer than 1e-6"),
        ("0", "not above 0"),
        ("0.000000", "not above 0"),
        ("-1", "not above 0"),
        ("1e3", "no plain decimal number"),
        ("1E-3", "no plain decimal number"),
        ("nan", "no plain decimal number"),
        ("inf", "no plain decimal number"),
        ("1,5", "no plain decimal number"),
        (".5", "no plain decimal number"),
        ("5.", "no plain decimal number"),
        ("+2", "no plain decimal number"),
        ("007", "no plain decimal number"),
        ("0x10", "no plain decimal number"),
        ("1_000", "no plain decimal number"),
        ("٣", "no plain decimal number"),
        ("", "no plain decimal number"),
        ("9" * 30, "larger than any amount"),
        ("9" * 5000, "plain non-negative decimal number"),
    ],
)
def test_what_is_no_exact_amount_above_0_is_a_usage_error(text: str, why: str) -> None:
    with pytest.raises(CommandFailed, match=why) as caught:
        amount_micro("--size", text)
    assert caught.value.code is Exit.USAGE
    assert "--size" in str(caught.value)
    assert len(str(caught.value)) < 120


@pytest.mark.req("L-26")
def test_a_price_lies_below_1() -> None:
    assert price_micro("--price", "0.999999") == 999_999
    for text in ("1", "1.0", "41"):
        with pytest.raises(CommandFailed, match="not below 1"):
            price_micro("--price", text)


@pytest.mark.req("X-12")
def test_a_name_or_a_reason_is_never_empty() -> None:
    assert said("--by", " alice ") == "alice"
    with pytest.raises(CommandFailed, match="--by is empty"):
        said("--by", "  ")


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    return int(dt.datetime(year, month, day, hour, minute, tzinfo=dt.UTC).timestamp()) * 1000


@pytest.mark.req("L-17")
@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("2026-05-01", at(2026, 5, 1)),
        ("20260501", at(2026, 5, 1)),
        ("2026-05-01T13:30", at(2026, 5, 1, 13, 30)),
        ("2026-05-01 13:30Z", at(2026, 5, 1, 13, 30)),
        ("2026-05-01T13:30+02:00", at(2026, 5, 1, 11, 30)),
        ("2026-05-01T00:00:00.250", at(2026, 5, 1) + 250),
        ("1777642200", at(2026, 5, 1, 13, 30)),
        ("0", 0),
        ("90m", NOW_MS - 5_400_000),
        ("2h", NOW_MS - 7_200_000),
        ("3D", NOW_MS - 3 * 86_400_000),
        ("1w2d3h4m5s", NOW_MS - 788_645_000),
    ],
)
def test_a_time_is_a_date_unix_seconds_or_a_span(text: str, at_ms: int) -> None:
    assert moment_ms("--since", text, NOW_MS) == at_ms


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tomorrow", "is no time"),
        ("2026-13-01", "is no time"),
        ("123456", "is no time"),
        ("-5", "is no time"),
        ("2 h", "is no time"),
        ("", "is no time"),
        ("2027-01-01", "lies in the future$"),
        ("1777642200000", "lies in the future; Unix time is in seconds here"),
        ("9" * 5000, "is no time"),
        ("9" * 5000 + "w", "is no time"),
        ("999999999w", "before 1970"),
        ("1960-01-01", "before 1970"),
    ],
)
def test_what_is_no_time_that_was_is_a_usage_error(text: str, why: str) -> None:
    with pytest.raises(CommandFailed, match=why) as caught:
        moment_ms("--since", text, NOW_MS)
    assert caught.value.code is Exit.USAGE
