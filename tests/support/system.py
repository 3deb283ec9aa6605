"""A whole actor system under the deterministic pump, on a real database, with a scripted outside world."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict, Unpack

import pykka

from actors.base import System
from actors.board import Board
from actors.coordinator import SyncCoordinator
from actors.gate import StrategyGate
from actors.handing import Identity
from actors.ingest import FillIngestActor
from actors.market import MarketActor
from actors.ports import ExternalReads
from actors.pump import PumpRuntime, VirtualClock
from actors.reporter import Reporter
from actors.runtime import Post
from actors.stages import CoordinatorSettings
from actors.supervisor import Escalate, Supervisor
from actors.watching import ChainWatcher, WatchSettings
from actors.writer import LedgerWriter
from messages.addresses import (
    REPORTER,
    WATCHER,
    WRITER,
    Address,
    coordinator_address,
    gate_address,
    ingest_address,
    kind_of,
    market_of,
)
from messages.control import Command
from messages.cycle import SyncAsked
from messages.ledger import JournalEntry
from portfolio.events import GateConfigured
from portfolio.gate import TradeGate, trade_gate
from portfolio.labelling_book import TokenBook
from portfolio.outcomes import Alert, CycleStatus, DeltaType, OperationsReport
from portfolio.state import MarketState
from portfolio.views import ViewPolicy
from service.rebuilt import differences, keyed
from service.replay import Books, rebuild
from service.replaying import replayed
from storage.database import open_database
from storage.journal import Journal
from storage.lease import Leases
from storage.ledger import Ledger
from storage.outbox import Outbox
from storage.queries import Queries, ReportKind, Selection
from storage.stored import stored_state
from tests.support.stream import ScriptedStream
from tests.support.venue import FUNDER, OWN_KEY, Venue

WALLET = "main"
START_MS = 1_746_792_000_000
INTERVAL_MS = 30_000
FOLLOW_MS = 4_000


class RecordingSink:
    """Alerts that were said."""

    def __init__(self) -> None:
        self.alerts: list[Alert] = []

    def send(self, alert: Alert) -> None:
        """Remember it."""
        self.alerts.append(alert)

    def codes(self) -> list[str]:
        """Codes, in the order they were said."""
        return [alert.code for alert in self.alerts]


@dataclass
class RecordingMetrics:
    """Metrics that were emitted."""

    reports: list[OperationsReport] = field(default_factory=list)
    deltas: list[tuple[DeltaType, int]] = field(default_factory=list)
    paused: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    gaps_ms: list[int] = field(default_factory=list)

    def cycle(self, report: OperationsReport) -> None:
        """A cycle."""
        self.reports.append(report)

    def positions_synced(self, delta_type: DeltaType, count: int) -> None:
        """Deltas."""
        self.deltas.append((delta_type, count))

    def strategy_paused(self, strategy_id: str) -> None:
        """A pause."""
        self.paused.append(strategy_id)

    def counted(self, name: str, count: int = 1) -> None:
        """A counter."""
        self.counts[name] += count

    def stream_gap(self, gap_ms: int) -> None:
        """A gauge."""
        self.gaps_ms.append(gap_ms)

    def known_statuses(self, statuses: Any) -> None:
        """Labels are not looked at here."""


@dataclass
class Answers:
    """Answers to commands, by request id."""

    given: dict[str, tuple[bool, str, bytes]] = field(default_factory=dict)

    def answer(self, request_id: str, *, ok: bool, detail: str, body: bytes) -> None:
        """Remember it."""
        self.given[request_id] = (ok, detail, body)


class Options(TypedDict, total=False):
    """How a harness differs from the usual one; an empty ``url`` means a SQLite file of its own."""

    seed: int
    url: str
    policy: ViewPolicy
    apply_without_rpc: bool
    gate: GateConfigured
    book: TokenBook


class Harness:
    """One wallet's system; ``restart`` builds it anew from the same database, as after a crash."""

    def __init__(self, directory: Path, **options: Unpack[Options]) -> None:
        self.url = options.get("url") or f"sqlite:///{directory}/sync.db"
        self.seed = options.get("seed", 0)
        self.clock = VirtualClock(START_MS)
        self.venue = Venue(clock=self.clock)
        self.reads: ExternalReads = self.venue
        self.stream = ScriptedStream(self.clock)
        self.policy = options.get("policy") or ViewPolicy(settle_window_ms=INTERVAL_MS)
        self.apply_without_rpc = options.get("apply_without_rpc", True)
        self.book = options.get("book")
        self.address = FUNDER
        self.gate_config = options.get("gate") or GateConfigured(auto_pause=True, operator="", reason="", strategies=())
        self.sink = RecordingSink()
        self.metrics = RecordingMetrics()
        self.answers = Answers()
        self.escalated: list[str] = []
        self.restarted: list[Address] = []
        self.crashes_expected = False
        self._opened = False
        self._disk_lost = False

    def start(self, *, run: bool = True) -> Harness:
        """Open the database, rebuild, start all actors and run until nobody has mail: the first cycle is done.

        Without ``run`` all mail is still waiting: step through it with ``runtime.step``.
        """
        self.database = open_database(self.url, owner="test", now_ms=self.clock.now_ms())
        self._opened = True
        self._disk_lost = False
        self.runtime = PumpRuntime(self.clock, self.seed)
        self.venue.later = self.runtime.later
        self.post = Post()
        self.board = Board()
        self.system = System(clock=self.clock, post=self.post, runtime=self.runtime)
        self.ledger = Ledger(self.database)
        self.ledger.hold(Leases(self.database).acquire(WALLET, "test", self.clock.now_ms()))
        self.books = rebuild(WALLET, Journal(self.database).read(WALLET))
        Supervisor.start(self.system, self._restart, self._escalate, self.board, self.sink)
        LedgerWriter.start(self.system, self.ledger, Outbox(self.database))
        self._start_actor(REPORTER)
        self._start_actor(WATCHER)
        for address in (gate_address(WALLET), ingest_address(WALLET), *sorted(self.books.markets)):
            self._start_actor(Address(address))
        self.post.tell(gate_address(WALLET), self.gate_config)
        self._start_actor(coordinator_address(WALLET))
        for told, event in self.books.recovery():
            self.post.tell(told, event)
        if run:
            self.runtime.run_until_idle()
        return self

    def _start_actor(self, address: Address) -> None:
        match kind_of(address):
            case "reporter":
                Reporter.start(self.system, self.sink, self.metrics, Outbox(self.database), self.answers)
            case "watcher":
                ChainWatcher.start(self.system, WatchSettings(interval_ms=FOLLOW_MS), (self.reads, self.board))
            case "gate":
                StrategyGate.start(address, self.system, self.books.gate, self.board)
            case "ingest":
                opened = self.books.wallet.opened
                identity = Identity(wallet=WALLET, address=self.address, api_keys=(OWN_KEY,), opened=opened)
                # As the process does: each life of the ingest has a subscription of its own.
                self.stream.close()
                feeds = (self.reads, self.stream, self.board)
                FillIngestActor.start(address, self.system, self.books.ingest, identity, feeds)
            case "coordinator":
                self._start_coordinator()
            case _:
                state = self.books.markets.get(address, MarketState(wallet=WALLET, market_id=market_of(address)))
                MarketActor.start(address, self.system, state)

    def _start_coordinator(self) -> None:
        settings = CoordinatorSettings(
            wallet=WALLET,
            own_keys=(OWN_KEY,),
            sync_interval_ms=INTERVAL_MS,
            deadline_ms=INTERVAL_MS,
            policy=self.policy,
            apply_without_rpc=self.apply_without_rpc,
            reconciled_block=self.books.reconciled_block,
            interrupted_at_ms=self.books.interrupted[1] if self.books.interrupted is not None else 0,
            address=self.address,
            book=self.book,
        )
        ports = (self.reads, self.board, self.ensure)
        SyncCoordinator.start(coordinator_address(WALLET), self.system, self.books.wallet, settings, ports)

    def ensure(self, address: Address) -> None:
        """Start a market's actor when nobody is there; quarantined ones stay down."""
        if not self.post.knows(address) and market_of(address) not in self.board.quarantined:
            self._start_actor(address)

    def _restart(self, address: Address) -> None:
        """As the process does it: first all that was decided is durable, then the actor comes back from the journal."""
        self.restarted.append(address)
        _ping_writer(self.writer, self.runtime)
        self.books = self.rebuilt()
        self._start_actor(address)
        for told, event in self.books.recovery():
            if told == address:
                self.post.tell(told, event)

    def _escalate(self, escalate: Escalate) -> None:
        self.escalated.append(escalate.detail)

    def cycle(self) -> OperationsReport:
        """One more cycle on demand; its report."""
        self.clock.advance_to(self.clock.now_ms() + 1_000)
        self.post.tell(coordinator_address(WALLET), SyncAsked(why="force"))
        self.runtime.run_until_idle()
        return self.metrics.reports[-1]

    def ask(self, command: Command, address: Address | None = None) -> tuple[bool, str]:
        """Give a command to the gate, or to ``address``, and wait for its answer: (obeyed, sentence)."""
        self.post.tell(gate_address(WALLET) if address is None else address, command)
        self.runtime.run_until_idle()
        ok, detail, _ = self.answers.given[command.request_id]
        return ok, detail

    def may_trade(self, strategy_id: str = "default") -> TradeGate:
        """What the trade gate says now (R-14)."""
        live = self.board.liveness(WALLET, self.clock.now_ms(), INTERVAL_MS, apply_without_rpc=self.apply_without_rpc)
        return trade_gate(self.board.gate[WALLET].state, live, strategy_id)

    def cycles(self, count: int) -> list[OperationsReport]:
        """Several cycles."""
        return [self.cycle() for _ in range(count)]

    def stop(self) -> None:
        """Drop the actors, as a crash would, and close the database."""
        if self._opened:
            pykka.ActorRegistry._actor_refs.clear()
            self.database.close()
            self._opened = False

    def lose_disk(self) -> None:
        """From now on every commit fails, until a restart."""
        self._disk_lost = True
        self.database.connection.close()

    @property
    def readable(self) -> bool:
        """Whether the database is open and there."""
        return self._opened and not self._disk_lost

    def restart(self) -> Harness:
        """Crash and come back."""
        self.stop()
        return self.start()

    def actor(self, address: Address) -> Any:
        """The actor itself, as no other actor ever gets it."""
        ref = self.post.ref(address)
        assert ref is not None, f"nobody is at {address}"
        found = ref._actor_weakref()
        assert found is not None, f"the actor at {address} is dead"
        return found

    @property
    def writer(self) -> LedgerWriter:
        """The one writer."""
        found: LedgerWriter = self.actor(WRITER)
        return found

    # -- looking ---------------------------------------------------------------------------------------------------

    @property
    def queries(self) -> Queries:
        """The stored state."""
        return Queries(self.database)

    def shares(self) -> dict[str, int]:
        """Stored shares by token, zero ones left out."""
        return {row["token_id"]: row["shares_micro"] for row in self.queries.positions()}

    def settlements(self, event_type: str = "POSITION_DELTA") -> list[dict[str, Any]]:
        """Stored settlement reports, oldest first."""
        rows = self.queries.reports(ReportKind.SETTLEMENT, Selection())
        found = [dict(row) for row in rows if row["event_type"] == event_type]
        return sorted(found, key=lambda row: (row["synced_at_ms"], row["market_id"], row["subject"]))

    def journal(self) -> list[JournalEntry]:
        """All entries of the wallet's stream."""
        return list(Journal(self.database).read(WALLET))

    def rebuilt(self) -> Books:
        """The books as the journal tells them."""
        return rebuild(WALLET, Journal(self.database).read(WALLET))

    def assert_replays(self) -> None:
        """The journal gives the stored state, and its chain is whole (L-20, X-12)."""
        tables = replayed(WALLET, Journal(self.database).read(WALLET), None)
        assert differences(tables, keyed(stored_state(self.database, WALLET).rows)) == []
        assert Journal(self.database).verify_chain(WALLET).broken_at is None


def _ping_writer(writer: LedgerWriter, runtime: PumpRuntime) -> None:
    """What a ping does: it is answered behind all that waits in the writer's mailbox."""
    inbox: Any = writer.actor_inbox
    while inbox.mail:
        runtime._grant(runtime._ready.index(inbox), inbox, inbox.runner)
    writer.settle()


Build = Callable[..., Harness]

__all__ = ["INTERVAL_MS", "START_MS", "WALLET", "Build", "CycleStatus", "Harness"]
