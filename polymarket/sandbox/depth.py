"""What a token's book shows: open shares at each price, orders on the other outcome at their complement."""

from __future__ import annotations

from polymarket.sandbox.amounts import ONE
from polymarket.sandbox.exchange import Exchange
from polymarket.sandbox.markets import Market
from polymarket.sandbox.trading import BUY, SELL


def levels(exchange: Exchange, market: Market, token: str) -> tuple[dict[int, int], dict[int, int]]:
    """Bids and asks of a token: open shares by price."""
    other = market.opposite(token)
    bids: dict[int, int] = {}
    asks: dict[int, int] = {}
    for found, side, mirrored in ((bids, BUY, SELL), (asks, SELL, BUY)):
        for order in exchange.resting(token, side):
            found[order.terms.price] = found.get(order.terms.price, 0) + order.remaining
        for order in exchange.resting(other, mirrored):
            found[ONE - order.terms.price] = found.get(ONE - order.terms.price, 0) + order.remaining
    return bids, asks


def midpoint(exchange: Exchange, market: Market, token: str) -> int:
    """Middle of best bid and best ask; the market's mark where one side is empty."""
    bids, asks = levels(exchange, market, token)
    return (max(bids) + min(asks)) // 2 if bids and asks else market.price_of(token)
