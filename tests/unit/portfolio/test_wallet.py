"""What the coordinator's wallet state remembers, and what it says when a cycle closes."""

from __future__ import annotations

import msgspec
import pytest

from portfolio.chain import ChainChange, ChangeKind
from portfolio.events import CycleClosed, MarketsRegistered, PendingDrift, WalletDefined
from portfolio.outcomes import Alert, CycleStatus, IssueRow, OperationsReport, Severity
from portfolio.wallet import WalletState, transition

NOW_MS = 1_746_792_000_000
PUSD = 1_000_000


def report(status: CycleStatus = CycleStatus.OK) -> OperationsReport:
    return OperationsReport(
        wallet="main",
        bot_id="gov.portfolio_sync",
        cycle_id="main-1",
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
        onchain_balance_micro=0,
        cash_unexplained_micro=0,
        onchain_reconciled=status is CycleStatus.OK,
        block_number=1,
        reasons=(),
        sync_duration_ms=1,
        synced_at_ms=NOW_MS,
    )


def closed(status: CycleStatus = CycleStatus.OK, capital: int | None = None) -> CycleClosed:
    return CycleClosed(
        report=report(status),
        certificates=(),
        orders_read_at_ms=None,
        capital_micro=capital,
        cash_pending_micro=0,
        pending=(),
    )


def flow(kind: ChangeKind, cash: int, log_index: int) -> ChainChange:
    return ChainChange(
        kind=kind,
        wallet="0x1",
        legs=(),
        cash=(("pusd", cash),),
        transaction_hash="0xa",
        block_number=9,
        block_hash="0x9",
        block_time_ms=NOW_MS,
        log_index=log_index,
    )


@pytest.mark.req("L-19")
def test_what_is_known_already_gives_the_same_state_and_no_rows() -> None:
    defined = WalletDefined(address="0x1", signer_address="0x2", signature_type=2)
    known = MarketsRegistered(entries=(("0xa", "0xa", ("1", "2")),))
    state = transition(transition(WalletState(wallet="main"), defined, NOW_MS).state, known, NOW_MS).state
    for event in (defined, known):
        step = transition(state, event, NOW_MS)
        assert step.state is state
        assert step.rows == ()


@pytest.mark.req("X-10", "R-26")
@pytest.mark.parametrize(("moved", "routes"), [(0, []), (10 * PUSD, []), (11 * PUSD, ["warn"]), (501 * PUSD, ["page"])])
def test_cash_without_a_cause_is_an_issue_and_from_its_size_on_an_alert(moved: int, routes: list[str]) -> None:
    state = msgspec.structs.replace(WalletState(wallet="main"), capital_micro=100 * PUSD)
    step = transition(state, closed(capital=100 * PUSD + moved), NOW_MS)
    assert len([row for row in step.rows if isinstance(row, IssueRow)]) == (1 if moved else 0)
    assert [row.route for row in step.rows if isinstance(row, Alert)] == routes
    assert step.state.capital_micro == 100 * PUSD + moved


@pytest.mark.req("X-10", "L-14")
def test_deposits_and_withdrawals_that_the_logs_show_are_recorded_with_their_proof_and_alert_nobody() -> None:
    state = msgspec.structs.replace(WalletState(wallet="main"), capital_micro=100 * PUSD)
    inflows = (flow(ChangeKind.DEPOSIT, 900 * PUSD, 3), flow(ChangeKind.WITHDRAWAL, -50 * PUSD, 7))
    event = msgspec.structs.replace(closed(capital=950 * PUSD), inflows=inflows)
    step = transition(state, event, NOW_MS)
    issues = [row for row in step.rows if isinstance(row, IssueRow)]
    assert [(row.type, row.severity, row.before, row.after, row.cause) for row in issues] == [
        ("CASH_MOVED", Severity.INFO, "100.0", "1000.0", "DEPOSIT: transaction 0xa, log 3, block 9"),
        ("CASH_MOVED", Severity.INFO, "1000.0", "950.0", "WITHDRAWAL: transaction 0xa, log 7, block 9"),
    ]
    assert not [row for row in step.rows if isinstance(row, Alert)]
    assert step.state.capital_micro == 950 * PUSD


@pytest.mark.req("X-10", "R-26")
def test_cash_beyond_what_the_logs_show_stays_without_a_cause() -> None:
    state = msgspec.structs.replace(WalletState(wallet="main"), capital_micro=100 * PUSD)
    inflows = (flow(ChangeKind.DEPOSIT, 900 * PUSD, 3),)
    event = msgspec.structs.replace(closed(capital=1_011 * PUSD), inflows=inflows)
    issues = [row for row in transition(state, event, NOW_MS).rows if isinstance(row, IssueRow)]
    assert [(row.type, row.before, row.after) for row in issues] == [
        ("CASH_MOVED", "100.0", "1000.0"),
        ("CASH_UNEXPLAINED", "1000.0", "1011.0"),
    ]


@pytest.mark.req("R-26", "S-11")
def test_a_skipped_cycle_pages_on_drift_that_is_known_and_not_confirmed() -> None:
    known = (PendingDrift(market_id="0xa", drift_micro=501 * PUSD),)
    state = msgspec.structs.replace(WalletState(wallet="main"), pending=known)
    said = {
        status: [row.code for row in transition(state, closed(status), NOW_MS).rows if isinstance(row, Alert)]
        for status in (CycleStatus.CLOB_UNAVAILABLE, CycleStatus.DATA_API_UNAVAILABLE)
    }
    assert said[CycleStatus.CLOB_UNAVAILABLE] == [
        "PORTFOLIO_SYNC_CLOB_UNAVAILABLE",
        "PORTFOLIO_SYNC_CRITICAL_DISCREPANCY",
    ]
    assert said[CycleStatus.DATA_API_UNAVAILABLE] == ["PORTFOLIO_SYNC_DATA_API_UNAVAILABLE"]
