"""Every line that decides how loud a finding is: drift, parameters, cost hints, shrinking, staleness, health.

Here: the constants and the pure judgements. Not here: what is then done (``market``, the gate, the reporter).
"""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Final

import msgspec

from portfolio.reasons import ReasonCode
from portfolio.units import MICRO, format_micro

CRITICAL_DRIFT_MICRO: Final = 500 * MICRO
"""Above this drift pages and pauses; a constant, never a setting (S-05, R-07)."""

DEFAULT_ALERT_MICRO: Final = 10 * MICRO
ALERT_WARNING_MICRO: Final = 50 * MICRO
ALERT_MAX_MICRO: Final = 500 * MICRO
"""The locked maximum of ``discrepancy_alert_usd`` (S-10)."""

DEFAULT_INTERVAL_S: Final = 30
INTERVAL_WARNING_S: Final = 30
INTERVAL_ALERT_S: Final = 120
INTERVAL_MAX_S: Final = 300
"""The locked maximum of ``sync_interval_s`` (S-10)."""

COST_HINT_FLOOR_MICRO: Final = MICRO // 100
COST_HINT_DIVISOR: Final = 20
DATA_API_RESOLUTION_MICRO: Final = 100
"""1e-4 share: what the Data API's rounding can explain (R-01, D-13)."""

SHRINK_DIVISOR: Final = 10
STALE_FLOOR_MS: Final = 15_000
CLOB_RED_AFTER_MS: Final = 300_000
_INTERVALS_TO_OVERDUE: Final = 2


class DriftLevel(enum.StrEnum):
    """What a drift calls for (S-05)."""

    INFO = "INFO"
    DISCREPANCY = "DISCREPANCY"
    CRITICAL = "CRITICAL"


def judge(drift_micro: int, alert_micro: int) -> DriftLevel:
    """Level of an absolute drift: INFO up to ``alert_micro``, DISCREPANCY above it, CRITICAL above 500 pUSD (S-05)."""
    if drift_micro > CRITICAL_DRIFT_MICRO:
        return DriftLevel.CRITICAL
    return DriftLevel.DISCREPANCY if drift_micro > alert_micro else DriftLevel.INFO


def cost_hint_micro(own_average_micro: int | None, external_average_micro: int | None) -> int | None:
    """Signed difference (external less own) worth a COST_HINT, else None (R-03).

    Worth one is a difference above the larger of 0.01 and 5 % of the own average, both fee-exclusive. An unknown
    average on either side is unknown, not different. Books never change by it (L-09).
    """
    if own_average_micro is None or external_average_micro is None:
        return None
    difference = external_average_micro - own_average_micro
    above_floor = abs(difference) > COST_HINT_FLOOR_MICRO
    above_share = abs(difference) * COST_HINT_DIVISOR > own_average_micro
    return difference if above_floor and above_share else None


def within_data_api_resolution(own_micro: int, shown_micro: int) -> bool:
    """Whether the Data API's rounding alone can explain the difference, 1e-4 share included (D-13)."""
    return abs(own_micro - shown_micro) <= DATA_API_RESOLUTION_MICRO


def suspect_shrink(before: int, gone: int) -> bool:
    """Whether losing ``gone`` of ``before`` (value in micro, or a count) is more than a tenth (X-09, D-14)."""
    return gone * SHRINK_DIVISOR > before


def stale_limit_ms(sync_interval_ms: int) -> int:
    """Age above which external data is STALE_DATA: the interval, at least 15 s (R-27)."""
    return max(sync_interval_ms, STALE_FLOOR_MS)


def overdue_after_ms(sync_interval_ms: int) -> int:
    """Age of the last completed cycle at which health turns red and the gate closes: two intervals (S-18, R-14)."""
    return _INTERVALS_TO_OVERDUE * sync_interval_ms


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """The three governed settings, and who answers for switching the automatic pause off (R-07)."""

    sync_interval_s: int | Decimal = DEFAULT_INTERVAL_S
    discrepancy_alert_micro: int = DEFAULT_ALERT_MICRO
    auto_pause_strategy_on_drift: bool = True
    operator: str = ""
    reason: str = ""


class FindingLevel(enum.StrEnum):
    """WARN is a line in the log, ALERT also goes out, REJECT keeps the old configuration in force."""

    WARN = "WARN"
    ALERT = "ALERT"
    REJECT = "REJECT"


class ParameterFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to say about a setting: which, how loud, its reason code, and a sentence with expected and found."""

    parameter: str
    level: FindingLevel
    code: ReasonCode
    text: str


def check_parameters(parameters: Parameters) -> tuple[ParameterFinding, ...]:
    """All findings on the settings, in their order; empty where everything is in its normal range (R-07, S-10).

    Never raises: the caller turns a REJECT into a ``ConfigError`` and keeps the old configuration.
    """
    found = (_interval(parameters.sync_interval_s), _alert_line(parameters.discrepancy_alert_micro))
    return tuple(finding for finding in (*found, _auto_pause(parameters)) if finding is not None)


def _interval(seconds: int | Decimal) -> ParameterFinding | None:
    name = "sync_interval_s"
    if Decimal(seconds).is_nan() or not 0 < seconds <= INTERVAL_MAX_S:
        return _rejected(name, f"must be above 0 and at most {INTERVAL_MAX_S} s, was {seconds} s; lower it")
    if seconds > INTERVAL_ALERT_S:
        text = f"sync_interval_s is {seconds} s, above {INTERVAL_ALERT_S} s: drift can stay unseen that long"
        return _finding(name, FindingLevel.ALERT, ReasonCode.PARAMETER_ABOVE_NORMAL, text)
    if seconds > INTERVAL_WARNING_S:
        text = f"sync_interval_s is {seconds} s, above the normal {INTERVAL_WARNING_S} s: the drift window is longer"
        return _finding(name, FindingLevel.WARN, ReasonCode.PARAMETER_ABOVE_NORMAL, text)
    return None


def _alert_line(micro: int) -> ParameterFinding | None:
    name = "discrepancy_alert_usd"
    shown, limit = format_micro(micro), format_micro(ALERT_MAX_MICRO)
    if not 0 <= micro <= ALERT_MAX_MICRO:
        return _rejected(name, f"must be 0 to {limit} pUSD, was {shown} pUSD; choose a value in that range")
    if micro > ALERT_WARNING_MICRO:
        text = f"discrepancy_alert_usd is {shown} pUSD, above the normal {format_micro(ALERT_WARNING_MICRO)} pUSD"
        return _finding(name, FindingLevel.WARN, ReasonCode.PARAMETER_ABOVE_NORMAL, text)
    return None


def _auto_pause(parameters: Parameters) -> ParameterFinding | None:
    name = "auto_pause_strategy_on_drift"
    if parameters.auto_pause_strategy_on_drift:
        return None
    if not parameters.operator.strip() or not parameters.reason.strip():
        return _rejected(name, "may be false only with operator and reason beside it; name both or set it to true")
    text = f"automatic pause is off: {parameters.operator} answers for it, reason: {parameters.reason}"
    return _finding(name, FindingLevel.ALERT, ReasonCode.PORTFOLIO_SYNC_AUTO_PAUSE_OFF, text)


def _rejected(parameter: str, text: str) -> ParameterFinding:
    code = ReasonCode.PARAMETER_CHANGE_REQUIRES_APPROVAL
    return _finding(parameter, FindingLevel.REJECT, code, f"{parameter} {text}")


def _finding(parameter: str, level: FindingLevel, code: ReasonCode, text: str) -> ParameterFinding:
    return ParameterFinding(parameter=parameter, level=level, code=code, text=text)


class HealthLevel(enum.StrEnum):
    """Green, red, or degraded in between (D-25)."""

    GREEN = "green"
    DEGRADED = "degraded"
    RED = "red"


class HealthFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What health is judged on. Ages in ms; ``cycle_age_ms`` is None before the first completed cycle.

    ``clob_unavailable_ms`` is how long the CLOB has been unreachable, None while it answers.
    """

    sync_interval_ms: int
    cycle_age_ms: int | None
    clob_unavailable_ms: int | None = None
    discrepancy_count: int = 0
    critical_drift: bool = False
    paused_strategies: tuple[str, ...] = ()


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict and, unless green, the reasons: red ones first."""

    level: HealthLevel
    reasons: tuple[str, ...] = ()


def judge_health(facts: HealthFacts) -> Health:
    """Green, degraded or red by the bounds of the document's healthcheck (S-18, D-25)."""
    red, amber = _red_reasons(facts), _amber_reasons(facts)
    if red:
        return Health(level=HealthLevel.RED, reasons=red + amber)
    return Health(level=HealthLevel.DEGRADED if amber else HealthLevel.GREEN, reasons=amber)


def _red_reasons(facts: HealthFacts) -> tuple[str, ...]:
    bound_ms = overdue_after_ms(facts.sync_interval_ms)
    reasons: list[str] = []
    if facts.cycle_age_ms is None:
        reasons.append("no sync cycle has completed yet")
    elif facts.cycle_age_ms > bound_ms:
        reasons.append(f"last sync cycle completed {facts.cycle_age_ms} ms ago, allowed are {bound_ms} ms")
    if facts.clob_unavailable_ms is not None and facts.clob_unavailable_ms > CLOB_RED_AFTER_MS:
        reasons.append(f"CLOB unavailable for {facts.clob_unavailable_ms} ms, allowed are {CLOB_RED_AFTER_MS} ms")
    if facts.critical_drift:
        reasons.append(f"drift above {format_micro(CRITICAL_DRIFT_MICRO)} pUSD detected")
    if facts.paused_strategies:
        reasons.append(f"strategies paused: {', '.join(facts.paused_strategies)}")
    return tuple(reasons)


def _amber_reasons(facts: HealthFacts) -> tuple[str, ...]:
    reasons: list[str] = []
    if facts.clob_unavailable_ms is not None and facts.clob_unavailable_ms <= CLOB_RED_AFTER_MS:
        reasons.append(f"CLOB unavailable for {facts.clob_unavailable_ms} ms")
    if facts.discrepancy_count:
        reasons.append(f"markets with a discrepancy in the last cycle: {facts.discrepancy_count}")
    return tuple(reasons)
