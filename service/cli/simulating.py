"""``simulate``: the whole service in virtual time against a world of its own, with faults, from one seed (X-03)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from service.cli.failures import CommandFailed, Exit, say
from service.cli.options import Json
from service.cli.output import print_json
from service.cli.parsing import usage
from service.cli.simulating_output import document, print_results, say_kept
from service.cli.simulating_runs import Runs, keep, shrunk

if TYPE_CHECKING:
    from service.simulation.run import Options

STEPS = 60
MARKETS = 6

_RANGE = re.compile(r"([0-9]{1,9}):([0-9]{1,9})")
_MS_PER_HOUR = 3_600_000
_STEPS = re.compile(r"([0-9]{1,6})(?:-([0-9]{1,6}))?")

OneSeed = Annotated[
    int | None, typer.Option("--seed", min=0, metavar="N", help="The seed to run.", show_default="see --seeds")
]
ManySeeds = Annotated[
    str | None,
    typer.Option("--seeds", metavar="A:B", help="Every seed from A up to B, without B.", show_default="see --seed"),
]
Steps = Annotated[
    int | None,
    typer.Option(
        "--steps",
        min=1,
        max=100_000,
        metavar="N",
        help="How often something happens in the world.",
        show_default=str(STEPS),
    ),
]
Hours = Annotated[
    float | None,
    typer.Option(
        "--hours",
        min=0.1,
        max=100,
        metavar="H",
        help="So many steps that about so much virtual time goes by.",
        show_default="see --steps",
    ),
]
Markets = Annotated[int, typer.Option("--markets", min=2, max=500, metavar="N", help="Markets of the world.")]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        min=1,
        max=256,
        metavar="N",
        help="Seeds that run at a time, each in a process.",
        show_default="cores, where there are more than a few seeds",
    ),
]
Keep = Annotated[
    Path | None,
    typer.Option(
        "--keep",
        metavar="FOLDER",
        help="Keep database and configuration of the run; of several, of the first that fails, shrunk where it is.",
        show_default="none",
    ),
]
Faults = Annotated[
    str,
    typer.Option("--faults", metavar="LIST", help="Kinds of faults to play, comma-separated; or all, or none."),
]
Only = Annotated[
    str | None,
    typer.Option(
        "--only",
        metavar="STEPS",
        help="Only in these steps something happens, such as 4,17-19; in the others time passes.",
        show_default="all",
    ),
]
Shrink = Annotated[
    bool | None,
    typer.Option(
        "--shrink/--no-shrink",
        help="Reduce the first failure to the least that still fails.",
        show_default="with --seed, without --only",
    ),
]
Story = Annotated[bool, typer.Option("--story", help="Tell all that happened, step by step.", show_default="off")]

commands = typer.Typer()
"""Collected here, added to the application in ``application``."""


@commands.command(epilog="Example: portfolio-sync simulate --seeds 0:20")
def simulate(
    *,
    seed: OneSeed = None,
    seeds: ManySeeds = None,
    steps: Steps = None,
    hours: Hours = None,
    markets: Markets = MARKETS,
    faults: Faults = "all",
    only: Only = None,
    shrink: Shrink = None,
    story: Story = False,
    folder: Keep = None,
    jobs: Jobs = None,
    json: Json = False,
) -> None:
    """Run the whole service in virtual time against a local world, with faults and crashes; 3 where a rule broke.

    One seed is one story and one schedule: the same seed gives the same journal, whose digest is printed. Needs neither
    keys nor network nor configuration. A failure names its seed, the command that repeats it, the step and the first
    difference; of one seed it is then reduced to the least that still fails. Ctrl-C ends it with what there is so far.
    """
    from service.simulation.run import Options
    from service.simulation.workers import jobs_for

    wanted = _seeds(seed, seeds)
    like = Options(seed=wanted[0], steps=_steps(steps, hours), faults=_kinds(faults), markets=markets, only=_only(only))
    asked = [msgspec.structs.replace(like, seed=each) for each in wanted]
    runs = Runs(asked, jobs_for(len(asked)) if jobs is None else jobs)
    results = runs.all(with_story=story)
    if shrink is None:
        shrink = only is None and len(asked) == 1
    least = shrunk(runs.failed) if shrink and runs.failed is not None else None
    if json:
        print_json(document(results, least))
    else:
        print_results(results, least)
    if folder is not None:
        _keep(least.options if least is not None else runs.worth_keeping(), folder)
    if runs.failed is not None:
        raise typer.Exit(int(Exit.FOUND))
    if len(results) < len(asked):
        raise typer.Exit(int(Exit.FAILED))


def _seeds(seed: int | None, seeds: str | None) -> Sequence[int]:
    if (seed is None) == (seeds is None):
        raise usage("name either one seed with --seed N or several with --seeds A:B")
    if seed is not None:
        return (seed,)
    match = _RANGE.fullmatch(seeds or "")
    if match is None or int(match[1]) >= int(match[2]):
        raise usage(f"--seeds {seeds!r} is no range such as 0:20, from the first seed up to the last, without it")
    return range(int(match[1]), int(match[2]))


def _only(text: str | None) -> frozenset[int] | None:
    if text is None:
        return None
    steps: set[int] = set()
    for part in text.split(","):
        match = _STEPS.fullmatch(part.strip())
        if match is None:
            raise usage(f"--only has {part!r}, which is no step and no range of steps; expected a list such as 4,17-19")
        steps.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return frozenset(steps)


def _steps(steps: int | None, hours: float | None) -> int:
    from service.simulation.run import MEAN_GAP_MS

    if hours is None:
        return STEPS if steps is None else steps
    if steps is not None:
        raise usage("name either --steps or --hours")
    return round(hours * _MS_PER_HOUR / MEAN_GAP_MS)


def _kinds(faults: str) -> frozenset[str]:
    from service.simulation.faults import UnknownFault, parse

    try:
        return parse(faults)
    except UnknownFault as error:
        raise CommandFailed(str(error), Exit.USAGE) from None


def _keep(options: Options | None, folder: Path) -> None:
    if options is None:
        say("nothing failed, so nothing is kept; name one seed with --seed")
        return
    keep(options, folder)
    say_kept(folder)
