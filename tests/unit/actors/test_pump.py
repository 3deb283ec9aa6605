"""The deterministic runtime: one seed is one run, and all seeds end in one state (D-05, D-20)."""

from __future__ import annotations

import pytest

from portfolio.facts import OrderStatus
from service.rebuilt import state_digest
from service.replaying import replayed
from tests.acceptance.test_crash_at_every_step import told
from tests.support.moves import Deal, fill_order, merge, move, trade
from tests.support.probes import START_MS, Small
from tests.support.system import WALLET, Build, Harness
from tests.unit.actors.worlds import SHARE, running


def busy(harness: Harness) -> Harness:
    """A run in which markets, ingest, gate, writer and reporter all have something to do at once."""
    running(harness, "0xa", "0xb", "0xc", "0xd")
    for number, name in enumerate(("0xa", "0xb", "0xc")):
        trade(harness.venue, f"trade-{number}", Deal(token_id=f"{name}-yes", size=10 * SHARE, price=500_000))
        harness.venue.add_order(f"new-{number}", f"{name}-no", size=10 * SHARE, price=100_000)
    fill_order(harness.venue, "order-1", "trade-9")
    harness.cycle()
    merge(harness.venue, "0xa", 5 * SHARE)
    move(harness.venue, "0xd-yes", 2_000 * SHARE)
    harness.venue.end_order("new-2", OrderStatus.CANCELED)
    harness.cycles(3)
    return harness


@pytest.mark.req("D-20", "D-05", "L-19")
def test_fifty_schedules_end_in_one_state_and_tell_one_story(build: Build) -> None:
    digests, stories, schedules = set(), [], set()
    for seed in range(50):
        harness = busy(build(seed=seed))
        digests.add(state_digest(replayed(WALLET, harness.journal(), None).stored()))
        schedules.add(tuple(entry.address for entry in harness.journal()))
        stories.append(told(harness))
        harness.assert_replays()
        harness.stop()
    assert len(digests) == 1
    assert all(story == stories[0] for story in stories)
    assert len(schedules) > 10, "the schedules did differ"


@pytest.mark.req("D-20")
def test_one_seed_is_one_run_to_the_byte(build: Build) -> None:
    first, second = busy(build(seed=7)), busy(build(seed=7))
    assert [entry.hash for entry in first.journal()] == [entry.hash for entry in second.journal()]
    assert first.runtime.steps == second.runtime.steps


def test_timers_fire_in_order_of_time_and_the_clock_jumps_to_them() -> None:
    small = Small()
    fired: list[tuple[str, int]] = []
    for name, delay_ms in (("late", 3_000), ("early", 1_000), ("never", 9_000)):
        small.runtime.later(delay_ms, lambda name=name: fired.append((name, small.clock.now_ms() - START_MS)))  # type: ignore[misc]
    small.runtime.run_for(5_000)
    assert fired == [("early", 1_000), ("late", 3_000)]
    assert small.clock.now_ms() == START_MS + 5_000


def test_actors_that_talk_to_each_other_for_ever_are_noticed() -> None:
    small = Small()
    probe = small.probe("probe")
    probe.take = lambda message, now_ms: probe.tell(probe.address, message)  # type: ignore[method-assign]
    small.post.tell(probe.address, "again")
    with pytest.raises(RuntimeError, match="it talks to itself"):
        small.runtime.run_until_idle(max_steps=100)
