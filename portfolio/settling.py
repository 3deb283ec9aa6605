"""Fills that a balance or a log has shown: settled, with the chain's own numbers where a log has them (R-05, R-11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from portfolio.booking import change_fill, put_order
from portfolio.entries import EconomicTime, FillState
from portfolio.provisional import PROVISIONAL
from portfolio.rows import fill_row
from portfolio.state import BookedFill, Draft, fill_key
from portfolio.views import SettledFill


def settle(draft: Draft, keys: Sequence[tuple[str, str]], evidence: str, logged: Sequence[SettledFill] = ()) -> None:
    """Mark fills as proven by a balance; those in flight become settled by it, those that had expired come back.

    Where the logs show a fill, they are the evidence, and their numbers win over computed ones (R-11, R-20).
    """
    logs = {(log.trade_id, log.order_id): log for log in logged}
    named = [draft.state.fills.get(fill_key(trade_id, order_id)) for trade_id, order_id in keys]
    shown = [booked for booked in named if booked is not None and not booked.proven]
    settled = [(booked, _settled(draft, booked, logs, evidence)) for booked in shown]
    plain = [(booked, proven) for booked, proven in settled if _only_settles(booked, proven)]
    _settle_open(draft, [proven for _, proven in plain])
    # These fold anew, and a fold reads the fills as they stand by now.
    for booked, proven in settled:
        if not _only_settles(booked, proven):
            change_fill(draft, booked, proven)
    for trade_id, order_id in keys:
        if trade_id == PROVISIONAL:
            _prove_order(draft, order_id)


def _settled(
    draft: Draft, booked: BookedFill, logs: Mapping[tuple[str, str], SettledFill], evidence: str
) -> BookedFill:
    """The fill as the balance proves it, with what a log says of it."""
    fill = booked.fill
    log = logs.get((fill.trade_id, fill.order_id))
    if fill.state in {FillState.OBSERVED, FillState.EXPIRED}:
        fill = replace(fill, state=FillState.SETTLED, settled_by=evidence if log is None else log.evidence)
    if log is not None:
        fill = replace(
            fill,
            amount_micro=log.amount_micro,
            fee_micro=log.fee_micro,
            transaction_hash=log.transaction_hash,
            settled_by=log.evidence,
        )
    logged = booked.logged or log is not None
    return replace(booked, fill=fill, proven=True, logged=logged, updated_at_ms=draft.now_ms)


def _only_settles(booked: BookedFill, proven: BookedFill) -> bool:
    """Whether nothing but its being settled changes, so that nothing has to be folded anew."""
    old, new = booked.fill, proven.fill
    same = (old.amount_micro, old.fee_micro) == (new.amount_micro, new.fee_micro)
    return same and old.state.effective


def _settle_open(draft: Draft, proven: Sequence[BookedFill]) -> None:
    for booked in proven:
        known = draft.state.fills[fill_key(booked.fill.trade_id, booked.fill.order_id)].fill
        if known.state is FillState.OBSERVED:
            draft.settle(booked.fill)
        if known is not booked.fill:
            draft.rows.append(fill_row(draft.state, booked))
    draft.put_fills(proven)


def _prove_order(draft: Draft, order_id: str) -> None:
    """A balance shows what an order's figure has beyond its trades: it is there, whatever its trades will cost."""
    order = draft.state.orders[order_id]
    put_order(draft, replace(order, proven_micro=order.waiting_micro))
    draft.refold(EconomicTime(order.matched_at_ns))


def absorb(draft: Draft, token_id: str) -> None:
    """After a difference was applied against all confirmed fills of a token, none of them is open any more."""
    draft.put_fills(
        replace(booked, proven=True)
        for booked in draft.state.fills.values()
        if booked.fill.token_id == token_id and booked.fill.state is FillState.SETTLED and not booked.proven
    )
