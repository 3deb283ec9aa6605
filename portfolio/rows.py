"""A market's state as rows: the one place where state becomes what readers of the tables see."""

from __future__ import annotations

from collections.abc import Iterable

from portfolio.entries import Adjustment, Cause, Conversion, Merge, Redemption, Split, Trade
from portfolio.facts import MarketMeta
from portfolio.outcomes import AdjustmentRow, FillRow, MarketRow, OrderRow, Outcome, PositionRow, TokenRow
from portfolio.position import EntryEffect, Position
from portfolio.state import BookedAdjustment, BookedFill, Draft, MarketState
from portfolio.views import OrderState

NS_PER_MS = 1_000_000


def fill_row(state: MarketState, booked: BookedFill) -> FillRow:
    """The fill as it stands; its realised P&L is what it did when it was booked (later changes are restated)."""
    fill = booked.fill
    return FillRow(
        wallet=state.wallet,
        trade_id=fill.trade_id,
        order_id=fill.order_id,
        market_id=state.market_id,
        condition_id=fill.condition_id,
        token_id=fill.token_id,
        side=fill.side,
        role=fill.role,
        price_micro=fill.price_micro,
        size_micro=fill.size_micro,
        amount_micro=fill.amount_micro,
        fee_micro=fill.fee_micro,
        realized_pnl_micro=booked.realized_pnl_micro,
        state=fill.state,
        external=fill.external,
        owner=fill.owner,
        transaction_hash=fill.transaction_hash,
        settled_by=fill.settled_by,
        fee_rate_micro=fill.fee_rate_micro,
        fee_exponent=fill.fee_exponent,
        matched_at_ns=fill.at.at_ns,
        matched_at_ms=fill.at.at_ns // NS_PER_MS,
        booked_at_ms=booked.booked_at_ms,
        updated_at_ms=booked.updated_at_ms,
    )


def order_row(state: MarketState, order: OrderState) -> OrderRow:
    """The order as it stands; the matched size is the larger of the venue's figure and what is booked."""
    return OrderRow(
        wallet=state.wallet,
        order_id=order.order_id,
        market_id=state.market_id,
        condition_id=order.condition_id,
        token_id=order.token_id,
        side=order.side,
        price_micro=order.price_micro,
        original_size_micro=order.original_size_micro,
        size_matched_micro=max(order.size_matched_micro, order.booked_micro),
        status=order.status,
        owner=order.owner,
        order_type=order.order_type,
        created_at_ms=order.created_at_ms,
        first_seen_at_ms=order.first_seen_at_ms,
        closed_at_ms=order.closed_at_ms,
        ended_because=order.ended_because,
    )


def position_row(state: MarketState, token_id: str, now_ms: int) -> PositionRow:
    """The position in a token; ``version`` is the one that this transition is going to have."""
    position = state.position(token_id)
    place = state.token(token_id)
    condition_id, outcome, neg_risk = ("", "", False)
    if place is not None:
        condition_id, outcome, neg_risk = place[0].condition_id, place[1].outcome, place[0].neg_risk
    return PositionRow(
        wallet=state.wallet,
        token_id=token_id,
        condition_id=condition_id,
        market_id=state.market_id,
        outcome=outcome,
        shares_micro=position.shares_micro,
        settled_micro=position.settled_micro,
        in_flight_micro=position.in_flight_micro,
        cost_basis_micro=position.cost_basis_micro,
        realized_pnl_micro=position.realized_pnl_micro,
        fees_micro=position.fees_micro,
        neg_risk=neg_risk,
        version=state.version + 1,
        updated_at_ms=now_ms,
    )


def meta_rows(state: MarketState, meta: MarketMeta, now_ms: int) -> tuple[Outcome, ...]:
    """Rows of one condition and its tokens."""
    market = MarketRow(
        wallet=state.wallet,
        condition_id=meta.condition_id,
        market_id=state.market_id,
        title=meta.title,
        slug=meta.slug,
        neg_risk=meta.neg_risk,
        neg_risk_claimed=meta.neg_risk_claimed,
        neg_risk_market_id=meta.neg_risk_market_id,
        question_index=meta.question_index,
        closed=meta.closed,
        halted=bool(state.halted),
        halt_reason=state.halted,
        updated_at_ms=now_ms,
    )
    tokens = tuple(
        TokenRow(
            wallet=state.wallet,
            token_id=token.token_id,
            condition_id=meta.condition_id,
            market_id=state.market_id,
            outcome=token.outcome,
            outcome_index=token.outcome_index,
            contract=token.contract,
        )
        for token in meta.tokens
    )
    return (market, *tokens)


def cause_of(entry: Adjustment) -> Cause:
    """The cause that an adjustment stands for (L-14)."""
    match entry:
        case Split():
            return Cause.POSITION_SPLIT
        case Merge():
            return Cause.POSITION_MERGED
        case Redemption():
            return Cause.REDEEMED
        case Conversion():
            return Cause.CONVERTED
        case _:
            return entry.cause


def adjustment_rows(state: MarketState, booked: BookedAdjustment) -> tuple[AdjustmentRow, ...]:
    """One row per token leg of an adjustment, with what it did at its own place in economic order."""
    return tuple(
        _adjustment_row(state, effect, cause_of(booked.entry), booked.entry.evidence, booked)
        for effect in booked.effects
    )


