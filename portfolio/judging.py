"""How large was the drift, who hears of it, and what stands in the reports (S-05, S-08, R-03, R-06, R-22, R-26)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from portfolio.adjusting import Applied
from portfolio.negrisk import OutcomeHolding, event_drift_micro, question_count, vector
from portfolio.outcomes import Alert, DeltaType, SettlementReport, Severity, Subject
from portfolio.reasons import REASONS, ReasonCode
from portfolio.reconciling import QUIET, STRUCTURAL, Reconciled, changes_by_condition, delta_type
from portfolio.state import Draft, MarketState
from portfolio.thresholds import DriftLevel, judge
from portfolio.units import MICRO, format_micro, mul_price
from portfolio.views import ExternalView

BOT_ID = "gov.portfolio_sync"
POSITION_DELTA = "POSITION_DELTA"
ORDINARY = {
    DeltaType.ADDED: "ORDER_PLACED",
    DeltaType.UPDATED: "ORDER_MATCHED",
    DeltaType.REMOVED: "ORDER_ENDED",
}
"""What an order's change is called where nothing about it was unexpected (R-04)."""

ACTION_UPDATED = "internal_store_updated"


class ViewResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a market tells the coordinator of a view it applied. Drifts in pUSD.

    ``drift_micro`` is the largest over its subjects, ``pausing_drift_micro`` without what is only reported (R-22).
    ``condition_ids`` are the conditions that changed, and where an event's drift is judged all its legs (R-06).
    ``internal_size_micro`` and ``clob_size_micro`` are the two sides of the larger subject. ``adjusted_cash_micro`` is
    the collateral that the entries booked now account for.
    """

    market_id: str
    condition_ids: tuple[str, ...]
    neg_risk: bool
    drift_micro: int
    pausing_drift_micro: int
    event_drift_micro: int
    internal_size_micro: int
    clob_size_micro: int
    pending_micro: int
    pending_count: int
    regressions: int
    deltas: tuple[DeltaType, ...]
    causes: tuple[str, ...]
    evidence: str
    level: DriftLevel
    adjusted_cash_micro: int = 0


def judge_view(draft: Draft, view: ExternalView, reconciled: Reconciled) -> ViewResult:
    """Write the reports and alerts of a reconciled view, and sum it up."""
    reports = (
        *_position_reports(draft.state, view, reconciled),
        *_order_reports(draft.state, view, reconciled),
    )
    draft.rows.extend(reports)
    drifting = [change for change in reconciled.changes if change.cause not in QUIET]
    pausing = [change for change in drifting if change.cause not in STRUCTURAL]
    event_drift = _event_drift(draft.state, view, drifting) if draft.state.neg_risk else 0
    order_drift = sum(change.drift_micro for change in reconciled.orders.changes)
    position_drift = event_drift if draft.state.neg_risk else _drift(drifting, reconciled.prices)
    pausing_position = (
        _event_drift(draft.state, view, pausing) if draft.state.neg_risk else _drift(pausing, reconciled.prices)
    )
    largest = max(reports, key=lambda report: report.drift_micro, default=None)
    result = ViewResult(
        market_id=draft.state.market_id,
        condition_ids=_concerned(draft.state, reports, whole_event=event_drift > 0),
        neg_risk=draft.state.neg_risk,
        drift_micro=max(position_drift, order_drift),
        pausing_drift_micro=max(pausing_position, order_drift),
        event_drift_micro=event_drift,
        internal_size_micro=largest.internal_size_micro if largest is not None else 0,
        clob_size_micro=largest.clob_size_micro if largest is not None else 0,
        pending_micro=_pending_value(reconciled),
        pending_count=len(reconciled.pending),
        regressions=reconciled.orders.regressions,
        deltas=tuple(report.delta_type for report in reports),
        adjusted_cash_micro=_adjusted_cash(draft),
        causes=tuple(sorted({change.cause for change in reconciled.changes})),
        evidence="; ".join(dict.fromkeys(change.evidence for change in reconciled.changes)),
        level=judge(max(position_drift, order_drift), view.policy.discrepancy_alert_micro),
    )
    draft.rows.extend(_alerts(draft, view, result))
    return result


def _pending_value(reconciled: Reconciled) -> int:
    """pUSD that the differences which wait for a second look stand for."""
    return sum(
        mul_price(abs(pending.difference_micro), reconciled.prices.get(pending.token_id, MICRO))
        for pending in reconciled.pending
    )


def _adjusted_cash(draft: Draft) -> int:
    """Collateral that the entries booked in this transition account for."""
    before = draft.before.adjustments
    return sum(booked.cash_micro for name, booked in draft.state.adjustments.items() if name not in before)


def _concerned(state: MarketState, reports: Sequence[SettlementReport], *, whole_event: bool) -> tuple[str, ...]:
    """Conditions that a drift concerns: those reported, and of a whole event every one in which something is held."""
    found = {report.market_id for report in reports}
    if whole_event:
        held = {token_id for token_id, position in state.positions.items() if position.shares_micro != 0}
        found.update(meta.condition_id for meta in state.metas if held & {token.token_id for token in meta.tokens})
    return tuple(sorted(found))


def _drift(changes: Sequence[Applied], prices: Mapping[str, int]) -> int:
    """Σ over tokens |Δ shares| × reference price: opposite errors never net (R-03)."""
    return sum(mul_price(abs(change.shares_micro), prices.get(change.token_id, MICRO)) for change in changes)


def _event_drift(state: MarketState, view: ExternalView, changes: Sequence[Applied]) -> int:
    """Largest difference between the payoff vectors without and with the changes, at payoff 1 (R-06)."""
    external = _holdings(state, {})
    moved: dict[str, int] = {}
    for change in changes:
        moved[change.token_id] = moved.get(change.token_id, 0) + change.shares_micro
    internal = _holdings(state, moved)
    decided = _decided(state, view)
    indexes = [meta.question_index or 0 for meta in state.metas]
    count = question_count(state.question_count, indexes)
    return event_drift_micro(vector(internal, count, decided), vector(external, count, decided))


def _holdings(state: MarketState, without: Mapping[str, int]) -> tuple[OutcomeHolding, ...]:
    """Holdings per question, less the changes in ``without``."""

    def held(token_id: str) -> int:
        return state.position(token_id).shares_micro - without.get(token_id, 0)

    holdings = []
    for meta in state.metas:
        sides = {token.outcome_index: held(token.token_id) for token in meta.tokens}
        holdings.append(
            OutcomeHolding(question_index=meta.question_index or 0, yes_micro=sides.get(0, 0), no_micro=sides.get(1, 0))
        )
    return tuple(holdings)


def holdings_of(state: MarketState) -> tuple[OutcomeHolding, ...]:
    """The market's holdings per question, as it holds them now."""
    return _holdings(state, {})


