"""A scripted user stream behind the port ``UserStream``: the test says what it shows, and when."""

from __future__ import annotations

from collections.abc import Callable

from messages.stream import StreamClosed, StreamEvents, StreamMessage, StreamOpened
from portfolio.facts import OpenOrder, OrderChange, OrderMessage, Trade, TradeMessage
from tests.support.clock import HasNow


class ScriptedStream:
    """Closed until it is subscribed; what is shown while it is closed is lost, as on the real one."""

    def __init__(self, clock: HasNow) -> None:
        self._clock = clock
        self._deliver: Callable[[StreamMessage], None] | None = None
        self.connection = 0
        self.connected = False
        self.reconnects: list[str] = []

    def open(self, deliver: Callable[[StreamMessage], None]) -> None:
        """The port: remember who is told."""
        self._deliver = deliver

    def reconnect(self, reason: str) -> None:
        """The port: end the subscription and begin another one; nothing where there is none."""
        self.reconnects.append(reason)
        if self.connected:
            self.cut(reason)
            self.subscribe()

    def close(self) -> None:
        """The port: nothing is told any more."""
        self._deliver = None
        self.connected = False

    def subscribe(self) -> None:
        """A subscription was sent."""
        self.connection += 1
        self.connected = True
        self._tell(StreamOpened(connection=self.connection, at_ms=self._clock.now_ms()))

    def cut(self, reason: str = "cut") -> None:
        """The subscription ends."""
        if self.connected:
            self.connected = False
            self._tell(StreamClosed(connection=self.connection, reason=reason, at_ms=self._clock.now_ms()))

    def show(self, *events: Trade | OpenOrder | OrderMessage) -> None:
        """One frame; an order stands for an update of it at this time."""
        if not self.connected:
            return
        messages = tuple(self._message(event) for event in events)
        now_ms = self._clock.now_ms()
        self._tell(StreamEvents(connection=self.connection, received_at_ms=now_ms, events=messages))

    def reject(self, reason: str) -> None:
        """A frame with a row that could not be read."""
        now_ms = self._clock.now_ms()
        self._tell(StreamEvents(connection=self.connection, received_at_ms=now_ms, events=(), rejected=(reason,)))

    def _message(self, event: Trade | OpenOrder | OrderMessage) -> TradeMessage | OrderMessage:
        if isinstance(event, Trade):
            return TradeMessage(trade=event)
        if isinstance(event, OpenOrder):
            return OrderMessage(order=event, change=OrderChange.UPDATE, at_ms=self._clock.now_ms())
        return event

    def _tell(self, message: StreamMessage) -> None:
        if self._deliver is not None:
            self._deliver(message)
