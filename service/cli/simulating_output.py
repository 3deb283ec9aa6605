"""What ``simulate`` prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from service.cli.failures import say
from service.cli.output import print_pairs, put

if TYPE_CHECKING:
    from service.simulation.run import Options, Result
    from service.simulation.shrinking import Shrunk
    from service.simulation.story import Happening


def command_of(options: Options) -> str:
    """The command that repeats a run."""
    from service.simulation.faults import shown
    from service.simulation.run import MARKETS

    parts = [f"portfolio-sync simulate --seed {options.seed} --steps {options.steps} --faults {shown(options.faults)}"]
    if options.markets != MARKETS:
        parts.append(f"--markets {options.markets}")
    if options.only is not None:
        parts.append(f"--only {_ranges(options.only)}")
    return " ".join(parts)


def _ranges(steps: Iterable[int]) -> str:
    """As ``--only`` takes them; 0, which is no step, for none."""
    told: list[list[int]] = []
    for step in sorted(steps):
        if told and told[-1][-1] == step - 1:
            told[-1].append(step)
        else:
            told.append([step])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in told) or "0"


def failure(options: Options, result: Result) -> None:
    """Say what was found, and how to find it again."""
    if result.finding is None:
        return
    say(f"error: seed {result.seed} failed at step {result.at_step}, virtual ms {result.virtual_ms}:")
    say(f"error: {result.finding.told()}")
    say(f"again: {command_of(options)}")


def document(results: Sequence[Result], shrunk: Shrunk | None) -> dict[str, Any]:
    """All runs as one document, with the least that fails where that was looked for."""
    failed = [one.seed for one in results if not one.ok]
    told: dict[str, Any] = {"ok": not failed, "seeds": len(results), "failed": failed, "runs": results}
    if shrunk is not None:
        told["shrunk"] = {"command": command_of(shrunk.options), **msgspec.structs.asdict(shrunk)}
    return told


def print_results(results: Sequence[Result], shrunk: Shrunk | None) -> None:
    """One run in numbers, or how many passed; what happened, where that was kept; and the least that fails."""
    for result in results:
        _print_story(result.story)
        if result.story and len(results) > 1:
            put(f"seed {result.seed} {'passed' if result.ok else 'failed'}")
    if len(results) == 1:
        print_pairs(_pairs(results[0]))
    else:
        put(f"{sum(result.ok for result in results):,} of {len(results):,} seeds passed")
    if shrunk is not None:
        _print_shrunk(shrunk)


def say_kept(folder: Path) -> None:
    """Where the database is, and what can be asked of it."""
    from service.simulation.settings import FILE

    say(f"kept: {folder}")
    for command in ("replay", "verify", "diff 1 100", "positions"):
        say(f"  portfolio-sync {command} --config {folder / FILE}")


def _print_shrunk(shrunk: Shrunk) -> None:
    put("")
    put(f"{'the least' if shrunk.minimal else 'the least so far'} that fails, after {shrunk.runs} more runs:")
    _print_story(shrunk.result.story)
    if shrunk.result.finding is not None:
        put(f"found: {shrunk.result.finding.told()}")
    put(f"again: {command_of(shrunk.options)}")


def _print_story(story: Sequence[Happening]) -> None:
    for happening in story:
        put(happening.told())


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
    yield "state digest", result.state_digest


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"
