"""Booking a fill: exactly once, whatever the feed, the order or the repetition (L-01, D-02, D-03).

The key is (trade id, order id). The first sight books it; later sights move its status forward, bring a hash or a finer
time, or repeat what is known. A trade that stops or begins again to count is stated as a row of its own.
"""

from __future__ import annotations

from msgspec.structs import replace

from portfolio.entries import EFFECTIVE, OBSERVED, SETTLED, Carry, Cause, EconomicTime, Fill, FillState
from portfolio.events import FillSeen
from portfolio.facts import TAKER, Side, TradeStatus
from portfolio.fees import FeeSchedule, taker_fee_micro
from portfolio.invariants import fill_breaches, order_breaches
from portfolio.outcomes import FillObservationRow, FillRow, IssueRow
from portfolio.position import EntryEffect
from portfolio.provisional import PROVISIONAL, ended, provisional_fills, with_booked, with_trade
from portfolio.reasons import ISSUES, IssueType
from portfolio.rows import fill_row, order_row
from portfolio.state import BookedFill, Draft, NotedChange, fill_key, fill_shares
from portfolio.superseding import by_log, inferred_adjustment
from portfolio.trades import TradeLeg
from portfolio.units import format_micro
from portfolio.views import OrderState

STATUS_RANK = {
    TradeStatus.MATCHED_NOT_BROADCASTED: 0,
    TradeStatus.MATCHED: 1,
    TradeStatus.RETRYING: 2,
    TradeStatus.MINED: 3,
    TradeStatus.FAILED: 4,
    TradeStatus.CONFIRMED: 5,
}
"""A status only moves to a higher rank (L-03); settlement above failure, so that the two end alike in any order."""

_STATES = {TradeStatus.CONFIRMED: SETTLED, TradeStatus.FAILED: FillState.FAILED}
"""What a fill's state is by its trade's status; in flight with any other."""

REVERSED = frozenset({FillState.FAILED, FillState.EXPIRED})
"""States of a fill that was taken back; should it settle after all, it is reinstated under its key (R-10)."""


def see_fill(draft: Draft, event: FillSeen) -> None:
    """Book a leg, enrich what is known of it, or recognise a repetition, which changes nothing (L-19)."""
    leg = event.leg
    known = draft.state.fills.get(fill_key(leg.trade_id, leg.order_id))
    if known is None:
        _book(draft, leg)
    else:
        seen = _enriched(draft, known, leg)
        if seen == known:
            late = STATUS_RANK[leg.status] < STATUS_RANK[known.status]
            draft.counted.append("late_trade_message" if late else "repeated_trade_message")
            return
        draft.evidence = f"trade {leg.trade_id} {leg.status.value}"
        change_fill(draft, known, replace(seen, updated_at_ms=draft.now_ms))
    if draft.wants_rows:
        draft.rows.append(_observation(draft, event))


def _observation(draft: Draft, event: FillSeen) -> FillObservationRow:
    leg = event.leg
    return FillObservationRow(
        wallet=draft.state.wallet,
        trade_id=leg.trade_id,
        order_id=leg.order_id,
        status=leg.status,
        feed=event.feed,
        at_ms=draft.now_ms,
    )


def _book(draft: Draft, leg: TradeLeg) -> None:
    draft.evidence = f"trade {leg.trade_id}, order {leg.order_id}"
    fill = _entry(draft, leg)
    since, shown, refolds = fill.at, "", False
    order = draft.state.orders.get(fill.order_id)
    if order is not None:
        counted, proven = with_trade(order, fill)
        shown = "a balance that showed it before its trade was seen" if proven else ""
        put_order(draft, counted)
        if order.waiting_micro:
            since, refolds = min(since, EconomicTime(order.matched_at_ns)), True
    replaced, logged = None, False
    if draft.state.adjustments and fill.state.effective and not shown:
        replaced = inferred_adjustment(draft, (fill.token_id, fill_shares(fill)), fill.at, fill.transaction_hash)
    if replaced is not None:
        draft.put_adjustment(replace(replaced, superseded=True))
        since, shown, refolds = min(since, replaced.entry.at), replaced.entry.evidence, True
        fill, logged = by_log(fill, replaced.entry)
    if shown and fill.state is OBSERVED:
        fill = replace(fill, state=SETTLED, settled_by=shown)
    booked = BookedFill(
        fill=fill,
        status=leg.status,
        proven=bool(shown),
        realized_pnl_micro=0,
        booked_at_ms=draft.now_ms,
        updated_at_ms=draft.now_ms,
        told=_told(leg),
        hash_told=_hash_told(leg),
        logged=logged,
    )
    booked = _folded(draft, booked, since if refolds else None, own=replaced is not None)
    if draft.wants_rows:
        draft.rows.append(fill_row(draft.state, booked))
        draft.breaches += fill_breaches(fill)
    if fill.external and fill.state.effective and replaced is None:
        _note_external(draft, fill)


