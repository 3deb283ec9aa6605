"""Orders: messages as they come, and complete lists from the CLOB, which is the truth for them (L-05, L-06, L-13).

An order of ours that the list lacks is closed only by its looked-up fate; an order that we lack is ordinary when it is
younger than the last complete list, else unknown (R-04). Matched sizes only rise, and what they show beyond the trades
is booked provisionally (D-03).
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from portfolio.booking import put_order
from portfolio.comparison import order_value
from portfolio.entries import EconomicTime, FillState
from portfolio.events import OrderSeen
from portfolio.facts import OpenOrder, OrderStatus
from portfolio.outcomes import DeltaType, IssueAction, IssueRow, Severity
from portfolio.provisional import ORDER_RANK, adopted, given_up, merged, provisional_fills
from portfolio.reasons import IssueType
from portfolio.rows import NS_PER_MS
from portfolio.state import Draft, fill_shares
from portfolio.superseding import inferred_adjustment
from portfolio.units import format_micro
from portfolio.views import ExternalView, OrderState, OrdersView

MS_PER_S = 1000


class OrderChange(msgspec.Struct, frozen=True, kw_only=True):
    """What the list changed of one order; ``drift_micro`` is |Δ (remaining × limit price)| where it was unexpected."""

    order_id: str
    condition_id: str
    delta_type: DeltaType
    drift_micro: int
    cause: str
    before_micro: int
    after_micro: int


class OrdersResult(msgspec.Struct, frozen=True, kw_only=True):
    """All changes, and how many late or falling matched sizes were met and ignored (L-05)."""

    changes: tuple[OrderChange, ...]
    regressions: int


def see_order(draft: Draft, event: OrderSeen) -> None:
    """Take in a message about an order of ours, whatever came before it and however often it comes (L-05, L-07).

    An order that was first found in a list is the cycle's to judge: it may be unknown, and is left alone then where the
    policy says so (R-04).
    """
    shown, at_ns = event.order, event.at_ms * NS_PER_MS
    known = draft.state.orders.get(shown.order_id)
    if known is None:
        if event.feed == "backfill" or shown.order_id in draft.state.ignored_orders:
            return
        _follow_alone(draft, adopted(shown, at_ns, _booked(draft, shown.order_id), draft.now_ms))
        return
    order = merged(known, shown, at_ns)
    if order == known:
        told, found = ((one.size_matched_micro, ORDER_RANK[one.status]) for one in (shown, known))
        draft.counted.append("repeated_order_message" if told == found else "late_order_message")
        return
    _follow_alone(draft, order)


def _follow_alone(draft: Draft, order: OrderState) -> None:
    """Follow the one order of an event: it is the evidence for the other outcome too, where a pair was merged since."""
    follow(draft, order)
    draft.evidence = draft.evidence_of.get(order.token_id, draft.evidence)


def follow(draft: Draft, order: OrderState) -> None:
    """Put an order in its place, and book what its figure shows beyond its trades at the limit price (D-03, R-11).

    Where an inferred adjustment turns out to be that quantity, it is no longer needed: the balance that it was inferred
    from has shown the quantity (D-12).
    """
    known = draft.state.orders.get(order.order_id)
    if not put_order(draft, order):
        return
    order = draft.state.orders[order.order_id]
    since = [EconomicTime(one.matched_at_ns) for one in (known, order) if one is not None and one.waiting_micro]
    in_flight = [fill for fill in provisional_fills(order) if fill.state is FillState.PROVISIONAL]
    for fill in in_flight:
        placed_at = EconomicTime(order.created_at_ms * NS_PER_MS)
        replaced = inferred_adjustment(draft, (fill.token_id, fill_shares(fill)), placed_at)
        if replaced is not None:
            draft.put_adjustment(replace(replaced, superseded=True))
            since.append(replaced.entry.at)
            put_order(draft, replace(order, proven_micro=order.waiting_micro))
    draft.refold(min(since))
    matched = format_micro(order.size_matched_micro)
    if not draft.evidence:
        text = f"order {order.order_id} shows {matched} matched, its trades were not all seen"
        draft.evidence_of.setdefault(order.token_id, text)


def _booked(draft: Draft, order_id: str) -> int:
    return sum(booked.fill.size_micro for booked in draft.state.fills.values() if booked.fill.order_id == order_id)


def reconcile_orders(draft: Draft, view: ExternalView, orders: OrdersView) -> OrdersResult:
    """Apply a complete list to the market's orders."""
    changes: list[OrderChange] = []
    regressions = 0
    shown = {order.order_id: order for order in orders.orders}
    at_ns = orders.read_at_ms * NS_PER_MS
    for order_id in sorted(shown):
        known = draft.state.orders.get(order_id)
        if known is None:
            changes.extend(_unknown(draft, view, orders, shown[order_id]))
        elif _late(known, shown[order_id]):
            regressions += 1
        else:
            changes.extend(_seen_again(draft, view, (known, merged(known, shown[order_id], at_ns))))
    fates = {fate.order_id: fate for fate in orders.fates}
    for order_id in sorted(set(draft.state.orders) - set(shown)):
        known = draft.state.orders[order_id]
        if known.closed_at_ms is None and order_id in fates:
            changes.extend(_left(draft, view, (known, at_ns), fates[order_id].order))
    _note_resolved(draft, view)
    return OrdersResult(changes=tuple(changes), regressions=regressions)


