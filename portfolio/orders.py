"""Bringing a market's orders together with a complete list from the CLOB, which is the truth for them (L-06, L-13).

An order of ours that the list lacks is closed only by its looked-up fate; an order that we lack is ordinary when it is
younger than the last complete list, else unknown (R-04). Matched sizes only rise (L-05).
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from portfolio.comparison import order_value
from portfolio.facts import OpenOrder, OrderStatus
from portfolio.outcomes import DeltaType, IssueAction, IssueRow, Severity
from portfolio.reasons import IssueType
from portfolio.rows import order_row
from portfolio.state import Draft
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


def reconcile_orders(draft: Draft, view: ExternalView, orders: OrdersView) -> OrdersResult:
    """Apply a complete list to the market's orders."""
    changes: list[OrderChange] = []
    regressions = 0
    shown = {order.order_id: order for order in orders.orders}
    for order_id in sorted(shown):
        known = draft.state.orders.get(order_id)
        if known is None:
            changes.extend(_unknown(draft, view, orders, shown[order_id]))
        elif _late(known, shown[order_id]):
            regressions += 1
        else:
            changes.extend(_seen_again(draft, view, known, shown[order_id]))
    fates = {fate.order_id: fate for fate in orders.fates}
    for order_id in sorted(set(draft.state.orders) - set(shown)):
        known = draft.state.orders[order_id]
        if known.closed_at_ms is None and order_id in fates:
            changes.extend(_left(draft, view, known, fates[order_id].order))
    return OrdersResult(changes=tuple(changes), regressions=regressions)


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
    order = _adopted(draft, shown)
    draft.put_order(order)
    draft.rows.append(order_row(draft.state, order))
    drift = value if unexpected else 0
    cause = IssueType.ORDER_UNKNOWN.value if unexpected else ""
    return (_change(shown, DeltaType.ADDED, drift, cause, (0, value)),)


def _adopted(draft: Draft, shown: OpenOrder) -> OrderState:
    seen = (booked.fill.size_micro for booked in draft.state.fills.values() if booked.fill.order_id == shown.order_id)
    return OrderState(
        order_id=shown.order_id,
        condition_id=shown.condition_id,
        token_id=shown.token_id,
        side=shown.side,
        price_micro=shown.price_micro,
        original_size_micro=shown.original_size_micro,
        size_matched_micro=shown.size_matched_micro,
        booked_micro=sum(seen),
        status=shown.status,
        owner=shown.owner,
        order_type=shown.order_type,
        created_at_ms=shown.created_at_ms,
        first_seen_at_ms=draft.now_ms,
    )


def _seen_again(draft: Draft, view: ExternalView, known: OrderState, shown: OpenOrder) -> tuple[OrderChange, ...]:
    """A known order: its venue figure may rise; what is matched but not booked yet is drift (a missed trade)."""
    matched = shown.size_matched_micro
    updated = replace(known, size_matched_micro=matched, status=shown.status, closed_at_ms=None)
    if updated == known:
        return ()
    if known.status is OrderStatus.GONE:
        return _returned(draft, view, known, updated)
    draft.put_order(updated)
    draft.rows.append(order_row(draft.state, updated))
    missing = max(0, updated.size_matched_micro - updated.booked_micro)
    before = order_value(known.remaining_micro, known.price_micro)
    after = order_value(updated.remaining_micro, updated.price_micro)
    if before == after:
        return ()
    # What can still be filled shrank although no booked fill says so.
    texts = (_text(known), _text(updated), "matched on the exchange before its trade was seen")
    _issue(draft, view, (IssueType.ORDER_DRIFT, IssueAction.CORRECTED), known.order_id, texts)
    drift = order_value(missing, known.price_micro)
    return (_change(known, DeltaType.UPDATED, drift, "", (before, after)),)


def _returned(draft: Draft, view: ExternalView, known: OrderState, updated: OrderState) -> tuple[OrderChange, ...]:
    """An order that was given up as gone and is on the exchange after all: the exchange is the truth (L-13)."""
    draft.put_order(updated)
    draft.rows.append(order_row(draft.state, updated))
    value = order_value(updated.remaining_micro, updated.price_micro)
    texts = (_text(known), _text(updated), "was given up as gone and is listed again")
    _issue(draft, view, (IssueType.ORDER_DRIFT, IssueAction.CORRECTED), known.order_id, texts)
    return (_change(known, DeltaType.ADDED, value, IssueType.ORDER_DRIFT.value, (0, value)),)


def _left(draft: Draft, view: ExternalView, known: OrderState, fate: OpenOrder | None) -> tuple[OrderChange, ...]:
    """An order that left the list, by its fate. A fate that says live proves that the list was short: no change.

    One that left before and waits for its last fills has nothing more to report.
    """
    if not known.status.live or (fate is not None and fate.status.live):
        return ()
    value = order_value(known.remaining_micro, known.price_micro)
    if fate is None:
        closed = replace(known, status=OrderStatus.GONE, closed_at_ms=draft.now_ms)
        texts = (_text(known), "unknown to the exchange", "gone, cause unknown")
        _issue(draft, view, (IssueType.ORDER_GONE, IssueAction.CORRECTED), known.order_id, texts)
        drift, cause = value, IssueType.ORDER_GONE.value
    else:
        matched = max(known.size_matched_micro, fate.size_matched_micro)
        missing = max(0, matched - known.booked_micro)
        # The order leaves the live set only when all its fills are booked (L-06).
        at_ms = draft.now_ms if missing == 0 else None
        closed = replace(known, status=fate.status, size_matched_micro=matched, closed_at_ms=at_ms)
        drift, cause = order_value(missing, known.price_micro), ""
    draft.put_order(closed)
    draft.rows.append(order_row(draft.state, closed))
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
