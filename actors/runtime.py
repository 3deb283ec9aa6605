"""Where actors run: pykka's three documented hooks, with the runtime injected (D-07).

In production an actor's loop is a thread that gevent's patching makes a greenlet; in tests ``pump`` runs the very same
loop one message at a time under a virtual clock. No other module knows which it is.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, Protocol

import gevent
import pykka

from messages.addresses import Address


class Cancel(Protocol):
    """Takes back a timer; harmless once it fired."""

    def __call__(self) -> None:
        """Cancel."""
        ...


class Runtime(Protocol):
    """Inboxes, loops and timers."""

    def inbox(self) -> Any:
        """A new, empty inbox."""
        ...

    def run(self, actor: pykka.Actor, loop: Callable[[], None]) -> None:
        """Start an actor's loop."""
        ...

    def later(self, delay_ms: int, action: Callable[[], None]) -> Cancel:
        """Call ``action`` after a delay; timers only ever tell messages."""
        ...

    def breathe(self) -> None:
        """Let others run: called between messages of a long backlog."""
        ...

    def handled(self, ref: pykka.ActorRef[Any], message: object, within_s: float) -> None:
        """Tell an actor and wait until it has handled that; for the process alone, no actor asks.

        Raises:
            pykka.ActorDeadError: nobody is there any more.
            pykka.Timeout: it took longer.
        """
        ...


class GeventRuntime:
    """Greenlets and the hub's timers; needs ``monkey.patch_all()`` as the process's first act."""

    def inbox(self) -> queue.Queue[Any]:
        """Pykka's own inbox."""
        return queue.Queue()

    def run(self, actor: pykka.Actor, loop: Callable[[], None]) -> None:
        """A daemon thread, which patching makes a greenlet; stopping in order is the supervisor's work."""
        threading.Thread(target=loop, name=str(actor), daemon=True).start()

    def later(self, delay_ms: int, action: Callable[[], None]) -> Cancel:
        """A greenlet that waits, then acts."""
        greenlet = gevent.spawn_later(delay_ms / 1000, action)

        def cancel() -> None:
            greenlet.kill(block=False)

        return cancel

    def breathe(self) -> None:
        """``gevent.idle`` lets sockets and timers in; ``sleep(0)`` would not."""
        gevent.idle()

    def handled(self, ref: pykka.ActorRef[Any], message: object, within_s: float) -> None:
        """Ask, as pykka does."""
        ref.ask(message, timeout=within_s)


class Post:
    """Delivers messages by logical address. Nobody holds an actor reference."""

    def __init__(self) -> None:
        self._refs: dict[Address, pykka.ActorRef[Any]] = {}
        self.undelivered = 0
        """Messages to addresses where nobody was: counted, never raised into the sender."""

    def register(self, address: Address, ref: pykka.ActorRef[Any]) -> None:
        """From now on ``address`` is ``ref``."""
        self._refs[address] = ref

    def unregister(self, address: Address) -> None:
        """Nobody is at ``address`` any more."""
        self._refs.pop(address, None)

    def ref(self, address: Address) -> pykka.ActorRef[Any] | None:
        """Who is there; for the supervisor alone."""
        return self._refs.get(address)

    def knows(self, address: Address) -> bool:
        """Whether somebody is there."""
        return address in self._refs

    @property
    def addresses(self) -> tuple[Address, ...]:
        """All addresses, in the order they were first registered."""
        return tuple(self._refs)

    def tell(self, address: Address, message: object) -> None:
        """Put a message into a mailbox; to nobody, it is counted and dropped."""
        ref = self._refs.get(address)
        if ref is None:
            self.undelivered += 1
            return
        try:
            ref.tell(message)
        except pykka.ActorDeadError:
            self.undelivered += 1