def _decided(state: MarketState, view: ExternalView) -> dict[int, bool]:
    payouts = {payout.condition_id: payout for payout in (view.chain.payouts if view.chain is not None else ())}
    return {
        meta.question_index: payouts[meta.condition_id].numerators[0] > 0
        for meta in state.metas
        if meta.question_index is not None and meta.condition_id in payouts
    }


def _position_reports(state: MarketState, view: ExternalView, reconciled: Reconciled) -> tuple[SettlementReport, ...]:
    """One POSITION_DELTA per condition whose tokens changed, with token sizes (D-24)."""
    reports = []
    for condition_id, changes in changes_by_condition(reconciled.changes).items():
        meta = state.meta_of(condition_id)
        moved: dict[str, int] = {}
        for change in changes:
            moved[change.token_id] = moved.get(change.token_id, 0) + change.shares_micro
        tokens = [token.token_id for token in meta.tokens] if meta is not None else list(moved)
        after_shares = {token: state.position(token).shares_micro for token in tokens}
        before_shares = {token: after_shares[token] - moved.get(token, 0) for token in tokens}
        kind = delta_type(*(sum(abs(held) for held in shares.values()) for shares in (before_shares, after_shares)))
        drift = _drift([change for change in changes if change.cause not in QUIET], reconciled.prices)
        texts = (
            "+".join(dict.fromkeys(change.cause for change in changes)),
            "; ".join(dict.fromkeys(change.evidence for change in changes)),
        )
        values = (kind, _worth(before_shares, reconciled.prices), _worth(after_shares, reconciled.prices), drift)
        reports.append(_report(state, view, (condition_id, Subject.POSITION), values, texts))
    return tuple(reports)


