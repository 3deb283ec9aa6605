"""The one database writer: group commit across decisions, and only then what may leave the process (D-18).

Decisions that arrive while a batch is being built join it; the batch is one transaction. A failed commit is fatal for
the stream: memory is ahead of the disk, so the supervisor stops and restarts from disk.
"""

from __future__ import annotations

import msgspec

from actors.base import BaseActor, Submit, System
from actors.ports import LedgerStore, Outbox
from messages.addresses import REPORTER, SUPERVISOR, WRITER
from portfolio.outcomes import Outcome

BATCH_MAX = 512
"""Decisions per transaction at most, so that a backlog cannot make one commit slow without bound."""


class Flush(msgspec.Struct, frozen=True):
    """Commit what has gathered; told by the writer to itself, behind all that is already in its mailbox."""


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """The reporter said these alerts."""

    keys: tuple[str, ...]


class RowsDurable(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that are on disk now, in commit order."""

    rows: tuple[Outcome, ...]


class StreamBroken(msgspec.Struct, frozen=True, kw_only=True):
    """A commit failed; nothing of the batch is on disk."""

    detail: str


class LedgerWriter(BaseActor):
    """Owns the order of commits."""

    def __init__(self, system: System, ledger: LedgerStore, outbox: Outbox) -> None:
        super().__init__(WRITER, system)
        self._ledger = ledger
        self._outbox = outbox
        self._batch: list[Submit] = []
        self._broken = False

    def take(self, message: object, now_ms: int) -> None:
        """Gather, commit, or note deliveries."""
        match message:
            case Submit():
                self._gather(message)
            case Flush():
                self._flush()
            case Delivered(keys=keys):
                self._outbox.mark_delivered(keys, now_ms)
            case _:
                super().take(message, now_ms)

    def on_stop(self) -> None:
        """Commit what has gathered: the stop may have overtaken the flush."""
        self._flush()

    def settle(self) -> None:
        """Commit what has gathered: whoever pings is about to read the journal."""
        self._flush()

    def _gather(self, message: Submit) -> None:
        if self._broken:
            return
        self._batch.append(message)
        if len(self._batch) == 1:
            self.tell(WRITER, Flush())
        elif len(self._batch) >= BATCH_MAX:
            self._flush()

    def _flush(self) -> None:
        batch, self._batch = self._batch, []
        if not batch or self._broken:
            return
        try:
            self._ledger.commit([submit.decision for submit in batch])
        except Exception as error:
            self._broken = True
            self.log.exception("commit_failed", decisions=len(batch))
            self.tell(SUPERVISOR, StreamBroken(detail=f"a commit of {len(batch)} decisions failed: {error}"))
            return
        rows = tuple(row for submit in batch for row in submit.decision.rows)
        if rows:
            self.tell(REPORTER, RowsDurable(rows=rows))
        for submit in batch:
            for address, told in submit.then:
                self.tell(address, told)
