"""The end of what does not settle: overdue fills and provisional quantities, looked up again (L-03, R-10).

A fill is booked when it is seen and has a time to live. At its end the exchange and the chain are asked once more: what
the chain has is settled; what is being retried, or is evidently on its way, or could not be asked about, waits another
time to live; the rest is taken back, visibly. Nothing is dropped in silence, and should a fill settle after all, it is
reinstated under its key.
"""

from __future__ import annotations

from msgspec.structs import replace

from portfolio.booking import change_fill, issue, note, put_order
from portfolio.entries import EconomicTime, FillState
from portfolio.events import FillChecked, OrderChecked
from portfolio.facts import ReceiptStatus, TradeStatus
from portfolio.orders import follow
from portfolio.provisional import given_up, merged, provisional_fills
from portfolio.reasons import IssueType
from portfolio.rows import NS_PER_MS
from portfolio.state import Draft, fill_key, fill_shares
from portfolio.units import format_micro
from portfolio.views import OrderState


def check_fill(draft: Draft, event: FillChecked) -> None:
    """Decide about an overdue fill by what was found out about it; one that was decided meanwhile stays as it is."""
    known = draft.state.fills.get(fill_key(event.trade_id, event.order_id))
    if known is None or known.fill.state is not FillState.OBSERVED:
        return
    draft.evidence = f"trade {event.trade_id} looked up again"
    receipt = event.receipt
    if receipt is not None and receipt.status is ReceiptStatus.SUCCEEDED:
        by = f"transaction {receipt.transaction_hash} in block {receipt.block_number}"
        fill = replace(known.fill, state=FillState.SETTLED, settled_by=by)
        settled = replace(known, fill=fill, updated_at_ms=draft.now_ms, receipt_at_ms=draft.now_ms)
        change_fill(draft, known, settled)
        return
    reason = _extended_because(draft, event)
    if reason:
        later = replace(known, not_before_ms=draft.now_ms + event.ttl_ms, updated_at_ms=draft.now_ms)
        draft.put_fill(later)
        issue(draft, IssueType.FILL_OVERDUE, known.fill, (known.status.value, "waits longer", reason))
        return
    expired = replace(known, fill=replace(known.fill, state=FillState.EXPIRED), updated_at_ms=draft.now_ms)
    seen = "not shown by the exchange" if event.status is None else f"{event.status.value} on the exchange"
    chain = "its transaction reverted" if receipt and receipt.status is ReceiptStatus.REVERTED else "in no block"
    issue(draft, IssueType.FILL_EXPIRED, known.fill, ("in flight", "reversed", f"{seen}, {chain}"))
    change_fill(draft, known, expired)


def _extended_because(draft: Draft, event: FillChecked) -> str:
    """Why the fill gets another time to live; empty where nothing speaks for it (R-10)."""
    if not event.chain_asked:
        return "the chain could not be asked"
    if event.status is TradeStatus.RETRYING:
        return "the exchange is retrying the settlement"
    if event.status in {TradeStatus.MINED, TradeStatus.CONFIRMED}:
        # The message that settles it comes by another way and may be behind this one.
        return f"the exchange calls it {event.status.value}"
    siblings = (booked for booked in draft.state.fills.values() if booked.fill.trade_id == event.trade_id)
    if any(booked.fill.state is FillState.SETTLED for booked in siblings):
        return "another leg of the trade has settled"
    return ""


def check_order(draft: Draft, event: OrderChecked) -> None:
    """Decide about a provisional quantity whose trades did not come within its time to live (D-03, R-10).

    What a balance has shown stays. Of the rest the exchange is asked: while the order lives, or has just shown more,
    trades may come, so it waits; else the quantity is taken back until a trade explains it. An order whose fills are
    booked as another client's has been asked about; its trades, if it is ours, came before this answer.
    """
    if event.order_id in draft.state.unasked_orders and not event.trades_missing:
        draft.put(unasked_orders=tuple(one for one in draft.state.unasked_orders if one != event.order_id))
    known = draft.state.orders.get(event.order_id)
    if known is None or known.waiting_micro == 0:
        return
    if known.waiting_micro == known.proven_micro:
        put_order(draft, replace(known, not_before_ms=draft.now_ms + event.ttl_ms))
        return
    draft.evidence = f"order {event.order_id} looked up again"
    before = known
    if event.order is not None:
        known = merged(known, event.order, draft.now_ms * NS_PER_MS)
        follow(draft, known)
        known = draft.state.orders[event.order_id]
    if known.waiting_micro <= known.proven_micro:
        return
    fill = provisional_fills(known)[-1]
    reason = _order_extended_because(before, known, event)
    if reason:
        put_order(draft, replace(known, not_before_ms=draft.now_ms + event.ttl_ms))
        issue(draft, IssueType.FILL_OVERDUE, fill, ("provisional", "waits longer", reason))
        return
    lost = known.waiting_micro - known.proven_micro
    put_order(draft, given_up(known))
    texts = (f"{format_micro(lost)} provisional", "reversed", "no trade explains it and no balance shows it")
    issue(draft, IssueType.FILL_EXPIRED, fill, texts)
    note(draft, fill, -fill_shares(fill), cause="FILL_EXPIRED")
    draft.refold(EconomicTime(before.matched_at_ns))


def _order_extended_because(before: OrderState, known: OrderState, event: OrderChecked) -> str:
    if event.order is not None and known.status.live:
        return "the order is live, its trades were not shown"
    if known.size_matched_micro > before.size_matched_micro:
        return "the order has just shown more than before"
    return ""
