"""What a wallet's coordinator must remember across cycles and restarts, and how it changes (D-16, X-10, R-26).

The directory of markets, how far complete readings reach, the capital that the cash identity starts from, and the
drift that is known but not yet confirmed.
"""

from __future__ import annotations

from typing import assert_never

import msgspec
from msgspec.structs import replace

from portfolio.events import CycleClosed, MarketsRegistered, PendingDrift, WalletDefined, WalletEvent
from portfolio.outcomes import (
    Alert,
    CycleStatus,
    IssueRow,
    OperationsReport,
    Outcome,
    WalletRow,
)
from portfolio.reasons import ISSUES, REASONS, IssueType, ReasonCode
from portfolio.thresholds import CRITICAL_DRIFT_MICRO
from portfolio.units import format_micro

STATUS_CODES = {
    CycleStatus.CLOB_UNAVAILABLE: ReasonCode.PORTFOLIO_SYNC_CLOB_UNAVAILABLE,
    CycleStatus.RPC_UNAVAILABLE: ReasonCode.PORTFOLIO_SYNC_RPC_UNAVAILABLE,
    CycleStatus.DATA_API_UNAVAILABLE: ReasonCode.PORTFOLIO_SYNC_DATA_API_UNAVAILABLE,
    CycleStatus.STALE: ReasonCode.STALE_DATA,
    CycleStatus.LEASE_LOST: ReasonCode.PORTFOLIO_SYNC_LEASE_LOST,
    CycleStatus.ABORTED: ReasonCode.PORTFOLIO_SYNC_CYCLE_ABORTED,
}
"""The code that a cycle of each unhealthy status says."""


class DirectoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Where a condition belongs, and its tokens."""

    market_id: str
    token_ids: tuple[str, ...]


class WalletState(msgspec.Struct, frozen=True, kw_only=True):
    """``opened``: a cycle with the chain has completed, so that openings are over (R-23, S-14).

    ``capital_micro`` is the cash that no booked entry explains from the start; cash = capital + Σ proven cash (X-10).
    """

    wallet: str
    version: int = 0
    defined: WalletDefined | None = None
    directory: dict[str, DirectoryEntry] = {}
    opened: bool = False
    cycles: int = 0
    last_synced_at_ms: int = 0
    orders_read_at_ms: int | None = None
    capital_micro: int | None = None
    cash_pending_micro: int = 0
    cash_alone: bool = False
    pending: tuple[PendingDrift, ...] = ()

    @property
    def known_drift_micro(self) -> int:
        """The largest drift of one market that is known and not yet confirmed (R-26)."""
        return max((pending.drift_micro for pending in self.pending), default=0)


class WalletStep(msgspec.Struct, frozen=True, kw_only=True):
    """What a transition gives."""

    state: WalletState
    rows: tuple[Outcome, ...] = ()


def transition(state: WalletState, event: WalletEvent, now_ms: int) -> WalletStep:
    """Apply one event, taken at ``now_ms``."""
    match event:
        case WalletDefined():
            return _define(state, event, now_ms)
        case MarketsRegistered():
            return _register(state, event)
        case CycleClosed():
            return _close(state, event, now_ms)
        case _:  # pragma: no cover - mypy proves that no kind of event is left
            assert_never(event)


def _define(state: WalletState, event: WalletDefined, now_ms: int) -> WalletStep:
    if state.defined == event:
        return WalletStep(state=state)
    row = WalletRow(
        wallet=state.wallet,
        address=event.address,
        signer_address=event.signer_address,
        signature_type=event.signature_type,
        updated_at_ms=now_ms,
    )
    return WalletStep(state=replace(state, defined=event, version=state.version + 1), rows=(row,))


def _register(state: WalletState, event: MarketsRegistered) -> WalletStep:
    entries = {
        condition_id: DirectoryEntry(market_id=market_id, token_ids=token_ids)
        for condition_id, market_id, token_ids in event.entries
    }
    directory = {**state.directory, **entries}
    if directory == state.directory:
        return WalletStep(state=state)
    return WalletStep(state=replace(state, directory=directory, version=state.version + 1))


def _close(state: WalletState, event: CycleClosed, now_ms: int) -> WalletStep:
    report = event.report
    completed = report.status in {CycleStatus.OK, CycleStatus.DATA_API_UNAVAILABLE}
    changed = replace(
        state,
        version=state.version + 1,
        opened=state.opened or (completed and report.onchain_reconciled),
        cycles=state.cycles + 1,
        last_synced_at_ms=max(state.last_synced_at_ms, report.synced_at_ms),
        orders_read_at_ms=event.orders_read_at_ms or state.orders_read_at_ms,
        capital_micro=event.capital_micro if event.capital_micro is not None else state.capital_micro,
        cash_pending_micro=event.cash_pending_micro,
        cash_alone=event.cash_alone,
        pending=event.pending,
    )
    rows: list[Outcome] = [report, *_status_alerts(state, report, now_ms)]
    if event.capital_micro is not None and state.capital_micro is not None:
        rows.extend(_inflow_rows(state, event, now_ms))
        shown = sum(flow.cash_micro for flow in event.inflows)
        rows.extend(_cash_rows(state, event, event.capital_micro - state.capital_micro - shown, now_ms))
    return WalletStep(state=changed, rows=tuple(rows))


def _status_alerts(state: WalletState, report: OperationsReport, now_ms: int) -> tuple[Alert, ...]:
    """One alert for an unhealthy status; a skipped cycle pages when drift already known exceeds 500 (S-11, R-26)."""
    code = STATUS_CODES.get(report.status)
    if code is None:
        return ()
    detail = "; ".join(report.reasons) or REASONS[code].meaning
    alerts = [_alert(report, code, detail, now_ms)]
    skipped = report.status is not CycleStatus.DATA_API_UNAVAILABLE
    if skipped and state.known_drift_micro > CRITICAL_DRIFT_MICRO:
        known = format_micro(state.known_drift_micro)
        text = f"the cycle was skipped while a drift of {known} pUSD was already known and not yet confirmed"
        alerts.append(_alert(report, ReasonCode.PORTFOLIO_SYNC_CRITICAL_DISCREPANCY, text, now_ms))
    return tuple(alerts)


def _inflow_rows(state: WalletState, event: CycleClosed, now_ms: int) -> list[IssueRow]:
    """A row for each movement of collateral by itself, with its proof: capital before and after it (X-10)."""
    rows: list[IssueRow] = []
    capital = state.capital_micro or 0
    for flow in event.inflows:
        cause = f"{flow.kind.value}: {flow.evidence}"
        texts = (format_micro(capital), format_micro(capital + flow.cash_micro), cause)
        rows.append(_cash_issue(state, event, IssueType.CASH_MOVED, texts, now_ms))
        capital += flow.cash_micro
    return rows


def _cash_issue(
    state: WalletState, event: CycleClosed, kind: IssueType, texts: tuple[str, str, str], now_ms: int
) -> IssueRow:
    return IssueRow(
        wallet=state.wallet,
        type=kind.value,
        severity=ISSUES[kind].severity,
        action=ISSUES[kind].action,
        market_id="",
        subject="collateral",
        before=texts[0],
        after=texts[1],
        cause=texts[2],
        cycle_id=event.report.cycle_id,
        at_ms=now_ms,
    )


def _cash_rows(state: WalletState, event: CycleClosed, moved_micro: int, now_ms: int) -> tuple[Outcome, ...]:
    """Cash that stayed unexplained for two looks is recorded and carried as capital from here on (X-10, R-26)."""
    if moved_micro == 0:
        return ()
    shown = sum(flow.cash_micro for flow in event.inflows)
    before = (state.capital_micro or 0) + shown
    cause = "cash moved without a booked entry: deposit, withdrawal, reward, rebate or fee"
    texts = (format_micro(before), format_micro(before + moved_micro), cause)
    issue = _cash_issue(state, event, IssueType.CASH_UNEXPLAINED, texts, now_ms)
    if abs(moved_micro) <= event.discrepancy_alert_micro:
        return (issue,)
    text = f"{format_micro(moved_micro)} pUSD of cash have no recorded cause"
    alert = _alert(event.report, ReasonCode.PORTFOLIO_SYNC_CASH_UNEXPLAINED, text, now_ms)
    route = "page" if abs(moved_micro) > CRITICAL_DRIFT_MICRO else "warn"
    return (issue, replace(alert, route=route, drift_micro=abs(moved_micro)))


def _alert(report: OperationsReport, code: ReasonCode, text: str, now_ms: int) -> Alert:
    return Alert(
        wallet=report.wallet,
        key=f"{report.cycle_id}:{code.value}",
        code=code.value,
        severity=REASONS[code].severity,
        route=REASONS[code].route.value,
        market_id="",
        text=text,
        at_ms=now_ms,
    )
