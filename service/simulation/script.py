"""What happens in the world, by seed: the wallet's orders and their fates, other clients, the chain.

Each step does at most one thing, through the sandbox's own actions. What the sandbox refuses did not happen.
"""

from __future__ import annotations

from collections import Counter

from polymarket.sandbox import actions
from polymarket.sandbox.trading import OrderRefusedError
from service.simulation.chance import Chance
from service.simulation.deeds_chain import ChainDeeds
from service.simulation.deeds_trades import TradeDeeds
from service.simulation.drawing import Draw
from service.simulation.story import Kind, Story, of_action
from service.simulation.venue import Venue


class Script:
    """One world's story. ``done`` counts what happened, by its name."""

    def __init__(self, venue: Venue, chance: Chance, faults: frozenset[str], story: Story) -> None:
        """Of ``faults`` only those of trades and of the chain are played here."""
        self._venue = venue
        self._chance = chance
        self._story = story
        self._draw = Draw(venue)
        self._deeds = TradeDeeds(self._draw, faults).table() | ChainDeeds(self._draw, faults).table()
        self._names = list(self._deeds)
        self._weights = [weight for weight, _ in self._deeds.values()]
        self.done: Counter[str] = Counter()

    def step(self, step: int) -> None:
        """Let one thing happen, or nothing where what was drawn cannot be."""
        random = self._chance.of("script", step)
        (name,) = random.choices(self._names, weights=self._weights)
        self._draw.begin(random)
        try:
            happened = self._deeds[name][1]()
        except (OrderRefusedError, ValueError):
            return
        if happened is not None:
            self.done[name] += 1
            self._story.tell(Kind.DEED, name, ", ".join(of_action(action) for action in self._draw.acted))

    def settle_all(self) -> None:
        """Decide the fate of every match that waits for somebody to do so."""
        for trade in list(self._venue.world.exchange.unsettled.values()):
            if trade.settlement.stuck:
                self._venue.act(actions.SettleTrade(trade_id=trade.trade_id))
