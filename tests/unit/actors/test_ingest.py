"""The ingest: each fill handed on once, and a cursor that follows what is durable (L-01, D-21)."""

from __future__ import annotations

import msgspec
import pytest

from messages.reads import ReadOpenOrders, ReadTrades
from portfolio.facts import FailureKind, TradeStatus
from portfolio.outcomes import CycleStatus
from tests.support.moves import Deal, settle, trade
from tests.support.system import INTERVAL_MS, Build, Harness
from tests.unit.actors.worlds import SHARE, cursor, running

DEAL = Deal(token_id="0xa-yes", size=10 * SHARE, price=500_000)


def now_s(harness: Harness) -> int:
    """Virtual time in whole seconds."""
    return harness.clock.now_ms() // 1000


def becomes(harness: Harness, trade_id: str, status: TradeStatus) -> None:
    """The exchange shows another status of a trade."""
    harness.venue.trades = [
        msgspec.structs.replace(made, status=status) if made.trade_id == trade_id else made
        for made in harness.venue.trades
    ]


@pytest.mark.req("D-21", "L-01")
def test_the_cursor_moves_behind_the_fills_that_it_covers(build: Build) -> None:
    harness = running(build())
    assert cursor(harness) == ""
    trade(harness.venue, "trade-1", DEAL)
    at_s = now_s(harness)
    harness.cycle()
    assert cursor(harness) == str(at_s)
    kinds = [entry.kind for entry in harness.journal()]
    assert kinds.index("fill_seen") < kinds.index("cursor_advanced")


@pytest.mark.req("D-21")
def test_the_cursor_stays_when_the_cycle_is_not_durable(build: Build) -> None:
    """A poll without a report after it: the process died in between, and reads the same again."""
    harness = running(build())
    trade(harness.venue, "trade-1", DEAL)
    harness.venue.held.add(ReadTrades)
    harness.cycle()
    harness.restart()
    assert cursor(harness) == ""
    harness.venue.release()
    harness.runtime.run_for(2 * INTERVAL_MS)
    assert [row["trade_id"] for row in harness.queries.fills()] == ["trade-1"]
    assert cursor(harness) != ""


@pytest.mark.req("L-01", "L-19", "D-16")
def test_polls_that_show_the_same_again_write_nothing(build: Build) -> None:
    harness = running(build())
    trade(harness.venue, "trade-1", DEAL)
    harness.cycles(2)
    before = [entry.kind for entry in harness.journal()]
    harness.cycles(3)
    assert [entry.kind for entry in harness.journal()] == before + ["cycle_closed"] * 3
    assert len(harness.queries.fills()) == len(harness.queries.fill_observations()) == 1
    harness.restart()
    harness.cycle()
    assert len(harness.queries.fills()) == len(harness.queries.fill_observations()) == 1


@pytest.mark.req("L-03", "D-21")
def test_a_trade_is_followed_through_its_statuses_and_the_cursor_waits_for_its_end(build: Build) -> None:
    harness = running(build())
    at_s = now_s(harness)
    trade(harness.venue, "trade-1", Deal(token_id="0xa-yes", size=SHARE, price=500_000, status=TradeStatus.MATCHED))
    harness.runtime.run_for(2 * INTERVAL_MS)
    trade(harness.venue, "trade-2", DEAL)
    for status in (TradeStatus.RETRYING, TradeStatus.MINED, TradeStatus.RETRYING):
        becomes(harness, "trade-1", status)
        harness.cycle()
        assert cursor(harness) == str(at_s), "trade-2 is newer, but trade-1 is not at its end"
    becomes(harness, "trade-1", TradeStatus.CONFIRMED)
    harness.cycle()
    assert cursor(harness) == str(at_s + 60)
    seen = [row["status"] for row in reversed(harness.queries.fill_observations()) if row["trade_id"] == "trade-1"]
    assert sorted(seen) == ["CONFIRMED", "MATCHED", "MINED", "RETRYING"]


@pytest.mark.req("L-03", "R-10")
def test_a_failed_trade_is_taken_back_visibly(build: Build) -> None:
    """Booked when seen, reversed when it fails: no shares, no cost, one report that names the trade."""
    harness = running(build())
    deal = Deal(token_id="0xa-yes", size=SHARE, price=500_000, status=TradeStatus.MATCHED, settled=False)
    trade(harness.venue, "trade-1", deal)
    harness.cycle()
    assert harness.shares() == {"0xa-yes": 101 * SHARE}
    becomes(harness, "trade-1", TradeStatus.FAILED)
    report = harness.cycle()
    assert harness.shares() == {"0xa-yes": 100 * SHARE}
    (row,) = harness.queries.fills()
    assert row["state"] == "FAILED"
    last = harness.settlements()[-1]
    assert (report.delta_count, last["cause"], last["evidence"].split(",")[0]) == (1, "FILL_FAILED", "trade trade-1")
    assert harness.sink.codes() == []
    harness.assert_replays()


@pytest.mark.req("R-05", "L-16", "X-15")
def test_a_fill_in_flight_is_no_drift_and_settles_when_the_balance_shows_it(build: Build) -> None:
    harness = running(build())
    deal = Deal(token_id="0xa-yes", size=SHARE, price=500_000, status=TradeStatus.MATCHED, settled=False)
    trade(harness.venue, "trade-1", deal)
    harness.cycles(3)
    (row,) = harness.queries.positions()
    assert (row["shares_micro"], row["settled_micro"]) == (101 * SHARE, 100 * SHARE)
    settle(harness.venue, deal)
    report = harness.cycle()
    (row,) = harness.queries.positions()
    assert row["settled_micro"] == 101 * SHARE
    assert (report.delta_count, report.pending_count, report.cash_unexplained_micro) == (0, 0, 0)


@pytest.mark.req("S-11", "D-21")
@pytest.mark.parametrize("kind", [FailureKind.UNREACHABLE, FailureKind.TIMEOUT, FailureKind.MALFORMED])
def test_a_poll_that_fails_skips_the_cycle_and_moves_no_cursor(build: Build, kind: FailureKind) -> None:
    harness = running(build())
    trade(harness.venue, "trade-1", DEAL)
    harness.venue.failing[ReadTrades] = kind
    report = harness.cycle()
    assert report.status is CycleStatus.CLOB_UNAVAILABLE
    assert f"clob.trades {kind.value}" in report.reasons[0]
    assert (cursor(harness), harness.queries.fills()) == ("", [])
    harness.venue.failing.clear()
    harness.cycle()
    assert len(harness.queries.fills()) == 1


@pytest.mark.req("S-11", "L-01")
def test_fills_of_an_outage_are_booked_as_fills_once_it_is_over(build: Build) -> None:
    """What was traded while orders could not be read is no drift afterwards."""
    harness = running(build())
    trade(harness.venue, "trade-1", DEAL)
    harness.venue.failing[ReadOpenOrders] = FailureKind.UNREACHABLE
    harness.cycle()
    harness.venue.failing.clear()
    harness.cycle()
    assert [row["trade_id"] for row in harness.queries.fills()] == ["trade-1"]
    assert harness.cycle().pending_count == 0
