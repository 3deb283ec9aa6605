"""A market's image: what others may compare, and nothing more (D-10)."""

from __future__ import annotations

from collections.abc import Iterable

from portfolio.entries import FillState
from portfolio.facts import MarketMeta, TokenMeta
from portfolio.rows import NS_PER_MS
from portfolio.state import BookedFill, MarketState, fill_cash, fill_shares
from portfolio.views import MarketImage, OrderImage, TokenImage, UnprovenFill


def image_of(state: MarketState) -> MarketImage:
    """The image of a market as it stands; equal states give equal images."""
    unproven: dict[str, list[BookedFill]] = {}
    proven_cash = sum(booked.cash_micro for booked in state.adjustments.values() if not booked.superseded)
    for booked in state.fills.values():
        if not booked.fill.state.effective:
            continue
        if booked.proven:
            proven_cash += fill_cash(booked.fill)
        else:
            unproven.setdefault(booked.fill.token_id, []).append(booked)
    return MarketImage(
        wallet=state.wallet,
        market_id=state.market_id,
        version=state.version,
        neg_risk=state.neg_risk,
        flag_mismatch=any(flag_mismatch(meta) for meta in state.metas),
        question_count=state.question_count,
        tokens=tuple(
            _token_image(state, meta, token, unproven.get(token.token_id, ()))
            for meta in state.metas
            for token in meta.tokens
        ),
        orders=live_orders(state),
        proven_cash_micro=proven_cash,
        noted=bool(state.noted),
        halted=bool(state.halted),
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
        )
        for _, order in sorted(state.orders.items())
        if order.closed_at_ms is None and order.status.live
    )


def _pending_micro(state: MarketState, token_id: str) -> int:
    pending = state.pending.get(token_id)
    return pending.difference_micro if pending is not None and pending.block_number is not None else 0


def _token_image(state: MarketState, meta: MarketMeta, token: TokenMeta, unproven: Iterable[BookedFill]) -> TokenImage:
    position = state.position(token.token_id)
    fills = tuple(
        UnprovenFill(
            trade_id=booked.fill.trade_id,
            order_id=booked.fill.order_id,
            shares_micro=fill_shares(booked.fill),
            cash_micro=fill_cash(booked.fill),
            confirmed=booked.fill.state is FillState.SETTLED,
            matched_at_ms=booked.fill.at.at_ns // NS_PER_MS,
        )
        for booked in sorted(unproven, key=lambda booked: booked.fill.at)
    )
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
    )
