"""The chain between two cycles: booked as it is seen, reported by the next one, undone where a block is dropped (X-01)."""

from __future__ import annotations

from typing import Any

import pytest

from actors.coordinator import EXTRA_CYCLE_MS
from messages.addresses import WATCHER
from messages.reads import ReadLogs, ReadMarkets
from portfolio.facts import TradeStatus
from tests.support.moves import Deal, becomes, move, trade
from tests.support.onchain import BOOK, again, deposited, filled, merged, reorganise, sold, split, transferred
from tests.support.system import FOLLOW_MS, INTERVAL_MS, Build, Harness
from tests.unit.actors.worlds import SHARE, Poison, following, issues, running, show

BIG = 1_100 * SHARE
"""Shares worth 550 pUSD at the mark of 0.50: above the line of a pause."""


def started(build: Build, shares: int = 5_000 * SHARE) -> Harness:
    """A system that follows the chain, with many of each outcome."""
    harness = build(book=BOOK)
    move(harness.venue, "0xa-yes", shares - 100 * SHARE)
    move(harness.venue, "0xa-no", shares)
    running(harness)
    harness.runtime.run_for(FOLLOW_MS)
    return harness


def look(harness: Harness) -> None:
    """The watcher's next look at the head; no cycle begins."""
    cycles = len(harness.metrics.reports)
    harness.runtime.run_for(FOLLOW_MS)
    harness.runtime.run_until_idle()
    assert len(harness.metrics.reports) - cycles <= 1


def adjustments(harness: Harness) -> list[dict[str, Any]]:
    """What is no opening, oldest first."""
    rows = (dict(row) for row in harness.queries.adjustments() if row["cause"] != "OPENING")
    return sorted(rows, key=lambda row: (row["entry_id"], row["token_id"]))


def counting(harness: Harness) -> list[tuple[str, int]]:
    """Cause and shares of the adjustments that count."""
    return [(row["cause"], row["size_micro"]) for row in adjustments(harness) if not row["superseded"]]


def explore(harness: Harness) -> None:
    for row in adjustments(harness): print(row)
    for row in reversed(harness.queries.issues()): print("ISSUE", row["type"], row["subject"], row["cause"], row["cycle_id"])
    for row in harness.settlements(): print("REPORT", row["cause"], row["evidence"], row["drift_pusd"], row["cycle_id"])
    print(harness.sink.codes(), [r.reasons for r in harness.metrics.reports])

def test_x(build: Build) -> None:
    harness = started(build)
    n = len(harness.metrics.reports)
    merged(harness.venue, "0xm", BIG)
    harness.runtime.run_for(FOLLOW_MS)
    print(len(harness.metrics.reports)-n)
    transferred(harness.venue, "0xt", "0xa-yes", -BIG)
    harness.runtime.run_for(FOLLOW_MS)
    print(len(harness.metrics.reports)-n)
    harness.runtime.run_for(EXTRA_CYCLE_MS)
    print(len(harness.metrics.reports)-n)
    explore(harness)
    sold(harness.venue, "0xs", "0xa-no", 7*SHARE, 400_000)
    harness.runtime.run_for(FOLLOW_MS)
    print(len(harness.metrics.reports)-n)
    explore(harness)
    harness.cycle()
    harness.cycle()
    explore(harness)
    assert 0
