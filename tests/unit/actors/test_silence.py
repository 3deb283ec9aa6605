"""A stream that answers PONG and says nothing: the trades that cycles read prove it, and it is begun again."""

from __future__ import annotations

import pytest

from actors.coordinator import EXTRA_CYCLE_MS
from actors.streaming import GRACE_MS
from messages.reads import ReadTrades
from portfolio.facts import FailureKind
from tests.support.moves import FOREIGN_KEY, Deal, trade
from tests.support.system import INTERVAL_MS, WALLET, Build, Harness
from tests.unit.actors.worlds import MARKET, SHARE, Poison, following, running, seen_first, show

DEAL = Deal(token_id="0xa-yes", size=10 * SHARE, price=500_000)


def missed(harness: Harness) -> tuple[int, int]:
    """Fills that were counted as missed, and how often the stream was begun again."""
    return harness.metrics.counts["stream_missed_fill"], len(harness.stream.reconnects)


@pytest.mark.req("L-01", "L-30", "X-13")
def test_fills_of_a_silent_stream_are_booked_by_the_cycle_and_after_the_grace_it_is_begun_again(build: Build) -> None:
    harness = following(build())
    for number in range(3):
        trade(harness.venue, f"trade-{number}", DEAL)
    matched_ms = harness.clock.now_ms()
    harness.cycle()
    assert set(seen_first(harness).values()) == {"poll"}
    harness.runtime.run_for(GRACE_MS - 2 * EXTRA_CYCLE_MS)
    harness.cycle()
    assert missed(harness) == (0, 0), "the grace is not over"
    connection = harness.stream.connection
    harness.runtime.run_for(GRACE_MS)
    harness.cycle()
    gap_ms = harness.clock.now_ms() - matched_ms
    assert missed(harness) == (3, 1)
    assert "3 fills" in harness.stream.reconnects[0]
    assert harness.stream.connection == connection + 1
    shown = harness.board.stream[WALLET]
    assert (shown.missed, shown.gap_ms, shown.connected) == (3, gap_ms, True)
    assert harness.metrics.gaps_ms[-1] == gap_ms
    assert harness.metrics.counts["stream_begun_again"] == 1


@pytest.mark.req("L-30")
def test_a_stream_that_was_begun_again_is_proven_by_the_next_cycle(build: Build) -> None:
    harness = following(build())
    trade(harness.venue, "trade-1", DEAL)
    harness.cycle()
    harness.runtime.run_for(2 * INTERVAL_MS)
    assert missed(harness) == (1, 1)
    harness.cycle()
    shown = harness.board.stream[WALLET]
    assert (shown.gap_ms, shown.missed, shown.proven_at_ms) == (0, 1, harness.clock.now_ms())
    assert harness.metrics.gaps_ms[-1] == 0
    harness.runtime.run_for(4 * INTERVAL_MS)
    assert missed(harness) == (1, 1), "each missed fill counts once"


