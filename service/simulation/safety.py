"""What must hold at every moment, whatever was lost, late or broken: checked after each cycle and each crash.

A second set of books follows the journal, so that each check proves once more that the journal gives the state (L-20).
"""

from __future__ import annotations

from polymarket.sandbox.trading import FAILED
from portfolio.entries import Fill, FillState
from portfolio.provisional import PROVISIONAL
from service.rebuilt import Rebuilt, differences, keyed
from service.simulation.findings import Finding, Found, compare
from service.simulation.process import WALLET, SimulatedProcess
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
        self._heard = Audit()
        self.rebuilt = Rebuilt(WALLET)
        self.checks = 0

    def check(self, process: SimulatedProcess, now_ms: int, *, believable: bool = True) -> None:
        """Everything; raises Found with the first thing that does not hold.

        ``believable``: the CLOB never stood still. What a list and a look-up both say is true for us, whoever says it.
        """
        self.checks += 1
        self._follow(process)
        self._process(process)
        self._books(now_ms)
        self._fills()
        if believable:
            self._orders()

    def stored(self, process: SimulatedProcess) -> None:
        """The tables show what the journal gives, field by field, and its chain is whole (L-20, X-12)."""
        self._follow(process)
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

    def closed_at_start(self, process: SimulatedProcess) -> None:
        """A new process has seen nothing yet, so nobody may trade (S-14)."""
        for gate in process.gates():
            compare("the gate is closed until the first cycle", gate.strategy_id, expected=False, found=gate.allowed)

    def closed_while_blind(self, process: SimulatedProcess, blind: str) -> None:
        """A source that was silent for two intervals and more has closed the gate (R-14)."""
        for gate in process.gates():
            compare(f"the gate is closed while {blind}", gate.strategy_id, expected=False, found=gate.allowed)

    def _follow(self, process: SimulatedProcess) -> None:
        last = self.rebuilt.last
        for entry in Journal(process.database).read(WALLET, after_seq=last.seq if last is not None else 0):
            compare("no event is rejected", f"entry {entry.seq}", True, entry.kind != "event_rejected", entry.address)
            self._heard.hear(self.rebuilt.apply(entry))

    def _process(self, process: SimulatedProcess) -> None:
        compare("no actor crashes by itself", "actors", [], list(process.crashed_by_itself))
        compare("the process goes on", "process", "", process.failure)

    def _books(self, now_ms: int) -> None:
        books = self.rebuilt.books
        for state in books.markets.values():
            compare("no market is halted", state.market_id, "", state.halted)
        audit = Audit()
        audit.close(books, now_ms, _NOT_HERE_MS)
        for finding in (*audit.findings(), *self._heard.findings()):
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

    def _fills(self) -> None:
        """Each fill is one leg of one trade of the exchange, with its size; none is made up, none is there twice."""
        for state in self.rebuilt.books.markets.values():
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
