"""What the actors need from outside, as protocols (D-06, D-07). Nothing raises across the seam unless it says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from messages.ledger import Decision, JournalEntry, PendingAlert
from messages.reads import Read, ReadCompleted, ReadFailed
from messages.stream import StreamMessage
from portfolio.outcomes import Alert, CycleStatus, DeltaType, OperationsReport


class Clock(Protocol):
    """Wall time; the base actor stamps each message with it as it is taken."""

    def now_ms(self) -> int:
        """Milliseconds UTC."""
        ...


class ExternalReads(Protocol):
    """The outside world, read only (S-21)."""

    def request(self, read: Read, reply: Callable[[ReadCompleted | ReadFailed], None], correlation: str) -> None:
        """Start a reading; ``reply`` is called exactly once, whatever happens."""
        ...


class UserStream(Protocol):
    """A wallet's user channel, kept open until it is closed."""

    def open(self, deliver: Callable[[StreamMessage], None]) -> None:
        """Connect and stay connected; ``deliver`` is called in the order of what happened, never concurrently."""
        ...

    def reconnect(self, reason: str) -> None:
        """Give up the present connection, for it does not deliver what it should; harmless where there is none."""
        ...

    def close(self) -> None:
        """Close for good; nothing is delivered afterwards."""
        ...


class LedgerStore(Protocol):
    """The one database writer's view of storage."""

    def commit(self, decisions: Sequence[Decision]) -> tuple[JournalEntry, ...]:
        """Write a batch in one transaction, all or none; raises when it could not (fatal for the stream, D-18)."""
        ...


class Outbox(Protocol):
    """Alerts that are durable and not yet said (D-18)."""

    def pending(self, limit: int) -> Sequence[PendingAlert]:
        """The oldest ones."""
        ...

    def mark_delivered(self, keys: Sequence[str], now_ms: int) -> None:
        """They were said."""
        ...


class AlertSink(Protocol):
    """Where alerts go: the log, and the configured channels."""

    def send(self, alert: Alert) -> None:
        """Say it; raises when no channel took it, so that it stays in the outbox."""
        ...


class Metrics(Protocol):
    """The document's six metrics (S-17); names and labels are in ``service.telemetry``."""

    def cycle(self, report: OperationsReport) -> None:
        """A cycle ended."""
        ...

    def positions_synced(self, delta_type: DeltaType, count: int) -> None:
        """Deltas were applied."""
        ...

    def strategy_paused(self, strategy_id: str) -> None:
        """A strategy was paused."""
        ...

    def counted(self, name: str, count: int = 1) -> None:
        """Something was dropped, late, repeated or refused; ``name`` is in the catalogue."""
        ...

    def stream_gap(self, gap_ms: int) -> None:
        """How far the user stream was behind when a reading last proved it."""
        ...

    def known_statuses(self, statuses: Sequence[CycleStatus]) -> None:
        """Initialise every label value to 0 at start, so that first increments fire (R-33)."""
        ...


class Replies(Protocol):
    """Callers that wait for an answer from the actors."""

    def answer(self, request_id: str, *, ok: bool, detail: str, body: bytes) -> None:
        """Wake the caller; an unknown id is a caller that gave up, and is no error."""
        ...
