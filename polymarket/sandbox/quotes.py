"""The market makers: their quotes around each market's mid, and moving them."""

from __future__ import annotations

from polymarket.sandbox.amounts import ONE, parse_decimal
from polymarket.sandbox.markets import Market
from polymarket.sandbox.trading import BUY, CANCELED, SELL, OrderTerms, Party
from polymarket.sandbox.world import World

QUOTE_SIZE = parse_decimal("20000")


def market_maker(world: World, index: int) -> Party:
    """Who quotes the market of that index."""
    return world.makers[index % len(world.makers)]


def quote(world: World, market: Market, maker: Party) -> None:
    """Bid and ask one tick from the mid, taking what is in the way. Every second ask bids for the other outcome."""
    yes, no = market.tokens
    bid = OrderTerms(token=yes, side=BUY, price=market.mid - market.tick, size=QUOTE_SIZE)
    ask = OrderTerms(token=yes, side=SELL, price=market.mid + market.tick, size=QUOTE_SIZE)
    if int(market.market_id) % 2:
        ask = OrderTerms(token=no, side=BUY, price=ONE - market.mid - market.tick, size=QUOTE_SIZE)
    for terms in (bid, ask):
        world.exchange.place(maker, terms, world.now_ms)


def requote(world: World, condition_id: str, mid: int) -> None:
    """Move a market's mark and its quotes to another mid, if that leaves them room; orders in the way are filled."""
    market = world.directory.by_condition[condition_id]
    if not 2 * market.tick <= mid <= ONE - 2 * market.tick:
        return
    makers = {party.owner for party in world.makers}
    world.exchange.cancel_where(
        lambda order: order.condition_id == condition_id and order.party.owner in makers, CANCELED
    )
    market.mid = mid
    quote(world, market, market_maker(world, world.directory.markets.index(market)))
