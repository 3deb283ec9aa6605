"""``simulate``: how much faster than real time the simulator is, and what a message costs in a long story (X-03)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import msgspec

from benchmarks.places import GREENLETS, Child
from benchmarks.results import Result

NAME = "simulate"
LONG = "simulate-long"
"""Takes some ten minutes, so it is measured only where it is named."""

GOAL = 1_000
MARKETS = 20
COMMAND_MARKETS = 6
SEEDS = range(12)
STEPS = 60
"""Markets and steps that the command has."""

STORY = 3
STORY_STEPS = (250, 1_500)
"""A seed, and steps in which it sends some ten and a hundred thousand messages; how many they were is reported."""

LONG_STEPS = (*STORY_STEPS, 9_000)
DEFAULT_S = 12
"""Seconds from cycle to cycle that only the service's default interval has, of those that seeds draw: 5, 10 and 30."""

LEVEL = 0.8
"""The least that a message's rate in the longest story may be of that in the shortest."""

Run = Mapping[str, float]


def measure() -> Result:
    """Seeds without faults, with their floor, and with all faults, in turns; then a story of two lengths."""
    with _subject() as child:
        _run(child, 0, STEPS)
        quiet, faulty, command = [], [], []
        for seed in SEEDS:
            quiet.append(_run(child, seed, STEPS, floor=True))
            faulty.append(_run(child, seed, STEPS, faults="all"))
            command.append(_run(child, seed, STEPS, faults="all", markets=COMMAND_MARKETS))
        stories = [_run(child, STORY, steps) for steps in STORY_STEPS]
    value, floor = _rate(quiet, "virtual_s"), _rate(quiet, "virtual_s", "floor_s")
    return Result(
        name=NAME,
        value=value,
        unit="x real time",
        floor=floor,
        ratio=value / floor,
        goal=f"at least {GOAL:,} x real time",
        met=value >= GOAL,
        further={
            "default_interval": _rate(
                (run for run in quiet if run["virtual_s"] > DEFAULT_S * run["cycles"]), "virtual_s"
            ),
            "with_faults": _rate(faulty, "virtual_s"),
            "messages_s": _rate(quiet, "messages"),
            "messages_s_with_faults": _rate(faulty, "messages"),
            "command_seeds_s": len(command) / sum(run["seconds"] for run in command),
            **_lengths(stories),
        },
    )


def measure_long() -> Result:
    """Three lengths, each some ten times the one before: whether a story takes as many times as long."""
    with _subject() as child:
        _run(child, 0, STEPS)
        *shorter, longest = (_run(child, STORY, steps, floor=steps == LONG_STEPS[-1]) for steps in LONG_STEPS)
    value, floor = _rate([longest], "messages"), _rate([longest], "messages", "floor_s")
    return Result(
        name=LONG,
        value=value,
        unit="messages/s",
        floor=floor,
        ratio=value / floor,
        goal=f"at least {LEVEL} of the rate of the shortest",
        met=value >= LEVEL * _rate(shorter[:1], "messages"),
        further={"messages": longest["messages"], "real_time": _rate([longest], "virtual_s"), **_lengths(shorter)},
    )


@contextmanager
def _subject() -> Iterator[Child]:
    child = Child([*GREENLETS, "benchmarks.simulate_subject"])
    try:
        yield child
    finally:
        child.close()


def _run(child: Child, seed: int, steps: int, **more: object) -> Run:
    """One run; without more it has twenty markets, no fault, and no floor."""
    asked = {"seed": seed, "steps": steps, "markets": MARKETS, "faults": "none", **more}
    return msgspec.convert(child.ask(msgspec.json.encode(asked).decode()), dict[str, float])


def _rate(runs: Iterable[Run], what: str, seconds: str = "seconds") -> float:
    """So much of it in a second, over all runs."""
    runs = list(runs)
    return sum(run[what] for run in runs) / sum(run[seconds] for run in runs)


def _lengths(stories: Iterable[Run]) -> dict[str, float]:
    return {f"messages_s_{story['messages']:.0f}": _rate([story], "messages") for story in stories}
