"""Runs of ``simulate``: in turn or on several cores, with progress, until an interrupt; and what is shrunk and kept."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from service.cli.failures import CommandFailed, Exit, say
from service.cli.simulating_output import failure

if TYPE_CHECKING:
    from service.simulation.run import Options, Result
    from service.simulation.shrinking import Shrunk

PROGRESS_S = 10
"""Between two words of progress."""

_S_PER_MINUTE = 60


class Runs:
    """Runs what was asked. ``failed`` is the first that failed."""

    def __init__(self, asked: Sequence[Options], jobs: int) -> None:
        """``jobs`` is how many run at a time."""
        self._asked = asked
        self._jobs = jobs
        self._failures = 0
        self._began_s = self._said_s = time.monotonic()
        self.failed: tuple[Options, Result] | None = None

    def all(self, *, with_story: bool) -> list[Result]:
        """Results in the order of what was asked, until an interrupt; a failure is said when it comes."""
        results: list[Result] = []
        try:
            for options, result in self._run():
                results.append(result if with_story else result.without_story())
                if not result.ok:
                    self.failed = self.failed or (options, result)
                    self._failures += 1
                    failure(options, result)
                self._progress(len(results))
        except KeyboardInterrupt:
            say(f"interrupted after {len(results):,} of {len(self._asked):,} seeds")
        return results

    def worth_keeping(self) -> Options | None:
        """The first that failed, or the only one."""
        if self.failed is not None:
            return self.failed[0]
        return self._asked[0] if len(self._asked) == 1 else None

    def _run(self) -> Iterator[tuple[Options, Result]]:
        if self._jobs > 1:
            yield from self._run_at_once()
        else:
            with playing() as play:
                for options in self._asked:
                    yield options, play(options)

    def _run_at_once(self) -> Iterator[tuple[Options, Result]]:
        from service.simulation.workers import WorkerEnded, Workers

        with Workers(self._jobs) as workers, interruptible(workers.end) as interrupted:
            try:
                yield from zip(self._asked, workers.run(self._asked), strict=True)
            except WorkerEnded:
                if not interrupted():
                    raise
                raise KeyboardInterrupt from None

    def _progress(self, number: int) -> None:
        now_s, count = time.monotonic(), len(self._asked)
        if now_s - self._said_s < PROGRESS_S or number == count:
            return
        self._said_s = now_s
        left_s = (now_s - self._began_s) / number * (count - number)
        say(f"{number:,} of {count:,} seeds, {self._failures} failed, about {_span(left_s)} left")


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), _S_PER_MINUTE)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


@contextmanager
def interruptible(stop: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Within the block an interrupt calls ``stop``, a second one ends it all; yields whether there was one.

    An interrupt that is raised wherever the program stands would end an actor, or the hub, and not the runs.
    """
    interrupts = 0

    def interrupt(_number: int, _frame: object) -> None:
        nonlocal interrupts
        interrupts += 1
        signal.signal(signal.SIGINT, before)
        stop()

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield lambda: bool(interrupts)
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def playing() -> Iterator[Callable[[Options], Result]]:
    """Within the block seeds run here; an interrupt takes effect between two of them."""
    from service.simulation.quiet import quiet
    from service.simulation.run import simulate

    with quiet(), interruptible(lambda: None) as interrupted:

        def play(options: Options) -> Result:
            if interrupted():
                raise KeyboardInterrupt
            return simulate(options)

        yield play


def shrunk(failed: tuple[Options, Result]) -> Shrunk:
    """The least of a run that failed."""
    from service.simulation.shrinking import shrink

    with playing() as play:
        return shrink(failed, play, say)


def keep(options: Options, folder: Path) -> None:
    """Run it once more in a folder that stays: the same seed gives the same database."""
    from service.simulation.quiet import quiet
    from service.simulation.run import simulate

    if folder.exists() and any(folder.iterdir()):
        raise CommandFailed(f"--keep {folder} has files; name a new folder", Exit.USAGE)
    folder.mkdir(parents=True, exist_ok=True)
    with quiet():
        simulate(options, folder.absolute())
