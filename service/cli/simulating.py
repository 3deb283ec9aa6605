"""``simulate``: the whole service in virtual time against a world of its own, with faults, from one seed (X-03)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.failures import CommandFailed, Exit, say
from service.cli.options import Json
from service.cli.output import print_json, print_pairs, put
from service.cli.parsing import usage

if TYPE_CHECKING:
    from service.simulation.run import Result

STEPS = 60
PROGRESS_EVERY = 25
"""Seeds between two words of progress."""

_RANGE = re.compile(r"([0-9]{1,9}):([0-9]{1,9})")

OneSeed = Annotated[
    int | None, typer.Option("--seed", min=0, metavar="N", help="The seed to run.", show_default="see --seeds")
]
ManySeeds = Annotated[
    str | None,
    typer.Option("--seeds", metavar="A:B", help="Every seed from A up to B, without B.", show_default="see --seed"),
]
Steps = Annotated[
    int, typer.Option("--steps", min=1, max=100_000, metavar="N", help="How often something happens in the world.")
]
Faults = Annotated[
    str,
    typer.Option("--faults", metavar="LIST", help="Kinds of faults to play, comma-separated; or all, or none."),
]

commands = typer.Typer()
"""Collected here, added to the application in ``application``."""


@commands.command(epilog="Example: portfolio-sync simulate --seeds 0:20")
def simulate(
    *,
    seed: OneSeed = None,
    seeds: ManySeeds = None,
    steps: Steps = STEPS,
    faults: Faults = "all",
    json: Json = False,
) -> None:
    """Run the whole service in virtual time against a local world, with faults and crashes; 3 where a rule broke.

    One seed is one story and one schedule: the same seed gives the same journal, whose digest is printed. Needs neither
    keys nor network nor configuration. A failure names its seed, the command that repeats it, the step and the first
    difference.
    """
    from service.simulation.faults import UnknownFault, parse

    chosen = _seeds(seed, seeds)
    try:
        kinds = parse(faults)
    except UnknownFault as error:
        raise CommandFailed(str(error), Exit.USAGE) from None
    results = list(_told(_run(chosen, steps, kinds), len(chosen), f"--steps {steps} --faults {faults}"))
    failed = [result for result in results if not result.ok]
    if json:
        print_json(_document(results, failed))
    elif len(results) == 1:
        print_pairs(_pairs(results[0]))
    else:
        put(f"{len(results) - len(failed)} of {len(results)} seeds passed")
    if failed:
        raise typer.Exit(int(Exit.FOUND))


def _seeds(seed: int | None, seeds: str | None) -> Sequence[int]:
    if (seed is None) == (seeds is None):
        raise usage("name either one seed with --seed N or several with --seeds A:B")
    if seed is not None:
        return (seed,)
    match = _RANGE.fullmatch(seeds or "")
    if match is None or int(match[1]) >= int(match[2]):
        raise usage(f"--seeds {seeds!r} is no range such as 0:20, from the first seed up to the last, without it")
    return range(int(match[1]), int(match[2]))


def _run(seeds: Sequence[int], steps: int, kinds: frozenset[str]) -> Iterator[Result]:
    from service.simulation.quiet import quiet
    from service.simulation.run import Options
    from service.simulation.run import simulate as run

    with quiet():
        for seed in seeds:
            yield run(Options(seed=seed, steps=steps, faults=kinds))


def _told(results: Iterator[Result], count: int, options: str) -> Iterator[Result]:
    """Each failure at once, and a word of progress now and then."""
    failures = 0
    for number, result in enumerate(results, start=1):
        if result.finding is not None:
            failures += 1
            say(f"error: seed {result.seed} failed at step {result.at_step}, virtual ms {result.virtual_ms}:")
            say(f"error: {result.finding.told()}")
            say(f"again: portfolio-sync simulate --seed {result.seed} {options}")
        if number % PROGRESS_EVERY == 0 and number < count:
            say(f"{number:,} of {count:,} seeds, {failures} failed")
        yield result


def _document(results: Sequence[Result], failed: Sequence[Result]) -> dict[str, Any]:
    return {"ok": not failed, "seeds": len(results), "failed": [one.seed for one in failed], "runs": results}


def _pairs(result: Result) -> Iterator[tuple[str, Any]]:
    yield "seed", result.seed
    yield "result", "passed" if result.ok else "failed"
    yield "virtual seconds", result.virtual_ms // 1000
    yield "cycles", result.cycles
    yield "checks", result.checks
    yield "lives of the process", result.lives
    yield "messages", result.pump_steps
    yield "requests", result.requests
    yield "happened", _counted(result.happened)
    yield "faults", _counted(result.faults)
    yield "journal entries", result.journal_entries
    yield "journal digest", result.digest


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"
