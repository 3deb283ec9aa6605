"""Fills of the user stream at a steady rate, in a process of its own: bytes of a frame → parser → … → durable (L-02).

``python -m gevent.monkey --module benchmarks.fill_latency_subject CONFIG RATE WARM_UP FILLS MARKETS``. Prints a list:
for each fill behind the warm-up the milliseconds from the moment its frame was due to the end of its commit. A frame
that waits because the process is busy has come all the same, so the time that it waits counts.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import gevent
import msgspec
from gevent.event import Event

from actors.handing import Identity
from benchmarks.fills_subject import Prepared, trade
from messages.addresses import WRITER, ingest_address
from messages.ledger import Decision, JournalEntry
from messages.reads import Read, ReadCompleted, ReadFailed, ReadOpenOrders, ReadTrades
from messages.stream import StreamEvents, StreamMessage, StreamOpened
from polymarket.clob import read_open_orders, read_trades
from polymarket.payloads import parse_user_frame
from polymarket.reading import ReadContext
from polymarket.requests import HttpResponse
from portfolio.outcomes import FillRow
from service.alerting import open_alerting
from service.bootstrap import owner_name
from service.clock import SystemClock
from service.config import Config, load, polymarket_settings
from service.logs import set_up
from service.process import Outside
from service.telemetry import NoMetrics
from storage.database import Database, open_database
from storage.ledger import Ledger

WITHIN_S = 30
EMPTY = b'{"limit":500,"count":0,"next_cursor":"LTE=","data":[]}'


def frames(count: int, markets: int, owner: tuple[str, str]) -> list[bytes]:
    """Frames of one trade each, as the user channel shows a match."""
    told = {"event_type": "trade", "type": "TRADE", "status": "MATCHED"}
    return [msgspec.json.encode({**trade(number, markets, owner), **told}) for number in range(count)]


class Nothing:
    """The port of external reads: lists without rows, by the real readers."""

    def __init__(self, config: Config) -> None:
        self._settings = polymarket_settings(config)

    def request(self, read: Read, reply: Callable[[ReadCompleted | ReadFailed], None], correlation: str) -> None:
        """Answer at once."""
        at_ms = SystemClock().now_ms()
        context = ReadContext(correlation=correlation, started_at_ms=at_ms, nonce="0")
        assert isinstance(read, ReadTrades | ReadOpenOrders), f"only lists are read here, not {read}"
        reader = (
            read_trades(self._settings, read, context)
            if isinstance(read, ReadTrades)
            else read_open_orders(self._settings, read, context)
        )
        kind = {"content-type": "application/json"}
        page = HttpResponse(status=200, headers=kind, body=EMPTY, started_at_ms=at_ms, completed_at_ms=at_ms)
        try:
            requests = next(reader)
            while True:
                requests = reader.send(tuple(page for _ in requests))
        except StopIteration as stop:
            reply(stop.value)


class Channel:
    """The port of the user stream: shows what it is told to show."""

    def __init__(self) -> None:
        self.deliver: Callable[[StreamMessage], None] = lambda _message: None

    def open(self, deliver: Callable[[StreamMessage], None]) -> None:
        """Subscribed at once."""
        self.deliver = deliver
        deliver(StreamOpened(connection=1, at_ms=SystemClock().now_ms()))

    def reconnect(self, reason: str) -> None:
        """Nothing may be lost here."""
        raise AssertionError(reason)

    def close(self) -> None:
        """There is nothing to close."""


class TimedLedger(Ledger):
    """The ledger, noting when each fill became durable."""

    def __init__(self, database: Database, expected: int) -> None:
        super().__init__(database)
        self._expected = expected
        self.durable_s: dict[str, float] = {}
        self.done = Event()

    def commit(self, decisions: Sequence[Decision]) -> tuple[JournalEntry, ...]:
        """Commit, then note."""
        entries = super().commit(decisions)
        now_s = time.perf_counter()
        for decision in decisions:
            self.durable_s.update((row.trade_id, now_s) for row in decision.rows if isinstance(row, FillRow))
        if len(self.durable_s) >= self._expected:
            self.done.set()
        return entries


class Subject(Prepared):
    """The process that is measured."""

    def _identity(self) -> Identity:
        """The wallet's first cycle is long over: what the stream shows is booked as it comes (R-23)."""
        return msgspec.structs.replace(super()._identity(), opened=True)

    def measure(self, bodies: Sequence[bytes], rate: int, markets: int, channel: Channel) -> list[float]:
        """Milliseconds of each frame, in their order."""
        ledger = self._ledger = TimedLedger(self._database, len(bodies))
        self.prepare(markets)
        self._settle(ingest_address(self._wallet.name))
        self._settle(WRITER)
        start_s = time.perf_counter()
        for number, body in enumerate(bodies):
            gevent.sleep(max(0, start_s + number / rate - time.perf_counter()))
            frame = parse_user_frame(body)
            events = StreamEvents(connection=1, received_at_ms=self._clock.now_ms(), events=frame.events)
            channel.deliver(events)
        assert ledger.done.wait(WITHIN_S), f"{len(bodies)} fills were not durable within {WITHIN_S} s of the last"
        return [
            (durable_s - start_s - number / rate) * 1000
            for number, (_, durable_s) in enumerate(sorted(ledger.durable_s.items()))
        ]


def main(file: str, rate: int, warm_up: int, fills: int, markets: int) -> None:
    """Measure and print."""
    config = load(Path(file))
    wallet = config.wallets[0]
    assert wallet.credentials is not None
    bodies = frames(warm_up + fills, markets, (wallet.address, wallet.credentials.key.reveal()))
    channel, alerting = Channel(), open_alerting(config)
    outside = Outside(
        reads=Nothing(config), metrics=NoMetrics(), sink=alerting, close=lambda: None, stream=lambda: channel
    )
    with Path(os.devnull).open("w", encoding="utf-8") as log:
        set_up(config, log)
        database = open_database(config.storage_url, owner=owner_name(), now_ms=SystemClock().now_ms())
        process = Subject(config, database, outside)
        try:
            print(msgspec.json.encode(process.measure(bodies, rate, markets, channel)[warm_up:]).decode(), flush=True)
        finally:
            process.stop()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
