"""Runs benchmarks: ``python -m benchmarks [NAME …] [--json]``.

Exit 0 when all were measured, whether or not their goals were met: that is told in ``met``, for another machine or a
busy one may miss a goal without anything being wrong. A benchmark that could not be measured ends with its error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

import msgspec

from benchmarks import chain_catch_up, chain_steady, cycle, fill_latency, fills, memory, replay, simulate
from benchmarks.results import Result

BENCHMARKS: dict[str, Callable[[], Result]] = {
    cycle.NAME: cycle.measure,
    memory.NAME: memory.measure,
    fills.SQLITE: fills.measure_sqlite,
    fills.POSTGRES: fills.measure_postgres,
    fill_latency.NAME: fill_latency.measure,
    chain_catch_up.NAME: chain_catch_up.measure,
    chain_steady.NAME: chain_steady.measure,
    replay.NAME: replay.measure,
    replay.LONG: replay.measure_long,
    simulate.NAME: simulate.measure,
    simulate.LONG: simulate.measure_long,
}

ONLY_NAMED = frozenset({replay.LONG, simulate.LONG})


def main(arguments: Sequence[str]) -> int:
    """Run those that are named, or all."""
    known = ", ".join(BENCHMARKS)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure against floor or peer, in one run. See benchmarks/README.md.",
        epilog="Example: python -m benchmarks cycle-50 --json",
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"one or more of {known} (default: all but {', '.join(sorted(ONLY_NAMED))})",
    )
    parser.add_argument("--json", action="store_true", help="one JSON array on stdout (default: a table)")
    options = parser.parse_args(arguments)
    missing = [name for name in options.names if name not in BENCHMARKS]
    if missing:
        parser.error(f"there is no benchmark {', '.join(missing)}; there are {known}")
    results = []
    for name in options.names or [name for name in BENCHMARKS if name not in ONLY_NAMED]:
        print(f"measuring {name} …", file=sys.stderr)
        results.append(BENCHMARKS[name]())
        if not options.json:
            print(line(results[-1]), flush=True)
    if options.json:
        print(msgspec.json.encode(results).decode())
    return 0


def line(result: Result) -> str:
    """A result for people."""
    further = ", ".join(f"{name} {value:,.6g}" for name, value in result.further.items())
    verdict = "met" if result.met else "NOT MET"
    return (
        f"{result.name:16} {result.value:>12,.1f} {result.unit}; floor {result.floor:,.1f}; ratio {result.ratio:.2f}; "
        f"goal {result.goal}: {verdict} ({further})"
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
