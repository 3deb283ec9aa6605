"""What must hold at every moment, whatever was lost, late or broken: checked after each cycle and each crash.

A second set of books follows the journal, so that each check proves once more that the journal gives the state (L-20).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from messages.ledger import JournalEntry
from polymarket.sandbox.trading import FAILED
from portfolio.entries import Fill, FillState
from portfolio.outcomes import CycleStatus, OperationsReport
from portfolio.provisional import PROVISIONAL
from portfolio.state import MarketState
from service.rebuilt import Rebuilt, differences, keyed
from service.simulation import present, telling
from service.simulation.findings import Finding, Found, compare, require
from service.simulation.heard import Heard
from service.simulation.process import WALLET, SimulatedProcess
from service.simulation.timely import Timely
from service.simulation.troubles import Troubles
from service.simulation.venue import Venue
from service.verify_books import Audit
from storage.journal import Journal
from storage.stored import stored_state

_NOT_HERE_MS = 1 << 60
"""How long a shortfall may last (INV-19) is the service's own to judge, who knows what it could read meanwhile; where
it does, the market halts, and that is found."""


class Safety:
    """The checks of one run; it outlives crashes, as the database does."""

    def __init__(self, venue: Venue) -> None:
        """``venue`` has the oracle."""
        self._venue = venue
        self._audit = Audit()
        self._said = Heard()
        self._troubles = Troubles(venue.played)
        self._timely = Timely(venue.world, self._troubles)
        self._stamps: dict[str, int] = {}
        self._restarted_ms: int | None = None
        self._cycles = 0
        self._reconciled = False
        self._sound: dict[str, MarketState] = {}
        self.rebuilt = Rebuilt(WALLET)
        self.checks = 0
        self.clock_was_set = False
        """Whether the process's clock was ever wrong: its stamps then say nothing of the world's time."""

    def check(self, process: SimulatedProcess, now_ms: int, *, believable: bool = True) -> None:
        """Everything; raises Found with the first thing that does not hold.

        ``believable``: the CLOB never stood still. What a list and a look-up both say is true for us, whoever says it.
        """
        self.checks += 1
        self._follow(process)
        self._process(process)
        known = self._sound
        self._books(now_ms)
        self._fills(state for address, state in self._sound.items() if known.get(address) is not state)
        if believable:
            self._orders()
        self._present(process, now_ms, believable=believable)

    def stored(self, process: SimulatedProcess) -> None:
        """The tables show what the journal gives, field by field, and its chain is whole (L-20, X-12)."""
        self._follow(process)
        require(next(self._said.early(process.seen), None))
        found = differences(self.rebuilt, keyed(stored_state(process.database, WALLET).rows))
        if found:
            first = found[0]
            raise Found(
                Finding(
                    rule="stored state is the journal's",
                    subject=f"{first.table} {first.key} {first.field}",
                    expected=str(first.rebuilt),
                    found=str(first.stored),
                    detail=str(first.entry),
                )
            )
        report = Journal(process.database).verify_chain(WALLET)
        compare("the journal's chain is whole", WALLET, None, report.broken_at, report.reason)

    def _present(self, process: SimulatedProcess, now_ms: int, *, believable: bool) -> None:
        """What the process believes and says now, against what the world is."""
        books, world = self.rebuilt.books, self._venue.world
        reports = process.seen.cycles[self._cycles :]
        self._cycles = len(process.seen.cycles)
        if not self.clock_was_set:
            self._in_time(process, reports, now_ms)
        self._reconciled = self._reconciled or any(report.onchain_reconciled for report in reports)
        if reports:
            require(next(telling.cash(reports[-1], world), None))
            require(next(present.balances(books, world, reports[-1]), None))
            self._closed_without(process, reports[-1])
        require(next(present.orders(books, world, believable=believable), None))
        require(next(self._said.early(process.seen), None))
        require(next(self._said.missing(books), None))
        require(next(self._said.unclosed(), None))
        compare("the gate has the strategies in force", WALLET, process.strategy_map(), books.gate.strategies)

    def _in_time(self, process: SimulatedProcess, reports: Sequence[OperationsReport], now_ms: int) -> None:
        """What can be said by the clock: what cycles tell of their sources, and how soon things are done."""
        books, world, interval_ms = self.rebuilt.books, self._venue.world, process.interval_ms
        for report in reports:
            require(next(telling.cycle(report, self._troubles, world, interval_ms), None))
            if self._reconciled:
                require(next(telling.logs(report, self._troubles), None))
        stream, restarted_ms = process.stream, process.restarted_at_ms
        require(next(self._timely.check(books, stream, restarted_ms, now_ms), None))
        require(next(self._timely.reversed(books, stream, restarted_ms, now_ms), None))
        require(next(self._timely.woken(stream, interval_ms, now_ms), None))
        require(next(self._timely.overdue(books, restarted_ms, interval_ms, now_ms), None))

    def _closed_without(self, process: SimulatedProcess, report: OperationsReport) -> None:
        """After a cycle without the CLOB nobody may trade (R-14)."""
        if report.status is CycleStatus.CLOB_UNAVAILABLE:
            self.closed_while_blind(process, "the CLOB is unavailable")

    def closed_at_start(self, process: SimulatedProcess) -> None:
        """A new process has seen nothing yet, so nobody may trade (S-14)."""
        self._said.begun()
        self._stamps.clear()
        for gate in process.gates():
            compare("the gate is closed until the first cycle", gate.strategy_id, expected=False, found=gate.allowed)

    def closed_while_blind(self, process: SimulatedProcess, blind: str) -> None:
        """A source that was silent for two intervals and more has closed the gate (R-14)."""
        for gate in process.gates():
            compare(f"the gate is closed while {blind}", gate.strategy_id, expected=False, found=gate.allowed)

    def _follow(self, process: SimulatedProcess) -> None:
        last = self.rebuilt.last
        if self._restarted_ms != process.restarted_at_ms:
            self._restarted_ms = process.restarted_at_ms
            self._stamps.clear()
        for entry in Journal(process.database).read(WALLET, after_seq=last.seq if last is not None else 0):
            self._stamped(entry)
            compare("no event is rejected", f"entry {entry.seq}", True, entry.kind != "event_rejected", entry.address)
            rows = self.rebuilt.apply(entry)
            self._audit.hear(rows)
            self._said.hear(rows)

    def _stamped(self, entry: JournalEntry) -> None:
        """An actor's time never goes back in one life of it, whatever its clock does (D-20)."""
        last_ms = self._stamps.get(entry.address, 0)
        compare("stamps never go back", f"entry {entry.seq}", True, entry.at_ms >= last_ms, entry.address)
        self._stamps[entry.address] = entry.at_ms

    def _process(self, process: SimulatedProcess) -> None:
        compare("no actor crashes by itself", "actors", [], list(process.crashed_by_itself))
        compare("the process goes on", "process", "", process.failure)

    def _books(self, now_ms: int) -> None:
        books = self.rebuilt.books
        for state in books.markets.values():
            compare("no market is halted", state.market_id, "", state.halted)
        audit = Audit()
        audit.close(books, now_ms, _NOT_HERE_MS, self._sound)
        for finding in (*audit.findings(), *self._audit.findings()):
            for breach in finding.breaches:
                name = f"{breach.invariant_id.value} holds"
                raise Found(
                    Finding(
                        rule=name,
                        subject=breach.subject,
                        expected=breach.expected,
                        found=breach.found,
                        detail=breach.detail,
                    )
                )
        self._sound = dict(books.markets)

    def _fills(self, changed: Iterable[MarketState]) -> None:
        """Each fill is one leg of one trade of the exchange, with its size; none is made up, none is there twice."""
        for state in changed:
            for booked in state.fills.values():
                if booked.fill.trade_id != PROVISIONAL:
                    self._fill(booked.fill)

    def _fill(self, fill: Fill) -> None:
        trade = self._venue.world.exchange.trades.get(fill.trade_id)
        compare("a fill is of a trade of the exchange", fill.trade_id, expected=True, found=trade is not None)
        if trade is None:
            return
        if fill.state is FillState.FAILED:
            compare("a fill failed as its trade did", fill.trade_id, FAILED, trade.status)
        legs = {leg.order_id: leg.size for leg in trade.legs} | {trade.taker_order_id: trade.size}
        compare("a fill has the size of its leg", fill.trade_id, legs.get(fill.order_id), fill.size_micro)

    def _orders(self) -> None:
        """An order that is over in the books is over on the exchange: there none comes back (L-06, L-08)."""
        known = self._venue.world.exchange.orders
        for state in self.rebuilt.books.markets.values():
            for order in state.orders.values():
                if order.closed_at_ms is not None:
                    compare("a closed order is over", order.order_id, expected=False, found=known[order.order_id].live)