def _worth(shares: Mapping[str, int], prices: Mapping[str, int]) -> int:
    """Σ shares × reference price (R-03)."""
    return sum(mul_price(held, prices.get(token_id, MICRO)) for token_id, held in shares.items())


def _order_reports(state: MarketState, view: ExternalView, reconciled: Reconciled) -> tuple[SettlementReport, ...]:
    """One POSITION_DELTA per condition whose open orders changed; order sizes are remaining × limit price (R-03)."""
    reports = []
    by_condition: dict[str, list[int]] = {}
    causes: dict[str, list[str]] = {}
    for change in reconciled.orders.changes:
        sums = by_condition.setdefault(change.condition_id, [0, 0])
        sums[0] += change.after_micro - change.before_micro
        sums[1] += change.drift_micro
        causes.setdefault(change.condition_id, []).append(change.cause or ORDINARY[change.delta_type])
    for condition_id in sorted(by_condition):
        moved, drift = by_condition[condition_id]
        before = reconciled.orders_before.get(condition_id, 0)
        after = before + moved
        if before == after and drift == 0:
            continue  # all of it was our own fills, which are ledger rows and make no report
        orders = [change for change in reconciled.orders.changes if change.condition_id == condition_id]
        evidence = "orders " + ", ".join(change.order_id for change in orders)
        texts = ("+".join(sorted(set(causes[condition_id]))), evidence)
        values = (delta_type(before, after), before, after, drift)
        reports.append(_report(state, view, (condition_id, Subject.OPEN_ORDERS), values, texts))
    return tuple(reports)


def _report(
    state: MarketState,
    view: ExternalView,
    what: tuple[str, Subject],
    values: tuple[DeltaType, int, int, int],
    texts: tuple[str, str],
) -> SettlementReport:
    condition_id, subject = what
    meta = state.meta_of(condition_id)
    return SettlementReport(
        wallet=state.wallet,
        bot_id=BOT_ID,
        event_type=POSITION_DELTA,
        market_id=condition_id,
        delta_type=values[0],
        internal_size_micro=values[1],
        clob_size_micro=values[2],
        drift_micro=values[3],
        neg_risk=meta.neg_risk if meta is not None else False,
        action_taken=ACTION_UPDATED,
        synced_at_ms=view.synced_at_ms,
        subject=subject,
        cause=texts[0],
        evidence=texts[1],
        onchain_reconciled=view.chain is not None,
        cycle_id=view.cycle_id,
    )


def _alerts(draft: Draft, view: ExternalView, result: ViewResult) -> tuple[Alert, ...]:
    """DISCREPANCY above the configured line, CRITICAL_DISCREPANCY beside it above 500 pUSD (S-05, R-26)."""
    codes = []
    if result.level is not DriftLevel.INFO:
        codes.append((ReasonCode.PORTFOLIO_SYNC_DISCREPANCY, result.drift_micro))
    if judge(result.pausing_drift_micro, view.policy.discrepancy_alert_micro) is DriftLevel.CRITICAL:
        codes.append((ReasonCode.PORTFOLIO_SYNC_CRITICAL_DISCREPANCY, result.pausing_drift_micro))
    return tuple(
        Alert(
            wallet=draft.state.wallet,
            key=f"{view.cycle_id}:{draft.state.market_id}:{code.value}",
            code=code.value,
            severity=Severity.WARN,
            route=REASONS[code].route.value,
            market_id=draft.state.market_id,
            drift_micro=drift,
            text=_sentence(draft.state, result, drift),
            at_ms=draft.now_ms,
        )
        for code, drift in codes
    )


def _sentence(state: MarketState, result: ViewResult, drift_micro: int) -> str:
    title = state.metas[0].title if state.metas else state.market_id
    causes = ", ".join(result.causes) or "open orders differ"
    return f"{title}: {format_micro(drift_micro)} pUSD of drift was corrected; cause {causes}; {result.evidence}"
