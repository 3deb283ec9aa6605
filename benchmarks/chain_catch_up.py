"""``chain-catch-up``: 20,000 logs over 100,000 blocks, read and booked by the service's own actors (X-01)."""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

import msgspec

from benchmarks.chain_subject import CatchUp
from benchmarks.chain_world import BLOCKS, LOGS, MARKETS, WHOLE
from benchmarks.fills import offline
from benchmarks.floor_inserts import sqlite_rows_seconds
from benchmarks.places import ROOT, Child
from benchmarks.results import Result

NAME = "chain-catch-up"
RUNS = 7
RANGE_BLOCKS = 10_000
LEAST = BLOCKS // RANGE_BLOCKS
REQUESTS = 1.2
LOGS_PER_S = 5_000


def measure() -> Result:
    """Catch-ups in turns with the floor, so that both meet the same machine; the medians count."""
    with tempfile.TemporaryDirectory(prefix="portfolio-sync-bench-", dir="/tmp") as name:
        return _measured(Path(name))


def _measured(folder: Path) -> Result:
    node = Child([sys.executable, "-m", "benchmarks.chain_node"])
    url = node.ready["url"]
    subject = offline(folder, f"sqlite:///{folder}/books.db", "benchmarks.chain_subject", url)
    floor = Child([sys.executable, str(ROOT / "benchmarks" / "floor_chain.py"), url])
    ours: list[CatchUp] = []
    fetched, inserted, bodies = [], [], []
    try:
        for run in range(RUNS + 1):
            node.ask("forget")
            ours.append(msgspec.convert(subject.ask("catch up"), CatchUp))
            bodies = node.ask("which requests were there")
            fetched.append(floor.ask(msgspec.json.encode(bodies).decode()))
            inserted.append(_inserts(folder / f"floor-{run}.db", ours[-1]))
    finally:
        for child in (subject, floor, node):
            child.close()
    floor_seconds = statistics.median(
        fetch["seconds"] + insert for fetch, insert in zip(fetched[1:], inserted[1:], strict=True)
    )
    return _result(ours[1:], floor_seconds, (len(bodies), fetched[-1]["bytes"]))


def _inserts(path: Path, run: CatchUp) -> float:
    return sqlite_rows_seconds(path, run.rows, run.transactions, run.payload_bytes)


def _result(runs: list[CatchUp], floor_seconds: float, traffic: tuple[int, float]) -> Result:
    """From all runs but the first, which was a warm-up, and the requests and bytes of the last one."""
    requests, size = traffic
    seconds = statistics.median(run.seconds for run in runs)
    value, floor = LOGS / seconds, LOGS / floor_seconds
    return Result(
        name=NAME,
        value=value,
        unit="logs/s booked",
        floor=floor,
        ratio=value / floor,
        goal=f"at least {LOGS_PER_S:,} logs/s and at most {REQUESTS} requests a range of {RANGE_BLOCKS:,} blocks",
        met=value >= LOGS_PER_S and requests <= REQUESTS * LEAST,
        further={
            "best": LOGS / min(run.seconds for run in runs),
            "blocks": BLOCKS,
            "logs": LOGS,
            "markets": MARKETS,
            "whole_transactions": WHOLE,
            "requests": requests,
            "requests_at_least": LEAST,
            "megabytes": size / 1e6,
            "rows": sum(runs[-1].rows.values()),
            "transactions": runs[-1].transactions,
            "worst_gap_ms": statistics.median(run.worst_gap_ms for run in runs),
            "seconds": seconds,
        },
    )
