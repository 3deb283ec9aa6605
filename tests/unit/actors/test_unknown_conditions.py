"""Events of conditions that nobody knows yet: metadata is asked for at once, and nothing stalls without it (D-21)."""

from __future__ import annotations

import pytest

from actors import handing
from actors.coordinator import EXTRA_CYCLE_MS
from messages.reads import ReadMarkets, ReadOpenOrders
from portfolio.facts import FailureKind
from portfolio.outcomes import CycleStatus
from tests.support.moves import Deal, fill_part, trade
from tests.support.system import INTERVAL_MS, Build, Harness
from tests.unit.actors.worlds import INGEST, SHARE, Poison, cursor_s, following, now_s, seen_first, show, states, want

NEW = Deal(token_id="0xnew-yes", size=10 * SHARE, price=500_000)
KNOWN = Deal(token_id="0xa-yes", size=10 * SHARE, price=500_000)


def questions(harness: Harness) -> list[tuple[str, ...]]:
    """The conditions of all questions about metadata."""
    return [read.condition_ids for read in harness.venue.asked if isinstance(read, ReadMarkets)]


@pytest.mark.req("L-01", "D-01", "S-02")
def test_metadata_of_a_condition_first_seen_in_the_stream_is_asked_for_at_once(build: Build) -> None:
    harness = following(build())
    harness.venue.add_market("0xnew")
    reports, asked = len(harness.metrics.reports), len(questions(harness))
    order = harness.venue.add_order("order-2", "0xnew-no", size=SHARE, price=300_000)
    show(harness, trade(harness.venue, "trade-1", NEW), order)
    assert len(harness.metrics.reports) == reports
    assert questions(harness)[asked:] == [("0xnew",)]
    assert seen_first(harness) == {"trade-1": "stream"}
    assert {row["order_id"] for row in harness.queries.orders()} == {"order-1", "order-2"}
    harness.runtime.run_for(EXTRA_CYCLE_MS)
    assert harness.metrics.reports[-1].delta_count == 0


@pytest.mark.req("L-01", "D-01", "S-01")
def test_it_is_asked_for_while_a_cycle_waits_for_something_else(build: Build) -> None:
    harness = following(build())
    harness.venue.add_market("0xnew")
    harness.venue.held.add(ReadOpenOrders)
    want(harness, "")
    show(harness, trade(harness.venue, "trade-1", NEW))
    assert seen_first(harness) == {"trade-1": "stream"}
    harness.venue.release()
    harness.runtime.run_until_idle()
    assert harness.metrics.reports[-1].status is CycleStatus.OK


@pytest.mark.req("S-02", "L-01")
def test_a_burst_of_events_of_one_unknown_condition_is_one_question(build: Build) -> None:
    harness = following(build())
    harness.venue.add_market("0xnew")
    harness.venue.add_order("order-2", "0xnew-no", size=100 * SHARE, price=300_000)
    harness.venue.held.add(ReadMarkets)
    asked = len(questions(harness))
    for number in range(20):
        show(harness, *fill_part(harness.venue, "order-2", f"trade-{number}", SHARE))
    assert questions(harness)[asked:] == [("0xnew",)]
    assert states(harness) == {}
    harness.venue.release()
    harness.runtime.run_until_idle()
    assert len(states(harness)) == 20
    (row,) = [row for row in harness.queries.orders() if row["order_id"] == "order-2"]
    assert row["size_matched_micro"] == 20 * SHARE


@pytest.mark.req("L-01", "L-30", "D-21")
@pytest.mark.parametrize("how", ["the source lacks it", "the source is down"])
def test_metadata_that_cannot_be_had_stalls_nothing_and_the_cursor_does_not_pass(build: Build, how: str) -> None:
    harness = following(build())
    show(harness, trade(harness.venue, "trade-0", KNOWN))
    harness.cycle()
    if how == "the source is down":
        harness.venue.add_market("0xnew")
        harness.venue.failing = {ReadMarkets: FailureKind.UNREACHABLE}
    new_at_s = now_s(harness)
    show(harness, trade(harness.venue, "trade-1", NEW))
    harness.runtime.run_for(INTERVAL_MS)
    for number in (2, 3):
        show(harness, trade(harness.venue, f"trade-{number}", KNOWN))
        harness.runtime.run_for(INTERVAL_MS)
        assert harness.metrics.reports[-1].status is CycleStatus.OK
    assert set(states(harness)) == {"trade-0", "trade-2", "trade-3"}
    assert 0 < cursor_s(harness) <= new_at_s
    harness.venue.failing = {}
    harness.venue.add_market("0xnew")
    harness.runtime.run_for(2 * INTERVAL_MS)
    assert seen_first(harness)["trade-1"] == "stream"
    assert cursor_s(harness) > new_at_s
    assert harness.metrics.counts["stream_missed_fill"] == 0
    assert {row["cause"] for row in harness.queries.adjustments()} == {"OPENING"}


@pytest.mark.req("L-01", "D-01")
def test_another_event_asks_again_once_the_first_question_was_answered_in_vain(build: Build) -> None:
    harness = following(build())
    show(harness, trade(harness.venue, "trade-1", NEW))
    asked = len(questions(harness))
    harness.venue.add_market("0xnew")
    show(harness, trade(harness.venue, "trade-2", NEW))
    assert questions(harness)[asked:] == [("0xnew",)]
    assert seen_first(harness) == {"trade-1": "stream", "trade-2": "stream"}


@pytest.mark.req("L-01", "L-30")
def test_so_many_events_without_metadata_are_kept_and_the_others_are_found_by_a_cycle(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handing, "HOMELESS_MAX", 3)
    harness = following(build())
    for number in range(5):
        show(harness, trade(harness.venue, f"trade-{number}", NEW))
    assert len(harness.actor(INGEST)._handing._homeless) == 3
    harness.venue.add_market("0xnew")
    harness.runtime.run_for(EXTRA_CYCLE_MS)
    feeds = seen_first(harness)
    assert [feeds[f"trade-{number}"] for number in range(5)] == ["poll", "poll", "stream", "stream", "stream"]


@pytest.mark.req("L-12", "D-01")
def test_an_ingest_that_crashed_learns_where_conditions_belong_from_the_coordinator(build: Build) -> None:
    """It begins without a directory; what the coordinator knows is not read from the source again."""
    harness = following(build())
    harness.crashes_expected = True
    harness.post.tell(INGEST, Poison())
    harness.runtime.run_until_idle()
    asked = len(questions(harness))
    harness.stream.subscribe()
    harness.runtime.run_until_idle()
    show(harness, trade(harness.venue, "trade-1", KNOWN))
    assert questions(harness)[asked:] == []
    assert seen_first(harness) == {"trade-1": "stream"}
