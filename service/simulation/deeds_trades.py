"""What happens on the exchange: the strategy's orders and their fills, and trades of the wallet's other client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from polymarket.sandbox import actions
from polymarket.sandbox.amounts import decimal_text
from polymarket.sandbox.trading import BUY, SELL
from service.simulation.drawing import CENT, Draw
from service.simulation.faults import FAILED, LATE, RETRIED

_STUCK = 0.15
"""Of the matches that come late, those that somebody has to settle."""


class TradeDeeds:
    """Each deed returns what it made, or None where there was nothing to do it with."""

    def __init__(self, draw: Draw, faults: frozenset[str]) -> None:
        """Of ``faults`` those of settlement are played."""
        self._draw = draw
        self._faults = faults

    def table(self) -> dict[str, tuple[int, Callable[[], object]]]:
        """Each by its name, with how often it is chosen beside the others."""
        return {
            "place": (22, self._place),
            "fill": (26, self._fill),
            "cancel": (8, self._cancel),
            "external_trade": (7, self._external_trade),
            "decide": (6, self._decide),
        }

    def _place(self) -> object:
        """An order of the strategy: away from the mid it rests, across it takes the makers' quotes."""
        market = self._draw.open_market()
        token = self._draw.random.choice(market.tokens)
        side = self._draw.random.choice((BUY, SELL))
        sign = 1 if side == BUY else -1
        ticks = self._draw.random.choice((-4, -3, -2, 2, 2))
        price = market.price_of(token) + sign * ticks * market.tick
        size = self._draw.size(5, 60)
        held = self._draw.world.exchange.available(self._draw.world.wallet.address, market, token)
        if side == SELL and held < size:
            return None
        kind = self._draw.random.choice(("GTC", "GTC", "GTC", "FAK", "FOK"))
        wanted = actions.Place(
            token_id=token,
            side=side,
            price=decimal_text(price),
            size=decimal_text(size),
            order_type=kind,
            **self._settlement(),
        )
        return self._draw.act(wanted)

    def _fill(self) -> object:
        """A stranger takes some or all of one of the wallet's orders."""
        order = self._draw.own_order()
        if order is None:
            return None
        size = order.remaining if self._draw.random.random() < 0.4 else self._draw.part(order.remaining)
        cross = self._draw.random.random() < 0.5
        wanted = actions.FillOrder(order_id=order.order_id, size=decimal_text(size), cross=cross, **self._settlement())
        return self._draw.act(wanted)

    def _cancel(self) -> object:
        order = self._draw.own_order()
        return None if order is None else self._draw.act(actions.Cancel(order_id=order.order_id))

    def _external_trade(self) -> object:
        """Another client of the wallet trades; some of that is in no list."""
        market = self._draw.open_market()
        token = self._draw.random.choice(market.tokens)
        side = self._draw.random.choice((BUY, SELL))
        held = self._draw.world.exchange.available(self._draw.world.wallet.address, market, token)
        size = self._draw.size(5, 40) if side == BUY else self._draw.part(held)
        wanted = actions.ExternalTrade(
            token_id=token,
            side=side,
            size=decimal_text(size),
            price=decimal_text(self._draw.random.randrange(5, 95) * CENT),
            role=self._draw.random.choice(("TAKER", "MAKER")),
            listed=self._draw.random.random() < 0.7,
            **self._settlement(),
        )
        return self._draw.act(wanted)

    def _decide(self) -> object:
        """A match that waits for it is settled, or fails."""
        waiting = list(self._draw.world.exchange.unsettled.values())
        if not waiting:
            return None
        trade = self._draw.random.choice(waiting)
        fails, dropped = self._draw.random.random() < 0.5, self._draw.random.random() < 0.3
        if fails and FAILED in self._faults:
            return self._draw.act(actions.FailTrade(trade_id=trade.trade_id, dropped=dropped))
        return self._draw.act(actions.SettleTrade(trade_id=trade.trade_id))

    def _settlement(self) -> dict[str, Any]:
        """How a match settles: mostly in the next block. A fault that is not played changes no other draw."""
        draw = self._draw.random
        late, stuck, unbroadcast = draw.random() < 0.3, draw.random() < _STUCK, draw.random() < 0.5
        delay, again, retries = draw.randrange(1, 4), draw.random() < 0.15, draw.randrange(1, 3)
        fail, dropped, shown = draw.random() < 0.12, draw.random() < 0.2, draw.random() < 0.4
        late = late and LATE in self._faults
        return {
            "delay_blocks": delay if late else 0,
            "retries": retries if again and RETRIED in self._faults else 0,
            "stuck": late and stuck,
            "fail": fail and FAILED in self._faults,
            "dropped": dropped,
            "hash_at_match": shown,
            "unbroadcast": late and unbroadcast,
        }
