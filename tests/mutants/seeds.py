"""Runs inside a copy of the tree: simulate seeds until one fails, and say which, as one line of JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec

from service.simulation.faults import parse
from service.simulation.quiet import quiet
from service.simulation.run import Options, simulate


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Seeds from ``first`` up to ``end``, without it; ``faults`` as ``portfolio-sync simulate`` takes them."""

    first: int
    end: int
    steps: int
    faults: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """``seed`` is the first that failed, ``finding`` what it found; None and empty: all of them held."""

    seed: int | None
    finding: str
    runs: int


def main(arguments: Sequence[str]) -> int:
    """Simulate each run, given as JSON, and write the verdicts, in order."""
    with quiet():
        verdicts = [first_failure(msgspec.json.decode(argument, type=Run)) for argument in arguments]
    sys.stdout.buffer.write(msgspec.json.encode(verdicts) + b"\n")
    return 0


def first_failure(run: Run) -> Verdict:
    """The first seed that fails."""
    for count, seed in enumerate(range(run.first, run.end), start=1):
        result = simulate(Options(seed=seed, steps=run.steps, faults=parse(run.faults)))
        if result.finding is not None:
            return Verdict(seed=seed, finding=result.finding.told(), runs=count)
    return Verdict(seed=None, finding="", runs=run.end - run.first)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
