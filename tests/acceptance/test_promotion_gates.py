"""The promotion gates of the source document that need no database server; the rest: ``test_integration_rows``."""

from __future__ import annotations

import random

import pytest

from messages.reads import ReadBalances, ReadOpenOrders, ReadOrder, ReadPositions, ReadTrades
from tests.acceptance import test_unit_rows
from tests.acceptance.worlds import SHARE, drift, holding
from tests.support.moves import fill_order, move
from tests.support.system import INTERVAL_MS, Build

CLOB_MS = 200
CHAIN_MS = 500
"""p99 of the two external services, as the document assumes them; every answer here takes that long."""


@pytest.mark.req("S-20")
@pytest.mark.parametrize("what", ["drift_of_exactly", "discrepancy_alert", "neg_risk_position", "strategy_paused"])
def test_shadow_gate_unit_tests_of_drift_neg_risk_and_auto_pause_exist(what: str) -> None:
    """The gate is that they pass; what has to be there is named here, so that none vanishes."""
    assert [name for name in vars(test_unit_rows) if name.startswith(f"test_{what}")]


@pytest.mark.req("S-20", "S-24", "S-15")
def test_limited_live_gate_sync_cycle_latency_p99_below_5_s_for_50_open_positions(build: Build) -> None:
    """50 positions and 50 orders, every answer as late as the document's p99: no cycle of 100 takes 5 s.

    In virtual time this counts how many answers a cycle waits for one after another; ``benchmarks/`` measures the rest.
    """
    harness, chance = build(), random.Random(50)
    for number in range(50):
        harness.venue.add_market(f"0x{number:02}")
        move(harness.venue, f"0x{number:02}-yes", 100 * SHARE)
        harness.venue.add_order(f"order-{number}", f"0x{number:02}-no", size=100 * SHARE, price=300_000)
    harness.start()
    for read in (ReadOpenOrders, ReadOrder, ReadTrades, ReadPositions):
        harness.venue.delays_ms[read] = CLOB_MS
    harness.venue.delays_ms[ReadBalances] = CHAIN_MS
    for number in range(100):
        move(harness.venue, f"0x{chance.randrange(50):02}-yes", SHARE)
        if harness.venue.orders and number % 4 == 0:
            fill_order(harness.venue, chance.choice(sorted(harness.venue.orders)), f"trade-{number}")
        harness.runtime.run_for(INTERVAL_MS)
    durations = sorted(report.sync_duration_ms for report in harness.metrics.reports[1:])
    assert len(durations) >= 100
    assert durations[0] > CLOB_MS + CHAIN_MS
    assert durations[-1] < 5_000, "the slowest, not only the 99th"


@pytest.mark.req("S-05", "S-20")
@pytest.mark.parametrize("pusd", [-501, 501, 5_000])
def test_limited_live_gate_critical_drift_auto_pause_fires_in_failure_injection(build: Build, pusd: int) -> None:
    """The pause fires whichever way the drift goes, exactly once, and a restart does not lift it."""
    harness = holding(build(), 1_000)
    drift(harness, pusd)
    harness.cycles(3)
    assert len(harness.settlements("PORTFOLIO_SYNC_STRATEGY_PAUSED")) == 1
    harness.restart()
    assert harness.cycle().paused_strategies == ("default",)
    assert harness.sink.codes().count("PORTFOLIO_SYNC_STRATEGY_PAUSED") == 1
