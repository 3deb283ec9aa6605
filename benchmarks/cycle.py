"""``cycle-50``: a cycle over 50 positions and 100 open orders, 20 ms away from every source (S-24)."""

from __future__ import annotations

from benchmarks.floors import bare_cycle
from benchmarks.places import GREENLETS, Child, place
from benchmarks.results import Result, percentile
from polymarket.sandbox.options import WorldOptions

NAME = "cycle-50"
POSITIONS = 50
QUESTIONS = 3
"""Of the one neg-risk event; the other markets are standard ones, with one position each."""

ORDERS = 100
LATENCY_MS = 20
CYCLES = 200
ROUND = 10
P99_MS = 500
RATIO = 1.5


def measure() -> Result:
    """200 cycles of the service and of the bare fetch, in turns of ten, so that both meet the same machine."""
    world = WorldOptions(markets=POSITIONS - QUESTIONS, events=1, positions=POSITIONS, orders=ORDERS, activity=False)
    ours: list[float] = []
    bare: list[float] = []
    with place(world, latency_ms=LATENCY_MS) as at:
        floor = bare_cycle(at)
        service = Child([*GREENLETS, "benchmarks.subject", str(at.config)], at.environment)
        try:
            for _ in range(CYCLES // ROUND):
                ours += service.ask(f"cycles {ROUND}")
                bare += floor.ask(f"cycles {ROUND}")
        finally:
            service.close()
            floor.close()
    return _result(ours, bare)


def _result(ours: list[float], bare: list[float]) -> Result:
    p50, p99 = percentile(ours, 0.5), percentile(ours, 0.99)
    floor = percentile(bare, 0.5)
    return Result(
        name=NAME,
        value=p50,
        unit="ms, p50",
        floor=floor,
        ratio=p50 / floor,
        goal=f"p99 < {P99_MS} ms and ratio < {RATIO}",
        met=p99 < P99_MS and p50 / floor < RATIO,
        further={"p99_ms": p99, "floor_p99_ms": percentile(bare, 0.99), "cycles": len(ours)},
    )
