"""``chain-catch-up``: the reader of logs over 100,000 blocks, its requests counted and its speed measured (X-01)."""

from __future__ import annotations

import statistics
import sys

import msgspec

from benchmarks.chain_world import BLOCKS, FILLS, LOGS, RECEIPT_LOGS, SPLITS
from benchmarks.places import GREENLETS, ROOT, Child
from benchmarks.results import Result

NAME = "chain-catch-up"
RUNS = 7
RANGE_BLOCKS = 10_000
LEAST = BLOCKS // RANGE_BLOCKS
REQUESTS = 1.2
LOGS_PER_S = 5_000


def measure() -> Result:
    """Catch-ups in turns with the floor, so that both meet the same machine; the medians count."""
    node = Child([sys.executable, "-m", "benchmarks.chain_node"])
    url = node.ready["url"]
    subject = Child([*GREENLETS, "benchmarks.chain_subject", url])
    floor = Child([sys.executable, str(ROOT / "benchmarks" / "floor_chain.py"), url])
    ours, least, bodies = [], [], []
    try:
        for _ in range(RUNS + 1):
            node.ask("forget")
            found = subject.ask("catch up")
            bodies = node.ask("which requests were there")
            assert (found["transactions"], found["whole"]) == (FILLS + SPLITS, SPLITS), found
            ours.append(found["seconds"])
            least.append(floor.ask(msgspec.json.encode(bodies).decode()))
    finally:
        for child in (subject, floor, node):
            child.close()
    floor_seconds = statistics.median(run["seconds"] for run in least[1:])
    return _result(statistics.median(ours[1:]), floor_seconds, (len(bodies), least[-1]["bytes"]))


def _result(seconds: float, floor_seconds: float, traffic: tuple[int, float]) -> Result:
    """From the seconds of a catch-up and its requests and bytes; the first run of each was a warm-up."""
    requests, size = traffic
    value, floor = LOGS / seconds, LOGS / floor_seconds
    return Result(
        name=NAME,
        value=value,
        unit="logs/s read (not booked)",
        floor=floor,
        ratio=value / floor,
        goal=f"at least {LOGS_PER_S:,} logs/s and at most {REQUESTS} requests a range of {RANGE_BLOCKS:,} blocks",
        met=value >= LOGS_PER_S and requests <= REQUESTS * LEAST,
        further={
            "blocks": BLOCKS,
            "logs": LOGS,
            "logs_of_receipts": SPLITS * RECEIPT_LOGS,
            "requests": requests,
            "requests_at_least": LEAST,
            "megabytes": size / 1e6,
            "seconds": seconds,
        },
    )
