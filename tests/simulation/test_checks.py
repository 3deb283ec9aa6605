"""What the simulator checks in the midst of a run: what each check finds, and where it holds still."""

from __future__ import annotations

import pytest

from polymarket.sandbox.faults import FaultSpec
from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.server_faults import Fault
from polymarket.sandbox.world import World
from portfolio.outcomes import Alert, CycleStatus, DeltaType, OperationsReport, SettlementReport, Severity, Subject
from portfolio.reasons import ReasonCode
from service.replay import Books
from service.simulation import telling
from service.simulation.heard import Heard
from service.simulation.process import Seen
from service.simulation.troubles import Troubles

WALLET = "main"
MARKET = "0xmarket"
FROM_MS, TO_MS = 10_000, 12_000
INTERVAL_MS = 10_000


def fault(spec: FaultSpec, begun_s: float = 5.0, ends_s: float = 20.0) -> Fault:
    return Fault(fault_id=1, spec=spec, begun_at=begun_s, ends_at=ends_s)


def report(status: CycleStatus, *, reconciled: bool = True, reasons: tuple[str, ...] = ()) -> OperationsReport:
    return OperationsReport(
        wallet=WALLET,
        bot_id="bot",
        cycle_id=f"main-{FROM_MS}",
        event_type="SYNC_CYCLE_COMPLETE",
        status=status,
        total_positions=0,
        synced_count=0,
        discrepancy_count=0,
        delta_count=0,
        deltas_by_type=(),
        pending_count=0,
        drift_max_micro=0,
        neg_risk_positions=0,
        neg_risk=(),
        paused_strategies=(),
        onchain_balance_micro=None,
        cash_unexplained_micro=None,
        onchain_reconciled=reconciled,
        block_number=None,
        reasons=reasons,
        sync_duration_ms=TO_MS - FROM_MS,
        synced_at_ms=FROM_MS,
    )


def settled(cycle_id: str, synced_at_ms: int) -> SettlementReport:
    return SettlementReport(
        wallet=WALLET,
        bot_id="bot",
        event_type="POSITION_DELTA",
        market_id=MARKET,
        delta_type=DeltaType.ADDED,
        internal_size_micro=0,
        clob_size_micro=0,
        drift_micro=0,
        neg_risk=False,
        action_taken="",
        synced_at_ms=synced_at_ms,
        subject=Subject.POSITION,
        cause="",
        evidence="",
        onchain_reconciled=True,
        cycle_id=cycle_id,
    )


def alert(key: str, code: ReasonCode = ReasonCode.STALE_DATA, market_id: str = "") -> Alert:
    return Alert(
        wallet=WALLET,
        key=key,
        code=code.value,
        severity=Severity.WARN,
        route="warn",
        market_id=market_id,
        text="",
        at_ms=1,
    )


def rules(found: Troubles, shown: OperationsReport) -> list[str]:
    world = World(WorldOptions(seed=1), 0)
    return [finding.rule for finding in telling.cycle(shown, found, world, INTERVAL_MS)]


@pytest.mark.req("X-03")
@pytest.mark.parametrize(
    ("spec", "silent"),
    [
        (FaultSpec(target="clob", kind="down"), True),
        (FaultSpec(target="all", kind="http_503"), True),
        (FaultSpec(target="clob", kind="slow", latency_ms=6_000), True),
        (FaultSpec(target="clob", kind="slow", latency_ms=4_000), False),
        (FaultSpec(target="clob", kind="down", count=3), False),
        (FaultSpec(target="clob", kind="empty_page"), False),
        (FaultSpec(target="rpc", kind="down"), False),
    ],
)
def test_a_source_is_silent_where_one_fault_let_nothing_through(spec: FaultSpec, silent: bool) -> None:
    assert Troubles([fault(spec)]).silent("clob", FROM_MS, TO_MS) is silent
    assert not Troubles([fault(spec, begun_s=11.0)]).silent("clob", FROM_MS, TO_MS)
    assert not Troubles([fault(spec, ends_s=11.0)]).silent("clob", FROM_MS, TO_MS)


