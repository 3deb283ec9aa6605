"""Everything that storage raises. Callers branch on the class, never on the text.

Drift and broken invariants are values elsewhere; what stands here is a database that cannot, or must not, be used.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence


class StorageError(Exception):
    """Base of all errors of this package."""


class UnsupportedUrl(StorageError):
    """``storage.url`` names no database that can be opened; the message says which forms can."""


class DatabaseUnavailable(StorageError):
    """The database cannot be reached, or a connection to it broke. Nothing is known of a commit under way."""


class ReadOnlyDatabase(StorageError):
    """Something tried to write through a database that was opened for reading."""


class SchemaTooNew(StorageError):
    """The database was migrated by a newer version of the code, which this one must not touch."""

    def __init__(self, unknown: Sequence[str]) -> None:
        self.unknown = tuple(unknown)
        super().__init__(
            f"The database has {len(self.unknown)} schema change(s) that this version does not know "
            f"({', '.join(self.unknown)}). Install the version of portfolio-sync that made them, or a newer one, "
            "or restore the backup from before the upgrade."
        )


class SchemaOutdated(StorageError):
    """The database lacks schema changes, and was opened for reading only, so that they cannot be made."""

    def __init__(self, pending: Sequence[str]) -> None:
        self.pending = tuple(pending)
        super().__init__(
            f"The database lacks {len(self.pending)} schema change(s) ({', '.join(self.pending)}). "
            "Start `portfolio-sync run` or `portfolio-sync sync` once; it makes them at start."
        )


class LeaseHeld(StorageError):
    """Another owner is alive and has the database or the stream (R-12, D-22). ``since_ms`` is None where not known."""

    def __init__(self, target: str, holder: str, since_ms: int | None) -> None:
        self.target = target
        self.holder = holder
        self.since_ms = since_ms
        since = "" if since_ms is None else f" since {_utc(since_ms)}"
        super().__init__(
            f"{target} is owned by {holder}{since}. Only one process may write: use the running one "
            "(read commands work beside it), or stop it first; a killed owner frees it at once."
        )


class LeaseLost(StorageError):
    """A commit was refused: another owner took the stream, or its head is not where this writer left it (D-17).

    ``epoch`` is None when this writer never held the stream's lease.
    """

    def __init__(self, stream: str, epoch: int | None) -> None:
        self.stream = stream
        self.epoch = epoch
        why = (
            "is not held by this writer; acquire it first"
            if epoch is None
            else f"with epoch {epoch} is no longer valid: another owner took it, or its head moved. "
            "Stop this writer and start again from the stored state"
        )
        super().__init__(f"The lease of stream {stream!r} {why}. Nothing of the batch was written.")


class StreamFailed(StorageError):
    """A commit of this stream failed earlier; memory is ahead of the disk, so nothing more may be added (D-18)."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        super().__init__(
            f"An earlier commit of stream {stream!r} failed, so that memory is ahead of the disk. "
            "Stop its actors and start them again from the stored state."
        )


class ChainBroken(StorageError):
    """A journal entry does not follow from the one before it, or was changed since (X-12). ``seq`` is the first."""

    def __init__(self, stream: str, seq: int, reason: str) -> None:
        self.stream = stream
        self.seq = seq
        self.reason = reason
        super().__init__(
            f"The journal of stream {stream!r} is broken at entry {seq}: {reason}. "
            "Stop writing to it, keep a copy of the database as evidence, and restore the last verified backup."
        )


class RowConflict(StorageError):
    """A row that is only ever appended exists already with another content (L-19)."""

    def __init__(self, table: str, key: Sequence[object], columns: Sequence[str]) -> None:
        self.table = table
        self.key = tuple(key)
        self.columns = tuple(columns)
        super().__init__(
            f"Table {table} already has a row with key {self.key!r} that differs in {', '.join(self.columns)}. "
            "The same fact must give the same row; nothing of the batch was written."
        )


def _utc(at_ms: int) -> str:
    return dt.datetime.fromtimestamp(at_ms // 1000, tz=dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