def _note_resolved(draft: Draft, view: ExternalView) -> None:
    """Orders that live on in a market decided on chain: the exchange cancels them, until then it is said (L-27)."""
    decided = {payout.condition_id for payout in (view.chain.payouts if view.chain is not None else ())}
    for order in draft.state.orders.values():
        if order.condition_id in decided and order.status.live and not order.noted_resolved:
            draft.put_order(replace(order, noted_resolved=True))
            texts = (order.status.value, "listed", "the market is decided on chain; the exchange has not cancelled it")
            what = (IssueType.ORDER_IN_RESOLVED_MARKET, IssueAction.LOGGED)
            _issue(draft, view, what, order.order_id, texts)


def _late(known: OrderState, shown: OpenOrder) -> bool:
    """Whether the list shows an older state than is known: a smaller matched size, or life after a known end (L-05).

    A GONE order had no known end: when a complete list shows it, it is back.
    """
    ended = not known.status.live and known.status is not OrderStatus.GONE
    return ended or shown.size_matched_micro < known.size_matched_micro


def _unknown(draft: Draft, view: ExternalView, orders: OrdersView, shown: OpenOrder) -> tuple[OrderChange, ...]:
    """An order that we do not hold: ordinary, adopted with an issue, or only reported (R-04)."""
    if shown.order_id in draft.state.ignored_orders:
        return ()
    foreign = shown.owner not in view.own_keys
    previous = orders.previous_read_at_ms
    too_old = previous is not None and shown.created_at_ms // MS_PER_S < previous // MS_PER_S
    unexpected = (foreign or too_old) and previous is not None
    value = order_value(shown.remaining_micro, shown.price_micro)
    if unexpected:
        action = IssueAction.CORRECTED if view.policy.adopt_unknown_orders else IssueAction.REQUIRES_MANUAL
        cause = "placed by a key that is not configured" if foreign else "created before the last complete list"
        texts = ("0.0", _size(shown), cause)
        _issue(draft, view, (IssueType.ORDER_UNKNOWN, action), shown.order_id, texts)
    if unexpected and not view.policy.adopt_unknown_orders:
        draft.put(ignored_orders=(*draft.state.ignored_orders, shown.order_id))
        return ()
    order = adopted(shown, orders.read_at_ms * NS_PER_MS, _booked(draft, shown.order_id), draft.now_ms)
    if view.opening:
        # What was matched before the books were opened is part of the opening balance.
        order = given_up(order)
    follow(draft, order)
    drift = value if unexpected else 0
    cause = IssueType.ORDER_UNKNOWN.value if unexpected else ""
    return (_change(shown, DeltaType.ADDED, drift, cause, (0, value)),)


