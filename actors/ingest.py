"""The FillIngestActor: takes fills and orders from the user stream and from REST, and hands each to its market.

It books nothing. All feeds are brought into one normal form and end in the same place, where whichever is first books
and the others are recognised (D-03). Legs of conditions that nobody knows yet wait for metadata.
"""

from __future__ import annotations

import msgspec

from actors.base import System
from actors.board import Board
from actors.checking import PREFIX
from actors.handing import Identity
from actors.jobs import TradeJob
from actors.ports import ExternalReads, UserStream
from actors.readings import ChunkOverdue, IngestState, TradeReadings
from messages.addresses import REPORTER, Address, coordinator_address
from messages.control import Answer, Backfill, DescribeState
from messages.cycle import MarketsKnown, PollTrades, SyncAsked
from messages.feeding import CheckOverdue, MarkerDurable, WalletOpened
from messages.reads import OrdersAnswer, ReadCompleted, ReadFailed, ReadOpenOrders
from messages.stream import StreamClosed, StreamEvents, StreamOpened
from portfolio.facts import OrderChange, OrderMessage, TradeMessage, Verdict
from portfolio.trades import TradeLeg, own_legs

FLOOD_MAX = 50_000
"""Messages that wait to be handed on; with more, the stream is begun again and REST brings what was dropped."""


class MarketRestarted(msgspec.Struct, frozen=True):
    """A market lost its mailbox, and with it perhaps fills that it was told; told by the supervisor."""


