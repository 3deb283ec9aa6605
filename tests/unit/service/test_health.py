"""Health: the document's bounds, and what else makes the service degraded or red."""

from __future__ import annotations

import msgspec
import pytest

from portfolio.thresholds import HealthLevel
from service.health import HealthFacts, document, http_status, judge

WELL = HealthFacts(sync_interval_ms=30_000, cycle_age_ms=10_000)


@pytest.mark.req("S-18", "D-25", "R-07")
@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({}, "green", ""),
        ({"cycle_age_ms": 60_000}, "green", ""),
        ({"cycle_age_ms": 60_001}, "red", "60001 ms ago"),
        ({"cycle_age_ms": None}, "red", "no sync cycle"),
        ({"clob_unavailable_ms": 1}, "degraded", "CLOB unavailable"),
        ({"clob_unavailable_ms": 300_000}, "degraded", "CLOB unavailable"),
        ({"clob_unavailable_ms": 300_001}, "red", "CLOB unavailable"),
        ({"critical_drift": True}, "red", "500"),
        ({"paused_strategies": ("maker",)}, "red", "maker"),
        ({"discrepancy_count": 1}, "degraded", "discrepancy"),
        ({"rpc_up": False}, "degraded", "RPC"),
        ({"data_api_up": False}, "degraded", "Data API"),
        ({"logs_up": False}, "degraded", "the chain's logs are not read"),
        ({"halted_markets": ("0x1",)}, "degraded", "0x1"),
        ({"kill_switch": True}, "degraded", "kill switch"),
        ({"auto_pause": False, "auto_pause_operator": "alice"}, "degraded", "alice answers"),
        ({"pending_alerts": 2}, "degraded", "2"),
        ({"quarantined": ("market:main/0x1",)}, "red", "crashed too often"),
    ],
)
def test_each_fact_has_its_level_and_its_reason(changes: dict[str, object], level: str, words: str) -> None:
    verdict = judge(msgspec.structs.replace(WELL, **changes))
    assert verdict.level.value == level
    assert bool(verdict.reasons) == bool(words)
    assert words in "; ".join(verdict.reasons)


@pytest.mark.req("S-18")
def test_red_reasons_come_first_and_none_is_lost() -> None:
    facts = msgspec.structs.replace(WELL, kill_switch=True, quarantined=("writer",), critical_drift=True)
    reasons = judge(facts).reasons
    assert [reason.split()[0] for reason in reasons] == ["writer", "drift", "the"]


@pytest.mark.req("D-25")
@pytest.mark.parametrize(("level", "status"), [("green", 200), ("degraded", 200), ("red", 503)])
def test_only_red_is_an_http_error(level: str, status: int) -> None:
    assert http_status(HealthLevel(level)) == status


def test_the_answer_names_status_reasons_and_facts() -> None:
    answer = document(WELL)
    assert (answer["status"], answer["reasons"]) == ("green", [])
    assert isinstance(answer["facts"], dict)
    assert answer["facts"]["cycle_age_ms"] == 10_000
