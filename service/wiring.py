"""The one wiring place: which actor is built from what, with the real ports passed in (D-07)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import msgspec
import structlog
from gevent.event import AsyncResult, Event

from actors.base import Ping, System
from actors.board import Board
from actors.coordinator import SyncCoordinator
from actors.gate import StrategyGate
from actors.handing import Identity
from actors.ingest import FillIngestActor
from actors.market import MarketActor
from actors.ports import AlertSink, Clock, ExternalReads, Metrics, UserStream
from actors.reporter import Reporter
from actors.runtime import GeventRuntime, Post, Runtime
from actors.stages import CoordinatorSettings
from actors.supervisor import Escalate, Supervisor
from actors.watching import ChainWatcher, WatchSettings
from actors.writer import LedgerWriter
from messages.addresses import (
    WRITER,
    Address,
    gate_address,
    kind_of,
    market_of,
)
from messages.control import Answer
from portfolio.events import GateConfigured
from portfolio.state import MarketState
from portfolio.views import ViewPolicy
from service.clock import SteadyClock, SystemClock
from service.config import Config, polymarket_settings, token_book
from service.keeping import EVERY, Keeper
from service.one_wallet import the_wallet
from service.replay import Books
from storage.database import Database
from storage.ledger import Ledger
from storage.outbox import Outbox

ANSWER_WITHIN_S = 60
STOP_WITHIN_S = 10
DEADLINE_TIMEOUTS = 6
"""A cycle asks at most so many questions one after another; each ends within ``timeout_ms``."""


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """What the process gets from around it; tests and the demo pass their own.

    ``stream`` makes the wallet's user stream; None: fills come by polls alone.
    """

    reads: ExternalReads
    metrics: Metrics
    sink: AlertSink
    close: Callable[[], None]
    stream: Callable[[], UserStream] | None = None


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """What the actors run on; a simulation brings a clock and a scheduler of its own, and snapshots of short journals.

    ``snapshot_every``: entries after which a snapshot is made.
    """

    clock: Clock
    runtime: Runtime
    snapshot_every: int = EVERY


class Waiters:
    """Callers that wait for an answer from the actors, by request id (port ``Replies``)."""

    def __init__(self) -> None:
        self._results: dict[str, AsyncResult[Answer]] = {}
        self._numbers = itertools.count(1)

    def open(self) -> tuple[str, AsyncResult[Answer]]:
        """A new request id, and where its answer will be."""
        request_id = f"request-{next(self._numbers)}"
        result: AsyncResult[Answer] = AsyncResult()
        self._results[request_id] = result
        return request_id, result

    def answer(self, request_id: str, *, ok: bool, detail: str, body: bytes) -> None:
        """Wake the caller; an unknown id is a caller that gave up."""
        result = self._results.pop(request_id, None)
        if result is not None:
            result.set(Answer(request_id=request_id, ok=ok, detail=detail, body=body))

    def refuse_all(self, detail: str) -> None:
        """Nobody will be answered any more."""
        for request_id in tuple(self._results):
            self.answer(request_id, ok=False, detail=detail, body=b"null")


class Wiring:
    """The actors of one wallet, and how each is started again."""

    def __init__(self, config: Config, database: Database, outside: Outside, ground: Ground | None = None) -> None:
        ground = ground or Ground(clock=SystemClock(), runtime=GeventRuntime())
        self._config = config
        self._database = database
        self._outside = outside
        self._clock = ground.clock
        self._board = Board()
        self._post = Post()
        self._stamps = SteadyClock(self._clock)
        self._system = System(clock=self._stamps, post=self._post, runtime=ground.runtime)
        self._waiters = Waiters()
        self._log = structlog.get_logger(__name__)
        self._ledger = Ledger(database)
        self._outbox = Outbox(database)
        self._wallet = the_wallet(config)
        self._books = Books(self._wallet.name)
        name, every = self._wallet.name, ground.snapshot_every
        self._keeper = Keeper(name, database, self._system, lambda: self._ledger.head(name), every)
        self._begin = True
        self._stream: UserStream | None = None
        self.ended = Event()
        """Set when the process has to end; ``failure`` says why, empty for an orderly stop."""
        self.failure = ""

    def _tell_gate_settings(self) -> None:
        sync = self._config.sync
        event = GateConfigured(
            auto_pause=sync.auto_pause,
            operator=sync.operator,
            reason=sync.reason,
            strategies=self._config.strategy_map,
        )
        self._post.tell(gate_address(self._wallet.name), event)

    def _start_actor(self, address: Address) -> None:
        """Start one actor and ping it: an error in its start is an error here."""
        ref = self._spawn(address)
        self._system.runtime.handled(ref, Ping(), ANSWER_WITHIN_S)

    def _spawn(self, address: Address) -> Any:
        system, outside, books = self._system, self._outside, self._books
        match kind_of(address):
            case "supervisor":
                return Supervisor.start(system, self._restart, self._escalate, self._board, outside.sink)
            case "writer":
                return LedgerWriter.start(system, self._ledger, self._outbox)
            case "reporter":
                return Reporter.start(system, outside.sink, outside.metrics, self._outbox, self._waiters)
            case "watcher":
                follow = WatchSettings(interval_ms=self._config.polygon.follow_interval_ms)
                return ChainWatcher.start(system, follow, (outside.reads, self._board))
            case "gate":
                return StrategyGate.start(address, system, books.gate, self._board)
            case "ingest":
                feeds = (outside.reads, self._new_stream(), self._board)
                return FillIngestActor.start(address, system, books.ingest, self._identity(), feeds)
            case "coordinator":
                ports = (outside.reads, self._board, self._ensure)
                return SyncCoordinator.start(address, system, books.wallet, self._settings(), ports)
            case _:
                state = books.markets.get(address)
                if state is None:
                    state = MarketState(wallet=self._wallet.name, market_id=market_of(address))
                return MarketActor.start(address, system, state)

    def _new_stream(self) -> UserStream | None:
        """A stream of its own for each life of the ingest; the one of a life that crashed is closed."""
        if self._stream is not None:
            self._stream.close()
        make = self._outside.stream
        self._stream = make() if make is not None else None
        return self._stream

    def _identity(self) -> Identity:
        return Identity(
            wallet=self._wallet.name,
            address=self._wallet.address,
            api_keys=self._own_keys(),
            opened=self._books.wallet.opened,
        )

    def _own_keys(self) -> tuple[str, ...]:
        credentials = self._wallet.credentials
        return () if credentials is None else (credentials.key.reveal(),)

    def _settings(self) -> CoordinatorSettings:
        sync = self._config.sync
        return CoordinatorSettings(
            wallet=self._wallet.name,
            own_keys=self._own_keys(),
            sync_interval_ms=sync.sync_interval_ms,
            deadline_ms=DEADLINE_TIMEOUTS * sync.timeout_ms,
            policy=ViewPolicy(
                settle_window_ms=sync.settle_window_ms,
                discrepancy_alert_micro=sync.discrepancy_alert_micro,
                adopt_unknown_orders=sync.adopt_unknown_orders,
            ),
            apply_without_rpc=sync.rpc_unavailable_policy == "apply",
            reconciled_block=self._books.reconciled_block,
            logs_until=self._books.logs_until,
            begin=self._begin,
            fill_ttl_ms=sync.pending_fill_ttl_ms,
            interrupted_at_ms=self._books.interrupted[1] if self._books.interrupted is not None else 0,
            address=self._wallet.address,
            book=token_book(polymarket_settings(self._config)),
            logs_wait_ms=sync.timeout_ms,
            rpc_endpoints=len(set(self._config.polygon.rpc_urls)),
        )

    def _ensure(self, address: Address) -> None:
        """Start a market's actor when nobody is there; quarantined ones stay down."""
        if not self._post.knows(address) and market_of(address) not in self._board.quarantined:
            self._spawn(address)

    def _restart(self, address: Address) -> None:
        """Bring a crashed actor back from what is durable."""
        writer = self._post.ref(WRITER)
        if writer is not None:
            self._system.runtime.handled(writer, Ping(), ANSWER_WITHIN_S)
        self._books = self._keeper.rebuilt()
        self._start_actor(address)
        if kind_of(address) == "gate":
            # A reload may have been in the mailbox that is lost (S-10); settings that are in force change nothing.
            self._tell_gate_settings()
        for told, event in self._books.recovery():
            if told == address:
                self._post.tell(told, event)

    def _escalate(self, escalate: Escalate) -> None:
        self._log.error("stopping", detail=escalate.detail)
        self._board.lease_held = False
        self.failure = escalate.detail
        self._waiters.refuse_all(f"the process is stopping: {escalate.detail}")
        self.ended.set()
