"""A crash after every single step of a scripted run: the next life ends where the run without a crash ended.

The pump makes a run a sequence of steps, one message each. What a crash leaves is the disk and the world, so two steps
that leave the same disk in the same world are the same crash; each distinct one is tried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from messages.addresses import coordinator_address
from messages.cycle import SyncAsked
from portfolio.facts import OrderStatus, TradeStatus
from tests.acceptance.worlds import SHARE, worth
from tests.support.measuring import unmeasured
from tests.support.moves import FOREIGN_KEY, Deal, fill_order, merge, move, trade
from tests.support.system import WALLET, Build, Harness


@pytest.fixture(autouse=True)
def _unmeasured() -> Iterator[None]:
    """Hundreds of processes that all do the same; other tests measure it."""
    with unmeasured():
        yield


CYCLES = 3
"""Cycles per chapter: enough for two looks at what it changed, wherever the crash falls."""

UNFINISHED = Deal(token_id="0xa-yes", size=3 * SHARE, price=500_000, status=TradeStatus.MATCHED, settled=False)
FOREIGN = Deal(token_id="0xa-yes", size=40 * SHARE, price=500_000, owner=FOREIGN_KEY)

MOMENTS = frozenset(
    {
        "at_ms",
        "booked_at_ms",
        "closed_at_ms",
        "created_at_ms",
        "cycle_id",
        "economic_at_ms",
        "entry_id",
        "evidence",
        "first_seen_at_ms",
        "matched_at_ms",
        "matched_at_ns",
        "paused_at_ms",
        "report_id",
        "retained_until",
        "settled_by",
        "synced_at_ms",
        "updated_at_ms",
        "version",
        "digest",
    }
)
"""Columns that say when, in which cycle or at which block; everything else must be equal."""


def opening(harness: Harness) -> None:
    """Two markets with positions, two orders."""
    for name in ("0xa", "0xb"):
        harness.venue.add_market(name)
        move(harness.venue, f"{name}-yes", worth(1_000))
        harness.venue.add_order(f"order-{name}", f"{name}-no", size=100 * SHARE, price=300_000)


def own_fills(harness: Harness) -> None:
    """An order fills whole; a trade is matched and not yet on chain."""
    fill_order(harness.venue, "order-0xa", "trade-1")
    trade(harness.venue, "trade-2", UNFINISHED)


def a_merge(harness: Harness) -> None:
    """Both outcomes of one market become collateral, and the unfinished trade fails."""
    merge(harness.venue, "0xa", 50 * SHARE)
    harness.venue.trades = [
        msgspec.structs.replace(made, status=TradeStatus.FAILED) if made.trade_id == "trade-2" else made
        for made in harness.venue.trades
    ]


def critical_drift(harness: Harness) -> None:
    """Shares worth 600 pUSD leave without a trade; the strategy has to be paused."""
    move(harness.venue, "0xb-yes", -worth(600))


def orders_and_a_foreign_trade(harness: Harness) -> None:
    """One order ends, one is placed, and another key of the wallet trades."""
    harness.venue.end_order("order-0xb", OrderStatus.CANCELED)
    harness.venue.add_order("order-new", "0xb-yes", size=10 * SHARE, price=200_000)
    trade(harness.venue, "trade-3", FOREIGN)


CHAPTERS: tuple[Callable[[Harness], None], ...] = (
    opening,
    own_fills,
    a_merge,
    critical_drift,
    orders_and_a_foreign_trade,
)


def begin(harness: Harness, chapter: int) -> None:
    """Let the chapter's things happen; in the first one the system starts, with all its mail still waiting."""
    CHAPTERS[chapter](harness)
    if chapter == 0:
        harness.start(run=False)


def steps(harness: Harness, chapter: int) -> Iterator[None]:
    """The chapter's cycles, step by step."""
    begin(harness, chapter)
    for number in range(CYCLES):
        if chapter or number:
            harness.clock.advance_to(harness.clock.now_ms() + 1_000)
            harness.post.tell(coordinator_address(WALLET), SyncAsked(why="force"))
        while harness.runtime.step():
            yield


def disk(harness: Harness) -> tuple[int, int]:
    """What tells one disk from another: the journal's head, and alerts that wait to be said."""
    return harness.ledger.head(WALLET).head_seq, harness.queries.counts()["pending_alerts"]


