"""The property tests of the acceptance section, each under its name, over seeded runs of random events."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from typing import Any

import pytest

from messages.reads import ReadBalances, ReadMarkets, ReadOpenOrders, ReadPositions, ReadTrades
from portfolio.facts import FailureKind, OrderStatus
from portfolio.outcomes import CycleStatus
from tests.acceptance.worlds import SHARE, stored
from tests.support.moves import Deal, fill_order, move, trade
from tests.support.system import INTERVAL_MS, Build, Harness

READS = (ReadOpenOrders, ReadTrades, ReadPositions, ReadMarkets, ReadBalances)
CONDITIONS = tuple(f"0x{letter}" for letter in "abcd")


def world(build: Build, seed: int) -> Harness:
    """Four markets with shares and an order each, running."""
    harness = build(seed=seed)
    for condition_id in CONDITIONS:
        harness.venue.add_market(condition_id)
        move(harness.venue, f"{condition_id}-yes", 1_000 * SHARE)
        harness.venue.add_order(f"first-{condition_id}", f"{condition_id}-no", size=100 * SHARE, price=300_000)
    return harness.start()


def happen(harness: Harness, chance: random.Random, number: int) -> None:
    """One random thing: an order appears, ends or fills, a trade of ours, or shares move without one."""
    venue = harness.venue
    condition_id = chance.choice(CONDITIONS)
    live = sorted(venue.orders)
    match chance.randrange(5):
        case 0:
            venue.add_order(f"order-{number}", f"{condition_id}-no", size=20 * SHARE, price=400_000)
        case 1 if live:
            venue.end_order(chance.choice(live), OrderStatus.CANCELED)
        case 2 if live:
            fill_order(venue, chance.choice(live), f"fill-{number}")
        case 3:
            trade(venue, f"trade-{number}", Deal(token_id=f"{condition_id}-yes", size=5 * SHARE, price=500_000))
        case _:
            move(venue, f"{condition_id}-yes", chance.randrange(1, 9) * SHARE)


@pytest.mark.req("S-01", "S-11", "S-20")
@pytest.mark.parametrize("seed", range(5))
def test_internal_position_store_is_never_more_stale_than_sync_interval_s_plus_sync_duration(
    build: Build, seed: int
) -> None:
    """Every answer takes a random time: a cycle begins at most an interval after the one before, and what it shows is
    in the store when it ends, so nothing there is older than the interval and the cycle's duration.
    """
    harness, chance = world(build, seed), random.Random(seed)
    for number in range(20):
        for read in READS:
            harness.venue.delays_ms[read] = chance.randrange(3_000)
        order_id = f"placed-{number}"
        harness.runtime.run_for(chance.randrange(INTERVAL_MS))
        placed_ms = harness.clock.now_ms()
        harness.venue.add_order(order_id, "0xa-no", size=SHARE, price=100_000)
        harness.runtime.run_for(INTERVAL_MS + max(report.sync_duration_ms for report in harness.metrics.reports))
        (first_seen_ms,) = [row["first_seen_at_ms"] for row in harness.queries.orders() if row["order_id"] == order_id]
        durations = max(report.sync_duration_ms for report in harness.metrics.reports)
        assert 0 <= first_seen_ms - placed_ms <= INTERVAL_MS + durations
    starts = [report.synced_at_ms for report in harness.metrics.reports]
    assert max(later - earlier for earlier, later in itertools.pairwise(starts)) <= INTERVAL_MS
    assert {report.status for report in harness.metrics.reports} == {CycleStatus.OK}


@pytest.mark.req("S-11", "S-20", "D-11")
@pytest.mark.parametrize("seed", range(5))
def test_partial_sync_is_never_applied(build: Build, seed: int) -> None:
    """Random reads fail or are partial while things happen: a cycle that was skipped changed nothing but for fills."""
    harness, chance = world(build, seed), random.Random(seed)
    skipped = 0
    for number in range(40):
        happen(harness, chance, number)
        venue = harness.venue
        venue.failing = {read: FailureKind.UNREACHABLE for read in READS if chance.random() < 0.1}
        venue.partial = {read for read in READS if chance.random() < 0.1}
        before = stored(harness)
        report = harness.cycle()
        if report.status in {CycleStatus.CLOB_UNAVAILABLE, CycleStatus.STALE}:
            skipped += 1
            after = stored(harness)
            assert report.delta_count == 0
            assert (after["adjustments"], after["deltas"]) == (before["adjustments"], before["deltas"])
            assert [row["order_id"] for row in after["orders"]] == [row["order_id"] for row in before["orders"]]
    assert skipped > 3
    harness.venue.failing, harness.venue.partial = {}, set()
    harness.runtime.run_for(3 * INTERVAL_MS)
    assert harness.shares() == {token: held for token, held in harness.venue.balances.items() if held}
    assert {row["order_id"] for row in harness.queries.orders()} == set(harness.venue.orders)
    harness.assert_replays()


@pytest.mark.req("S-08", "S-20", "R-25", "D-24")
@pytest.mark.parametrize("seed", range(5))
def test_every_position_delta_emits_exactly_one_settlement_report(build: Build, seed: int) -> None:
    """The changes of stored positions (less own fills) and orders between cycles are the reports, one for one."""
    harness, chance = world(build, seed), random.Random(seed)
    for number in range(30):
        happen(harness, chance, number)
        before, count = stored(harness), len(harness.settlements())
        report = harness.cycle()
        after, deltas = stored(harness), harness.settlements()
        assert report.delta_count == len(deltas) - count
        new = Counter((row["market_id"], row["subject"]) for row in deltas[count:])
        own = filled_orders(before, after)
        assert {key: times for key, times in new.items() if key not in own} == Counter(changes(before, after) - own)
    keys = [(row["market_id"], row["synced_at_ms"], row["subject"]) for row in harness.settlements()]
    assert len(keys) == len(set(keys)) > 20


def changes(before: dict[str, Any], after: dict[str, Any]) -> set[tuple[str, str]]:
    """What changed between two stored states other than by own fills: (condition, subject)."""
    own = Counter[str]()
    for fill in after["fills"][: len(after["fills"]) - len(before["fills"])]:
        own[fill["token_id"]] += fill["size_micro"] if fill["side"] == "BUY" else -fill["size_micro"]
    held = {row["token_id"]: row["shares_micro"] for row in before["positions"]}
    found = {
        (row["condition_id"], "position")
        for row in after["positions"]
        if row["shares_micro"] != held.get(row["token_id"], 0) + own[row["token_id"]]
    }
    worth = {row["order_id"]: open_part(row) for row in before["orders"]}
    return found | {
        (row["condition_id"], "open_orders")
        for row in after["orders"]
        if open_part(row) != worth.get(row["order_id"], 0)
    }


def filled_orders(before: dict[str, Any], after: dict[str, Any]) -> set[tuple[str, str]]:
    """Conditions where an order of ours was filled in between: own fills are ledger rows, no deltas (R-25)."""
    orders = {row["order_id"] for row in before["orders"]}
    new = after["fills"][: len(after["fills"]) - len(before["fills"])]
    return {(row["condition_id"], "open_orders") for row in new if row["order_id"] in orders}


def open_part(order: dict[str, Any]) -> int:
    """Shares that an order, as stored, can still be filled by."""
    if order["closed_at_ms"] is not None:
        return 0
    return int(order["original_size_micro"] - order["size_matched_micro"])
