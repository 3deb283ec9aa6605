"""The path of a fill, in a process of its own: bytes of a page → parser → ingest → market → durable (L-01, L-02).

``python -m gevent.monkey --module benchmarks.fills_subject CONFIG FILLS MARKETS``. The answers of the CLOB are made
beforehand and read by the real reader; nobody is asked over a network. Prints ``{"seconds": …, "batches": …}``: from
the first poll to the commit of the last fill.
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

from actors.base import BaseActor, System
from messages.addresses import WRITER, coordinator_address, ingest_address, market_address
from messages.cycle import MarketsKnown, PollDone, PollTrades, Tick
from messages.ledger import Decision, JournalEntry
from messages.reads import Read, ReadCompleted, ReadFailed, ReadTrades
from polymarket.clob import read_trades
from polymarket.reading import ReadContext
from polymarket.requests import HttpResponse
from portfolio.events import MarketDefined
from portfolio.facts import MarketMeta, TokenMeta
from service.alerting import open_alerting
from service.bootstrap import owner_name
from service.clock import SystemClock
from service.config import Config, load, polymarket_settings
from service.logs import set_up
from service.process import Outside, Process
from service.telemetry import NoMetrics
from storage.database import Database, open_database
from storage.ledger import Ledger

PAGE = 500
PAGES_PER_POLL = 10
WITHIN_S = 600
START_S = 1_746_792_000
CONTRACT = "0x4d97dcd97ec945f40cf65f87097ace5ea0476045"


def condition(market: int) -> str:
    """The condition id of a market."""
    return f"0x{market + 1:064x}"


def token(market: int, outcome: int) -> str:
    """A token id as long as real ones."""
    return str(10**76 + market * 2 + outcome)


def meta(market: int) -> MarketMeta:
    """Metadata of a market."""
    tokens = tuple(
        TokenMeta(token_id=token(market, side), outcome=name, outcome_index=side, contract=CONTRACT)
        for side, name in enumerate(("Yes", "No"))
    )
    return MarketMeta(
        condition_id=condition(market),
        question_id=condition(market),
        title=f"Market {market}",
        slug=f"market-{market}",
        version="v1",
        tokens=tokens,
        neg_risk_claimed=False,
        neg_risk_derived=False,
        neg_risk_market_id=None,
        question_index=None,
        closed=False,
        fee_rate_micro=50_000,
        fee_exponent=1,
    )


def trade(number: int, markets: int, owner: tuple[str, str]) -> dict[str, object]:
    """A trade of ours as the CLOB shows it: a purchase, every third time a smaller sale, taken from one maker.

    Sizes and prices vary, so that nothing that is remembered of one fill serves the next.
    """
    market, (address, key) = number % markets, owner
    side = "SELL" if number // markets % 3 == 2 else "BUY"
    cents = (5 if side == "SELL" else 10) * 100 + number * 37 % 499
    size, price = f"{cents // 100}.{cents % 100:02d}", f"0.{10 + number * 7 % 80}"
    maker = {
        "order_id": f"0x{10**9 + number:064x}",
        "owner": "22222222-2222-2222-2222-222222222222",
        "maker_address": "0x" + "9a" * 20,
        "matched_amount": size,
        "price": price,
        "asset_id": token(market, 0),
        "outcome": "Yes",
        "side": "BUY" if side == "SELL" else "SELL",
    }
    return {
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "taker_order_id": f"0x{number:064x}",
        "market": condition(market),
        "asset_id": token(market, 0),
        "side": side,
        "size": size,
        "fee_rate_bps": "0",
        "price": price,
        "status": "CONFIRMED",
        "match_time": str(START_S + number // 100),
        "last_update": str(START_S + number // 100),
        "outcome": "Yes",
        "bucket_index": 0,
        "owner": key,
        "maker_address": address,
        "transaction_hash": f"0x{number:064x}",
        "trader_side": "TAKER",
        "maker_orders": [maker],
    }


def pages(fills: int, markets: int, owner: tuple[str, str]) -> list[bytes]:
    """All trades as bodies of pages, in polls of ten pages each."""
    bodies = []
    for number, start in enumerate(range(0, fills, PAGE), start=1):
        rows = [trade(one, markets, owner) for one in range(start, min(start + PAGE, fills))]
        cursor = "LTE=" if number % PAGES_PER_POLL == 0 or start + PAGE >= fills else f"page-{number}"
        bodies.append(msgspec.json.encode({"limit": PAGE, "count": len(rows), "next_cursor": cursor, "data": rows}))
    return bodies


class Recorded:
    """The port of external reads: real readers over bodies that were made beforehand."""

    def __init__(self, config: Config, bodies: Sequence[bytes]) -> None:
        self._settings = polymarket_settings(config)
        self._bodies = iter(bodies)

    def request(self, read: Read, reply: Callable[[ReadCompleted | ReadFailed], None], correlation: str) -> None:
        """Read in a greenlet of its own that lets others in with each page, as the real port does."""
        assert isinstance(read, ReadTrades), f"only trades are read here, not {read}"
        gevent.spawn(self._serve, read, reply, correlation)

    def _serve(self, read: ReadTrades, reply: Callable[[ReadCompleted | ReadFailed], None], correlation: str) -> None:
        context = ReadContext(correlation=correlation, started_at_ms=START_S * 1000, nonce="0")
        reader = read_trades(self._settings, read, context)
        next(reader)
        try:
            while True:
                gevent.idle()
                reader.send((self._response(),))
        except StopIteration as stop:
            reply(stop.value)

    def _response(self) -> HttpResponse:
        return HttpResponse(
            status=200,
            headers={"content-type": "application/json"},
            body=next(self._bodies),
            started_at_ms=START_S * 1000,
            completed_at_ms=START_S * 1000,
        )


class CountedLedger(Ledger):
    """The ledger, counting what became durable."""

    def __init__(self, database: Database, expected: int) -> None:
        super().__init__(database)
        self._left = expected
        self.batches = 0
        self.done = Event()

    def commit(self, decisions: Sequence[Decision]) -> tuple[JournalEntry, ...]:
        """Commit, then count."""
        entries = super().commit(decisions)
        fills = sum(decision.kind == "fill_seen" for decision in decisions)
        self.batches += 1 if fills else 0
        self._left -= fills
        if self._left <= 0:
            self.done.set()
        return entries


class Asker(BaseActor):
    """In the coordinator's place: asks for the next poll when one is done."""

    def __init__(self, system: System, wallet: str, polls: int) -> None:
        super().__init__(coordinator_address(wallet), system)
        self._wallet = wallet
        self._left = polls

    def take(self, message: object, now_ms: int) -> None:
        """One poll after the other."""
        del now_ms
        assert not isinstance(message, PollDone) or message.certificate is not None, message
        if self._left:
            self._left -= 1
            poll = PollTrades(cycle_id=f"poll-{self._left}", reply_to=self.address)
            self.tell(ingest_address(self._wallet), poll)


