"""The deterministic runtime: pykka's own loop, one message at a time, under a virtual clock (D-05, D-07).

Each actor's loop runs in a greenlet of its own that gives control back whenever it wants its next message. A seeded
choice among the actors with mail makes the interleaving; when nobody has mail the clock jumps to the next timer.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable
from typing import Any

import greenlet
import pykka

from actors.runtime import Cancel


class VirtualClock:
    """A clock that only moves when it is moved."""

    def __init__(self, start_ms: int) -> None:
        self._now_ms = start_ms

    def now_ms(self) -> int:
        """Milliseconds UTC of the virtual time."""
        return self._now_ms

    def advance_to(self, at_ms: int) -> None:
        """Move on; never back."""
        self._now_ms = max(self._now_ms, at_ms)


class _Inbox:
    """An inbox whose ``get`` hands control back to the pump until a message is granted."""

    def __init__(self, pump: PumpRuntime) -> None:
        self.mail: deque[Any] = deque()
        self.runner: greenlet.greenlet | None = None
        self._pump = pump

    def put(self, envelope: Any, /) -> None:
        """Add mail."""
        self.mail.append(envelope)
        if len(self.mail) == 1:
            self._pump.has_mail(self)

    def get(self) -> Any:
        """Wait to be chosen."""
        self._pump.yield_to_scheduler()
        return self.mail.popleft()

    def empty(self) -> bool:
        """Whether there is no mail."""
        return not self.mail


class PumpRuntime:
    """Schedules all actors of one system in one thread; the same seed gives the same run."""

    def __init__(self, clock: VirtualClock, seed: int = 0) -> None:
        self.clock = clock
        self._random = random.Random(seed)  # noqa: S311 - a schedule, not a secret
        self._ready: list[_Inbox] = []
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._cancelled: set[int] = set()
        self._numbers = itertools.count()
        self._scheduler = greenlet.getcurrent()
        self.steps = 0

    def inbox(self) -> _Inbox:
        """A new, empty inbox."""
        return _Inbox(self)

    def run(self, actor: pykka.Actor, loop: Callable[[], None]) -> None:
        """Run the loop up to its first wait for mail (``on_start`` happens here)."""
        runner = greenlet.greenlet(loop, parent=self._scheduler)
        inbox: Any = actor.actor_inbox
        inbox.runner = runner
        self._switch(runner)

    def later(self, delay_ms: int, action: Callable[[], None]) -> Cancel:
        """Fire when the virtual clock gets there."""
        number = next(self._numbers)
        heapq.heappush(self._timers, (self.clock.now_ms() + delay_ms, number, action))

        def cancel() -> None:
            self._cancelled.add(number)

        return cancel

    def breathe(self) -> None:
        """Nobody starves here: the scheduler chooses after every message."""

    def handled(self, ref: pykka.ActorRef[Any], message: object, within_s: float) -> None:
        """Let that actor alone go on until its mail is taken; no virtual time passes."""
        del within_s
        ref.tell(message)
        inbox: Any = ref.actor_inbox
        while inbox.mail and not inbox.runner.dead:
            self._grant(self._ready.index(inbox), inbox, inbox.runner)

    def yield_to_scheduler(self) -> None:
        """Called from an actor's greenlet: wait to be chosen."""
        parent = greenlet.getcurrent().parent
        if parent is not None:
            parent.switch()

    def _switch(self, runner: greenlet.greenlet) -> None:
        runner.parent = greenlet.getcurrent()
        runner.switch()

    def step(self) -> bool:
        """Let one actor with mail take one message; False when nobody has any."""
        while self._ready:
            index = self._random.randrange(len(self._ready))
            inbox = self._ready[index]
            if inbox.runner is not None and not inbox.runner.dead:
                self._grant(index, inbox, inbox.runner)
                return True
            self._forget(index)
        return False

    def has_mail(self, inbox: _Inbox) -> None:
        """Called by an inbox that was empty."""
        self._ready.append(inbox)

    def _grant(self, index: int, inbox: _Inbox, runner: greenlet.greenlet) -> None:
        self.steps += 1
        if len(inbox.mail) == 1:
            self._forget(index)
        self._switch(runner)

    def _forget(self, index: int) -> None:
        self._ready[index] = self._ready[-1]
        self._ready.pop()

    def fire_next_timer(self, until_ms: int) -> bool:
        """Jump to the next timer not after ``until_ms`` and fire it; False when there is none."""
        while self._timers and self._timers[0][0] <= until_ms:
            at_ms, number, action = heapq.heappop(self._timers)
            if number in self._cancelled:
                self._cancelled.discard(number)
                continue
            self.clock.advance_to(at_ms)
            action()
            return True
        return False

    def run_until_idle(self, max_steps: int = 1_000_000) -> None:
        """Step until nobody has mail."""
        for _ in range(max_steps):
            if not self.step():
                return
        raise RuntimeError(f"the system was not idle after {max_steps} steps: it talks to itself")

    def run_for(self, duration_ms: int) -> None:
        """Run mail and timers for so much virtual time."""
        until_ms = self.clock.now_ms() + duration_ms
        self.run_until_idle()
        while self.fire_next_timer(until_ms):
            self.run_until_idle()
        self.clock.advance_to(until_ms)