@pytest.mark.req("X-03", "S-11", "S-12")
@pytest.mark.parametrize(
    ("target", "status", "reconciled", "rule"),
    [
        ("clob", CycleStatus.OK, True, "a cycle in which the CLOB answered nothing says so"),
        ("rpc", CycleStatus.OK, True, "a cycle in which the chain answered nothing says so"),
        ("data", CycleStatus.OK, True, "a cycle in which the Data API answered nothing says so"),
    ],
)
def test_a_cycle_that_calls_a_silent_source_up_is_found(
    target: str,
    status: CycleStatus,
    reconciled: bool,
    rule: str,
) -> None:
    down = FaultSpec(target=target, kind="down")  # type: ignore[arg-type]  # one of the targets
    assert rules(Troubles([fault(down)]), report(status, reconciled=reconciled)) == [rule]
    assert rules(Troubles([]), report(status, reconciled=reconciled)) == []


@pytest.mark.req("X-03", "S-11")
def test_a_cycle_that_calls_a_sound_clob_down_is_found() -> None:
    shown = report(CycleStatus.CLOB_UNAVAILABLE)
    assert rules(Troubles([]), shown) == ["a cycle in which nothing was wrong with the CLOB believes it"]
    assert rules(Troubles([fault(FaultSpec(target="clob", kind="empty_page"))]), shown) == []


@pytest.mark.req("X-03", "X-14")
def test_endpoints_that_contradict_or_are_alone_have_to_be_told() -> None:
    contradicts = Troubles([fault(FaultSpec(target="rpc", kind="stale", path="endpoint 2"))])
    assert rules(contradicts, report(CycleStatus.OK)) == ["a cycle in which one chain answered nothing says so"]
    alone = Troubles([fault(FaultSpec(target="rpc", kind="down", path="endpoint 2"))])
    assert rules(alone, report(CycleStatus.OK)) == ["a cycle in which one of two endpoints answered nothing says so"]
    assert rules(alone, report(CycleStatus.OK, reasons=("chain.agreement: silent",))) == []


@pytest.mark.req("X-03", "L-14")
def test_a_cycle_without_logs_has_to_say_so() -> None:
    refused = Troubles([fault(FaultSpec(target="rpc", kind="rpc_logs_refused"), begun_s=0.0)])
    assert [one.rule for one in telling.logs(report(CycleStatus.OK), refused)] == ["a cycle without logs says so"]
    assert list(telling.logs(report(CycleStatus.OK, reasons=("chain.logs: refused",)), refused)) == []


@pytest.mark.req("X-03", "D-18")
def test_an_alert_is_said_once_in_a_life_behind_its_commit_and_never_forgotten() -> None:
    heard, seen = Heard(), Seen()
    heard.begun()
    seen.alerts.append(alert("a"))
    assert [one.rule for one in heard.early(seen)] == ["an alert is durable before it is said"]
    heard.hear([alert("a"), alert("b")])
    assert [one.subject for one in heard.missing(Books(WALLET))] == ["b"]
    seen.alerts += [alert("b"), alert("b")]
    assert [one.rule for one in heard.early(seen)] == ["an alert is said once in a life"]
    heard.begun()
    seen.alerts.append(alert("b"))
    assert [one.rule for one in heard.early(seen)] == ["an alert is said once in a life"], "three times in two lives"


@pytest.mark.req("X-03", "S-05")
def test_critical_drift_of_a_market_without_a_pause_is_found() -> None:
    heard, seen = Heard(), Seen()
    heard.begun()
    heard.hear([alert("a", ReasonCode.PORTFOLIO_SYNC_CRITICAL_DISCREPANCY, MARKET)])
    seen.alerts.append(alert("a"))
    assert list(heard.early(seen)) == []
    assert [one.rule for one in heard.missing(Books(WALLET))] == ["critical drift pauses the market's strategy"]
    heard.hear([alert("c", ReasonCode.PORTFOLIO_SYNC_PAUSE_SUPPRESSED, MARKET)])
    seen.alerts.append(alert("c"))
    assert list(heard.early(seen)) == []
    assert list(heard.missing(Books(WALLET))) == []


@pytest.mark.req("X-03", "S-08")
def test_a_cycle_that_changed_something_and_has_no_report_is_found_once_a_later_one_has_its() -> None:
    heard = Heard()
    heard.hear([settled("main-1", 1)])
    assert list(heard.unclosed()) == []
    heard.hear([report(CycleStatus.OK)])
    assert [one.subject for one in heard.unclosed()] == ["main-1"]