class Prepared(Process):
    """The process without cycles, with its markets known."""

    def prepare(self, markets: int) -> None:
        """Start, and say of which markets there will be fills."""
        name = self._wallet.name
        self.start(cycles=False)
        for market in range(markets):
            address = market_address(name, condition(market))
            self._ensure(address)
            self._post.tell(address, MarketDefined(metas=(meta(market),)))
        entries = tuple((condition(market), condition(market)) for market in range(markets))
        self._post.tell(ingest_address(name), MarketsKnown(entries=entries))


class Subject(Prepared):
    """The process that is measured."""

    def measure(self, fills: int, markets: int) -> dict[str, float]:
        """Seconds from the first poll to the last commit, and the transactions between."""
        name = self._wallet.name
        ledger = self._ledger = CountedLedger(self._database, fills)
        self.prepare(markets)
        Asker.start(self._system, name, -(-fills // (PAGE * PAGES_PER_POLL)))
        self._settle(WRITER)
        started_s = time.perf_counter()
        self._post.tell(coordinator_address(name), Tick())
        assert ledger.done.wait(WITHIN_S), f"{fills} fills were not durable within {WITHIN_S} s"
        return {"seconds": time.perf_counter() - started_s, "batches": ledger.batches}


def main(file: str, fills: int, markets: int) -> None:
    """Measure and print."""
    config = load(Path(file))
    wallet = config.wallets[0]
    assert wallet.credentials is not None
    recorded = Recorded(config, pages(fills, markets, (wallet.address, wallet.credentials.key.reveal())))
    outside = Outside(reads=recorded, metrics=NoMetrics(), sink=open_alerting(config), close=lambda: None)
    with Path(os.devnull).open("w", encoding="utf-8") as log:
        set_up(config, log)
        database = open_database(config.storage_url, owner=owner_name(), now_ms=SystemClock().now_ms())
        process = Subject(config, database, outside)
        try:
            print(msgspec.json.encode(process.measure(fills, markets)).decode(), flush=True)
        finally:
            process.stop()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
