"""The running process: actors wired, started in order, stopped in reverse, and offered to HTTP and the CLI.

One wiring place (D-07): nothing else passes a real port to an actor. Started: supervisor, writer, reporter, gate, ingest,
markets, coordinator; each is pinged, so that a failure at start is an error here and not a silence later.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import gevent
import msgspec
import structlog
from gevent.event import AsyncResult, Event

from actors.base import Ping, System
from actors.board import Board
from actors.coordinator import SyncCoordinator
from actors.gate import StrategyGate
from actors.ingest import FillIngestActor, Identity
from actors.market import MarketActor
from actors.ports import AlertSink, ExternalReads, Metrics
from actors.reporter import Reporter
from actors.runtime import GeventRuntime, Post
from actors.stages import CoordinatorSettings
from actors.supervisor import Escalate, Supervisor
from actors.writer import LedgerWriter
from messages.addresses import (
    REPORTER,
    SUPERVISOR,
    WRITER,
    Address,
    coordinator_address,
    gate_address,
    ingest_address,
    kind_of,
    market_address,
    market_of,
)
from messages.control import Answer, Command, DescribeState, ResumeMarket
from messages.cycle import SyncAsked
from portfolio import closing
from portfolio.events import GateConfigured, WalletDefined
from portfolio.gate import TradeGate, trade_gate
from portfolio.images import image_of
from portfolio.outcomes import OperationsReport
from portfolio.reports import render_operations
from portfolio.state import MarketState
from portfolio.thresholds import CRITICAL_DRIFT_MICRO
from portfolio.views import ViewPolicy
from service.api import ServiceUnavailable, SourceState
from service.clock import SystemClock
from service.config import Config, load
from service.health import HealthFacts
from service.replay import Books, rebuild
from storage.database import Database
from storage.journal import Journal
from storage.lease import Leases
from storage.ledger import Ledger
from storage.outbox import Outbox
from storage.queries import Queries, ReportKind, Selection

ANSWER_WITHIN_S = 60
STOP_WITHIN_S = 10
DEADLINE_TIMEOUTS = 6
"""A cycle asks at most so many questions one after another; each ends within ``timeout_ms``."""


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """What the process gets from around it; tests and the demo pass their own."""

    reads: ExternalReads
    metrics: Metrics
    sink: AlertSink
    close: Callable[[], None]


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


class Process:
    """One wallet's service. Implements ``service.api.ServiceApi``."""

    def __init__(self, config: Config, database: Database, outside: Outside) -> None:
        self._config = config
        self._database = database
        self._outside = outside
        self._clock = SystemClock()
        self._board = Board()
        self._post = Post()
        self._system = System(clock=self._clock, post=self._post, runtime=GeventRuntime())
        self._waiters = Waiters()
        self._log = structlog.get_logger(__name__)
        self._ledger = Ledger(database)
        self._outbox = Outbox(database)
        self._wallet = config.wallets[0]
        self._books = Books(self._wallet.name)
        self.ended = Event()
        """Set when the process has to end; ``failure`` says why, empty for an orderly stop."""
        self.failure = ""

    # -- life -----------------------------------------------------------------------------------------------------

    def start(self, *, cycles: bool = True) -> None:
        """Take the lease, rebuild from the journal, start all actors, and begin the first cycle (S-14).

        Without ``cycles`` only what obeys commands is started: nothing is read from outside.
        """
        leases = Leases(self._database)
        self._ledger.hold(leases.acquire(self._wallet.name, self._config.service.bot_id, self._clock.now_ms()))
        self._books = rebuild(self._wallet.name, Journal(self._database).read(self._wallet.name))
        started = self._deciding() if cycles else self._deciding()[:-1]
        for address in (SUPERVISOR, WRITER, REPORTER, *started):
            self._start_actor(address)
        self._tell_gate_settings()
        if cycles:
            self._tell_wallet()
        self._log.info("started", wallet=self._wallet.name, entries=self._books.entries)

    def _deciding(self) -> tuple[Address, ...]:
        name = self._wallet.name
        return (
            gate_address(name),
            ingest_address(name),
            *(Address(address) for address in sorted(self._books.markets)),
            coordinator_address(name),
        )

    def _tell_wallet(self) -> None:
        """Who the wallet is enters as a journaled message (D-16); a cycle cut short gets its report (D-11 d)."""
        name = self._wallet.name
        defined = WalletDefined(
            address=self._wallet.address,
            signer_address=self._wallet.signer_address,
            signature_type=self._wallet.signature_type,
        )
        self._post.tell(coordinator_address(name), defined)
        if self._books.interrupted is not None:
            images = [image_of(state) for state in self._books.markets.values()]
            event = closing.aborted(self._books.wallet, *self._books.interrupted, images)
            self._post.tell(coordinator_address(name), event)

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
        ref = self._actor_class(address)
        ref.ask(Ping(), timeout=ANSWER_WITHIN_S)

    def _actor_class(self, address: Address) -> Any:  # noqa: ANN401 - pykka's references are generic in their actor
        system, outside, books = self._system, self._outside, self._books
        match kind_of(address):
            case "supervisor":
                return Supervisor.start(system, self._restart, self._escalate, self._board, outside.sink)
            case "writer":
                return LedgerWriter.start(system, self._ledger, self._outbox)
            case "reporter":
                return Reporter.start(system, outside.sink, outside.metrics, self._outbox, self._waiters)
            case "gate":
                return StrategyGate.start(address, system, books.gate, self._board)
            case "ingest":
                return FillIngestActor.start(address, system, books.ingest, self._identity(), outside.reads)
            case "coordinator":
                ports = (outside.reads, self._board, self._ensure)
                return SyncCoordinator.start(address, system, books.wallet, self._settings(), ports)
            case _:
                state = books.markets.get(address)
                if state is None:
                    state = MarketState(wallet=self._wallet.name, market_id=market_of(address))
                return MarketActor.start(address, system, state)

    def _identity(self) -> Identity:
        return Identity(wallet=self._wallet.name, address=self._wallet.address, api_keys=self._own_keys())

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
        )

    def _ensure(self, address: Address) -> None:
        """Start a market's actor when nobody is there; quarantined ones stay down."""
        if not self._post.knows(address) and market_of(address) not in self._board.quarantined:
            self._actor_class(address)

    def _restart(self, address: Address) -> None:
        """Bring a crashed actor back from what is durable."""
        writer = self._post.ref(WRITER)
        if writer is not None:
            writer.ask(Ping(), timeout=ANSWER_WITHIN_S)
        self._books = rebuild(self._wallet.name, Journal(self._database).read(self._wallet.name))
        self._start_actor(address)

    def _escalate(self, escalate: Escalate) -> None:
        self._log.error("stopping", detail=escalate.detail)
        self._board.lease_held = False
        self.failure = escalate.detail
        self.ended.set()

    def stop(self) -> None:
        """Stop in reverse: first who starts work, last who makes it durable; nothing decided is lost."""
        ours = {coordinator_address(self._wallet.name), ingest_address(self._wallet.name)}
        first = [address for address in reversed(self._post.addresses) if kind_of(address) in {"market", "gate"}]
        for address in (*sorted(ours), *first):
            self._stop_actor(address)
        for address in (WRITER, REPORTER, WRITER):
            self._settle(address)
        for address in (REPORTER, WRITER, SUPERVISOR):
            self._stop_actor(address)
        self._outside.close()
        self._database.close()
        self._log.info("stopped", wallet=self._wallet.name)

    def _settle(self, address: Address) -> None:
        ref = self._post.ref(address)
        if ref is not None and ref.is_alive():
            ref.ask(Ping(), timeout=STOP_WITHIN_S)

    def _stop_actor(self, address: Address) -> None:
        ref = self._post.ref(address)
        self._post.unregister(address)
        if ref is None or not ref.is_alive():
            return
        if not ref.stop(timeout=STOP_WITHIN_S):
            self._log.warning("actor_did_not_stop", address=address, within_s=STOP_WITHIN_S)

    # -- what it offers -------------------------------------------------------------------------------------------

    def command(self, command: Command) -> Answer:
        """Hand a command to its actor; the answer comes once what it did is durable."""
        name = self._wallet.name
        if isinstance(command, ResumeMarket):
            address = market_address(name, command.market_id)
            if not self._post.knows(address):
                return Answer(request_id="", ok=False, detail=f"no market {command.market_id} is known")
        else:
            address = gate_address(name)
        request_id, result = self._waiters.open()
        self._post.tell(address, msgspec.structs.replace(command, request_id=request_id))
        return self._wait(result)

    def _wait(self, result: AsyncResult[Answer]) -> Answer:
        try:
            answer = result.get(timeout=ANSWER_WITHIN_S)
        except gevent.Timeout as timeout:
            text = f"no answer within {ANSWER_WITHIN_S} s; look at the log of the service"
            raise ServiceUnavailable(text) from timeout
        if answer is None:
            raise ServiceUnavailable("the process is stopping; ask again once it runs")
        return answer

    def force_sync(self) -> dict[str, Any]:
        """A full cycle now, and what it wrote (S-19)."""
        request_id, result = self._waiters.open()
        self._post.tell(coordinator_address(self._wallet.name), SyncAsked(why="force", request_id=request_id))
        answer = self._wait(result)
        report = msgspec.json.decode(answer.body, type=OperationsReport)
        return self.cycle_document(report)

    def cycle_document(self, report: OperationsReport) -> dict[str, Any]:
        """A cycle's report with its settlement reports and issues, as they stand in the database."""
        queries = self.queries()
        selection = Selection(wallet=self._wallet.name, since_ms=report.synced_at_ms)
        settlements = queries.reports(ReportKind.SETTLEMENT, selection)
        issues = queries.issues(selection)
        return {
            "operations_report": render_operations(report),
            "settlement_reports": [row for row in settlements if row.get("cycle_id") == report.cycle_id],
            "issues": [row for row in issues if row.get("cycle_id") == report.cycle_id],
        }

    def describe(self) -> dict[str, Any]:
        """State of every deciding actor, by address."""
        told = {}
        for address in self._post.addresses:
            if kind_of(address) in {"market", "coordinator", "ingest", "gate"}:
                request_id, result = self._waiters.open()
                told[address] = result
                self._post.tell(address, DescribeState(request_id=request_id))
        return {str(address): msgspec.json.decode(self._wait(result).body) for address, result in told.items()}

    def health(self) -> HealthFacts:
        """What health is judged on."""
        now_ms = self._clock.now_ms()
        shown = self._board.sync.get(self._wallet.name)
        gate = self._board.gate.get(self._wallet.name)
        report = shown.report if shown is not None else None
        completed = shown.completed_at_ms if shown is not None else None
        known = shown.wallet.known_drift_micro if shown is not None else 0
        drift = max(known, report.drift_max_micro if report is not None else 0)
        down_since = shown.clob_down_since_ms if shown is not None else None
        return HealthFacts(
            sync_interval_ms=self._config.sync.sync_interval_ms,
            cycle_age_ms=None if completed is None else max(0, now_ms - completed),
            clob_unavailable_ms=None if down_since is None else max(0, now_ms - down_since),
            rpc_up=shown is None or shown.rpc_up,
            data_api_up=shown is None or shown.data_api_up,
            discrepancy_count=report.discrepancy_count if report is not None else 0,
            critical_drift=drift > CRITICAL_DRIFT_MICRO,
            paused_strategies=tuple(sorted(gate.state.paused)) if gate is not None else (),
            halted_markets=tuple(image.market_id for image in shown.images if image.halted) if shown else (),
            kill_switch=self.kill_switch(),
            auto_pause=gate.state.auto_pause if gate is not None else True,
            auto_pause_operator=self._config.sync.operator,
            pending_alerts=len(self._outbox.pending(limit=100)),
            quarantined=self._board.quarantined,
        )

    def gate(self, strategy_id: str) -> TradeGate | None:
        """The trade gate of one strategy (R-14)."""
        return next((gate for gate in self.gates() if gate.strategy_id == strategy_id), None)

    def gates(self) -> tuple[TradeGate, ...]:
        """The trade gates of all strategies."""
        shown = self._board.gate.get(self._wallet.name)
        if shown is None:
            return ()
        sync = self._config.sync
        live = self._board.liveness(
            self._wallet.name,
            self._clock.now_ms(),
            sync.sync_interval_ms,
            apply_without_rpc=sync.rpc_unavailable_policy == "apply",
        )
        return tuple(trade_gate(shown.state, live, strategy) for strategy in shown.state.strategy_ids)

    def sources(self) -> tuple[SourceState, ...]:
        """The witnesses as the last cycle saw them."""
        shown = self._board.sync.get(self._wallet.name)
        if shown is None or shown.report is None:
            return ()
        reasons = shown.report.reasons
        at_ms = shown.report.synced_at_ms
        up = {"clob": shown.clob_down_since_ms is None, "chain": shown.rpc_up, "data": shown.data_api_up}
        return tuple(
            SourceState(
                name=name,
                up=is_up,
                last_ok_at_ms=at_ms if is_up else None,
                last_failure_at_ms=None if is_up else at_ms,
                detail="" if is_up else next((reason for reason in reasons if reason.startswith(name)), ""),
            )
            for name, is_up in up.items()
        )

    def kill_switch(self) -> bool:
        """Whether the kill switch is on."""
        gate = self._board.gate.get(self._wallet.name)
        return gate is not None and gate.state.kill_switch

    def strategy_map(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Strategies as configured."""
        return self._config.strategy_map

    def queries(self) -> Queries:
        """The stored state."""
        return Queries(self._database)

    def reload_config(self) -> dict[str, Any]:
        """Read the file again; strategies and auto-pause apply at once, the rest is said to need a restart (S-10).

        Raises:
            ConfigError: with every problem; the old configuration stays in force.
        """
        new = load(self._config.file)
        old, self._config = (
            self._config,
            msgspec.structs.replace(
                self._config,
                strategies=new.strategies,
                sync=msgspec.structs.replace(
                    self._config.sync,
                    auto_pause=new.sync.auto_pause,
                    operator=new.sync.operator,
                    reason=new.sync.reason,
                ),
                findings=new.findings,
            ),
        )
        self._tell_gate_settings()
        restart = [
            name
            for name in (
                "service",
                "sync",
                "wallets",
                "endpoints",
                "polygon",
                "storage_url",
                "statsd",
                "alerts",
                "http",
            )
            if getattr(new, name) != getattr(self._config, name)
        ]
        return {"applied": new.strategies != old.strategies or new.sync != old.sync, "needs_restart": restart}
