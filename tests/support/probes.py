"""A small actor system for one actor under test: probes stand at the addresses it tells to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec
import pykka

from actors.base import BaseActor, Submit, System
from actors.pump import PumpRuntime, VirtualClock
from actors.runtime import Post
from messages.addresses import Address
from messages.ledger import Decision, JournalEntry, PendingAlert
from portfolio.outcomes import Alert, Outcome, Severity

START_MS = 1_746_792_000_000


class Probe(BaseActor):
    """Takes everything and remembers it, with its stamp."""

    def __init__(self, address: Address, system: System) -> None:
        super().__init__(address, system)
        self.taken: list[object] = []
        self.stamps: list[int] = []

    def take(self, message: object, now_ms: int) -> None:
        """Remember it."""
        self.taken.append(message)
        self.stamps.append(now_ms)


AnActor = TypeVar("AnActor", bound=pykka.Actor)


def alive(ref: pykka.ActorRef[AnActor]) -> AnActor:
    """The actor behind a reference."""
    actor = ref._actor_weakref()
    assert actor is not None, "the actor is gone"
    return actor


class Small:
    """A system under the pump with as many probes as the test wants."""

    def __init__(self, seed: int = 0) -> None:
        self.clock = VirtualClock(START_MS)
        self.runtime = PumpRuntime(self.clock, seed)
        self.post = Post()
        self.system = System(clock=self.clock, post=self.post, runtime=self.runtime)

    def probe(self, address: str) -> Probe:
        """A probe at an address."""
        ref: pykka.ActorRef[Probe] = Probe.start(Address(address), self.system)
        return alive(ref)

    def tell(self, address: str, *messages: object) -> None:
        """Tell all, then let everybody take their mail."""
        for message in messages:
            self.post.tell(Address(address), message)
        self.runtime.run_until_idle()


class FakeLedger:
    """Remembers batches; fails when told to. Port ``LedgerStore``."""

    def __init__(self) -> None:
        self.batches: list[list[Decision]] = []
        self.failing = False

    def commit(self, decisions: Sequence[Decision]) -> tuple[JournalEntry, ...]:
        """Take a batch, or fail."""
        if self.failing:
            raise OSError("disk full")
        self.batches.append(list(decisions))
        return ()

    @property
    def kinds(self) -> list[str]:
        """Kinds of all committed decisions, in order."""
        return [decision.kind for batch in self.batches for decision in batch]


class FakeOutbox:
    """Port ``Outbox``, in memory."""

    def __init__(self, *waiting: Alert) -> None:
        self.waiting = waiting
        self.delivered: list[str] = []

    def pending(self, limit: int) -> Sequence[PendingAlert]:
        """What an earlier life left."""
        return [PendingAlert(key=alert.key, payload=msgspec.json.encode(alert)) for alert in self.waiting[:limit]]

    def mark_delivered(self, keys: Sequence[str], now_ms: int) -> None:
        """Remember."""
        self.delivered.extend(keys)


class FakeSink:
    """Port ``AlertSink``: fails as often as told."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.said: list[str] = []

    def send(self, alert: Alert) -> None:
        """Say it, or fail."""
        if self.failures:
            self.failures -= 1
            raise ConnectionError("no channel took it")
        self.said.append(alert.key)


def alert(key: str) -> Alert:
    """An alert with that key."""
    return Alert(
        wallet="main", key=key, code="STALE_DATA", severity=Severity.WARN, route="warn", market_id="", text=key, at_ms=1
    )


def submit(kind: str, *rows: Outcome, then: tuple[tuple[Address, object], ...] = ()) -> Submit:
    """A decision of that kind."""
    decision = Decision(
        stream="main", address="gate:main", kind=kind, schema=1, version=1, at_ms=1, payload=b"{}", rows=rows
    )
    return Submit(decisions=(decision,), then=then)
