"""Booking a fill: exactly once, whatever the feed, the order or the repetition (L-01, D-02, D-03).

The key is (trade id, order id). The first sight books it; later sights only move its status forward. A failed trade
stops counting, and what that changes of earlier numbers is stated as a row of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from portfolio.entries import Carry, Cause, EconomicTime, Fill, FillState
from portfolio.entries import Trade as ExternalTrade
from portfolio.events import FillSeen
from portfolio.facts import Role, Side, TradeStatus
from portfolio.fees import FeeSchedule, Level, taker_fee_micro
from portfolio.outcomes import FillObservationRow
from portfolio.position import EntryEffect
from portfolio.rows import fill_row, order_row, position_row, restatement
from portfolio.state import BookedAdjustment, BookedFill, Draft, NotedChange, fill_key, fill_shares
from portfolio.trades import TradeLeg

STATUS_RANK = {
    TradeStatus.MATCHED_NOT_BROADCASTED: 0,
    TradeStatus.MATCHED: 1,
    TradeStatus.MINED: 2,
    TradeStatus.RETRYING: 3,
    TradeStatus.CONFIRMED: 4,
    TradeStatus.FAILED: 4,
}
"""A status only moves to a higher rank; the two terminal ones never replace each other (L-03)."""

INFERRED = frozenset(
    {
        Cause.UNTRACKED_INCREASE,
        Cause.UNTRACKED_REDUCTION,
        Cause.EXTERNAL_BUY,
        Cause.EXTERNAL_SALE,
        Cause.TRANSFER_IN,
        Cause.TRANSFER_OUT,
    }
)
"""Causes of inferred single-token adjustments that a trade which arrives later may replace (D-12)."""


def see_fill(draft: Draft, event: FillSeen) -> None:
    """Book a leg, move its status forward, or recognise a repetition, which changes nothing (L-19)."""
    leg = event.leg
    known = draft.state.fills.get(fill_key(leg.trade_id, leg.order_id))
    if known is None:
        _book(draft, leg)
    elif STATUS_RANK[leg.status] > STATUS_RANK[known.status]:
        _advance(draft, known, leg)
    else:
        return
    draft.rows.append(
        FillObservationRow(
            wallet=draft.state.wallet,
            trade_id=leg.trade_id,
            order_id=leg.order_id,
            status=leg.status,
            feed=event.feed,
            at_ms=draft.now_ms,
        )
    )


def _book(draft: Draft, leg: TradeLeg) -> None:
    before = dict(draft.state.positions)
    fill = _entry(draft, leg)
    replaced = _explained_adjustment(draft, fill)
    if replaced is not None:
        draft.put_adjustment(msgspec.structs.replace(replaced, superseded=True))
        fill = _shown_by(replaced, fill)
    booked = BookedFill(
        fill=fill,
        status=leg.status,
        proven=replaced is not None,
        realized_pnl_micro=0,
        booked_at_ms=draft.now_ms,
        updated_at_ms=draft.now_ms,
    )
    draft.put_fill(booked)
    effects: tuple[EntryEffect, ...] = ()
    if replaced is not None:
        draft.refold()
        effects = (_own_effect(fill),)
    elif fill.state.effective:
        effects = draft.append(fill)
    realized = sum(effect.realized_pnl_micro for effect in effects)
    if realized != 0:
        booked = msgspec.structs.replace(booked, realized_pnl_micro=realized)
        draft.put_fill(booked)
    draft.rows.append(fill_row(draft.state, booked))
    state_restatements(draft, before, effects, evidence=f"trade {leg.trade_id}, order {leg.order_id}")
    if fill.external and fill.state.effective and replaced is None:
        _note_external(draft, fill)
    _count_in_order(draft, fill)


def _shown_by(replaced: BookedAdjustment, fill: Fill) -> Fill:
    """The fill as the witness that showed the inferred adjustment settles it: what it explains was seen on chain."""
    if fill.state is not FillState.OBSERVED:
        return fill
    return msgspec.structs.replace(fill, state=FillState.SETTLED, settled_by=replaced.entry.evidence)


def _own_effect(fill: Fill) -> EntryEffect:
    """What the fill itself did, where it took the place of an inferred adjustment: shares and cost at its own price."""
    shares = fill_shares(fill)
    return EntryEffect(
        entry_id=fill.entry_id,
        token_id=fill.token_id,
        shares_micro=shares,
        cost_micro=fill.amount_micro if shares > 0 else 0,
        proceeds_micro=fill.amount_micro if shares < 0 else 0,
        realized_pnl_micro=0,
    )


def _entry(draft: Draft, leg: TradeLeg) -> Fill:
    meta = draft.state.meta_of(leg.condition_id)
    fee = 0
    if leg.role is Role.TAKER and meta is not None and meta.fee_rate_micro is not None:
        exponent = 1 if meta.fee_exponent is None else meta.fee_exponent
        schedule = FeeSchedule(rate_micro=meta.fee_rate_micro, exponent=exponent)
        fee = taker_fee_micro((Level(shares_micro=size, price_micro=price) for size, price in leg.levels), schedule)
    fill = Fill(
        entry_id=f"fill:{fill_key(leg.trade_id, leg.order_id)}",
        at=EconomicTime(leg.matched_at_ns, leg.trade_id, leg.order_id),
        trade_id=leg.trade_id,
        order_id=leg.order_id,
        condition_id=leg.condition_id,
        token_id=leg.token_id,
        side=leg.side,
        role=leg.role,
        price_micro=leg.price_micro,
        size_micro=leg.size_micro,
        amount_micro=leg.amount_micro,
        fee_micro=fee,
        state=_state_of(leg.status),
        owner=leg.owner,
        external=leg.external,
        transaction_hash=leg.transaction_hash,
    )
    if fill.state is FillState.SETTLED and _before_opening(draft, fill):
        return msgspec.structs.replace(fill, state=FillState.SUPERSEDED, settled_by="history before the opening entry")
    return fill


def _state_of(status: TradeStatus) -> FillState:
    if status is TradeStatus.CONFIRMED:
        return FillState.SETTLED
    return FillState.FAILED if status is TradeStatus.FAILED else FillState.OBSERVED


def _before_opening(draft: Draft, fill: Fill) -> bool:
    """Whether the token was opened with its whole balance after this fill: then the fill is history (R-23)."""
    return any(
        isinstance(booked.entry, Carry)
        and booked.entry.cause is Cause.OPENING
        and booked.entry.token_id == fill.token_id
        and fill.at < booked.entry.at
        for booked in draft.state.adjustments.values()
    )


def _explained_adjustment(draft: Draft, fill: Fill) -> BookedAdjustment | None:
    """The oldest inferred adjustment that this fill turns out to be: same token, same shares, not older (D-12)."""
    candidates = [
        booked
        for booked in draft.state.adjustments.values()
        if isinstance(booked.entry, Carry | ExternalTrade)
        and not booked.superseded
        and booked.entry.estimated
        and booked.entry.cause in INFERRED
        and booked.entry.token_id == fill.token_id
        and sum(effect.shares_micro for effect in booked.effects) == fill_shares(fill)
        and fill.at < booked.entry.at
    ]
    if not candidates or not fill.state.effective:
        return None
    return min(candidates, key=lambda booked: (booked.entry.at, booked.entry.entry_id))


def _advance(draft: Draft, known: BookedFill, leg: TradeLeg) -> None:
    """Move a known fill to a later status; a failure takes it out of the fold and states what that changed."""
    before = dict(draft.state.positions)
    was_effective = known.fill.state.effective
    state = known.fill.state if known.fill.state is FillState.SUPERSEDED else _state_of(leg.status)
    if state is FillState.OBSERVED and known.fill.state is FillState.SETTLED:
        state = FillState.SETTLED
    fill = msgspec.structs.replace(
        known.fill, state=state, transaction_hash=leg.transaction_hash or known.fill.transaction_hash
    )
    booked = msgspec.structs.replace(known, fill=fill, status=leg.status, updated_at_ms=draft.now_ms)
    draft.put_fill(booked)
    failed = was_effective and not fill.state.effective
    if failed:
        draft.refold()
    elif fill.state is FillState.SETTLED and known.fill.state is FillState.OBSERVED:
        draft.settle(fill)
    draft.rows.append(fill_row(draft.state, booked))
    state_restatements(draft, before, (), evidence=f"trade {leg.trade_id} {leg.status.value}")
    if failed:
        _note(draft, fill, -fill_shares(fill), cause="FILL_FAILED", pausing=False)


def state_restatements(
    draft: Draft, before: Mapping[str, object], effects: tuple[EntryEffect, ...], evidence: str
) -> None:
    """Write the positions that changed, and one RESTATED row per token for what is not an entry's own effect.

    So Σ of all rows is the position at every instant, whichever order the facts came in (D-02, L-10).
    """
    after = draft.state.positions
    # A token whose only fill failed is in no fold any more; its row must still go to zero.
    for token_id in sorted({*before, *after}):
        if before.get(token_id) != after.get(token_id):
            draft.rows.append(position_row(draft.state, token_id, draft.now_ms))
    draft.rows.extend(restatement(draft.before, draft.state, effects, evidence, draft.now_ms))


def _count_in_order(draft: Draft, fill: Fill) -> None:
    """Count the fill in its order, once and for good: a failure does not lower what was matched (D-03, L-05).

    An order leaves the live set once all it was matched by has been seen (L-06).
    """
    order = draft.state.orders.get(fill.order_id)
    if order is None:
        return
    booked = order.booked_micro + fill.size_micro
    order = msgspec.structs.replace(order, booked_micro=booked)
    if order.closed_at_ms is None and not order.status.live and booked >= order.size_matched_micro:
        order = msgspec.structs.replace(order, closed_at_ms=draft.now_ms)
    draft.put_order(order)
    draft.rows.append(order_row(draft.state, order))


def _note_external(draft: Draft, fill: Fill) -> None:
    cause = Cause.EXTERNAL_BUY if fill.side is Side.BUY else Cause.EXTERNAL_SALE
    _note(draft, fill, fill_shares(fill), cause=cause.value, pausing=True)


def _note(draft: Draft, fill: Fill, shares: int, cause: str, *, pausing: bool) -> None:
    evidence = f"trade {fill.trade_id}"
    if fill.transaction_hash:
        evidence += f", transaction {fill.transaction_hash}"
    note = NotedChange(
        condition_id=fill.condition_id,
        token_id=fill.token_id,
        shares_micro=shares,
        cause=cause,
        evidence=evidence,
        pausing=pausing,
    )
    draft.put(noted=(*draft.state.noted, note))
