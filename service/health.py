"""Green, degraded or red: the document's healthcheck, and what else an operator must know (S-18, D-25, R-07).

The document's own bounds are judged in ``portfolio.thresholds``; here are the facts of the running process around
them. Pure: nothing is measured here.
"""

from __future__ import annotations

import msgspec

from portfolio import thresholds
from portfolio.thresholds import Health, HealthLevel

HTTP_OK = 200
HTTP_UNAVAILABLE = 503


class HealthFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What health is judged on; ages are ms.

    ``cycle_age_ms`` is None before the first completed cycle, ``clob_unavailable_ms`` while the CLOB answers.
    ``critical_drift``: the last completed cycle found drift above 500 pUSD, or such drift is known and not confirmed.
    ``auto_pause_operator`` answers for a switched-off auto-pause. ``pending_alerts`` are alerts that no channel took
    yet. ``quarantined`` are actors that crashed too often.
    """

    sync_interval_ms: int
    cycle_age_ms: int | None
    clob_unavailable_ms: int | None = None
    rpc_up: bool = True
    data_api_up: bool = True
    discrepancy_count: int = 0
    critical_drift: bool = False
    paused_strategies: tuple[str, ...] = ()
    halted_markets: tuple[str, ...] = ()
    kill_switch: bool = False
    auto_pause: bool = True
    auto_pause_operator: str = ""
    pending_alerts: int = 0
    quarantined: tuple[str, ...] = ()
    stream_connected: bool | None = None
    """Whether the user stream is subscribed; None where none is followed."""
    stream_gap_ms: int = 0
    logs_up: bool = True
    """Whether the last cycle could read the chain's logs."""


def judge(facts: HealthFacts) -> Health:
    """The verdict with every reason, red ones first."""
    document = thresholds.judge_health(
        thresholds.HealthFacts(
            sync_interval_ms=facts.sync_interval_ms,
            cycle_age_ms=facts.cycle_age_ms,
            clob_unavailable_ms=facts.clob_unavailable_ms,
            discrepancy_count=facts.discrepancy_count,
            critical_drift=facts.critical_drift,
            paused_strategies=facts.paused_strategies,
        )
    )
    red, amber = _own_red(facts), _own_amber(facts)
    is_red = bool(red) or document.level is HealthLevel.RED
    degraded = HealthLevel.DEGRADED if amber or document.level is HealthLevel.DEGRADED else HealthLevel.GREEN
    return Health(level=HealthLevel.RED if is_red else degraded, reasons=(*red, *document.reasons, *amber))


def _own_red(facts: HealthFacts) -> tuple[str, ...]:
    """Red beyond the document: parts of the process that no longer work."""
    return tuple(f"{name} crashed too often and was stopped; restart the service" for name in facts.quarantined)


def _own_amber(facts: HealthFacts) -> tuple[str, ...]:
    checks = (
        (not facts.rpc_up, "the Polygon RPC is unavailable"),
        (not facts.data_api_up, "the Data API is unavailable"),
        (bool(facts.halted_markets), f"markets halted: {', '.join(facts.halted_markets)}"),
        (facts.kill_switch, "the kill switch is on: strategies are not paused automatically"),
        (not facts.auto_pause, f"auto_pause_strategy_on_drift is off; {facts.auto_pause_operator} answers for it"),
        (facts.stream_connected is False, "the user stream is not connected: fills are seen by the next cycle only"),
        (facts.stream_gap_ms > 0, f"the user stream lost fills: it was {facts.stream_gap_ms} ms behind the trade list"),
        (not facts.logs_up, "the chain's logs are not read: causes are inferred from balances and cash"),
        (facts.pending_alerts > 0, f"alerts that no channel took yet: {facts.pending_alerts}"),
    )
    return tuple(text for applies, text in checks if applies)


def http_status(level: HealthLevel) -> int:
    """200 for green and degraded, 503 for red (D-25)."""
    return HTTP_UNAVAILABLE if level is HealthLevel.RED else HTTP_OK


def document(facts: HealthFacts) -> dict[str, object]:
    """The answer of the healthcheck."""
    verdict = judge(facts)
    return {
        "service": "portfolio-sync",
        "status": verdict.level.value,
        "reasons": list(verdict.reasons),
        "facts": msgspec.to_builtins(facts),
    }