def _folded(draft: Draft, booked: BookedFill, since: EconomicTime | None, *, own: bool) -> BookedFill:
    """Put a new fill and bring it into the positions; ``since`` None: nothing else changed with it."""
    fill = booked.fill
    if since is None and fill.state in EFFECTIVE:
        return draft.append_fill(booked)
    draft.put_fill(booked)
    if since is None:
        return booked
    folded = draft.refold(since)
    if not fill.state.effective:
        return booked
    effects = (_own_effect(fill),) if own else folded.by_entry()[fill.entry_id]
    draft.effects.extend(effects)
    return draft.with_realized(booked, effects)


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
    rate, exponent = (None, None) if meta is None else (meta.fee_rate_micro, meta.fee_exponent)
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
        fee_micro=_fee(leg, rate, exponent),
        state=_STATES.get(leg.status, OBSERVED),
        owner=leg.owner,
        external=leg.external,
    )
    # Apart, for a call with more than fifteen names goes through a dict and takes CPython five times as long.
    fill = replace(fill, transaction_hash=leg.transaction_hash, fee_rate_micro=rate, fee_exponent=exponent)
    if draft.state.adjustments and fill.state is SETTLED and _before_opening(draft, fill):
        return replace(fill, state=FillState.SUPERSEDED, settled_by="history before the opening entry")
    return fill


def _fee(leg: TradeLeg, rate_micro: int | None, exponent: int | None) -> int:
    """The taker's fee by the market's schedule; a maker pays only a builder's, which the log on chain shows (R-20)."""
    if leg.role is not TAKER or rate_micro is None:
        return 0
    return taker_fee_micro(leg.levels, FeeSchedule(rate_micro=rate_micro, exponent=1 if exponent is None else exponent))


def _state_of(status: TradeStatus) -> FillState:
    return _STATES.get(status, OBSERVED)


def _told(leg: TradeLeg) -> tuple[int, int]:
    return (STATUS_RANK[leg.status], leg.updated_at_ms)


def _hash_told(leg: TradeLeg) -> tuple[int, int]:
    """A message without a hash takes none away, and any message with one brings one."""
    return (leg.updated_at_ms, 1 + STATUS_RANK[leg.status]) if leg.transaction_hash else (0, 0)


def _before_opening(draft: Draft, fill: Fill) -> bool:
    """Whether the token was opened with its whole balance after this fill: then the fill is history (R-23)."""
    return any(
        isinstance(booked.entry, Carry)
        and booked.entry.cause is Cause.OPENING
        and booked.entry.token_id == fill.token_id
        and fill.at < booked.entry.at
        for booked in draft.state.adjustments.values()
    )


def _enriched(draft: Draft, known: BookedFill, leg: TradeLeg) -> BookedFill:
    """What is known with what the leg adds; the same in whichever order messages come (D-02).

    The message of the highest rank, of equals the latest, gives status and terms; the latest one with a hash gives the
    hash; the finest match time counts, for the stream shows whole seconds only.
    """
    fill = known.fill
    matched_at_ns = max(fill.at.at_ns, leg.matched_at_ns)
    if matched_at_ns != fill.at.at_ns:
        fill = replace(fill, at=EconomicTime(matched_at_ns, leg.trade_id, leg.order_id))
    if (_hash_told(leg), leg.transaction_hash or "") > (known.hash_told, fill.transaction_hash or ""):
        fill = replace(fill, transaction_hash=leg.transaction_hash)
    known = replace(known, fill=fill, hash_told=max(known.hash_told, _hash_told(leg)))
    told = retold(fill, leg, logged=known.logged)
    if (_told(leg), _terms(told)) <= (known.told, _terms(fill)):
        return known
    if _terms(told) != _terms(fill):
        draft.rows.append(_repriced(draft, fill, leg))
        draft.breaches.extend(fill_breaches(told))
    return replace(known, fill=told, status=leg.status, told=_told(leg))


def retold(fill: Fill, leg: TradeLeg, *, logged: bool) -> Fill:
    """The fill by another message: its state, and the exchange's terms; the chain's amounts stand (R-11)."""
    stands = logged and (leg.side, leg.size_micro) == (fill.side, fill.size_micro)
    return replace(
        fill,
        state=next_state(fill.state, leg.status),
        side=leg.side,
        price_micro=leg.price_micro,
        size_micro=leg.size_micro,
        amount_micro=fill.amount_micro if stands else leg.amount_micro,
        fee_micro=fill.fee_micro if stands else _fee(leg, fill.fee_rate_micro, fill.fee_exponent),
    )


def _terms(fill: Fill) -> tuple[object, ...]:
    return (fill.side.value, fill.price_micro, fill.size_micro, fill.amount_micro, fill.fee_micro)


def next_state(state: FillState, status: TradeStatus) -> FillState:
    """Only an end changes what a balance has shown; only a settlement brings an expired fill back (R-10)."""
    if state is FillState.SUPERSEDED:
        return state
    told = _state_of(status)
    if told is FillState.OBSERVED and not (state is FillState.EXPIRED and status is TradeStatus.MINED):
        return state
    return told