def adjustment_fee(entry: Adjustment) -> int:
    """The fee that a log shows of an external trade, which has one leg; no other adjustment pays one."""
    return entry.fee_micro if isinstance(entry, Trade) else 0


def _adjustment_row(
    state: MarketState, effect: EntryEffect, cause: Cause, evidence: str, booked: BookedAdjustment
) -> AdjustmentRow:
    place = state.token(effect.token_id)
    return AdjustmentRow(
        wallet=state.wallet,
        entry_id=booked.entry.entry_id,
        market_id=state.market_id,
        condition_id=place[0].condition_id if place is not None else "",
        token_id=effect.token_id,
        cause=cause,
        size_micro=effect.shares_micro,
        cost_micro=effect.cost_micro,
        proceeds_micro=effect.proceeds_micro,
        realized_pnl_micro=effect.realized_pnl_micro,
        fee_micro=adjustment_fee(booked.entry),
        estimated=booked.entry.estimated,
        evidence=evidence,
        operator=booked.operator,
        reason=booked.reason,
        economic_at_ms=booked.entry.at.at_ns // NS_PER_MS,
        at_ms=booked.booked_at_ms,
    )


def changed_positions(draft: Draft) -> tuple[Outcome, ...]:
    """The positions that changed, and one row per token for what is not an entry's own effect (D-02, L-03).

    So the sum of all rows is the position at every instant, whichever order the facts came in (L-10).
    """
    old, new = draft.before.positions, draft.state.positions
    if old is new:
        return ()
    alone = draft.moved_alone
    if alone:
        told = draft.wants_rows and old.get(alone) != new[alone]
        return (position_row(draft.state, alone, draft.now_ms),) if told else ()
    # A token whose only fill failed is in no fold any more; its row must still go to zero.
    # Most are the very same object, which is quicker to see than equality.
    changed = [token_id for token_id, held in new.items() if (was := old.get(token_id)) is not held and was != held]
    if not old.keys() <= new.keys():
        changed += [token_id for token_id in old if token_id not in new]
    changed.sort()
    rows = [position_row(draft.state, token_id, draft.now_ms) for token_id in changed] if draft.wants_rows else []
    # A fill at its order's limit price takes the place of a provisional one and changes no position.
    moved = changed + [effect.token_id for effect in draft.effects if effect.token_id not in changed]
    restated = _restatements(draft, sorted({*moved}) if len(moved) > len(changed) else changed)
    if restated:
        draft.put(restatements=draft.state.restatements + 1)
    return (*rows, *restated)


def _restatements(draft: Draft, moved: Iterable[str]) -> tuple[AdjustmentRow, ...]:
    before, after, now_ms = draft.before, draft.state, draft.now_ms
    fees = _fees_restated(before, after)
    rows: list[AdjustmentRow] = []
    for token_id in moved:
        old, new = before.position(token_id), after.position(token_id)
        shares, cost, proceeds, realized = _difference(old, new, draft.effects)
        fee = fees.get(token_id, 0)
        if shares == cost == proceeds == realized == fee == 0:
            continue
        place = after.token(token_id)
        rows.append(
            AdjustmentRow(
                wallet=after.wallet,
                entry_id=f"restated:{after.restatements + 1}",
                market_id=after.market_id,
                condition_id=place[0].condition_id if place is not None else "",
                token_id=token_id,
                cause=draft.restated_as,
                size_micro=shares,
                cost_micro=cost,
                proceeds_micro=proceeds,
                realized_pnl_micro=realized,
                fee_micro=fee,
                estimated=False,
                evidence=draft.evidence_of.get(token_id, draft.evidence),
                economic_at_ms=now_ms,
                at_ms=now_ms,
            )
        )
    return tuple(rows)


def _fees_restated(before: MarketState, after: MarketState) -> dict[str, int]:
    """By token, the fees of adjustments that count otherwise than their rows say; a fill's are in its own row.

    Where a trade took the place of an external one, that one's fee goes with it, and the fill's own comes (D-12).
    """
    fees: dict[str, int] = {}
    if before.adjustments is after.adjustments:
        return fees
    for name, booked in after.adjustments.items():
        entry, known = booked.entry, before.adjustments.get(name)
        if isinstance(entry, Trade) and entry.fee_micro:
            counted = known is None or not known.superseded
            change = (not booked.superseded) - counted
            fees[entry.token_id] = fees.get(entry.token_id, 0) + change * entry.fee_micro
    return fees


def _difference(old: Position, new: Position, effects: Iterable[EntryEffect]) -> tuple[int, int, int, int]:
    """What changed of a token beyond the ``effects`` on it: shares, cost, proceeds, realised P&L."""
    shares = new.shares_micro - old.shares_micro
    cost = new.cost_basis_micro - old.cost_basis_micro
    proceeds = new.proceeds_micro - old.proceeds_micro
    realized = new.realized_pnl_micro - old.realized_pnl_micro
    for effect in effects:
        if effect.token_id == new.token_id:
            shares -= effect.shares_micro
            cost -= effect.cost_micro
            proceeds -= effect.proceeds_micro
            realized -= effect.realized_pnl_micro
    return shares, cost, proceeds, realized