@pytest.mark.req("L-30")
def test_a_fill_that_the_stream_shows_a_little_later_than_the_cycle_is_no_miss(build: Build) -> None:
    harness = following(build())
    made = trade(harness.venue, "trade-1", DEAL)
    proven_at_ms = harness.board.stream[WALLET].proven_at_ms
    harness.cycle()
    assert harness.board.stream[WALLET].proven_at_ms == proven_at_ms, "it is not known yet"
    harness.runtime.run_for(GRACE_MS // 2)
    show(harness, made)
    harness.runtime.run_for(2 * INTERVAL_MS)
    assert missed(harness) == (0, 0)
    shown = harness.board.stream[WALLET]
    assert (shown.gap_ms, shown.missed) == (0, 0)
    assert shown.proven_at_ms == harness.metrics.reports[-1].synced_at_ms


@pytest.mark.req("R-21", "L-30")
def test_trades_of_another_key_do_not_prove_that_the_stream_is_silent(build: Build) -> None:
    harness = following(build())
    foreign = Deal(token_id="0xa-yes", size=10 * SHARE, price=500_000, owner=FOREIGN_KEY)
    trade(harness.venue, "trade-1", foreign)
    harness.cycle()
    assert seen_first(harness) == {"trade-1": "poll"}
    harness.runtime.run_for(2 * INTERVAL_MS)
    assert missed(harness) == (0, 0)
    assert harness.board.stream[WALLET].gap_ms == 0


@pytest.mark.req("L-12", "L-30", "D-21")
def test_a_market_that_was_restarted_does_not_make_a_silent_stream_of_one_that_spoke(build: Build) -> None:
    """Its fills are told to it again by the next cycle; the stream showed them, and will not show them again."""
    harness = following(build())
    show(harness, trade(harness.venue, "trade-1", DEAL))
    harness.crashes_expected = True
    harness.post.tell(MARKET, Poison())
    harness.runtime.run_for(EXTRA_CYCLE_MS)
    cycles = len(harness.metrics.reports)
    harness.runtime.run_for(INTERVAL_MS - EXTRA_CYCLE_MS)
    assert len(harness.metrics.reports) == cycles, "what is told again is no news"
    harness.runtime.run_for(2 * INTERVAL_MS)
    assert missed(harness) == (0, 0)
    assert seen_first(harness) == {"trade-1": "stream"}


@pytest.mark.req("L-30", "S-11")
def test_a_cycle_that_could_not_read_the_trades_proves_nothing(build: Build) -> None:
    harness = following(build())
    trade(harness.venue, "trade-1", DEAL)
    harness.cycle()
    shown = harness.board.stream[WALLET]
    harness.venue.failing = {ReadTrades: FailureKind.UNREACHABLE}
    harness.runtime.run_for(2 * INTERVAL_MS)
    assert missed(harness) == (0, 0)
    assert harness.board.stream[WALLET] == shown
    harness.venue.failing = {}
    harness.runtime.run_for(INTERVAL_MS)
    assert missed(harness) == (1, 1)


@pytest.mark.req("L-30")
def test_a_fill_that_a_broken_stream_had_not_shown_yet_is_no_miss_of_the_next_one(build: Build) -> None:
    harness = following(build())
    trade(harness.venue, "trade-1", DEAL)
    harness.cycle()
    harness.stream.cut()
    harness.stream.subscribe()
    harness.runtime.run_for(2 * INTERVAL_MS)
    assert missed(harness) == (0, 0)


@pytest.mark.req("L-30")
def test_a_missed_fill_counts_once_also_where_the_stream_is_slow_to_begin_again(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = following(build())
    asked: list[str] = []
    monkeypatch.setattr(harness.stream, "reconnect", asked.append)
    trade(harness.venue, "trade-1", DEAL)
    harness.cycle()
    harness.runtime.run_for(4 * INTERVAL_MS)
    assert (harness.metrics.counts["stream_missed_fill"], len(asked)) == (1, 1)


@pytest.mark.req("L-30")
def test_nothing_is_measured_without_a_stream(build: Build) -> None:
    """A stream that never was there has no gap, and one that broke misses nothing: REST follows meanwhile."""
    harness = running(build())
    trade(harness.venue, "trade-1", DEAL)
    harness.runtime.run_for(2 * INTERVAL_MS)
    assert harness.metrics.gaps_ms == []
    harness.stream.subscribe()
    harness.runtime.run_for(INTERVAL_MS)
    harness.stream.cut()
    trade(harness.venue, "trade-2", DEAL)
    harness.runtime.run_for(2 * INTERVAL_MS)
    harness.stream.subscribe()
    harness.runtime.run_for(2 * INTERVAL_MS)
    assert missed(harness) == (0, 0)
    assert set(harness.metrics.gaps_ms) == {0}
    assert set(seen_first(harness)) == {"trade-1", "trade-2"}
