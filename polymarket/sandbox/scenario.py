"""What goes on by itself: other traders hit the wallet's orders, its strategy places and cancels, prices wander.

Seeded and driven by blocks; it can be switched off, and nothing else depends on it.
"""

from __future__ import annotations

from polymarket.sandbox.amounts import ONE
from polymarket.sandbox.exchange import counter_terms
from polymarket.sandbox.quotes import requote
from polymarket.sandbox.trading import BUY, FAK, SELL, Order, OrderRefusedError, OrderTerms, Settlement
from polymarket.sandbox.world import World

_SHARE = 10_000
_MOST_ORDERS = 30
_FILL, _PLACE, _CANCEL, _WANDER = 0.12, 0.24, 0.32, 0.45


class Scenario:
    """One seeded choice after each block; most of the time nothing happens."""

    def __init__(self, world: World) -> None:
        self._random = world.names.random("scenario")
        self._troubles = world.names.random("settlement")
        self._limit = max(_MOST_ORDERS, 2 * len(world.exchange.live_orders(world.wallet.address)))

    def after_block(self, world: World) -> None:
        """Let at most one thing happen."""
        chance = self._random.random()
        if chance < _FILL:
            self._fill(world)
        elif chance < _PLACE:
            self._place(world)
        elif chance < _CANCEL:
            self._cancel(world)
        elif chance < _WANDER:
            self._wander(world)

    def _fill(self, world: World) -> None:
        """Another trader takes one of the wallet's orders, whole or in part."""
        order = self._own_order(world)
        if order is None or not world.exchange.backed(order):
            return
        size = order.remaining if self._random.random() < 1 / 3 else self._part(order)
        take(world, order, size, cross=self._random.random() < 1 / 2, settlement=self._settlement(world))

    def _place(self, world: World) -> None:
        """The wallet's strategy rests another small order away from the mid."""
        if len(world.exchange.live_orders(world.wallet.address)) >= self._limit:
            return
        market = self._random.choice([market for market in world.directory.markets if not market.closed])
        token = self._random.choice(market.tokens)
        away = self._random.randrange(2, 8) * market.tick
        size = self._random.randrange(5, 40) * ONE
        held = world.exchange.available(world.wallet.address, market, token)
        side = SELL if held >= 2 * size and self._random.random() < 1 / 2 else BUY
        price = market.price_of(token) + (away if side == SELL else -away)
        if market.tick <= price <= ONE - market.tick:
            world.place(world.wallet.strategy, OrderTerms(token=token, side=side, price=price, size=size))

    def _cancel(self, world: World) -> None:
        """The wallet's strategy cancels one of its orders."""
        order = self._own_order(world)
        if order is not None:
            world.exchange.cancel(order.order_id)

    def _wander(self, world: World) -> None:
        """A mark moves by a tick, and its quotes with it."""
        market = self._random.choice(world.directory.markets)
        if not market.closed:
            requote(world, market.condition_id, market.mid + self._random.choice((-1, 1)) * market.tick)

    def _settlement(self, world: World) -> Settlement:
        """How the match settles: in most worlds without trouble."""
        retried = self._troubles.random() * 100 < world.options.retry_percent
        failed = self._troubles.random() * 100 < world.options.fail_percent
        return Settlement(retries=int(retried), fail=failed)

    def _own_order(self, world: World) -> Order | None:
        mine = [o for o in world.exchange.live_orders(world.wallet.address) if o.party == world.wallet.strategy]
        return self._random.choice(mine) if mine else None

    def _part(self, order: Order) -> int:
        """Some of what is open, in hundredths of a share."""
        cents = order.remaining // _SHARE
        return self._random.randrange(1, cents + 1) * _SHARE if cents else order.remaining


def take(world: World, order: Order, size: int, *, cross: bool = False, settlement: Settlement | None = None) -> str:
    """Another trader takes ``size`` of a resting order at its price; returns the trade's id.

    ``cross`` takes it from the other outcome: the shares are minted or merged.
    """
    if not order.live or not 0 < size <= order.remaining:
        raise OrderRefusedError(f"order {order.order_id} cannot be filled by {size}; it had {order.remaining} open")
    if not world.exchange.backed(order):
        raise OrderRefusedError(f"order {order.order_id} cannot be filled: its maker lacks balance")
    market = world.directory.by_token[order.terms.token]
    trader = world.traders[order.sequence % len(world.traders)]
    terms = counter_terms(order, market, cross=cross)
    wanted = OrderTerms(token=terms.token, side=terms.side, price=terms.price, size=size, order_type=FAK)
    taker = world.exchange.record(trader, wanted, world.now_ms)
    return world.exchange.match(taker, [(order, size)], world.now_ms, settlement=settlement).trade_id
