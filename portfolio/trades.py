"""The normal form of a trade: only the wallet's own legs, each with its own token, price and side.

As a maker only our entries in ``legs`` count; as a taker the top level, whose amount is the sum of the makers' legs
(R-11). Whether a leg is ours is told by the funder's address; whose key placed it, by ``owner`` (R-21).
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from portfolio.facts import MakerLeg, Role, Side, Trade, TradeStatus
from portfolio.units import MICRO, div_half_even, mul_price


class TradeLeg(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One order's part in one trade, as the wallet's ledger sees it; key (trade_id, order_id) (L-01).

    ``amount_micro`` is the pUSD paid or received, fee-exclusive. ``levels`` are the (size, price) pairs that the taker
    fee is computed over (R-20). ``external`` says that a key which is not configured placed the order (R-21).
    """

    trade_id: str
    order_id: str
    condition_id: str
    token_id: str
    side: Side
    role: Role
    price_micro: int
    size_micro: int
    amount_micro: int
    levels: tuple[tuple[int, int], ...]
    status: TradeStatus
    owner: str
    external: bool
    transaction_hash: str | None
    matched_at_ns: int
    updated_at_ms: int = 0
    """When the exchange last changed the trade; of two messages of one status the later one counts."""


def own_legs(trade: Trade, address: str, api_keys: Collection[str]) -> tuple[TradeLeg, ...]:
    """Legs of ``trade`` that moved the wallet at ``address`` (the funder, any letter case)."""
    wallet = address.lower()
    makers = tuple(_maker_leg(trade, leg, api_keys) for leg in trade.legs if leg.maker_address.lower() == wallet)
    if trade.maker_address.lower() != wallet:
        return makers
    return (_taker_leg(trade, api_keys), *makers)


def _maker_leg(trade: Trade, leg: MakerLeg, api_keys: Collection[str]) -> TradeLeg:
    return TradeLeg(
        trade_id=trade.trade_id,
        order_id=leg.order_id,
        condition_id=trade.condition_id,
        token_id=leg.token_id,
        side=leg.side or _implied_side(trade, leg),
        role=Role.MAKER,
        price_micro=leg.price_micro,
        size_micro=leg.size_micro,
        amount_micro=mul_price(leg.size_micro, leg.price_micro),
        levels=(),
        status=trade.status,
        owner=leg.owner,
        external=leg.owner not in api_keys,
        transaction_hash=trade.transaction_hash,
        matched_at_ns=trade.matched_at_ns,
        updated_at_ms=trade.updated_at_ms,
    )


def _implied_side(trade: Trade, leg: MakerLeg) -> Side:
    """Side of a maker leg in captures that lack it: same token means opposite side, other token means the same."""
    if leg.token_id != trade.token_id:
        return trade.side
    return Side.SELL if trade.side is Side.BUY else Side.BUY


def _taker_leg(trade: Trade, api_keys: Collection[str]) -> TradeLeg:
    levels = _taker_levels(trade)
    amount_micro = sum([mul_price(size, price) for size, price in levels])
    return TradeLeg(
        trade_id=trade.trade_id,
        order_id=trade.taker_order_id,
        condition_id=trade.condition_id,
        token_id=trade.token_id,
        side=trade.side,
        role=Role.TAKER,
        price_micro=_taker_price(trade, levels, amount_micro),
        size_micro=trade.size_micro,
        amount_micro=amount_micro,
        levels=levels,
        status=trade.status,
        owner=trade.owner,
        external=trade.owner not in api_keys,
        transaction_hash=trade.transaction_hash,
        matched_at_ns=trade.matched_at_ns,
        updated_at_ms=trade.updated_at_ms,
    )


def _taker_price(trade: Trade, levels: tuple[tuple[int, int], ...], amount_micro: int) -> int:
    """What a share cost, on average over several levels; the trade's own price may be no more than the limit (R-11)."""
    first = levels[0][1]
    if len(levels) == 1 or all(price == first for _, price in levels):
        return first
    return div_half_even(amount_micro * MICRO, trade.size_micro)


def _taker_levels(trade: Trade) -> tuple[tuple[int, int], ...]:
    """The makers' levels at the taker's price: a leg on the other token is its complement (mint or merge).

    Where the legs do not add up to the trade (hand-made or truncated rows), the trade's own size and price stand.
    """
    levels = [
        (leg.size_micro, leg.price_micro if leg.token_id == trade.token_id else MICRO - leg.price_micro)
        for leg in trade.legs
    ]
    if not levels or sum([size for size, _ in levels]) != trade.size_micro:
        return ((trade.size_micro, trade.price_micro),)
    return tuple(levels)
