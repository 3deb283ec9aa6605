"""What happens on the chain: splits, merges, conversions, redemptions, transfers, cash, and reorganisations."""

from __future__ import annotations

from collections.abc import Callable

from polymarket.sandbox import actions
from polymarket.sandbox.amounts import decimal_text
from service.simulation.drawing import Draw
from service.simulation.faults import REORGANISED


class ChainDeeds:
    """Each deed returns what it made, or None where there was nothing to do it with."""

    def __init__(self, draw: Draw, faults: frozenset[str]) -> None:
        """Blocks are dropped only where that is among the ``faults``."""
        self._draw = draw
        self._faults = faults

    def table(self) -> dict[str, tuple[int, Callable[[], object]]]:
        """Each by its name, with how often it is chosen beside the others."""
        return {
            "split": (4, self._split),
            "merge": (4, self._merge),
            "convert": (3, self._convert),
            "resolve": (1, self._resolve),
            "redeem": (4, self._redeem),
            "transfer_in": (3, self._transfer_in),
            "transfer_out": (3, self._transfer_out),
            "cash": (3, self._cash),
            "price": (6, self._price),
            "reorganise": (6, self._reorganise),
        }

    def _split(self) -> object:
        market = self._draw.open_market()
        return self._draw.act(
            actions.Split(condition_id=market.condition_id, amount=decimal_text(self._draw.size(5, 50)))
        )

    def _merge(self) -> object:
        market = self._draw.any_market()
        most = min(self._draw.settled(market, token) for token in market.tokens)
        return self._draw.act(
            actions.Merge(condition_id=market.condition_id, amount=decimal_text(self._draw.part(most)))
        )

    def _convert(self) -> object:
        """NO of some questions of an event becomes YES of the others."""
        events = [event for event in self._draw.world.directory.events if event.neg_risk_market_id is not None]
        if not events:
            return None
        event = self._draw.random.choice(events)
        held = [market for market in event.markets if self._draw.settled(market, market.tokens[1])]
        if not held:
            return None
        chosen = self._draw.random.sample(held, self._draw.random.randint(1, len(held)))
        most = min(self._draw.settled(market, market.tokens[1]) for market in chosen)
        wanted = actions.Convert(
            neg_risk_market_id=event.neg_risk_market_id or "",
            questions=[event.markets.index(market) for market in chosen],
            amount=decimal_text(self._draw.part(most)),
        )
        return self._draw.act(wanted)

    def _resolve(self) -> object:
        """A market is decided; at most half of them are, so that there is always something to trade."""
        markets = self._draw.world.directory.markets
        if 2 * sum(market.closed for market in markets) >= len(markets):
            return None
        payouts = self._draw.random.choice(([1, 0], [0, 1]))
        return self._draw.act(actions.Resolve(condition_id=self._draw.open_market().condition_id, payouts=payouts))

    def _redeem(self) -> object:
        decided = [
            market
            for market in self._draw.world.directory.markets
            if market.payouts is not None and any(self._draw.settled(market, token) for token in market.tokens)
        ]
        if not decided:
            return None
        market = self._draw.random.choice(decided)
        return self._draw.act(
            actions.Redeem(condition_id=market.condition_id, operator=self._draw.random.random() < 0.3)
        )

    def _transfer_in(self) -> object:
        token = self._draw.random.choice(self._draw.open_market().tokens)
        return self._draw.act(
            actions.TransferIn(token_id=token, amount=decimal_text(self._draw.dust(self._draw.size(1, 30))))
        )

    def _transfer_out(self) -> object:
        market = self._draw.any_market()
        token = self._draw.random.choice(market.tokens)
        amount = decimal_text(self._draw.dust(self._draw.part(self._draw.settled(market, token))))
        return self._draw.act(actions.TransferOut(token_id=token, amount=amount))

    def _cash(self) -> object:
        amount = decimal_text(self._draw.size(1, 500))
        kind = self._draw.random.choice((actions.Deposit, actions.Withdraw))
        return self._draw.act(kind(amount=amount))

    def _price(self) -> object:
        market = self._draw.open_market()
        price = market.mid + self._draw.random.choice((-3, -2, -1, 1, 2, 3)) * market.tick
        return self._draw.act(actions.SetPrice(condition_id=market.condition_id, price=decimal_text(price)))

    def _reorganise(self) -> object:
        """The last blocks go another way; some of what stood in them never comes back."""
        if REORGANISED not in self._faults:
            return None
        world = self._draw.world
        most = world.chain.head.number - world.finalized()
        if most < 1:
            return None
        depth = self._draw.random.randint(1, most)
        fork = world.chain.head.number - depth
        hashes = [tx for block in world.chain.blocks if block.number > fork for tx in block.transactions]
        drop = [tx for tx in hashes if self._draw.random.random() < 0.25]
        wanted = actions.Reorganise(
            depth=depth,
            delay=self._draw.random.choice((0, 1, 1, 2)),
            drop=drop,
            trade_status=self._draw.random.choice(("RETRYING", "MATCHED", "")),
        )
        return self._draw.act(wanted)
