"""The one database writer: group commit across decisions, and only then what may leave the process (D-18).

A batch is what waits in the mailbox, up to :data:`BATCH_MAX`; it is one transaction, and what comes while the disk is
busy is the next one. So a lone decision is committed at once, and a thousand a second share commits. Nobody waits for
company, though up to 5 ms would be allowed: measured at 500 fills a second, that wait is added to the median and takes
nothing off the slowest (``benchmarks/README.md``).

A failed commit is fatal for the stream: memory is ahead of the disk, so the supervisor stops and restarts from disk.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from actors.base import BaseActor, Submit, System
from actors.ports import LedgerStore, Outbox
from messages.addresses import REPORTER, SUPERVISOR, WRITER, Address
from portfolio.outcomes import Alert, IssueRow, OperationsReport, Outcome, SettlementReport

BATCH_MAX = 512
"""Decisions after which a batch is committed, so that a backlog cannot make one commit slow without bound.

What one actor submits together is not parted, so a few more are possible.
"""


REPORTED = frozenset({OperationsReport, SettlementReport, IssueRow, Alert})
"""Rows that the reporter says something of; a fill's are not told it."""


class Flush(msgspec.Struct, frozen=True):
    """Commit what has gathered; told by the writer to itself, behind all that is already in its mailbox."""


class Barrier(msgspec.Struct, frozen=True, kw_only=True):
    """Tell ``then`` once everything that was submitted before is durable; never after a failed commit (D-21)."""

    then: tuple[tuple[Address, object], ...]


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """The reporter said these alerts."""

    keys: tuple[str, ...]


class RowsDurable(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that are on disk now and to be spoken of (:data:`REPORTED`), in commit order."""

    rows: tuple[Outcome, ...]


class StreamBroken(msgspec.Struct, frozen=True, kw_only=True):
    """A commit failed; nothing of the batch is on disk."""

    detail: str


class LedgerWriter(BaseActor):
    """Owns the order of commits."""

    # A commit lets others in. To stand back before it would mean to wait until none of those who submit has work left.
    breathe_every: ClassVar[int] = 2 * BATCH_MAX

    def __init__(self, system: System, ledger: LedgerStore, outbox: Outbox) -> None:
        super().__init__(WRITER, system)
        self._ledger = ledger
        self._outbox = outbox
        self._batch: list[Submit] = []
        self._decisions = 0
        self._barriers: list[Barrier] = []
        self._broken = False

    def take(self, message: object, now_ms: int) -> None:
        """Gather, commit, or note deliveries."""
        match message:
            case Submit():
                self._gather(message)
            case Barrier():
                self._pass(message)
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
        self._decisions += len(message.decisions)
        if self._decisions >= BATCH_MAX:
            self._flush()
        elif len(self._batch) == 1:
            self.tell(WRITER, Flush())

    def _pass(self, barrier: Barrier) -> None:
        if self._batch:
            self._barriers.append(barrier)
        elif not self._broken:
            self._answer(barrier.then)

    def _answer(self, then: tuple[tuple[Address, object], ...]) -> None:
        for address, told in then:
            self.tell(address, told)

    def _flush(self) -> None:
        batch, self._batch, self._decisions = self._batch, [], 0
        if not batch or self._broken:
            return
        decisions = [decision for submit in batch for decision in submit.decisions]
        try:
            self._ledger.commit(decisions)
        except Exception as error:
            self._broken = True
            self.log.exception("commit_failed", decisions=len(decisions))
            self.tell(SUPERVISOR, StreamBroken(detail=f"a commit of {len(decisions)} decisions failed: {error}"))
            return
        rows = tuple(row for decision in decisions for row in decision.rows if type(row) in REPORTED)
        if rows:
            self.tell(REPORTER, RowsDurable(rows=rows))
        for submit in batch:
            self._answer(submit.then)
        barriers, self._barriers = self._barriers, []
        for barrier in barriers:
            self._answer(barrier.then)
