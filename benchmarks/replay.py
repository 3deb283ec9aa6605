"""``replay``: journal entries a second from SQLite into books on one core, and the bare reading and decoding (L-20)."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks.fills import offline
from benchmarks.places import ROOT, Child
from benchmarks.results import Result

NAME = "replay"
LONG = "replay-long"
"""Takes some five minutes and 4 GB, so it is measured only where it is named."""

SIZES = (10_000, 100_000)
"""Fills in the journal; the value is that of the longest one."""

LONG_SIZES = (*SIZES, 1_000_000)
MARKETS = 200
RUNS = 3
GOAL = 100_000
COMMANDS = ("replay", "verify")


def measure() -> Result:
    """Journals of two lengths, each written by the whole path of a fill; all works in turns, the medians count."""
    return _result(NAME, [_measured(fills, COMMANDS if fills == SIZES[-1] else ()) for fills in SIZES])


def measure_long() -> Result:
    """Three lengths, each ten times the one before: whether a replay takes as many times as long."""
    return _result(LONG, [_measured(fills, ()) for fills in LONG_SIZES])


def _result(name: str, measured: Sequence[Mapping[str, float]]) -> Result:
    *shorter, longest = measured
    value, floor = longest["rebuild"], longest["floor"]
    lengths = {f"{work}_{one['entries']:.0f}": one[work] for one in shorter for work in ("rebuild", "floor")}
    commands = {f"{work}_command": longest[work] for work in COMMANDS if work in longest}
    return Result(
        name=name,
        value=value,
        unit="messages/s",
        floor=floor,
        ratio=value / floor,
        goal=f"at least {GOAL:,} messages/s",
        met=value >= GOAL,
        further={"entries": longest["entries"], **commands, **lengths},
    )


def _measured(fills: int, commands: Sequence[str]) -> Mapping[str, float]:
    """Entries a second of each kind of work, and how many entries there are."""
    with tempfile.TemporaryDirectory(prefix="portfolio-sync-bench-", dir="/tmp") as name:
        folder = Path(name)
        file = folder / "books.db"
        offline(folder, f"sqlite:///{file}", "benchmarks.fills_subject", fills, MARKETS).close()
        subject = Child([sys.executable, "-m", "benchmarks.replay_subject", str(folder / "config.toml")])
        floor = Child([sys.executable, "-I", str(ROOT / "benchmarks" / "floor_replay.py"), str(file)])
        found: dict[str, list[float]] = {}
        entries = 0
        try:
            for _ in range(RUNS):
                for work in ("rebuild", "floor", *commands):
                    child = floor if work == "floor" else subject
                    run = msgspec.convert(child.ask(work), dict[str, float])
                    assert entries in {0, run["entries"]}, f"{work} saw {run['entries']} entries, expected {entries}"
                    entries = int(run["entries"])
                    found.setdefault(work, []).append(entries / run["seconds"])
        finally:
            subject.close()
            floor.close()
    return {"entries": entries, **{work: statistics.median(rates) for work, rates in found.items()}}
