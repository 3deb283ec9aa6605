"""A run that fails becomes the least that still fails, by the same rule."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from portfolio.entries import FillState
from service.simulation.findings import Finding
from service.simulation.quiet import quiet
from service.simulation.run import Options, Result, simulate
from service.simulation.shrinking import MOST_RUNS, Shrunk, shrink
from service.simulation.story import Happening, Kind

KINDS = frozenset({"crash", "lost_frames", "outages", "disconnects", "failed_trades"})
EMPTY = Result(
    seed=1,
    ok=True,
    finding=None,
    at_step=0,
    virtual_ms=0,
    pump_steps=0,
    cycles=0,
    lives=1,
    checks=0,
    requests=0,
    happened={},
    faults={},
    journal_entries=0,
    digest="",
    state_digest="",
    story=(),
)


class Played:
    """A service whose failing depends on the options alone."""

    def __init__(self, fails: Callable[[Options], str], stops_at: int) -> None:
        """``fails`` names the rule that breaks, empty for none; ``stops_at`` is the step at which it shows."""
        self._fails = fails
        self._stops_at = stops_at
        self.runs: list[Options] = []

    def __call__(self, options: Options) -> Result:
        self.runs.append(options)
        rule = self._fails(options)
        last = min(self._stops_at, options.steps)
        story = tuple(
            Happening(step=step, at_ms=step, kind=Kind.DEED, name="fill", text="")
            for step in range(1, last + 1)
            if options.plays(step)
        )
        finding = Finding(rule=rule, subject="", expected="", found="") if rule else None
        return msgspec.structs.replace(EMPTY, ok=not rule, finding=finding, at_step=last, story=story)


def shrunk(played: Played, most_runs: int = MOST_RUNS) -> Shrunk:
    options = Options(seed=1, steps=60, faults=KINDS)
    return shrink((options, played(options)), played, lambda _text: None, most_runs)


def needs(kinds: set[str], steps: set[int]) -> Callable[[Options], str]:
    def fails(options: Options) -> str:
        return "cash" if kinds <= options.faults and all(options.plays(step) for step in steps) else ""

    return fails


@pytest.mark.req("X-03")
@pytest.mark.parametrize(
    ("kinds", "steps"),
    [(set(), set()), (set(), {7}), ({"crash", "outages"}, {1, 39, 40}), (set(KINDS), set(range(10, 20)))],
)
def test_only_the_kinds_and_steps_that_it_takes_are_left(kinds: set[str], steps: set[int]) -> None:
    played = Played(needs(kinds, steps), stops_at=40)
    least = shrunk(played)
    assert (set(least.options.faults), set(least.options.only or ())) == (kinds, steps)
    assert least.options.steps == max(steps, default=1)
    assert (least.minimal, least.result.ok) == (True, False)
    assert least.runs <= MOST_RUNS


@pytest.mark.req("X-03")
def test_a_candidate_that_breaks_another_rule_is_not_less() -> None:
    def fails(options: Options) -> str:
        return "cash" if options.plays(7) else "gate"

    least = shrunk(Played(fails, stops_at=40))
    assert least.options.only == frozenset({7})
    assert least.result.finding is not None
    assert least.result.finding.rule == "cash"


@pytest.mark.req("X-03")
def test_the_effort_is_bounded_and_no_candidate_is_played_twice() -> None:
    every_other = set(range(1, 41, 2))
    played = Played(needs({"crash"}, every_other), stops_at=40)
    least = shrunk(played, most_runs=30)
    assert (least.runs, least.minimal) == (30, False)
    assert every_other <= (least.options.only or set(range(41)))
    whole = Played(needs({"crash"}, every_other), stops_at=40)
    shrunk(whole)
    tried = [options for options in whole.runs if not needs({"crash"}, every_other)(options)]
    assert len(tried) == len(set(tried))


@pytest.mark.req("X-03")
def test_an_interrupt_leaves_the_least_so_far() -> None:
    def interrupted(options: Options) -> str:
        if options.faults <= {"crash"}:
            raise KeyboardInterrupt
        return "cash"

    told: list[str] = []
    played = Played(interrupted, stops_at=40)
    options = Options(seed=1, steps=60, faults=KINDS)
    least = shrink((options, played(options)), played, told.append)
    assert (least.options.steps, least.minimal) == (40, False)
    assert "interrupted" in told[-1]


@pytest.mark.req("X-03", "L-01")
def test_a_planted_fault_shrinks_to_the_trade_that_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fills of failed trades count: one fill whose trade fails is enough, or two where that only shows by a poll."""
    monkeypatch.setattr(FillState, "effective", property(lambda state: state is not FillState.SUPERSEDED))
    seeds = [Options(seed=seed, steps=25, faults=KINDS) for seed in range(8)]
    with quiet():
        failed = next(one for one in ((options, simulate(options)) for options in seeds) if not one[1].ok)
        least = shrink(failed, simulate, lambda _text: None)
        again = simulate(least.options)
    assert least.minimal
    assert "failed_trades" in least.options.faults
    assert len(least.options.faults) <= 2
    assert 1 <= len(least.options.only or ()) <= 4
    assert again.finding == least.result.finding
    assert again.digest == least.result.digest


@pytest.mark.req("X-03")
def test_what_is_left_out_changes_nothing_of_what_other_steps_draw() -> None:
    whole, part = (_deeds(only) for only in (None, frozenset({2, 3, 5, 8})))
    assert len(part) > 2
    assert part <= whole


def _deeds(only: frozenset[int] | None) -> set[tuple[int, int, str]]:
    with quiet():
        result = simulate(Options(seed=4, steps=10, faults=frozenset(), only=only))
    assert result.ok
    return {(one.step, one.at_ms, one.name) for one in result.story}
