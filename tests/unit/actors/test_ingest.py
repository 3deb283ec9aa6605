"""The ingest: each fill handed on once, and a cursor that follows what is durable (L-01, D-21)."""

from __future__ import annotations

import pytest

from actors.base import Submit
from actors.board import Board
from actors.handing import Identity
from actors.ingest import FillIngestActor
from actors.readings import IngestState
from messages.addresses import WRITER
from messages.cycle import MarketsKnown, PollDone, PollTrades
from messages.feeding import Marker, MarkerDurable
from messages.reads import ReadOpenOrders, ReadTrades
from portfolio.events import FillSeen
from portfolio.facts import FailureKind, TradeStatus
from portfolio.outcomes import CycleStatus
from tests.support.moves import Deal, becomes, settle, trade
from tests.support.probes import Small
from tests.support.system import INTERVAL_MS, WALLET, Build
from tests.support.venue import FUNDER, OWN_KEY, Venue
from tests.unit.actors.worlds import (
    COORDINATOR,
    INGEST,
    MARKET,
    SHARE,
    Poison,
    cursor,
    cursor_s,
    following,
    now_s,
    running,
    show,
    states,
)

DEAL = Deal(token_id="0xa-yes", size=10 * SHARE, price=500_000)


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
        becomes(harness.venue, "trade-1", status)
        harness.cycle()
        assert cursor(harness) == str(at_s), "trade-2 is newer, but trade-1 is not at its end"
    becomes(harness.venue, "trade-1", TradeStatus.CONFIRMED)
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
    becomes(harness.venue, "trade-1", TradeStatus.FAILED)
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


@pytest.mark.req("D-21", "L-01")
def test_the_cursor_follows_fills_that_the_stream_showed_when_a_cycle_has_read_them(build: Build) -> None:
    """The stream proves nothing about what lies before it: only a reading of the list moves the cursor."""
    harness = following(build())
    show(harness, trade(harness.venue, "trade-1", DEAL))
    assert (states(harness), cursor_s(harness)) == ({"trade-1": "SETTLED"}, 0)
    at_s = now_s(harness)
    harness.cycle()
    assert cursor_s(harness) == at_s
    assert [entry.kind for entry in harness.journal()].count("fill_seen") == 1


@pytest.mark.req("D-21", "L-17")
def test_the_cursor_never_goes_back(build: Build) -> None:
    """An old trade that is shown again in a status that is not its end is seen, and the cursor stays."""
    harness = running(build())
    trade(harness.venue, "trade-1", DEAL)
    harness.cycle()
    harness.runtime.run_for(2 * INTERVAL_MS)
    trade(harness.venue, "trade-2", DEAL)
    harness.cycle()
    before = cursor_s(harness)
    becomes(harness.venue, "trade-1", TradeStatus.RETRYING)
    harness.cycles(2)
    assert cursor_s(harness) == before


@pytest.mark.req("D-21", "L-01")
def test_the_ingest_forgets_what_lies_far_behind_the_cursor(build: Build) -> None:
    """A day of trades may not stay in memory; the ledger's keys recognise them for ever."""
    harness = following(build())
    for number in range(20):
        show(harness, trade(harness.venue, f"trade-{number}", DEAL))
        harness.runtime.run_for(2 * INTERVAL_MS)
    assert len(states(harness)) == 20
    assert len(harness.actor(INGEST)._handing._told) <= 4


@pytest.mark.req("S-11", "L-01", "D-11")
def test_a_poll_that_answers_after_its_cycle_is_over_is_booked_all_the_same(build: Build) -> None:
    harness = running(build())
    trade(harness.venue, "trade-1", DEAL)
    harness.venue.held.add(ReadTrades)
    harness.runtime.run_for(2 * INTERVAL_MS)
    reports = len(harness.metrics.reports)
    harness.venue.waiting.pop(0)()
    harness.runtime.run_until_idle()
    assert states(harness) == {"trade-1": "SETTLED"}
    assert len(harness.metrics.reports) == reports, "the cycle that runs waits for its own"
    harness.venue.release()
    harness.runtime.run_until_idle()
    statuses = [report.status for report in harness.metrics.reports[1:]]
    assert statuses == [CycleStatus.STALE, CycleStatus.OK]


@pytest.mark.req("D-19", "L-12")
def test_an_actor_refuses_what_it_does_not_take(build: Build) -> None:
    harness = running(build())
    harness.crashes_expected = True
    for address in (INGEST, COORDINATOR):
        harness.post.tell(address, Poison())
        harness.runtime.run_until_idle()
    assert harness.restarted == [INGEST, COORDINATOR]
    trade(harness.venue, "trade-1", DEAL)
    harness.cycle()
    assert states(harness) == {"trade-1": "SETTLED"}


@pytest.mark.req("L-01", "L-17")
def test_without_a_stream_the_readings_alone_are_followed() -> None:
    """A wallet without API credentials for the stream, and a backfill in a process of its own."""
    world = Small()
    venue = Venue(clock=world.clock)
    venue.add_market("0xa")
    market, coordinator = world.probe(MARKET), world.probe(COORDINATOR)
    writer = world.probe(WRITER)
    identity = Identity(wallet=WALLET, address=FUNDER, api_keys=(OWN_KEY,))
    state = IngestState(wallet=WALLET)
    ref = FillIngestActor.start(INGEST, world.system, state, identity, (venue, None, Board()))
    world.tell(INGEST, MarketsKnown(entries=(("0xa", "0xa"),)))
    trade(venue, "trade-1", DEAL)
    world.tell(INGEST, PollTrades(cycle_id="main-1", reply_to=COORDINATOR))
    (fill, marker) = market.taken
    assert isinstance(fill, FillSeen)
    assert fill.leg.trade_id == "trade-1"
    (done,) = coordinator.taken
    assert isinstance(done, PollDone)
    assert (done.cycle_id, done.new_legs) == ("main-1", 1)
    assert isinstance(marker, Marker)
    assert writer.taken == [], "the cursor waits for the market"
    world.tell(INGEST, MarkerDurable(market=MARKET, chunk=marker.chunk))
    (submitted,) = writer.taken
    assert isinstance(submitted, Submit)
    ref.stop(block=False)
    world.runtime.run_until_idle()
    assert not ref.is_alive()
