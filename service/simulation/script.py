"""What happens in the world, by seed: the wallet's orders and their fates, other clients, the chain.

Each step does at most one thing, through the sandbox's own actions. What the sandbox refuses did not happen.
"""

from __future__ import annotations

from collections import Counter
from random import Random

from polymarket.sandbox import actions
from polymarket.sandbox.trading import OrderRefusedError
from service.simulation.deeds_chain import ChainDeeds
from service.simulation.deeds_trades import TradeDeeds
from service.simulation.drawing import Draw
from service.simulation.venue import Venue


class Script:
    """One world's story. ``done`` counts what happened, by its name."""

    def __init__(self, venue: Venue, random: Random, faults: frozenset[str]) -> None:
        """Of ``faults`` only those of trades and of the chain are played here."""
        self._venue = venue
        self._random = random
        draw = Draw(venue, random)
        self._deeds = TradeDeeds(draw, faults).table() | ChainDeeds(draw, faults).table()
        self._names = list(self._deeds)
        self._weights = [weight for weight, _ in self._deeds.values()]
        self.done: Counter[str] = Counter()

    def step(self) -> None:
        """Let one thing happen, or nothing where what was drawn cannot be."""
        (name,) = self._random.choices(self._names, weights=self._weights)
        try:
            happened = self._deeds[name][1]()
        except (OrderRefusedError, ValueError):
            return
        if happened is not None:
            self.done[name] += 1

    def settle_all(self) -> None:
        """Decide the fate of every match that waits for somebody to do so."""
        for trade in list(self._venue.world.exchange.unsettled.values()):
            if trade.settlement.stuck:
                self._venue.act(actions.SettleTrade(trade_id=trade.trade_id))
