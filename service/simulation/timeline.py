"""Virtual time of a simulation: one clock and one list of what is due, for the world and every life of the process.

The process runs on ``Life``, the deterministic pump with timers on that list. A crash ends a life: its timers, the mail
in its mailboxes and what its actors were about to do are gone, as memory is; the world's timers stay.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Any

import greenlet
import pykka

from actors.pump import PumpRuntime, VirtualClock
from actors.runtime import Cancel


class WallClock:
    """What the machine shows of the time: it can be set, while timers go by the time that really goes by."""

    def __init__(self, true: VirtualClock) -> None:
        """Right at first."""
        self._true = true
        self.wrong_ms = 0

    def now_ms(self) -> int:
        """Milliseconds UTC, as the machine has them."""
        return self._true.now_ms() + self.wrong_ms


class Timeline:
    """What is due, by virtual time; what is due at one moment happens in the order in which it was planned."""

    def __init__(self, start_ms: int) -> None:
        """``start_ms`` is the first moment, ms UTC."""
        self.clock = VirtualClock(start_ms)
        self.wall = WallClock(self.clock)
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._cancelled: set[int] = set()

    def later(self, delay_ms: int, action: Callable[[], None]) -> Cancel:
        """Call ``action`` after a delay."""
        number = next(self._numbers)
        heapq.heappush(self._due, (self.clock.now_ms() + max(0, delay_ms), number, action))

        def cancel() -> None:
            self._cancelled.add(number)

        return cancel

    def fire_next(self, until_ms: int) -> bool:
        """Go to the next moment not after ``until_ms`` and do what is due; False where there is none."""
        while self._due and self._due[0][0] <= until_ms:
            at_ms, number, action = heapq.heappop(self._due)
            if number in self._cancelled:
                self._cancelled.discard(number)
                continue
            self.clock.advance_to(at_ms)
            action()
            return True
        return False


class Life(PumpRuntime):
    """The actors' runtime from a start of the process to its crash."""

    def __init__(self, timeline: Timeline, seed: int) -> None:
        """``seed`` chooses among the actors that have mail."""
        super().__init__(timeline.clock, seed)
        self._timeline = timeline
        self.wall = timeline.wall
        self._lived: list[tuple[pykka.Actor, greenlet.greenlet]] = []
        self._main = greenlet.getcurrent()
        self.over = False

    def run(self, actor: pykka.Actor, loop: Callable[[], None]) -> None:
        """Run an actor's loop up to its first wait for mail."""
        super().run(actor, loop)
        inbox: Any = actor.actor_inbox
        self._lived.append((actor, inbox.runner))

    def later(self, delay_ms: int, action: Callable[[], None]) -> Cancel:
        """Call ``action`` after a delay, unless this life is over by then."""

        def fire() -> None:
            if not self.over:
                action()

        return self._timeline.later(delay_ms, fire)

    def reschedule(self, seed: int) -> None:
        """From here on another seed chooses among the actors that have mail."""
        self._random.seed(seed)

    def die_here(self) -> None:
        """Called from within an actor: it never goes on from here. From elsewhere, nothing happens."""
        current = greenlet.getcurrent()
        if current is not self._main and current.parent is self._main:
            self.over = True
            self._main.switch()

    def stop(self, ref: pykka.ActorRef[Any]) -> None:
        """Let an actor handle what it has, and stop, while the others go on."""
        ref.stop(block=False)
        while ref.is_alive() and self.step():
            pass

    @property
    def actors(self) -> list[pykka.Actor]:
        """All that lived in this life, in the order in which they began."""
        return [actor for actor, _ in self._lived]

    def end(self) -> None:
        """Take all actors down at once; none of them takes another message."""
        self.over = True
        mine = {actor.actor_ref for actor, _ in self._lived}
        others = [ref for ref in pykka.ActorRegistry.get_all() if ref not in mine]
        # An actor that is ended from outside makes pykka stop all that are registered, and wait for them.
        for ref in (*mine, *others):
            pykka.ActorRegistry.unregister(ref)
        for _, runner in self._lived:
            while not runner.dead:  # one that died amid a message takes that for its end, and waits for the next one
                runner.parent = greenlet.getcurrent()
                runner.throw()
        self._lived.clear()
        for ref in others:
            pykka.ActorRegistry.register(ref)