def crashes(harness: Harness) -> list[tuple[int, int]]:
    """Run without a crash; returns (chapter, step) of every distinct crash, the first of its kind."""
    found = []
    for chapter in range(len(CHAPTERS)):
        known: tuple[int, int] | None = None
        for number, _ in enumerate(steps(harness, chapter)):
            if disk(harness) != known:
                known = disk(harness)
                found.append((chapter, number))
    return found


def crashed(harness: Harness, chapter: int, step: int) -> Harness:
    """The same run with a crash there: a new life, two cycles, and the rest of the story."""
    for before in range(chapter):
        for _ in steps(harness, before):
            pass
    for number, _ in enumerate(steps(harness, chapter)):
        if number == step:
            break
    harness.restart()
    harness.cycles(2)
    for after in range(chapter + 1, len(CHAPTERS)):
        for _ in steps(harness, after):
            pass
    return harness


def told(harness: Harness) -> dict[str, Any]:
    """Everything that the tables tell, without the moments; as often as they tell it."""
    queries = harness.queries
    tables = {
        "positions": queries.positions(include_zero=True),
        "orders": queries.orders(include_closed=True),
        "fills": queries.fills(),
        "fill_observations": queries.fill_observations(),
        "adjustments": queries.adjustments(),
        "settlements": harness.settlements(),
        "pauses": harness.settlements("PORTFOLIO_SYNC_STRATEGY_PAUSED"),
        "strategies": queries.strategies(),
        "strategy_events": queries.strategy_events(),
        "issues": queries.issues(),
        "markets": queries.markets(),
    }
    return {name: Counter(_timeless(row) for row in rows) for name, rows in tables.items()}


def _timeless(row: dict[str, Any]) -> str:
    ended = {"ended": row["closed_at_ms"] is not None} if "closed_at_ms" in row else {}
    return repr(sorted({**{key: value for key, value in row.items() if key not in MOMENTS}, **ended}.items()))


@pytest.mark.req("L-02", "L-19", "S-14", "L-30", "D-18")
@pytest.mark.parametrize("seed", [0, 1])
def test_after_a_crash_at_any_step_the_tables_tell_what_they_tell_without_it(build: Build, seed: int) -> None:
    """Nothing is lost, nothing is there twice, no report is missing, and who had to be paused is."""
    smooth = build(seed=seed)
    points = crashes(smooth)
    expected = told(smooth)
    assert len(points) > 30
    assert len(expected["pauses"]) == 1
    for chapter, step in points:
        harness = crashed(build(seed=seed), chapter, step)
        where = f"crashed in {CHAPTERS[chapter].__name__} after step {step}"
        found = told(harness)
        for table, rows in expected.items():
            assert found[table] == rows, f"{where}: {table}"
        assert {alert.code for alert in harness.sink.alerts} >= {alert.code for alert in smooth.sink.alerts}, where
        assert harness.escalated == [], where
        assert harness.queries.counts()["pending_alerts"] == 0, where
        assert harness.rebuilt().interrupted is None, where
        harness.assert_replays()
        harness.stop()


def crashed_before_its_pause(harness: Harness) -> Harness | None:
    """A run that dies with the correction durable and the pause not; None where one commit holds both."""
    for chapter in range(3):
        for _ in steps(harness, chapter):
            pass
    for _ in steps(harness, 3):
        if any(row["drift_pusd"] == 600 for row in harness.settlements()):
            break
    return None if harness.settlements("PORTFOLIO_SYNC_STRATEGY_PAUSED") else harness


@pytest.mark.req("L-02", "L-19", "S-05", "D-11", "D-18")
def test_crashes_in_the_recovery_from_a_crash_change_nothing_either(build: Build) -> None:
    """The market's correction is durable, the pause is not; many lives die soon after they began, then one lives."""
    smooth = build()
    crashes(smooth)
    expected = told(smooth)
    harness = next(one for one in (crashed_before_its_pause(build(seed=seed)) for seed in range(20)) if one)
    for life in range(40):
        harness.stop()
        harness.start(run=False)
        for _ in range(life):
            harness.runtime.step()
    harness.restart()
    harness.cycles(2)
    for _ in steps(harness, 4):
        pass
    found = told(harness)
    assert {table: rows for table, rows in found.items() if rows != expected[table]} == {}
    harness.assert_replays()
