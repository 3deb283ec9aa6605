"""What an operator records by hand: always as an entry with name and reason, never as an edit (L-26, X-12)."""

from __future__ import annotations

from msgspec.structs import replace

from portfolio.adjusting import ADJUSTMENT_TIE
from portfolio.entries import Carry, Cause, EconomicTime
from portfolio.entries import Trade as ExternalTrade
from portfolio.events import EntryMarked, TradeRecorded
from portfolio.facts import Side
from portfolio.rows import NS_PER_MS, adjustment_fee, adjustment_rows
from portfolio.state import BookedAdjustment, Draft
from portfolio.superseding import shares_of, standing
from portfolio.units import MICRO, mul_price

EXTERNAL = {Side.BUY: Cause.EXTERNAL_BUY, Side.SELL: Cause.EXTERNAL_SALE}


def record_trade(draft: Draft, event: TradeRecorded) -> str:
    """Book a purchase or sale that was made elsewhere; returns why it is refused, or an empty text.

    Where the same change was inferred from a balance before, the record takes its place; the inferred entry stays
    visible, and what it had booked is taken back beside it (D-12), but for a fee that a log shows.
    """
    place = draft.state.token(event.token_id)
    if place is None:
        return f"token {event.token_id} is not one of market {draft.state.market_id}"
    if event.entry_id in draft.state.adjustments:
        return f"entry {event.entry_id} was recorded before"
    if event.size_micro <= 0 or not 0 < event.price_micro < MICRO:
        return "size must be above 0, and price between 0 and 1, both excluded"
    shares = event.size_micro if event.side is Side.BUY else -event.size_micro
    now = EconomicTime(draft.now_ms * NS_PER_MS, ADJUSTMENT_TIE, event.entry_id)
    replaced = _latest_inferred(draft, event.token_id, shares)
    entry = ExternalTrade(
        entry_id=event.entry_id,
        at=now if replaced is None else EconomicTime(replaced.entry.at.at_ns, ADJUSTMENT_TIE, event.entry_id),
        cause=EXTERNAL[event.side],
        condition_id=place[0].condition_id,
        token_id=event.token_id,
        side=event.side,
        shares_micro=event.size_micro,
        amount_micro=mul_price(event.size_micro, event.price_micro),
        evidence=f"recorded by {event.operator}",
        estimated=False,
        fee_micro=0 if replaced is None else adjustment_fee(replaced.entry),
    )
    draft.evidence = f"entry {event.entry_id}, recorded by {event.operator}"
    _book(draft, entry, (event.operator, event.reason), replaced)
    return ""


def _latest_inferred(draft: Draft, token_id: str, shares_micro: int) -> BookedAdjustment | None:
    """The inferred change that the record most likely is about: the newest of the same token and shares."""
    found = [
        booked
        for booked in draft.state.adjustments.values()
        if standing(booked) and booked.effects[0].token_id == token_id and shares_of(booked) == shares_micro
    ]
    return max(found, key=lambda booked: (booked.entry.at, booked.entry.entry_id), default=None)


def mark_external(draft: Draft, event: EntryMarked) -> str:
    """Say of an inferred entry that it was an external trade; returns why it is refused, or an empty text.

    Without a price the trade is taken at own cost (a sale) or at the cost it was carried in at (a purchase), P&L 0.
    """
    known = draft.state.adjustments.get(event.entry_id)
    if known is None or known.superseded:
        return f"there is no standing adjustment {event.entry_id} in market {draft.state.market_id}"
    if not standing(known):
        return f"entry {event.entry_id} is no inferred change of one token, so it cannot be marked as external"
    if event.price_micro is not None and not 0 < event.price_micro < MICRO:
        return "the price must lie between 0 and 1, both excluded"
    draft.evidence = f"entry {event.entry_id}, marked by {event.operator}"
    _book(draft, _marked(draft, known, event), (event.operator, event.reason), known)
    return ""


def _marked(draft: Draft, known: BookedAdjustment, event: EntryMarked) -> Carry | ExternalTrade:
    """The entry anew at its own place in economic order, as the external trade that it was."""
    (effect,) = known.effects
    side = Side.BUY if effect.shares_micro > 0 else Side.SELL
    place = draft.state.token(effect.token_id)
    entry_id = f"{event.entry_id}:external"
    carry = Carry(
        entry_id=entry_id,
        at=EconomicTime(known.entry.at.at_ns, ADJUSTMENT_TIE, entry_id),
        cause=EXTERNAL[side],
        condition_id=place[0].condition_id if place is not None else "",
        token_id=effect.token_id,
        shares_micro=effect.shares_micro,
        cost_micro=max(0, effect.cost_micro),
        evidence=f"{known.entry.evidence}; marked external by {event.operator}",
    )
    if event.price_micro is None:
        return carry
    shares = abs(effect.shares_micro)
    return ExternalTrade(
        entry_id=carry.entry_id,
        at=carry.at,
        cause=carry.cause,
        condition_id=carry.condition_id,
        token_id=carry.token_id,
        side=side,
        shares_micro=shares,
        amount_micro=mul_price(shares, event.price_micro),
        evidence=carry.evidence,
        estimated=False,
        fee_micro=adjustment_fee(known.entry),
    )


def _book(draft: Draft, entry: Carry | ExternalTrade, who: tuple[str, str], old: BookedAdjustment | None) -> None:
    """Book ``entry``, in the place of ``old`` where it is given."""
    if old is not None:
        draft.put_adjustment(replace(old, superseded=True))
    cash = _cash(entry) if isinstance(entry, ExternalTrade) else 0
    booked = BookedAdjustment(
        entry=entry,
        effects=(),
        cash_micro=cash,
        superseded=False,
        booked_at_ms=draft.now_ms,
        operator=who[0],
        reason=who[1],
    )
    draft.put_adjustment(booked)
    since = entry.at if old is None else min(entry.at, old.entry.at)
    booked = replace(booked, effects=draft.refold(since).by_entry()[entry.entry_id])
    draft.put_adjustment(booked)
    draft.effects.extend(booked.effects)
    draft.rows.extend(adjustment_rows(draft.state, booked))


def _cash(entry: ExternalTrade) -> int:
    paid = -entry.amount_micro if entry.side is Side.BUY else entry.amount_micro
    return paid - entry.fee_micro
