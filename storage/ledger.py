"""The one writer: decisions become journal entries and rows, a batch in one transaction (L-02, D-17, D-18)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from messages.ledger import Decision, JournalEntry, Lease, chain_hash
from storage import projections
from storage.database import Database, Transaction
from storage.dialect import SqlRow
from storage.errors import LeaseLost, StreamFailed

_MOVE_HEAD = (
    'UPDATE "leases" SET "head_seq" = ?, "head_hash" = ?'
    ' WHERE "stream" = ? AND "epoch" = ? AND "head_seq" = ? AND "head_hash" = ?'
)


class Ledger:
    """Commits decisions of the streams whose leases it holds. Not for two greenlets at a time: it has one writer."""

    def __init__(self, database: Database) -> None:
        """``database`` must be opened as its owner."""
        self._database = database
        self._leases: dict[str, Lease] = {}
        self._failed: set[str] = set()

    def hold(self, lease: Lease) -> None:
        """Write ``lease.stream`` from its head on; also how a stream begins again after a failed commit."""
        self._leases[lease.stream] = lease
        self._failed.discard(lease.stream)

    def head(self, stream: str) -> Lease:
        """The lease of ``stream`` with its head after the last commit. KeyError when it is not held."""
        return self._leases[stream]

    def commit(self, decisions: Sequence[Decision]) -> tuple[JournalEntry, ...]:
        """Make a batch durable, in the order given; returns its entries as they stand on disk.

        All of it or, when this raises, nothing of it (but see DatabaseUnavailable). The streams of a batch that
        failed take no further commit until they are held again, for memory is ahead of the disk (D-18). Raises
        LeaseLost when fenced, StreamFailed after an earlier failure, RowConflict, DatabaseUnavailable.
        """
        for decision in decisions:
            self._require_writable(decision.stream)
        moved = {decision.stream: self._leases[decision.stream] for decision in decisions}
        before = dict(moved)
        entries = _chained(moved, decisions)
        try:
            self._database.write(lambda transaction: _write(transaction, decisions, entries, (before, moved)))
        except BaseException:
            self._failed.update(moved)
            raise
        self._leases.update(moved)
        return entries

    def _require_writable(self, stream: str) -> None:
        if stream in self._failed:
            raise StreamFailed(stream)
        if stream not in self._leases:
            raise LeaseLost(stream, None)


def _chained(heads: dict[str, Lease], decisions: Sequence[Decision]) -> tuple[JournalEntry, ...]:
    """The entries behind their streams' heads in ``heads``, which are moved to the last of them."""
    ends = {stream: (head.head_seq, head.head_hash) for stream, head in heads.items()}
    entries = []
    for decision in decisions:
        seq, previous_hash = ends[decision.stream]
        entry = _entry(decision, seq + 1, previous_hash)
        ends[decision.stream] = (entry.seq, entry.hash)
        entries.append(entry)
    for stream, (seq, last_hash) in ends.items():
        heads[stream] = msgspec.structs.replace(heads[stream], head_seq=seq, head_hash=last_hash)
    return tuple(entries)


def _entry(decision: Decision, seq: int, previous_hash: str) -> JournalEntry:
    return JournalEntry(
        stream=decision.stream,
        seq=seq,
        address=decision.address,
        kind=decision.kind,
        schema=decision.schema,
        version=decision.version,
        at_ms=decision.at_ms,
        payload=decision.payload,
        previous_hash=previous_hash,
        hash=chain_hash(previous_hash, seq, decision),
    )


def _write(
    transaction: Transaction,
    decisions: Sequence[Decision],
    entries: Sequence[JournalEntry],
    heads: tuple[dict[str, Lease], dict[str, Lease]],
) -> None:
    """The head first: a fenced writer is stopped, and on PostgreSQL waits for its turn, before it writes anything."""
    before, after = heads
    for stream in sorted(before):
        old, new = before[stream], after[stream]
        values = (new.head_seq, new.head_hash, stream, old.epoch, old.head_seq, old.head_hash)
        if transaction.execute(_MOVE_HEAD, values) != 1:
            raise LeaseLost(stream, old.epoch)
    transaction.insert(projections.JOURNAL, [_journal_row(entry) for entry in entries])
    projections.write(transaction, [row for decision in decisions for row in decision.rows])


def _journal_row(entry: JournalEntry) -> SqlRow:
    return msgspec.structs.astuple(entry)
