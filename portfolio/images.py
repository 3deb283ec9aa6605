"""A market's image: what others may compare, and nothing more (D-10)."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from portfolio.entries import Fill, FillState
from portfolio.facts import MarketMeta, TokenMeta
from portfolio.provisional import provisional_fills
from portfolio.rows import NS_PER_MS
from portfolio.state import BookedFill, MarketState, TailFact, fill_cash, fill_shares
from portfolio.views import ChainedImage, MarketImage, OrderImage, OrderState, TokenImage, UnprovenFill


def image_of(state: MarketState) -> MarketImage:
    """The image of a market as it stands; equal states give equal images."""
    unproven: dict[str, list[UnprovenFill]] = {}
    expired: dict[str, list[UnprovenFill]] = {}
    proven_cash = sum(booked.cash_micro for booked in state.adjustments.values() if not booked.superseded)
    for booked in state.fills.values():
        if booked.fill.state is FillState.EXPIRED:
            expired.setdefault(booked.fill.token_id, []).append(_unproven(booked))
        elif booked.fill.state.effective and booked.proven:
            proven_cash += fill_cash(booked.fill)
        elif booked.fill.state.effective:
            unproven.setdefault(booked.fill.token_id, []).append(_unproven(booked))
    provisional = [(order, fill) for order in state.orders.values() for fill in provisional_fills(order)]
    for order, fill in provisional:
        if fill.state is FillState.SETTLED:
            proven_cash += fill_cash(fill)
        else:
            unproven.setdefault(fill.token_id, []).append(_in_flight(fill, order.not_before_ms))
    return MarketImage(
        wallet=state.wallet,
        market_id=state.market_id,
        version=state.version,
        neg_risk=state.neg_risk,
        flag_mismatch=any(flag_mismatch(meta) for meta in state.metas),
        question_count=state.question_count,
        tokens=tuple(
            _token_image(state, meta, token, (unproven.get(token.token_id, ()), expired.get(token.token_id, ())))
            for meta in state.metas
            for token in meta.tokens
        ),
        orders=live_orders(state),
        proven_cash_micro=proven_cash,
        noted=bool(state.noted),
        halted=bool(state.halted),
        provisional=bool(provisional),
        short=bool(state.short_since),
        contradicted=tuple(state.contradicted.values()),
        chained=tuple(_chained(state, held) for held in state.tail),
        untraded_orders=_untraded(state, [order for order, fill in provisional if fill.state is FillState.SETTLED]),
    )


def _chained(state: MarketState, held: TailFact) -> ChainedImage:
    """A fact of the tail, with what of it counts in the books as they stand."""
    fact = held.fact
    legs: tuple[tuple[str, int], ...] = ()
    cash = 0
    fill, adjustment = state.fills.get(held.booked_as), state.adjustments.get(held.booked_as)
    if fill is not None and fill.proven and fill.fill.state.effective:
        legs, cash = ((fill.fill.token_id, fill_shares(fill.fill)),), fill_cash(fill.fill)
    elif adjustment is not None and not adjustment.superseded:
        legs, cash = fact.hint.legs, adjustment.cash_micro
    return ChainedImage(
        logged_as=fact.hint.logged_as,
        block_number=fact.block_number,
        block_hash=fact.block_hash,
        booked=bool(held.booked_as),
        legs=legs,
        cash_micro=cash,
    )


def _untraded(state: MarketState, proven: Iterable[OrderState]) -> tuple[tuple[str, int], ...]:
    strange = dict.fromkeys(state.unasked_orders, 0)
    return tuple((strange | {order.order_id: order.not_before_ms for order in proven}).items())


def _unproven(booked: BookedFill) -> UnprovenFill:
    fill = _in_flight(booked.fill, booked.not_before_ms)
    return replace(fill, settled_at_ms=max(booked.told[1], booked.receipt_at_ms))


def _in_flight(fill: Fill, not_before_ms: int) -> UnprovenFill:
    return UnprovenFill(
        trade_id=fill.trade_id,
        order_id=fill.order_id,
        shares_micro=fill_shares(fill),
        cash_micro=fill_cash(fill),
        confirmed=fill.state is FillState.SETTLED,
        matched_at_ms=fill.at.at_ns // NS_PER_MS,
        not_before_ms=not_before_ms,
        transaction_hash=fill.transaction_hash,
    )


def flag_mismatch(meta: MarketMeta) -> bool:
    """Whether the metadata's neg-risk flag contradicts what the token ids prove (R-06)."""
    known = meta.neg_risk_claimed is not None and meta.neg_risk_derived is not None
    return known and meta.neg_risk_claimed != meta.neg_risk_derived


def live_orders(state: MarketState) -> tuple[OrderImage, ...]:
    """Orders that can still be filled, by id."""
    return tuple(
        OrderImage(
            order_id=order.order_id,
            condition_id=order.condition_id,
            price_micro=order.price_micro,
            remaining_micro=order.remaining_micro,
            size_matched_micro=order.size_matched_micro,
            status=order.status,
            noted_resolved=order.noted_resolved,
        )
        for _, order in sorted(state.orders.items())
        if order.closed_at_ms is None and order.status.live
    )


def _pending_micro(state: MarketState, token_id: str) -> int:
    pending = state.pending.get(token_id)
    return pending.difference_micro if pending is not None and pending.block_number is not None else 0


def _token_image(
    state: MarketState,
    meta: MarketMeta,
    token: TokenMeta,
    open_fills: tuple[Iterable[UnprovenFill], Iterable[UnprovenFill]],
) -> TokenImage:
    position = state.position(token.token_id)
    fills, expired = (tuple(sorted(some, key=_by_time)) for some in open_fills)
    return TokenImage(
        token_id=token.token_id,
        condition_id=meta.condition_id,
        contract=token.contract,
        outcome_index=token.outcome_index,
        question_index=meta.question_index,
        shares_micro=position.shares_micro,
        settled_micro=position.settled_micro,
        proven_micro=position.shares_micro - sum(fill.shares_micro for fill in fills),
        cost_basis_micro=position.cost_basis_micro,
        unproven=fills,
        pending=token.token_id in state.pending,
        pending_micro=_pending_micro(state, token.token_id),
        price_micro=token.price_micro,
        expired=expired,
    )


def _by_time(fill: UnprovenFill) -> tuple[int, str, str]:
    return (fill.matched_at_ms, fill.trade_id, fill.order_id)
