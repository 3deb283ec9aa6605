"""The service as ``chain-catch-up`` sees it: a process that catches up with a chain on each line of its stdin.

``python -m gevent.monkey --module benchmarks.chain_subject CONFIG URL``. Before its first line it lives through what
came before: a first cycle, then the chain out of reach while the exchange showed 6,000 trades. Each catch-up is a new
life of the process from a copy of those books. What is measured begins with the first request for logs and ends when
the report of the cycle that compared it all is durable: so is everything before it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import gevent
import msgspec
from gevent.event import Event

from benchmarks.chain_witnesses import Witnesses, held, trades
from benchmarks.chain_world import FILLS, HEAD, WHOLE
from messages.addresses import WRITER, coordinator_address
from messages.cycle import SyncAsked
from messages.ledger import Decision, JournalEntry
from polymarket.reads import PolymarketReads
from polymarket.settings import PolymarketSettings
from portfolio.outcomes import AdjustmentRow, CycleStatus, FillRow, IssueRow, OperationsReport, PositionRow
from service.alerting import open_alerting
from service.bootstrap import owner_name
from service.clock import SystemClock
from service.config import Config, load
from service.logs import set_up
from service.process import Outside, Process
from service.telemetry import NoMetrics
from storage.database import Database, open_database
from storage.ledger import Ledger

WITHIN_S = 60
BREATH_S = 0.005
FLOORS: dict[type, str] = {
    FillRow: "floor_fills",
    AdjustmentRow: "floor_adjustments",
    IssueRow: "floor_issues",
    PositionRow: "floor_positions",
}
"""Where the floor writes as many rows."""


class Reports(NoMetrics):
    """The metrics port: keeps the report that was made durable last."""

    def __init__(self) -> None:
        self.report: OperationsReport | None = None
        self.heard = Event()

    def cycle(self, report: OperationsReport) -> None:
        """The report is durable."""
        self.report = report
        self.heard.set()


class CountedLedger(Ledger):
    """The ledger, counting what becomes durable since logs were asked for."""

    def __init__(self, database: Database, witnesses: Witnesses) -> None:
        super().__init__(database)
        self._witnesses = witnesses
        self.rows: Counter[str] = Counter()
        self.transactions = self.payload_bytes = 0

    def commit(self, decisions: Sequence[Decision]) -> tuple[JournalEntry, ...]:
        """Commit, then count."""
        entries = super().commit(decisions)
        if self._witnesses.began_s:
            self.transactions += 1
            self.rows["floor_journal"] += len(decisions)
            self.payload_bytes += sum(len(decision.payload) for decision in decisions)
            self.rows.update(FLOORS.get(type(row), "floor_reports") for each in decisions for row in each.rows)
        return entries


class Gaps:
    """The longest time that a greenlet which wants to run every 5 ms had to wait for the others."""

    def __init__(self) -> None:
        self.worst_s = 0.0
        self._greenlet = gevent.spawn(self._run)

    def _run(self) -> None:
        while True:
            started_s = time.perf_counter()
            gevent.sleep(BREATH_S)
            self.worst_s = max(self.worst_s, time.perf_counter() - started_s - BREATH_S)

    def close(self) -> None:
        """Stop looking."""
        self._greenlet.kill()


class Subject(Process):
    """The process, told when to begin a cycle."""

    def cycle(self, reports: Reports) -> OperationsReport:
        """One cycle, to the end."""
        reports.heard.clear()
        self._post.tell(coordinator_address(self._wallet.name), SyncAsked(why="interval"))
        assert reports.heard.wait(WITHIN_S), f"no cycle ended within {WITHIN_S} s"
        assert reports.report is not None
        return reports.report

    def counted(self, witnesses: Witnesses) -> CountedLedger:
        """From here on commits are looked at; before the start."""
        self._ledger = counted = CountedLedger(self._database, witnesses)
        return counted

    def settle(self) -> None:
        """All that was decided is durable."""
        self._settle(WRITER)


class CatchUp(msgspec.Struct, frozen=True, kw_only=True):
    """What a catch-up took, and what the floor has to write for it."""

    seconds: float
    worst_gap_ms: float
    rows: dict[str, int]
    transactions: int
    payload_bytes: int


class Lives:
    """One life of the process after another, on one database."""

    def __init__(self, config: Config, url: str) -> None:
        self._config = config
        self._file = Path(config.storage_url.removeprefix("sqlite:///"))
        self._past = self._file.with_suffix(".past")
        self._url = url

    def past(self) -> None:
        """What came before: books without a position, then trades that no balance and no log has shown."""
        reports, witnesses, process = self._begin()
        try:
            process.start(begin=False)
            first = process.cycle(reports)
            assert (first.status, first.block_number) == (CycleStatus.OK, witnesses.block), first
            witnesses.block, witnesses.trades = None, trades()
            assert process.cycle(reports).status is CycleStatus.RPC_UNAVAILABLE
            process.settle()
        finally:
            process.stop()
        shutil.copy(self._file, self._past)

    def catch_up(self) -> CatchUp:
        """A life that finds the chain where it is by now."""
        shutil.copy(self._past, self._file)
        reports, witnesses, process = self._begin()
        witnesses.block = HEAD
        ledger = process.counted(witnesses)
        try:
            process.start(begin=False)
            gaps = Gaps()
            report = process.cycle(reports)
            ended_s = time.perf_counter()
            gaps.close()
        finally:
            process.stop()
        assert (report.status, report.block_number) == (CycleStatus.OK, HEAD), report
        self._check()
        return CatchUp(
            seconds=ended_s - witnesses.began_s,
            worst_gap_ms=gaps.worst_s * 1000,
            rows=ledger.rows,
            transactions=ledger.transactions,
            payload_bytes=ledger.payload_bytes,
        )

    def _check(self) -> None:
        """Every fill was settled by its log, and every other transaction is booked under its own."""
        fills = "SELECT count(*) FROM fills WHERE state = 'SETTLED' AND settled_by LIKE 'transaction %, log %'"
        entries = "SELECT count(DISTINCT substr(entry_id, 1, 72)) FROM adjustments WHERE entry_id LIKE 'chain:%'"
        with closing(sqlite3.connect(self._file)) as connection:
            found = tuple(connection.execute(query).fetchone()[0] for query in (fills, entries))
        assert found == (FILLS, WHOLE), f"{found} are booked, not {(FILLS, WHOLE)}"

    def _begin(self) -> tuple[Reports, Witnesses, Subject]:
        reads = PolymarketReads(PolymarketSettings(rpc_url=self._url), SystemClock().now_ms)
        reports, witnesses = Reports(), Witnesses(reads)
        outside = Outside(
            reads=witnesses, metrics=reports, sink=open_alerting(self._config), close=lambda: reads.close(WITHIN_S)
        )
        database = open_database(self._config.storage_url, owner=owner_name(), now_ms=SystemClock().now_ms())
        return reports, witnesses, Subject(self._config, database, outside)


def main(file: str, url: str) -> None:
    """Serve until stdin ends."""
    config = load(Path(file))
    with Path(os.devnull).open("w", encoding="utf-8") as log:
        set_up(config, log)
        lives = Lives(config, url)
        lives.past()
        held()
        print('"ready"', flush=True)
        for _ in sys.stdin:
            print(msgspec.json.encode(lives.catch_up()).decode(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
