"""``fill-latency``: from a frame of the user stream to its fill on disk, at a steady rate (L-02)."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.fills import MARKETS, offline
from benchmarks.floor_inserts import Pace, sqlite_latencies
from benchmarks.results import Result, percentile

NAME = "fill-latency"
RATE = 500
WARM_UP = 500
FILLS = 10_000
P99_MS = 20


def measure() -> Result:
    """500 fills a second for twenty seconds over 200 markets, into SQLite; then the bare transactions."""
    with tempfile.TemporaryDirectory(prefix="portfolio-sync-bench-", dir="/tmp") as name:
        folder = Path(name)
        url, command = f"sqlite:///{folder}/books.db", "benchmarks.fill_latency_subject"
        child = offline(folder, url, command, RATE, WARM_UP, FILLS, MARKETS)
        child.close()
        pace = Pace(rate=RATE, warm_up=WARM_UP, fills=FILLS)
        return _result(child.ready, sqlite_latencies(folder / "floor.db", pace, MARKETS))


def _result(ours_ms: list[float], floor_ms: list[float]) -> Result:
    p99, floor = percentile(ours_ms, 0.99), percentile(floor_ms, 0.99)
    return Result(
        name=NAME,
        value=p99,
        unit="ms, p99",
        floor=floor,
        ratio=p99 / floor,
        goal=f"p99 < {P99_MS} ms",
        met=p99 < P99_MS,
        further={
            "p50_ms": percentile(ours_ms, 0.5),
            "max_ms": max(ours_ms),
            "floor_p50_ms": percentile(floor_ms, 0.5),
            "floor_max_ms": max(floor_ms),
            "fills": len(ours_ms),
            "fills_per_s": RATE,
        },
    )
