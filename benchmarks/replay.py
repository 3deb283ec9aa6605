"""``replay``: journal entries a second from SQLite into books on one core, and the bare reading and decoding (L-20)."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from benchmarks.fills import offline
from benchmarks.places import ROOT, Child
from benchmarks.results import Result

NAME = "replay"
SIZES = (10_000, 100_000)
"""Fills in the journal; the value is that of the longer one."""

MARKETS = 200
RUNS = 3
GOAL = 100_000


def measure() -> Result:
    """Two journals, each written by the whole path of a fill; replay and floor in turns, the medians count."""
    shorter, longer = (_measured(fills) for fills in SIZES)
    value, floor = longer["rebuild"], longer["floor"]
    return Result(
        name=NAME,
        value=value,
        unit="messages/s",
        floor=floor,
        ratio=value / floor,
        goal=f"at least {GOAL:,} messages/s",
        met=value >= GOAL,
        further={
            "entries": longer["entries"],
            "replay_command": longer["replay"],
            "verify_command": longer["verify"],
            "short_entries": shorter["entries"],
            "short": shorter["rebuild"],
            "short_floor": shorter["floor"],
        },
    )


def _measured(fills: int) -> Mapping[str, float]:
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
                for work, child in (("rebuild", subject), ("floor", floor), ("replay", subject), ("verify", subject)):
                    run = msgspec.convert(child.ask(work), dict[str, float])
                    assert entries in {0, run["entries"]}, f"{work} saw {run['entries']} entries, expected {entries}"
                    entries = int(run["entries"])
                    found.setdefault(work, []).append(entries / run["seconds"])
        finally:
            subject.close()
            floor.close()
    return {"entries": entries, **{work: statistics.median(rates) for work, rates in found.items()}}
