"""The base of all actors: stamps each message as it is taken, contains time-outs, hands decisions to the writer first.

A deciding actor computes the new state, submits the decision, and only then tells others (D-18).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import gevent
import msgspec
import pykka
import structlog

from actors.ports import Clock
from actors.runtime import Post, Runtime
from messages.addresses import SUPERVISOR, WRITER, Address, wallet_of
from messages.codec import SCHEMA, encode, kind_of_event
from messages.ledger import Decision
from portfolio.events import Event
from portfolio.outcomes import Outcome
from portfolio.state import digest, encoded

BREATHE_EVERY = 64
"""Messages handled in a row before others are let in (a long backlog would starve the hub)."""


class System(msgspec.Struct, frozen=True, kw_only=True):
    """What all actors of a process share."""

    clock: Clock
    post: Post
    runtime: Runtime


class Crashed(msgspec.Struct, frozen=True, kw_only=True):
    """Told to the supervisor by a failing actor's last breath. Its mailbox is lost, its books are on disk."""

    address: Address
    detail: str


class Submit(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Decisions of one actor for the writer, in their order, and what to tell once they are durable."""

    decisions: tuple[Decision, ...]
    then: tuple[tuple[Address, object], ...] = ()


class Ping(msgspec.Struct, frozen=True):
    """Answered when everything before it in the mailbox was handled; asked by the process alone, never by an actor."""


class BaseActor(pykka.ThreadingActor):
    """Takes one message at a time; subclasses implement :meth:`take`."""

    breathe_every: ClassVar[int] = BREATHE_EVERY

    def __init__(self, address: Address, system: System) -> None:
        self.address = address
        self.system = system
        self.log = structlog.get_logger().bind(address=address)
        self._stamp_ms = 0
        self._handled = 0
        super().__init__()
        # Before the loop starts, so that what on_start tells to this address is not lost.
        system.post.register(address, self.actor_ref)

    def _create_actor_inbox(self) -> Any:  # type: ignore[override]
        return self.system.runtime.inbox()

    def _start_actor_loop(self) -> None:
        self.system.runtime.run(self, self._actor_loop)

    def on_receive(self, message: object) -> None:
        """Stamp and take a message. Stamps never go back (D-20); a leaked time-out becomes an ordinary failure."""
        self._stamp_ms = max(self._stamp_ms, self.system.clock.now_ms())
        self.handled_one()
        if isinstance(message, Ping):
            self.settle()
            return
        try:
            self.take(message, self._stamp_ms)
        except gevent.Timeout as timeout:
            # A BaseException here would make pykka stop every actor of the process.
            text = f"a time-out leaked out of the handling of {type(message).__name__}: {timeout}"
            raise RuntimeError(text) from timeout

    def take(self, message: object, now_ms: int) -> None:
        """Handle one message, taken at ``now_ms``."""
        raise TypeError(f"{type(self).__name__} does not take {type(message).__name__} at {now_ms}")

    def handled_one(self) -> None:
        """Let others in after a while; for each message, and for each part of one that stands for several."""
        self._handled += 1
        if self._handled % self.breathe_every == 0:
            self.breathe()

    def breathe(self) -> None:
        """Let others in now."""
        self.system.runtime.breathe()

    def settle(self) -> None:
        """What is put off is done now; called when the process pings."""

    def on_failure(self, exception_type: object, exception_value: object, traceback: object) -> None:
        """Report the crash; pykka has logged it and is about to drop the mailbox.

        The address stays taken until the supervisor has decided: were it free, the next snapshot would start a second
        actor there from books that are not the newest.
        """
        del traceback
        name = getattr(exception_type, "__name__", str(exception_type))
        self.tell(SUPERVISOR, Crashed(address=self.address, detail=f"{name}: {exception_value}"))

    def tell(self, address: Address, message: object) -> None:
        """Tell another actor."""
        self.system.post.tell(address, message)

    def later(self, delay_ms: int, message: object) -> Callable[[], None]:
        """Tell oneself after a delay; returns what takes it back."""
        return self.system.runtime.later(delay_ms, lambda: self.system.post.tell(self.address, message))


class DecidingActor(BaseActor):
    """An actor with journaled state: market, coordinator, ingest, gate."""

    def __init__(self, address: Address, system: System) -> None:
        super().__init__(address, system)
        self._stream_name = wallet_of(address)

    def submit(
        self,
        event: Event,
        version: int,
        rows: Sequence[Outcome],
        then: Sequence[tuple[Address, object]] = (),
    ) -> None:
        """Hand (message, outcomes, version) to the writer; ``then`` is told once it is durable (D-18)."""
        decision = self.decision(event, version, rows)
        self.tell(WRITER, Submit(decisions=(decision,), then=tuple(then)))

    def decision(self, event: Event, version: int, rows: Sequence[Outcome]) -> Decision:
        """The event as it is journaled, with what it changed."""
        return Decision(
            stream=self._stream_name,
            address=self.address,
            kind=kind_of_event(event),
            schema=SCHEMA,
            version=version,
            at_ms=self._stamp_ms,
            payload=encode(event),
            rows=tuple(rows),
        )

    def described(self, state: object) -> bytes:
        """The state as ``dump`` shows it, with the digest that a replay gives of it (D-20)."""
        plain = encoded(state)
        return msgspec.json.encode({"address": self.address, "digest": digest(state), "state": msgspec.Raw(plain)})
