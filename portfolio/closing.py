"""From what a cycle gathered to its closing event: status, counts, cash, what stays known (S-08, R-01, R-08, R-26)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from portfolio.cycle import Plan, aggregates, holds_anything
from portfolio.events import CycleClosed, DriftFound, PendingDrift
from portfolio.facts import Certificate
from portfolio.judging import BOT_ID, ViewResult
from portfolio.outcomes import CycleStatus, DeltaType, OperationsReport
from portfolio.reasons import ReasonCode
from portfolio.thresholds import CRITICAL_DRIFT_MICRO, DriftLevel
from portfolio.views import MarketImage
from portfolio.wallet import STATUS_CODES, WalletState


class Gathered(msgspec.Struct, frozen=True, kw_only=True):
    """All that the closing depends on. ``images`` are the newest ones; ``plan`` is None for a skipped cycle."""

    cycle_id: str
    synced_at_ms: int
    duration_ms: int
    status: CycleStatus
    reasons: tuple[str, ...]
    images: tuple[MarketImage, ...]
    results: tuple[ViewResult, ...]
    plan: Plan | None
    block_number: int | None
    orders_read_at_ms: int | None
    certificates: tuple[Certificate, ...]
    paused: tuple[str, ...]
    discrepancy_alert_micro: int


def close(gathered: Gathered, wallet: WalletState) -> CycleClosed:
    """The one journal entry of a cycle (D-16)."""
    plan = gathered.plan
    capital, cash_pending = _cash(gathered, wallet)
    pending = tuple(
        PendingDrift(market_id=result.market_id, drift_micro=result.pending_micro)
        for result in gathered.results
        if result.pending_count
    )
    return CycleClosed(
        report=_report(gathered, wallet),
        certificates=tuple(
            (certificate.source.value, certificate.verdict.value, certificate.digest)
            for certificate in gathered.certificates
        ),
        orders_read_at_ms=gathered.orders_read_at_ms if plan is not None else None,
        capital_micro=capital,
        cash_pending_micro=cash_pending,
        pending=pending if plan is not None else wallet.pending,
        cash_alone=plan.settled_clean if plan is not None else wallet.cash_alone,
        discrepancy_alert_micro=gathered.discrepancy_alert_micro,
        inflows=plan.inflows if plan is not None else (),
    )


def _cash(gathered: Gathered, wallet: WalletState) -> tuple[int | None, int]:
    """(new capital, cash that waits): cash alone that two looks show alike is carried as capital (X-10).

    What the chain's logs show of deposits, withdrawals and rewards is carried at once.
    """
    plan = gathered.plan
    if plan is None:
        return None, wallet.cash_pending_micro
    if wallet.capital_micro is None:
        return (plan.capital_micro, 0) if plan.cash_unexplained_micro is not None else (None, wallet.cash_pending_micro)
    unexplained = _unexplained(gathered)
    carried = wallet.capital_micro + sum(flow.cash_micro for flow in plan.inflows) if plan.inflows else None
    if unexplained is None:
        return carried, wallet.cash_pending_micro
    seen_alone = wallet.cash_alone and unexplained == wallet.cash_pending_micro
    if unexplained != 0 and plan.settled_clean and seen_alone:
        return (wallet.capital_micro if carried is None else carried) + unexplained, 0
    return carried, unexplained


def _unexplained(gathered: Gathered) -> int | None:
    """Cash that is still unexplained after this cycle's corrections: what they account for waits no longer."""
    if gathered.plan is None or gathered.plan.cash_unexplained_micro is None:
        return None
    return gathered.plan.cash_unexplained_micro - sum(result.adjusted_cash_micro for result in gathered.results)


def _report(gathered: Gathered, wallet: WalletState) -> OperationsReport:
    deltas = Counter(delta for result in gathered.results for delta in result.deltas)
    discrepancies = sum(1 for result in gathered.results if result.level is not DriftLevel.INFO)
    event_drifts = {result.market_id: result.event_drift_micro for result in gathered.results}
    plan = gathered.plan
    neg_risk = aggregates(gathered.images, event_drifts, plan.decided if plan is not None else {})
    counted = sum(1 for image in gathered.images if holds_anything(image))
    return OperationsReport(
        wallet=wallet.wallet,
        bot_id=BOT_ID,
        cycle_id=gathered.cycle_id,
        event_type=_event_type(gathered.status),
        status=gathered.status,
        total_positions=counted,
        synced_count=max(0, counted - discrepancies) if plan is not None else 0,
        discrepancy_count=discrepancies,
        delta_count=sum(deltas.values()),
        deltas_by_type=tuple((kind, deltas[kind]) for kind in DeltaType if deltas[kind]),
        pending_count=sum(result.pending_count for result in gathered.results),
        drift_max_micro=max((result.drift_micro for result in gathered.results), default=0),
        neg_risk_positions=len(neg_risk),
        neg_risk=neg_risk,
        paused_strategies=gathered.paused,
        onchain_balance_micro=plan.cash_micro if plan is not None else None,
        cash_unexplained_micro=_unexplained(gathered),
        onchain_reconciled=plan is not None and plan.cash_micro is not None,
        block_number=gathered.block_number,
        reasons=_reasons(gathered, has_neg_risk=bool(neg_risk)),
        sync_duration_ms=gathered.duration_ms,
        synced_at_ms=gathered.synced_at_ms,
    )


def _event_type(status: CycleStatus) -> str:
    """The document's event type for a completed cycle, the code of the failure for another."""
    code = STATUS_CODES.get(status)
    return "SYNC_CYCLE_COMPLETE" if code is None else code.value


def _reasons(gathered: Gathered, *, has_neg_risk: bool) -> tuple[str, ...]:
    codes = (ReasonCode.PORTFOLIO_SYNC_NEGRISK_AGGREGATE.value,) if has_neg_risk else ()
    return (*gathered.reasons, *codes)


def critical_drifts(
    results: Iterable[ViewResult], synced_at_ms: int, cycle_id: str, *, onchain_reconciled: bool
) -> tuple[DriftFound, ...]:
    """What the gate has to hear: drift above 500 pUSD that may pause (S-05, R-22)."""
    return tuple(
        DriftFound(
            cycle_id=cycle_id,
            market_id=result.market_id,
            condition_ids=result.condition_ids,
            drift_micro=result.pausing_drift_micro,
            internal_size_micro=result.internal_size_micro,
            clob_size_micro=result.clob_size_micro,
            neg_risk=result.neg_risk,
            causes=result.causes,
            evidence=result.evidence,
            onchain_reconciled=onchain_reconciled,
            synced_at_ms=synced_at_ms,
        )
        for result in results
        if result.pausing_drift_micro > CRITICAL_DRIFT_MICRO
    )


def aborted(
    wallet: WalletState, begun: tuple[str, int], images: Sequence[MarketImage], results: Sequence[ViewResult]
) -> CycleClosed:
    """The report of a cycle, by name and time, that a crash cut short: what it had committed stands (D-11 d)."""
    cycle_id, synced_at_ms = begun
    gathered = Gathered(
        cycle_id=cycle_id,
        synced_at_ms=synced_at_ms,
        duration_ms=0,
        status=CycleStatus.ABORTED,
        reasons=("the process ended within the cycle; what it had committed stands",),
        images=tuple(images),
        results=tuple(results),
        plan=None,
        block_number=None,
        orders_read_at_ms=None,
        certificates=(),
        paused=(),
        discrepancy_alert_micro=0,
    )
    return close(gathered, wallet)
