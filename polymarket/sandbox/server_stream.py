"""What one client of the user channel is told: which events, in which frames, and what faults make of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gevent
import msgspec

from polymarket.sandbox.feed import Bulletin, News, OrderNews
from polymarket.sandbox.server_faults import Fault, FaultBoard, spoil_number
from polymarket.sandbox.server_rows import order_event, trade_event

Event = dict[str, Any]
Later = Callable[..., Any]
"""Calls back after so many seconds: ``later(seconds, function, *arguments)``."""


class Selection:
    """The markets that a client asked for.

    Without a list it is told everything. With an empty list it is told of orders but of no trades, as was observed of
    the real channel.
    """

    def __init__(self, markets: Sequence[str] | None) -> None:
        self._trades = markets is None or bool(markets)
        self._chosen = {market.lower() for market in markets} if markets else None

    def takes(self, condition_id: str, *, is_trade: bool) -> bool:
        """Whether an event is wanted."""
        return (self._trades or not is_trade) and (self._chosen is None or condition_id in self._chosen)

    def add(self, markets: Sequence[str]) -> None:
        """Follow more markets; who follows everything goes on doing so."""
        if self._chosen is None and self._trades:
            return
        self._trades = True
        self._chosen = (self._chosen or set()) | {market.lower() for market in markets}

    def remove(self, markets: Sequence[str]) -> None:
        """Follow fewer markets; who follows everything goes on doing so."""
        if self._chosen is not None:
            self._chosen -= {market.lower() for market in markets}


class Listener:
    """A client that has authenticated. It is told of its own API key's orders, and of trades that one of them is in."""

    def __init__(
        self,
        owner: str,
        selection: Selection,
        board: FaultBoard,
        send: Callable[[str], None],
        later: Later = gevent.spawn_later,
    ) -> None:
        self.selection = selection
        self._later = later
        self._owner = owner
        self._board = board
        self._send = send
        self._held: tuple[Event, Fault] | None = None

    def tell(self, bulletin: Bulletin) -> None:
        """Send what of a bulletin concerns this client."""
        ready: list[Event] = []
        for news in bulletin.news:
            event = self._event(news, bulletin.at_ms)
            if event is not None:
                ready += self._spoiled(event)
        if bulletin.together and len(ready) > 1:
            self._send(_text(ready))
            return
        for event in ready:
            self._send(_text(event))

    def release(self) -> None:
        """Send what is held back if that fault is gone; else it waits for the next event."""
        if self._held is not None and self._board.is_gone(self._held[1]):
            (held, _), self._held = self._held, None
            self._send(_text(held))

    def _event(self, news: News, at_ms: int) -> Event | None:
        """The event's wire form; None where it is not for this client."""
        if isinstance(news, OrderNews):
            order = news.order
            wanted = self.selection.takes(order.condition_id, is_trade=False)
            return order_event(news.kind, order, at_ms) if wanted and order.party.owner == self._owner else None
        trade = news.trade
        wanted = self.selection.takes(trade.condition_id, is_trade=True)
        return trade_event(trade, self._owner, at_ms) if wanted and self._owner in trade.owners else None

    def _spoiled(self, event: Event) -> list[Event]:
        """What of an event is to be sent now, with whatever faults it meets."""
        if self._hits("ws_freeze", event):
            return []
        garbage = self._met("ws_garbage", event)
        if garbage is not None:
            garbage.hit()
            self._send(_text(event)[:-1])
            self._send((spoil_number(dict(event), garbage.spec.value) or b"").decode())
        if self._hits("ws_drop", event):
            return []
        copies = 2 if self._hits("ws_double", event) else 1
        return [ready for _ in range(copies) for ready in self._in_turn(event)]

    def _in_turn(self, event: Event) -> list[Event]:
        """The event and one that was held back for it; nothing where it is held back itself, or is sent later."""
        turned = self._met("ws_reorder", event)
        if self._held is None and turned is not None:
            turned.hit()
            self._held = event, turned
            return []
        overtaken = [] if self._held is None else [self._held[0]]
        self._held = None
        delay = self._met("ws_delay", event)
        if delay is None:
            return [event, *overtaken]
        delay.hit()
        self._later(delay.spec.latency_ms / 1000, self._late, event)
        return overtaken

    def _late(self, event: Event) -> None:
        if not self._hits("ws_freeze", event):
            self._send(_text(event))

    def _met(self, kind: str, event: Event) -> Fault | None:
        status = event["type"] if event["event_type"] == "order" else event["status"]
        return self._board.met(kind, "ws", f"{event['event_type']}/{status}")

    def _hits(self, kind: str, event: Event) -> bool:
        fault = self._met(kind, event)
        if fault is not None:
            fault.hit()
        return fault is not None


def _text(body: Event | list[Event]) -> str:
    return msgspec.json.encode(body).decode()