def _seen_again(draft: Draft, view: ExternalView, orders: tuple[OrderState, OrderState]) -> tuple[OrderChange, ...]:
    """A known order: its venue figure may rise; what is matched but not booked yet is drift (a missed trade)."""
    known, updated = orders
    if updated == known:
        return ()
    if known.status is OrderStatus.GONE:
        return _returned(draft, view, known, updated)
    follow(draft, updated)
    before = order_value(known.remaining_micro, known.price_micro)
    after = order_value(updated.remaining_micro, updated.price_micro)
    if before == after:
        return ()
    # What can still be filled shrank although no booked fill says so.
    texts = (_text(known), _text(updated), "matched on the exchange before its trade was seen")
    _issue(draft, view, (IssueType.ORDER_DRIFT, IssueAction.CORRECTED), known.order_id, texts)
    drift = order_value(_matched_since(known, updated), known.price_micro)
    return (_change(known, DeltaType.UPDATED, drift, "", (before, after)),)


def _matched_since(known: OrderState, updated: OrderState) -> int:
    """Shares that the list shows matched and that neither a message nor a trade had shown (R-03)."""
    return max(0, updated.size_matched_micro - max(known.size_matched_micro, known.booked_micro))


def _returned(draft: Draft, view: ExternalView, known: OrderState, updated: OrderState) -> tuple[OrderChange, ...]:
    """An order that was given up as gone and is on the exchange after all: the exchange is the truth (L-13)."""
    follow(draft, updated)
    value = order_value(updated.remaining_micro, updated.price_micro)
    texts = (_text(known), _text(updated), "was given up as gone and is listed again")
    _issue(draft, view, (IssueType.ORDER_DRIFT, IssueAction.CORRECTED), known.order_id, texts)
    return (_change(known, DeltaType.ADDED, value, IssueType.ORDER_DRIFT.value, (0, value)),)


def _left(
    draft: Draft, view: ExternalView, held: tuple[OrderState, int], fate: OpenOrder | None
) -> tuple[OrderChange, ...]:
    """An order that left the list, by its fate. A fate that says live proves that the list was short: no change.

    One that left before and waits for its last fills has nothing more to report.
    """
    known, at_ns = held
    if not known.status.live or (fate is not None and fate.status.live):
        return ()
    value = order_value(known.remaining_micro, known.price_micro)
    if fate is None:
        closed = replace(known, status=OrderStatus.GONE)
        texts = (_text(known), "unknown to the exchange", "gone, cause unknown")
        _issue(draft, view, (IssueType.ORDER_GONE, IssueAction.CORRECTED), known.order_id, texts)
        drift, cause = value, IssueType.ORDER_GONE.value
    else:
        closed = merged(known, fate, at_ns)
        drift, cause = order_value(_matched_since(known, closed), known.price_micro), ""
    follow(draft, closed)
    return (_change(known, DeltaType.REMOVED, drift, cause, (value, 0)),)


def _change(
    order: OpenOrder | OrderState, delta_type: DeltaType, drift: int, cause: str, values: tuple[int, int]
) -> OrderChange:
    return OrderChange(
        order_id=order.order_id,
        condition_id=order.condition_id,
        delta_type=delta_type,
        drift_micro=drift,
        cause=cause,
        before_micro=values[0],
        after_micro=values[1],
    )


def _issue(
    draft: Draft, view: ExternalView, what: tuple[IssueType, IssueAction], order_id: str, texts: tuple[str, str, str]
) -> None:
    kind, action = what
    draft.rows.append(
        IssueRow(
            wallet=draft.state.wallet,
            type=kind.value,
            severity=Severity.WARN,
            action=action,
            market_id=draft.state.market_id,
            subject=order_id,
            before=texts[0],
            after=texts[1],
            cause=texts[2],
            cycle_id=view.cycle_id,
            at_ms=draft.now_ms,
        )
    )


def _size(order: OpenOrder) -> str:
    return f"{order.side.value} {order.remaining_micro} micro at {order.price_micro} micro"


def _text(order: OrderState) -> str:
    return f"{order.side.value} {order.remaining_micro} micro at {order.price_micro} micro, {order.status.value}"
