"""What happens to the wallet's orders and trades, in the order in which its own clients are told: an append-only log.

The server turns what is new in it into frames of the user channel. There is no replay: who comes later, or falls behind
by more than :data:`KEPT`, has missed what it has missed, as on the real channel.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from polymarket.sandbox.names import Names
from polymarket.sandbox.trading import Order, Trade

PLACEMENT, UPDATE, CANCELLATION = "PLACEMENT", "UPDATE", "CANCELLATION"
KEPT = 10_000
_TRADE_FIRST, _TOGETHER = 0.5, 1 / 3


@dataclass(frozen=True, kw_only=True)
class OrderNews:
    """Something happened to an order; ``order`` is a copy of it as it was then."""

    kind: str
    order: Order


@dataclass(frozen=True, kw_only=True)
class TradeNews:
    """A trade reached a status; ``trade`` is a copy of it as it was then."""

    trade: Trade


News = OrderNews | TradeNews


@dataclass(frozen=True, kw_only=True)
class Bulletin:
    """What goes out at once, in this order; ``together`` means as one frame. ``number`` counts from 1."""

    number: int
    at_ms: int
    news: tuple[News, ...]
    together: bool = False


class Feed:
    """The log. ``addresses`` are those whose clients can listen; about others nothing is kept."""

    def __init__(self, names: Names, addresses: frozenset[str], now_ms: Callable[[], int]) -> None:
        self.number = 0
        self._random = names.random("feed")
        self._addresses = addresses
        self._now_ms = now_ms
        self._kept: deque[Bulletin] = deque(maxlen=KEPT)

    def since(self, number: int) -> list[Bulletin]:
        """Every bulletin after that number which is still kept, the oldest first."""
        fresh = min(self.number - number, len(self._kept))
        return [self._kept[index] for index in range(len(self._kept) - fresh, len(self._kept))]

    def order(self, kind: str, order: Order) -> None:
        """An order was placed or ended."""
        self._append(self._of_orders(kind, [order]))

    def trade(self, trade: Trade) -> None:
        """A trade has another status than before."""
        self._append(self._of_trade(trade))

    def match(self, trade: Trade, orders: Sequence[Order]) -> None:
        """Orders met in a trade. Which of the two is told first is a race there, and so it is here (seeded)."""
        updates, matched = self._of_orders(UPDATE, orders), self._of_trade(trade)
        if updates and matched:
            news = matched + updates if self._random.random() < _TRADE_FIRST else updates + matched
            self._append(news, together=self._random.random() < _TOGETHER)

    def _of_orders(self, kind: str, orders: Sequence[Order]) -> list[News]:
        return [
            OrderNews(kind=kind, order=replace(order, trade_ids=list(order.trade_ids)))
            for order in orders
            if order.party.address in self._addresses
        ]

    def _of_trade(self, trade: Trade) -> list[News]:
        told = trade.listed and not self._addresses.isdisjoint(trade.parties)
        return [TradeNews(trade=replace(trade))] if told else []

    def _append(self, news: list[News], *, together: bool = False) -> None:
        if news:
            self.number += 1
            at_ms = self._now_ms()
            self._kept.append(Bulletin(number=self.number, at_ms=at_ms, news=tuple(news), together=together))
