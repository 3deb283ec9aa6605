"""What the process said, against what is durable: nothing before it is on disk, everything after that, nothing twice.

Alerts and reports leave behind a commit (D-18). A crash may come between an alert and the note that it was said, so it
may be said once more in the next life; in one life it is said once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from portfolio.outcomes import Alert, OperationsReport, Outcome, SettlementReport
from portfolio.reasons import ReasonCode
from service.replay import Books
from service.simulation.findings import Finding
from service.simulation.process import Seen

_AT_ONCE = "quarantine:"
"""Alerts of the supervisor, which are in no journal: it is told of crashes and owns no books."""


class Heard:
    """Follows the journal's rows, and what was seen to leave."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._alerts: dict[str, Alert] = {}
        self._cycles: dict[str, OperationsReport] = {}
        self._suppressed: set[str] = set()
        self._changed: dict[str, int] = {}
        self._said: Counter[str] = Counter()
        self._looked = self._cycles_looked = 0
        self._lives = 0

    def hear(self, rows: Iterable[Outcome]) -> None:
        """Rows of one entry of the journal."""
        for row in rows:
            match row:
                case Alert():
                    self._alerts[row.key] = row
                    if row.code == ReasonCode.PORTFOLIO_SYNC_PAUSE_SUPPRESSED.value:
                        self._suppressed.add(row.market_id)
                case OperationsReport():
                    self._cycles[row.cycle_id] = row
                case SettlementReport():
                    self._changed[row.cycle_id] = row.synced_at_ms
                case _:
                    pass

    def begun(self) -> None:
        """A life of the process began."""
        self._lives += 1

    def early(self, seen: Seen) -> Iterator[Finding]:
        """What was said and is not on disk; and what was said more often than there were lives."""
        for alert in seen.alerts[self._looked :]:
            self._said[alert.key] += 1
            if alert.key not in self._alerts and not alert.key.startswith(_AT_ONCE):
                yield _finding("an alert is durable before it is said", alert.key, "in the journal", "said")
            if self._said[alert.key] > self._lives:
                yield _finding(
                    "an alert is said once in a life", alert.key, str(self._lives), str(self._said[alert.key])
                )
        self._looked = len(seen.alerts)
        for report in seen.cycles[self._cycles_looked :]:
            if report.cycle_id not in self._cycles:
                yield _finding("a report is durable before it is told", report.cycle_id, "in the journal", "told")
        self._cycles_looked = len(seen.cycles)

    def missing(self, books: Books) -> Iterator[Finding]:
        """What is on disk and, though all is at rest, was not said or not done."""
        for key, alert in self._alerts.items():
            if not self._said[key]:
                yield _finding("an alert is said once it is durable", key, "said", "not said")
            pauses = alert.code == ReasonCode.PORTFOLIO_SYNC_CRITICAL_DISCREPANCY.value and alert.market_id
            if pauses and not books.gate.paused and alert.market_id not in self._suppressed:
                yield _finding("critical drift pauses the market's strategy", key, "a pause", "none")

    def unclosed(self) -> Iterator[Finding]:
        """Cycles that reported changes and have no operations report, though later ones have theirs (D-11 d)."""
        newest_ms = max((report.synced_at_ms for report in self._cycles.values()), default=0)
        for cycle_id, synced_at_ms in self._changed.items():
            if cycle_id not in self._cycles and synced_at_ms < newest_ms:
                yield _finding("a cycle that changed something has its report", cycle_id, "a report", "none")


def _finding(rule: str, subject: str, expected: str, found: str) -> Finding:
    return Finding(rule=rule, subject=subject, expected=expected, found=found)
