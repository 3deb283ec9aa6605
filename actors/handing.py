"""Which market gets what a feed showed, once: the directory, and what this life of the process has told already."""

from __future__ import annotations

from collections.abc import Callable, Collection

import msgspec

from actors.outflow import Outflow
from messages.addresses import Address, market_address
from portfolio.events import FillSeen, OrderSeen
from portfolio.facts import OrderMessage
from portfolio.trades import TradeLeg

HOMELESS_MAX = 1_000
"""Stream events of conditions without metadata that are kept; more are left to the next poll."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who the wallet is on the exchange: the funder's address and the configured API keys (R-21).

    ``opened``: its first cycle was durable in an earlier life (R-23).
    """

    wallet: str
    address: str
    api_keys: tuple[str, ...]
    opened: bool = True


class Handing:
    """Tells markets their legs and orders through the outflow."""

    def __init__(self, identity: Identity, outflow: Outflow, need: Callable[[tuple[str, ...]], None]) -> None:
        self._wallet = identity.wallet
        self._outflow = outflow
        self._need = need
        self._markets: dict[str, str] = {}
        self._told: dict[tuple[str, str], tuple[TradeLeg, ...]] = {}
        self._lost: set[tuple[str, str]] = set()
        self._homeless: list[tuple[str, Callable[[], object]]] = []
        self._asked: set[str] = set()

    def learn(self, entries: Collection[tuple[str, str]], unresolved: Collection[str] = ()) -> None:
        """Where conditions belong; what waited for them goes on. ``unresolved`` ones may be asked for again."""
        self._markets.update(entries)
        self._asked.difference_update((condition_id for condition_id, _ in entries), unresolved)
        waiting, self._homeless = self._homeless, []
        for condition_id, hand_on in waiting:
            if condition_id in self._markets:
                hand_on()
            else:
                self._homeless.append((condition_id, hand_on))

    def knows(self, condition_id: str) -> bool:
        """Whether the condition's market is known."""
        return condition_id in self._markets

    def keep(self, condition_id: str, hand_on: Callable[[], object]) -> None:
        """Call ``hand_on`` when the condition's market is known; the oldest are dropped, a poll shows them again."""
        self._homeless = [*self._homeless[1 - HOMELESS_MAX :], (condition_id, hand_on)]
        self.ask(condition_id)

    def ask(self, condition_id: str) -> None:
        """Ask for the condition's metadata, unless that is asked for already: a burst of its fills is one question."""
        if condition_id not in self._asked:
            self._asked.add(condition_id)
            self._need((condition_id,))

    def leg(self, leg: TradeLeg, feed: str) -> bool:
        """Tell the market, unless it was told the very same; whether the leg was never seen before.

        A late status is told as well: it may bring a finer time or another hash, and is counted there (L-05).
        """
        key = (leg.trade_id, leg.order_id)
        told = self._told.get(key, ())
        if leg in told and key not in self._lost:
            return False
        self._told[key] = (*told, leg) if leg not in told else told
        self._lost.discard(key)
        self._outflow.put(self._market_of(leg), FillSeen(leg=leg, feed=feed))
        return not told

    def _market_of(self, leg: TradeLeg) -> Address:
        return market_address(self._wallet, self._markets[leg.condition_id])

    def order(self, message: OrderMessage, feed: str) -> None:
        """Tell the market of an order as it stood."""
        market = market_address(self._wallet, self._markets[message.order.condition_id])
        self._outflow.put(market, OrderSeen(order=message.order, at_ms=message.at_ms, feed=feed))

    def seen(self, leg: TradeLeg) -> bool:
        """Whether the leg was told before, in any status."""
        return (leg.trade_id, leg.order_id) in self._told

    def forget_before(self, horizon_ns: int) -> None:
        """Forget legs matched before; the ledger's keys recognise them for ever."""
        self._told = {key: legs for key, legs in self._told.items() if legs[-1].matched_at_ns >= horizon_ns}
        self._lost &= self._told.keys()

    def tell_again(self, markets: Collection[Address] | None = None) -> None:
        """What these markets were told (None: all) may be lost: tell it again when it is shown again."""
        told = ((key, self._market_of(legs[-1])) for key, legs in self._told.items())
        self._lost.update(key for key, market in told if markets is None or market in markets)