class FillIngestActor(TradeReadings):
    """One per wallet. Without a stream it follows the readings alone."""

    def __init__(
        self,
        address: Address,
        system: System,
        state: IngestState,
        identity: Identity,
        outside: tuple[ExternalReads, UserStream | None, Board],
    ) -> None:
        super().__init__(address, system, state, identity, outside)
        self._opened = identity.opened
        self._awaited: set[str] = set()

    def on_start(self) -> None:
        """Open the user stream."""
        self._show()
        if self._stream is not None:
            self._stream.open(lambda message: self.tell(self.address, message))

    def on_stop(self) -> None:
        """Close the user stream."""
        if self._stream is not None:
            self._stream.close()

    def take(self, message: object, now_ms: int) -> None:
        """Take what a feed or an answer brought, then hand on what may be handed on."""
        match message:
            case StreamEvents():
                self._streamed(message)
            case StreamOpened():
                self._subscribed(message)
            case StreamClosed():
                self._disconnected(message)
            case ReadCompleted() | ReadFailed():
                self._answered(message, now_ms)
            case MarkerDurable():
                self._outflow.durable(message)
            case _:
                self._told(message, now_ms)
        self._flow()

    def _told(self, message: object, now_ms: int) -> None:
        """What other actors, operators and timers want."""
        match message:
            case PollTrades():
                self._read_again(TradeJob(message.cycle_id, "poll", message))
            case Backfill():
                job = TradeJob(f"backfill|{next(self._numbers)}", "backfill", message)
                self._read_trades(job, message.since_s, message.condition_id)
            case MarketsKnown():
                self._known(message, now_ms)
            case CheckOverdue():
                self._checks.begin(message)
            case WalletOpened():
                self._opened = True
                self._catch_up()
            case MarketRestarted():
                self._lost()
            case ChunkOverdue():
                self._look_at(message)
            case DescribeState():
                body = self.described(self._state)
                self.tell(REPORTER, Answer(request_id=message.request_id, ok=True, detail=self.address, body=body))
            case _:
                super().take(message, now_ms)

    # -- the stream -----------------------------------------------------------------------------------------------

    def _streamed(self, message: StreamEvents) -> None:
        if message.connection != self._watch.connection:
            return
        self._watch.came(message.received_at_ms)
        self._show()
        for reason in message.rejected:
            self.log.warning("stream_row_rejected", reason=reason)
            self._count("stream_row_rejected")
        if not self._watch.catching_up:
            self._take_events(message)
        elif not self._watch.buffer(message):
            self._begin_again("more events came than can be kept until REST has caught up")

    def _disconnected(self, message: StreamClosed) -> None:
        if message.connection != self._watch.connection:
            return
        rest = self._watch.closed(message.reason)
        for events in rest if self._opened else ():
            self._take_events(events)
        self._show()
        self._count("stream_closed")
        self.log.warning("stream_closed", connection=message.connection, reason=message.reason)

    def _take_events(self, message: StreamEvents) -> None:
        """Hand on the events of a frame; a fill makes a cycle due (R-34)."""
        if self._outflow.waiting > FLOOD_MAX:
            self._begin_again("more events came than can be made durable")
            return
        filled = False
        for event in message.events:
            match event:
                case TradeMessage(trade=trade):
                    for leg in own_legs(trade, self._identity.address, self._identity.api_keys):
                        self._watch.showed((leg.trade_id, leg.order_id))
                        self._leg(leg)
                        filled = True
                case OrderMessage():
                    self._order(event, "stream")
        if filled:
            self.tell(coordinator_address(self._identity.wallet), SyncAsked(why="fill"))

    def _leg(self, leg: TradeLeg) -> None:
        if self._handing.knows(leg.condition_id):
            self._handing.leg(leg, "stream")
        else:
            self._handing.keep(leg.condition_id, lambda: self._handing.leg(leg, "stream"))

    def _order(self, message: OrderMessage, feed: str) -> None:
        """An order of a key that is not configured is the cycle's to judge (R-04, R-21)."""
        condition_id = message.order.condition_id
        if message.order.owner not in self._identity.api_keys:
            self._count("foreign_order_message")
        elif self._handing.knows(condition_id):
            self._handing.order(message, feed)
        else:
            self._handing.keep(condition_id, lambda: self._handing.order(message, feed))

    # -- behind a new subscription --------------------------------------------------------------------------------

    def _subscribed(self, message: StreamOpened) -> None:
        self._watch.opened(message)
        self._show()
        self._catch_up()

    def _catch_up(self) -> None:
        """Read over REST what lies before the subscription, while its events wait (see ``streaming``).

        Before the wallet's first cycle they wait for that too: until then what they show may be history (R-23).
        """
        if not self._opened or not self._watch.catching_up:
            return
        number = next(self._numbers)
        trades, orders = f"subscribed-trades|{number}", f"subscribed-orders|{number}"
        self._awaited = {trades, orders}
        self._read_again(TradeJob(trades, "backfill", None, lambda: self._caught_up(trades)))
        self._ask(ReadOpenOrders(wallet=self._identity.wallet), orders)

    def _answered(self, message: ReadCompleted | ReadFailed, now_ms: int) -> None:
        job = self._jobs.get(message.correlation)
        if job is not None:
            self._job_answered(job, message, now_ms)
        elif message.correlation.startswith(PREFIX):
            self._checks.answered(message)
        elif message.correlation in self._awaited:
            self._orders_answered(message)

    def _orders_answered(self, message: ReadCompleted | ReadFailed) -> None:
        """Orders as they stand behind a new subscription; those that left the list are the next cycle's (L-06)."""
        if isinstance(message, ReadFailed) or message.certificate.verdict is not Verdict.COMPLETE:
            self._count("catch_up_failed")
        elif isinstance(message.answer, OrdersAnswer):
            at_ms = message.certificate.started_at_ms
            for order in message.answer.orders:
                self._order(OrderMessage(order=order, change=OrderChange.UPDATE, at_ms=at_ms), "backfill")
        self._caught_up(message.correlation)

    def _caught_up(self, correlation: str) -> None:
        """A reading behind the subscription ended, well or not; after the last one its events go on.

        A reading that failed holds nothing back: what lies before the subscription is found by the next cycle's.
        """
        self._awaited.discard(correlation)
        if self._awaited or not self._watch.catching_up:
            return
        for events in self._watch.caught_up():
            self._take_events(events)
        self.tell(coordinator_address(self._identity.wallet), SyncAsked(why="stream"))
