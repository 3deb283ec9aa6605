"""Lines between quiet and loud, each at its edge (S-05, R-07)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from portfolio.reasons import ReasonCode
from portfolio.thresholds import (
    CRITICAL_DRIFT_MICRO,
    DEFAULT_ALERT_MICRO,
    DriftLevel,
    FindingLevel,
    Health,
    HealthFacts,
    HealthLevel,
    Parameters,
    check_parameters,
    cost_hint_micro,
    judge,
    judge_health,
    overdue_after_ms,
    stale_limit_ms,
    suspect_shrink,
    within_data_api_resolution,
)
from portfolio.units import MICRO


@pytest.mark.req("S-05")
@pytest.mark.parametrize(
    ("drift", "level"),
    [
        (0, DriftLevel.INFO),
        (10 * MICRO, DriftLevel.INFO),
        (10 * MICRO + 1, DriftLevel.DISCREPANCY),
        (60 * MICRO, DriftLevel.DISCREPANCY),
        (500 * MICRO, DriftLevel.DISCREPANCY),
        (500 * MICRO + 1, DriftLevel.CRITICAL),
        (600 * MICRO, DriftLevel.CRITICAL),
    ],
)
def test_drift_is_judged_strictly_above_each_line(drift: int, level: DriftLevel) -> None:
    assert judge(drift, DEFAULT_ALERT_MICRO) is level


@pytest.mark.req("S-05", "S-10")
def test_the_critical_line_does_not_move_with_the_alert_line() -> None:
    assert judge(CRITICAL_DRIFT_MICRO, CRITICAL_DRIFT_MICRO) is DriftLevel.INFO
    assert judge(CRITICAL_DRIFT_MICRO + 1, CRITICAL_DRIFT_MICRO) is DriftLevel.CRITICAL
    assert judge(1, 0) is DriftLevel.DISCREPANCY


@pytest.mark.req("S-03", "L-09")
@pytest.mark.parametrize(
    ("own", "external", "hint"),
    [
        (100_000, 110_000, None),  # 0.01 exactly
        (100_000, 110_001, 10_001),
        (100_000, 89_999, -10_001),
        (600_000, 630_000, None),  # 5 % exactly
        (600_000, 630_001, 30_001),
        (600_000, 569_999, -30_001),
        (600_000, 615_000, None),  # above 0.01, below 5 %
        (0, 10_001, 10_001),
        (None, 500_000, None),
        (500_000, None, None),
    ],
)
def test_an_average_is_hinted_at_above_a_cent_and_five_percent(
    own: int | None, external: int | None, hint: int | None
) -> None:
    assert cost_hint_micro(own, external) == hint


@pytest.mark.req("X-08")
def test_the_data_api_agrees_within_its_rounding() -> None:
    assert within_data_api_resolution(1_000_000, 1_000_100)
    assert within_data_api_resolution(1_000_100, 1_000_000)
    assert not within_data_api_resolution(1_000_000, 1_000_101)


@pytest.mark.req("X-09", "L-08")
@pytest.mark.parametrize(
    ("before", "gone", "suspect"), [(100, 10, False), (100, 11, True), (50, 25, True), (0, 0, False), (1, 1, True)]
)
def test_losing_more_than_a_tenth_is_suspect(before: int, gone: int, suspect: bool) -> None:
    assert suspect_shrink(before, gone) is suspect


@pytest.mark.req("S-13")
def test_data_is_stale_after_an_interval_of_at_least_fifteen_seconds() -> None:
    assert (stale_limit_ms(30_000), stale_limit_ms(5_000)) == (30_000, 15_000)
    assert overdue_after_ms(30_000) == 60_000


@pytest.mark.req("S-10")
def test_the_defaults_have_no_findings() -> None:
    assert check_parameters(Parameters()) == ()


@pytest.mark.req("S-10", "S-20")
@pytest.mark.parametrize(
    ("seconds", "level"),
    [
        (1, None),
        (30, None),
        (Decimal("30.5"), FindingLevel.WARN),
        (120, FindingLevel.WARN),
        (121, FindingLevel.ALERT),
        (300, FindingLevel.ALERT),
        (301, FindingLevel.REJECT),
        (400, FindingLevel.REJECT),
        (0, FindingLevel.REJECT),
        (-1, FindingLevel.REJECT),
        (Decimal("NaN"), FindingLevel.REJECT),
        (Decimal("Infinity"), FindingLevel.REJECT),
    ],
)
def test_the_sync_interval_is_warned_about_alerted_and_rejected(
    seconds: int | Decimal, level: FindingLevel | None
) -> None:
    found = check_parameters(Parameters(sync_interval_s=seconds))
    assert [finding.level for finding in found] == ([] if level is None else [level])
    assert all(finding.parameter == "sync_interval_s" and str(seconds) in finding.text for finding in found)


@pytest.mark.req("S-10", "S-21")
@pytest.mark.parametrize(
    ("micro", "level"),
    [
        (0, None),
        (50 * MICRO, None),
        (50 * MICRO + 1, FindingLevel.WARN),
        (500 * MICRO, FindingLevel.WARN),
        (500 * MICRO + 1, FindingLevel.REJECT),
        (-1, FindingLevel.REJECT),
    ],
)
def test_the_alert_line_is_warned_about_and_rejected(micro: int, level: FindingLevel | None) -> None:
    found = check_parameters(Parameters(discrepancy_alert_micro=micro))
    assert [finding.level for finding in found] == ([] if level is None else [level])
    assert all(finding.parameter == "discrepancy_alert_usd" for finding in found)


@pytest.mark.req("S-10")
def test_a_rejection_says_what_was_expected_found_and_to_do() -> None:
    (finding,) = check_parameters(Parameters(discrepancy_alert_micro=600 * MICRO))
    assert finding.code is ReasonCode.PARAMETER_CHANGE_REQUIRES_APPROVAL
    assert finding.text == (
        "discrepancy_alert_usd must be 0 to 500.0 pUSD, was 600.0 pUSD; choose a value in that range"
    )


@pytest.mark.req("S-10")
@pytest.mark.parametrize(("operator", "reason"), [("", ""), ("ann", " "), (" ", "maintenance")])
def test_switching_the_pause_off_needs_operator_and_reason(operator: str, reason: str) -> None:
    (finding,) = check_parameters(Parameters(auto_pause_strategy_on_drift=False, operator=operator, reason=reason))
    assert finding.level is FindingLevel.REJECT


@pytest.mark.req("S-10")
def test_switching_the_pause_off_is_alerted_with_the_name_of_who_answers() -> None:
    parameters = Parameters(auto_pause_strategy_on_drift=False, operator="ann", reason="maintenance")
    (finding,) = check_parameters(parameters)
    assert (finding.level, finding.code) == (FindingLevel.ALERT, ReasonCode.PORTFOLIO_SYNC_AUTO_PAUSE_OFF)
    assert "ann" in finding.text
    assert "maintenance" in finding.text


@pytest.mark.req("S-10")
def test_all_findings_come_at_once() -> None:
    found = check_parameters(
        Parameters(sync_interval_s=400, discrepancy_alert_micro=-1, auto_pause_strategy_on_drift=False)
    )
    assert [finding.parameter for finding in found] == [
        "sync_interval_s",
        "discrepancy_alert_usd",
        "auto_pause_strategy_on_drift",
    ]


@pytest.mark.req("S-18")
def test_health_is_green_up_to_two_intervals() -> None:
    assert judge_health(HealthFacts(sync_interval_ms=30_000, cycle_age_ms=60_000)) == Health(level=HealthLevel.GREEN)


@pytest.mark.req("S-18")
@pytest.mark.parametrize(
    ("facts", "part"),
    [
        (HealthFacts(sync_interval_ms=30_000, cycle_age_ms=None), "no sync cycle has completed"),
        (HealthFacts(sync_interval_ms=30_000, cycle_age_ms=60_001), "60001 ms ago"),
        (HealthFacts(sync_interval_ms=30_000, cycle_age_ms=0, clob_unavailable_ms=300_001), "CLOB unavailable"),
        (HealthFacts(sync_interval_ms=30_000, cycle_age_ms=0, critical_drift=True), "drift above 500.0 pUSD"),
        (HealthFacts(sync_interval_ms=30_000, cycle_age_ms=0, paused_strategies=("alpha", "beta")), "alpha, beta"),
    ],
)
def test_each_red_condition_is_named(facts: HealthFacts, part: str) -> None:
    health = judge_health(facts)
    assert health.level is HealthLevel.RED
    (reason,) = health.reasons
    assert part in reason


@pytest.mark.req("S-18")
def test_between_green_and_red_health_is_degraded_with_reasons() -> None:
    facts = HealthFacts(sync_interval_ms=30_000, cycle_age_ms=0, clob_unavailable_ms=300_000, discrepancy_count=2)
    health = judge_health(facts)
    assert health.level is HealthLevel.DEGRADED
    assert health.reasons == ("CLOB unavailable for 300000 ms", "markets with a discrepancy in the last cycle: 2")


@pytest.mark.req("S-18")
def test_red_reasons_stand_before_the_others() -> None:
    facts = HealthFacts(sync_interval_ms=30_000, cycle_age_ms=0, critical_drift=True, discrepancy_count=1)
    assert [reason.split()[0] for reason in judge_health(facts).reasons] == ["drift", "markets"]
