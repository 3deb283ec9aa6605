"""The port's adapter: takes a read, runs its reader in a greenlet, tells the result exactly once (D-06).

No exception crosses this line. Nothing here knows actors: the reply is a callable.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import gevent.pool
import structlog

from messages.reads import (
    Read,
    ReadAgreement,
    ReadBalances,
    ReadFailed,
    ReadLogs,
    ReadMarkets,
    ReadOpenOrders,
    ReadOrder,
    ReadPositions,
    ReadReceipt,
    ReadTrades,
)
from polymarket import agreement, chain, clob, data_api, gamma, logs, receipts
from polymarket.chain_memory import ChainMemory
from polymarket.driver import Clock, HttpDriver
from polymarket.reading import ReadContext, ReadResult
from polymarket.requests import Steps
from polymarket.settings import PolymarketSettings
from portfolio.facts import FailureKind, Source

Reply = Callable[[ReadResult], None]

_SOURCES: dict[type[Read], Source] = {
    ReadOpenOrders: Source.CLOB_ORDERS,
    ReadOrder: Source.CLOB_ORDER,
    ReadTrades: Source.CLOB_TRADES,
    ReadPositions: Source.DATA_POSITIONS,
    ReadMarkets: Source.GAMMA_MARKETS,
    ReadBalances: Source.CHAIN_BALANCES,
    ReadReceipt: Source.CHAIN_RECEIPT,
    ReadLogs: Source.CHAIN_LOGS,
    ReadAgreement: Source.CHAIN_AGREEMENT,
}

_log = structlog.get_logger(__name__)


class PolymarketReads:
    """Reads of all kinds, many at a time; the driver bounds the requests in flight."""

    def __init__(self, settings: PolymarketSettings, clock: Clock, driver: HttpDriver | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self._driver = driver or HttpDriver(settings, clock)
        self._memory = ChainMemory()
        self._numbers = itertools.count()
        self._running = gevent.pool.Group()

    def request(self, read: Read, reply: Reply, correlation: str) -> None:
        """Start the read and return; ``reply`` is called once, from another greenlet, whatever happens."""
        self._running.spawn(self._serve, read, reply, correlation)

    def close(self, timeout_s: float) -> None:
        """Wait for the reads that run, at most so long, then close the connections."""
        self._running.join(timeout=timeout_s)
        self._driver.close()

    def _serve(self, read: Read, reply: Reply, correlation: str) -> None:
        started = self._clock()
        try:
            context = ReadContext(
                correlation=correlation, started_at_ms=started, nonce=f"{started}{next(self._numbers):04d}"
            )
            result = self._driver.run(reader_of(self._settings, self._memory, read, context))
        except Exception as error:  # noqa: BLE001 - no exception crosses the port; it is logged and told
            _log.exception("read_crashed", read=type(read).__name__, wallet=read.wallet, correlation=correlation)
            result = ReadFailed(
                correlation=correlation,
                source=_SOURCES[type(read)],
                kind=FailureKind.MALFORMED,
                detail=f"the reader failed unexpectedly ({type(error).__name__}); see the log for its traceback",
                started_at_ms=started,
                completed_at_ms=self._clock(),
            )
        reply(result)


def reader_of(settings: PolymarketSettings, memory: ChainMemory, read: Read, context: ReadContext) -> Steps[ReadResult]:
    """The reader of a read, whoever drives it."""
    match read:
        case ReadOpenOrders():
            return clob.read_open_orders(settings, read, context)
        case ReadOrder():
            return clob.read_order(settings, read, context)
        case ReadTrades():
            return clob.read_trades(settings, read, context)
        case ReadPositions():
            return data_api.read_positions(settings, read, context)
        case ReadMarkets():
            return gamma.read_markets(settings, read, context)
        case ReadBalances():
            return chain.read_balances(settings, read, context, memory)
        case ReadReceipt():
            return receipts.read_receipt(settings, read, context, memory)
        case ReadLogs():
            return logs.read_logs(settings, read, context, memory)
        case ReadAgreement():
            return agreement.read_agreement(settings, read, context, memory)
