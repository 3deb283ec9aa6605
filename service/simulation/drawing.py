"""What a script draws from: markets, orders and amounts of the world as it stands."""

from __future__ import annotations

from random import Random
from typing import Any

from polymarket.sandbox.actions import AnyAction
from polymarket.sandbox.amounts import ONE
from polymarket.sandbox.markets import Market
from polymarket.sandbox.trading import Order
from service.simulation.venue import Venue

CENT = ONE // 100
_DUST = 0.2


class Draw:
    """Draws by seed. ``venue`` is where what was drawn then happens; ``acted`` is what happened in this step."""

    def __init__(self, venue: Venue) -> None:
        """Nothing is drawn before ``begin``."""
        self._act = venue.act
        self.world = venue.world
        self.random: Random
        self.acted: list[AnyAction] = []

    def begin(self, random: Random) -> None:
        """A step begins; ``random`` is its own."""
        self.random = random
        self.acted = []

    def act(self, action: AnyAction) -> dict[str, Any]:
        """Let something happen."""
        told = self._act(action)
        self.acted.append(action)
        return told

    def open_market(self) -> Market:
        """A market that trades."""
        return self.random.choice([market for market in self.world.directory.markets if not market.closed])

    def any_market(self) -> Market:
        """Any market, decided ones too."""
        return self.random.choice(self.world.directory.markets)

    def own_order(self) -> Order | None:
        """A live order of the strategy, or None."""
        mine = [
            order
            for order in self.world.exchange.live_orders(self.world.wallet.address)
            if order.party == self.world.wallet.strategy
        ]
        return self.random.choice(mine) if mine else None

    def settled(self, market: Market, token: str) -> int:
        """What the wallet has of a token on the chain, without what it has sold and not delivered yet."""
        free = self.world.exchange.available(self.world.wallet.address, market, token)
        return min(free, self.world.balance(market, token))

    def dust(self, amount: int) -> int:
        """The amount, or at times the least that can move."""
        return 1 if amount and self.random.random() < _DUST else amount

    def size(self, least: int, most: int) -> int:
        """Whole shares, cents of shares, or the finest the chain has."""
        unit = self.random.choice((ONE, CENT, 1))
        return self.random.randrange(least * ONE // unit, most * ONE // unit) * unit

    def part(self, most: int) -> int:
        """Some of it, all of it at times; ValueError where there is nothing."""
        if most <= 0:
            raise ValueError("there is nothing to take a part of")
        return most if self.random.random() < 0.25 else self.random.randint(1, most)