def change_fill(draft: Draft, known: BookedFill, booked: BookedFill) -> None:
    """Put ``booked`` in the place of ``known``: fold what that changes, and say when it began or ceased to count."""
    old, new = known.fill, booked.fill
    draft.put_fill(booked)
    order = draft.state.orders.get(new.order_id)
    since = min(old.at, new.at)
    if order is not None and new.size_micro != old.size_micro:
        since = min(since, EconomicTime(order.matched_at_ns))
        put_order(draft, with_booked(order, new.size_micro - old.size_micro))
    if _economics(old) != _economics(new):
        draft.refold(since)
    elif new.state is FillState.SETTLED and old.state is FillState.OBSERVED:
        draft.settle(new)
    draft.rows.append(fill_row(draft.state, booked))
    if old.state.effective and not new.state.effective:
        note(draft, new, -fill_shares(old), cause=f"FILL_{new.state.value}")
    elif new.state.effective and not old.state.effective:
        draft.restated_as = Cause.REINSTATED
        issue(draft, IssueType.FILL_REINSTATED, new, (old.state.value, new.state.value, "it settled after all"))
        note(draft, new, fill_shares(new), cause="FILL_REINSTATED")


def _economics(fill: Fill) -> tuple[object, ...]:
    """All that a position depends on, but for whether the fill is seen on chain."""
    return (fill.state.effective, fill.at, fill.side, fill.size_micro, fill.amount_micro, fill.fee_micro)


def put_order(draft: Draft, order: OrderState) -> bool:
    """Insert or replace an order, closed if it is done; whether its provisional fills changed (the caller folds)."""
    known = draft.state.orders.get(order.order_id)
    order = ended(order, draft.now_ms)
    if order == known:
        return False
    draft.put_order(order)
    draft.rows.append(order_row(draft.state, order))
    draft.breaches.extend(order_breaches(known, order))
    before = provisional_fills(known) if known is not None else ()
    after = provisional_fills(order)
    if before == after:
        return False
    draft.rows.append(_provisional_row(draft, order, after or before))
    return True


def _provisional_row(draft: Draft, order: OrderState, fills: tuple[Fill, ...]) -> FillRow:
    """The order's notice: what is provisional of it now; superseded where the trades have taken its place."""
    waiting = order.waiting_micro
    fill = replace(fills[-1], size_micro=waiting, amount_micro=sum(fill.amount_micro for fill in fills))
    if waiting == 0:
        state, by = (FillState.EXPIRED, "") if order.given_up_micro else (FillState.SUPERSEDED, "the order's trades")
        fill = replace(fill, amount_micro=0, state=state, settled_by=by)
    booked = BookedFill(
        fill=fill,
        status=TradeStatus.MATCHED,
        proven=False,
        realized_pnl_micro=0,
        booked_at_ms=draft.now_ms,
        updated_at_ms=draft.now_ms,
    )
    return fill_row(draft.state, booked)


def _repriced(draft: Draft, fill: Fill, leg: TradeLeg) -> IssueRow:
    texts = (
        f"{fill.side.value} {format_micro(fill.size_micro)} at {format_micro(fill.price_micro)}",
        f"{leg.side.value} {format_micro(leg.size_micro)} at {format_micro(leg.price_micro)}",
        "the exchange changed the terms of the trade",
    )
    return _issue_row(draft, IssueType.FILL_REPRICED, fill, texts)


def issue(draft: Draft, kind: IssueType, fill: Fill, texts: tuple[str, str, str]) -> None:
    """Record an issue about a fill: before, after, likely cause (L-22)."""
    draft.rows.append(_issue_row(draft, kind, fill, texts))


def _issue_row(draft: Draft, kind: IssueType, fill: Fill, texts: tuple[str, str, str]) -> IssueRow:
    subject = fill.order_id if fill.trade_id == PROVISIONAL else fill_key(fill.trade_id, fill.order_id)
    return IssueRow(
        wallet=draft.state.wallet,
        type=kind.value,
        severity=ISSUES[kind].severity,
        action=ISSUES[kind].action,
        market_id=draft.state.market_id,
        subject=subject,
        before=texts[0],
        after=texts[1],
        cause=texts[2],
        cycle_id="",
        at_ms=draft.now_ms,
    )


def _note_external(draft: Draft, fill: Fill) -> None:
    cause = Cause.EXTERNAL_BUY if fill.side is Side.BUY else Cause.EXTERNAL_SALE
    note(draft, fill, fill_shares(fill), cause=cause.value)


def note(draft: Draft, fill: Fill, shares: int, cause: str) -> None:
    """Leave a change for the next cycle to report (R-22, R-25)."""
    evidence = f"trade {fill.trade_id}"
    if fill.transaction_hash:
        evidence += f", transaction {fill.transaction_hash}"
    change = NotedChange(
        condition_id=fill.condition_id,
        token_id=fill.token_id,
        shares_micro=shares,
        cause=cause,
        evidence=evidence,
    )
    draft.put(noted=(*draft.state.noted, change))
