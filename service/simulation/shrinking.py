"""From a run that fails to the least that still fails by the same rule: fewer steps, kinds of faults, and deeds.

Delta debugging (Zeller and Hildebrandt, 2002) over the kinds, and then over the steps in which something happens. What
is left out changes nothing of what the other steps draw (``chance``), though what comes of it may: so each
candidate is played, and kept where the rule breaks again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec

from service.simulation.run import Options, Result
from service.simulation.story import Kind

MOST_RUNS = 200
"""Runs after which the least so far has to do."""

Play = Callable[[Options], Result]
Tell = Callable[[str], None]
T = TypeVar("T", str, int)


class Shrunk(msgspec.Struct, frozen=True, kw_only=True):
    """The least that fails, how it ended, and in how many runs it was found.

    ``minimal``: without any single one of its kinds and steps the rule holds.
    """

    options: Options
    result: Result
    runs: int
    minimal: bool


class _Spent(Exception):
    """No more runs."""


def shrink(failed: tuple[Options, Result], play: Play, tell: Tell, most_runs: int = MOST_RUNS) -> Shrunk:
    """The least of a run that failed. ``play`` runs a candidate, ``tell`` is told of the progress.

    An interrupt from the keyboard ends it with the least so far.
    """
    shrinking = _Shrinking(failed, play, tell, most_runs)
    minimal = False
    try:
        minimal = shrinking.run()
    except KeyboardInterrupt:
        tell("interrupted; this is the least so far")
    except _Spent:
        tell(f"{most_runs} runs are enough; this is the least so far")
    return Shrunk(options=shrinking.options, result=shrinking.result, runs=shrinking.runs, minimal=minimal)


class _Shrinking:
    """The least so far, and the search for less."""

    def __init__(self, failed: tuple[Options, Result], play: Play, tell: Tell, most_runs: int) -> None:
        self.options, self.result = failed
        self.runs = 0
        self._held: set[Options] = set()
        self._play = play
        self._tell = tell
        self._most_runs = most_runs

    def run(self) -> bool:
        """Until a round over everything finds nothing to leave out."""
        self._fails(_change(self.options, steps=max(1, self.result.at_step)))
        while True:
            before = self.options
            self._least("kinds of faults", sorted(self.options.faults), self._with_kinds)
            self._least("steps", self._busy(), self._with_steps)
            self._end_early()
            if self.options == before:
                return True

    def _busy(self) -> list[int]:
        """The steps in which something happened."""
        return sorted({one.step for one in self.result.story if one.step and one.kind is not Kind.ACCIDENT})

    def _with_kinds(self, kinds: Iterable[str]) -> Options:
        return _change(self.options, faults=frozenset(kinds))

    def _with_steps(self, steps: Iterable[int]) -> Options:
        return _change(self.options, only=frozenset(steps))

    def _end_early(self) -> None:
        """No more steps than needed, the idle ones at the end too."""
        last = max(self.options.only or {1})
        for steps in (last, (last + self.options.steps) // 2):
            if steps < self.options.steps and self._fails(_change(self.options, steps=steps)):
                return

    def _least(self, name: str, things: Sequence[T], candidate: Callable[[Iterable[T]], Options]) -> None:
        """Leave out parts, large ones first, then smaller ones, until none can go."""
        rest = list(things)
        parts = 1
        while rest:
            size = -(-len(rest) // parts)
            for start in range(0, len(rest), size):
                fewer = rest[:start] + rest[start + size :]
                if self._fails(candidate(fewer)):
                    rest, parts = fewer, max(1, parts - 1)
                    self._tell(f"shrinking: {self.runs} runs, {len(rest)} of {len(things)} {name} left")
                    break
            else:
                if size == 1:
                    return
                parts = min(len(rest), 2 * parts)

    def _fails(self, options: Options) -> bool:
        """Play it; where the same rule breaks it is the least so far."""
        if options in self._held:
            return False
        if self.runs >= self._most_runs:
            raise _Spent
        self.runs += 1
        result = self._play(options)
        same = result.finding is not None and result.finding.rule == self._rule
        if same:
            self.options, self.result = options, result
        else:
            self._held.add(options)
        return same

    @property
    def _rule(self) -> str:
        return "" if self.result.finding is None else self.result.finding.rule


def _change(options: Options, **changes: object) -> Options:
    return msgspec.structs.replace(options, **changes)
