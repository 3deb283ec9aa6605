"""Reports in the form of the source document: names and units as people and programs outside read them (S-08, D-24).

Here: the two renderings. Not here: what stands in a report (``judging``, ``cycle``, ``gate``), nor its JSON text and
its table (``storage``). Amounts become exact decimals in pUSD; an encoder must write them digit by digit.
"""

from __future__ import annotations

from portfolio.outcomes import NegRiskAggregate, OperationsReport, SettlementReport
from portfolio.retention import OPERATIONS_YEARS, SETTLEMENT_YEARS, retained_until_date
from portfolio.units import micro_to_number


def render_settlement(report: SettlementReport) -> dict[str, object]:
    """The document's SettlementReport, then the fields that go beyond its example (R-25).

    ``report_id`` keeps the document's form and need not be unique (D-24). ``retained_until`` is the UTC date seven
    years on: the document's own example shows eight, R-09 rules. ``strategy_id`` is there only where one is concerned.
    """
    rendered: dict[str, object] = {
        "report_id": f"settlement_portfoliosync_{report.synced_at_ms}",
        "bot_id": report.bot_id,
        "event_type": report.event_type,
        "market_id": report.market_id,
        "delta_type": report.delta_type.value,
        "internal_size_pusd": micro_to_number(report.internal_size_micro),
        "clob_size_pusd": micro_to_number(report.clob_size_micro),
        "drift_pusd": micro_to_number(report.drift_micro),
        "negRisk": report.neg_risk,
        "action_taken": report.action_taken,
        "synced_at_ms": report.synced_at_ms,
        "report_kind": "SettlementReport",
        "retained_until": retained_until_date(report.synced_at_ms, SETTLEMENT_YEARS),
        "subject": report.subject.value,
        "wallet": report.wallet,
        "cause": report.cause,
        "evidence": report.evidence,
        "onchain_reconciled": report.onchain_reconciled,
        "cycle_id": report.cycle_id,
    }
    if report.strategy_id:
        rendered["strategy_id"] = report.strategy_id
    return rendered


def render_operations(report: OperationsReport) -> dict[str, object]:
    """The document's OperationsReport, then the fields of R-25, of the cash check (X-10) and of neg-risk events (R-06).

    What was not read in the cycle is None, never 0. ``retained_until`` is the UTC date one year on (R-09).
    """
    return {
        "report_id": f"operations_portfoliosync_{report.synced_at_ms}",
        "bot_id": report.bot_id,
        "event_type": report.event_type,
        "total_positions": report.total_positions,
        "synced_count": report.synced_count,
        "discrepancy_count": report.discrepancy_count,
        "drift_pusd_max": micro_to_number(report.drift_max_micro),
        "negRisk_positions": report.neg_risk_positions,
        "paused_strategies": list(report.paused_strategies),
        "onchain_balance": _number(report.onchain_balance_micro),
        "sync_duration_ms": report.sync_duration_ms,
        "synced_at_ms": report.synced_at_ms,
        "report_kind": "OperationsReport",
        "retained_until": retained_until_date(report.synced_at_ms, OPERATIONS_YEARS),
        "wallet": report.wallet,
        "cycle_id": report.cycle_id,
        "status": report.status.value,
        "reasons": list(report.reasons),
        "delta_count": report.delta_count,
        "deltas_by_type": {kind.value: count for kind, count in report.deltas_by_type},
        "pending_count": report.pending_count,
        "onchain_reconciled": report.onchain_reconciled,
        "block_number": report.block_number,
        "cash_unexplained": _number(report.cash_unexplained_micro),
        "negRisk_events": [_event(aggregate) for aggregate in report.neg_risk],
    }


def _event(aggregate: NegRiskAggregate) -> dict[str, object]:
    """Both totals stand side by side, so that a wrong flag undercounts nothing in silence (R-06)."""
    return {
        "market_id": aggregate.market_id,
        "size_pusd": micro_to_number(aggregate.size_micro),
        "independent_size_pusd": micro_to_number(aggregate.independent_size_micro),
        "guaranteed_if_one_wins_pusd": micro_to_number(aggregate.guaranteed_if_one_wins_micro),
        "worst_case_pusd": micro_to_number(aggregate.worst_case_micro),
        "releasable_pusd": micro_to_number(aggregate.releasable_micro),
        "event_drift_pusd": micro_to_number(aggregate.event_drift_micro),
        "flag_mismatch": aggregate.flag_mismatch,
    }


def _number(amount_micro: int | None) -> object:
    return None if amount_micro is None else micro_to_number(amount_micro)
