"""What befalls the process itself, by seed.

It ends in one way or another, at any message or commit; and it has to bear a crash of one of its actors, another
process, another configuration, and a clock that is set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

from service.simulation.faults import (
    ACTOR_CRASH,
    CLOCK_JUMPS,
    CRASH,
    CRASH_AT_COMMIT,
    LEASE_FIGHT,
    ORDERLY_STOP,
    RELOADS,
    TORN_COMMITS,
)
from service.simulation.lives import Lives, Scene
from service.simulation.reloads import Reloads
from service.simulation.story import Kind

_SHARE = 0.03
"""Of the steps, those in which one kind begins."""

_END_WITHIN = (0, 60)
"""Messages until the process ends."""

_STATEMENTS = (1, 12)
"""Statements of commits until the connection is gone; a commit has five or more."""

_JUMP_MS = (1_000, 180_000)
_POISONABLE = frozenset({"market", "ingest", "coordinator", "gate", "watcher", "reporter"})


class Accidents:
    """Plays the faults of the process. ``played`` counts those that end no life, by name."""

    def __init__(self, scene: Scene, lives: Lives, faults: frozenset[str]) -> None:
        """Those of ``faults`` that are of the process."""
        self._scene = scene
        self._lives = lives
        self._faults = faults
        self._reloads = Reloads(scene, lives)
        self._kinds: dict[str, Callable[[Random], str]] = {
            CRASH: self._crash,
            CRASH_AT_COMMIT: self._crash_at_commit,
            TORN_COMMITS: self._tear,
            ORDERLY_STOP: self._stop,
            ACTOR_CRASH: self._poison,
            LEASE_FIGHT: self._fight,
            RELOADS: self._reload,
            CLOCK_JUMPS: self._jump,
        }
        self.played: Counter[str] = Counter()
        self.ahead_ms = 0
        """By how much the clock was ahead of what it showed later, at most: stamps do not go back (D-20)."""

        self._messages_left: int | None = None
        self._end: Callable[[], None] = lambda: None

    def begin_some(self, step: int) -> None:
        """Perhaps something is planned in this step; each plan says what, nothing where it cannot be."""
        chance = self._scene.chance
        for name, plan in self._kinds.items():
            random = chance.of("accident", name, step)
            told = plan(random) if random.random() < _SHARE and name in self._faults else ""
            if told:
                self._scene.story.tell(Kind.PLANNED, name, told)

    def after_message(self) -> None:
        """A message was handled; a life that is over by now is followed by the next one."""
        process = self._lives.process
        self._lives.written_by_both()
        if process.ledger.died:
            self._over(lambda: self._lives.crash(process.ledger.died))
        elif process.failure and self._lives.usurped:
            self._over(lambda: self._lives.give_way(LEASE_FIGHT))
        elif self._messages_left is not None:
            self._messages_left -= 1
            if self._messages_left < 0:
                self._over(self._end)

    def end_all(self) -> None:
        """Nothing more befalls the process; what another one began is fought out."""
        self._messages_left = None
        self._lives.process.ledger.spare()
        self._set_clock(0)

    def _over(self, end: Callable[[], None]) -> None:
        self._messages_left = None
        end()

    # -- its end ------------------------------------------------------------------------------------------------------

    def _crash(self, random: Random) -> str:
        return self._end_soon(random, lambda: self._lives.crash(CRASH))

    def _stop(self, random: Random) -> str:
        return self._end_soon(random, lambda: self._lives.stop(ORDERLY_STOP))

    def _end_soon(self, random: Random, end: Callable[[], None]) -> str:
        self._end = end
        self._messages_left = random.randint(*_END_WITHIN)
        return f"after {self._messages_left} messages"

    def _crash_at_commit(self, random: Random) -> str:
        before = random.random() < 0.5
        self._lives.process.ledger.plan(CRASH_AT_COMMIT, before=before)
        return "just before the next commit" if before else "just behind the next commit"

    def _tear(self, random: Random) -> str:
        statements = random.randint(*_STATEMENTS)
        self._lives.process.ledger.plan_within(TORN_COMMITS, statements)
        return f"after {statements} statements of the next commits"

    def _fight(self, random: Random) -> str:
        """Another process is refused, or has the database; its predecessor finds that out by itself."""
        if random.random() < 0.5:
            self._lives.refused()
            self.played[LEASE_FIGHT] += 1
            return "another process is refused"
        if self._lives.usurped:
            return ""
        self._lives.usurp()
        return "another process takes the lease"

    # -- what it has to bear ------------------------------------------------------------------------------------------

    def _poison(self, random: Random) -> str:
        address = self._lives.process.poison(random.choice, _POISONABLE)
        self.played[ACTOR_CRASH] += bool(address)
        return address

    def _reload(self, random: Random) -> str:
        self.played[RELOADS] += 1
        return self._reloads.reload(random)

    def _jump(self, random: Random) -> str:
        """Forward, back, or right again; not before the first cycle: the books open at the right time."""
        if not self._scene.seen.cycles:
            return ""
        self.played[CLOCK_JUMPS] += 1
        self._scene.safety.clock_was_set = True
        wrong_ms = random.choice((-1, 0, 1)) * random.randint(*_JUMP_MS)
        self._set_clock(wrong_ms)
        return f"the clock is {wrong_ms} ms wrong"

    def _set_clock(self, wrong_ms: int) -> None:
        wall = self._scene.timeline.wall
        self.ahead_ms = max(self.ahead_ms, wall.wrong_ms - wrong_ms)
        wall.wrong_ms = wrong_ms
