"""Snapshots of books as they lie on disk: what they mean is the service's, here they are bytes (D-23).

A snapshot is written in several transactions, each of the lease's owner alone: first the states, and last the row that
names them. So what a crash leaves behind is at most a state that nobody names; the next sweep takes it away.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import peewee as pw

from messages.ledger import Lease
from storage.damage import fetched
from storage.database import Database, Transaction
from storage.dialect import Insert, OnConflict, quote
from storage.errors import LeaseLost
from storage.tables_own import Snapshots as Table
from storage.tables_own import SnapshotStates as States

KEYS_AT_ONCE = 200
"""Keys in one statement."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One row. ``hash`` is that of entry ``seq``: with it the snapshot stands for the whole chain up to there.

    ``digest`` is that of the states, ``code`` tells which code computed them. ``checksum`` covers all the rest.
    """

    stream: str
    seq: int
    hash: str
    format: int
    code: str
    at_ms: int
    digest: str
    content: bytes
    checksum: str = ""

    def sealed(self) -> Snapshot:
        """With its checksum."""
        return msgspec.structs.replace(self, checksum=self._sum())

    @property
    def sound(self) -> bool:
        """Whether it is as it was written."""
        return self.checksum == self._sum() != ""

    def _sum(self) -> str:
        try:
            header = msgspec.json.encode(msgspec.structs.astuple(self)[:-2])
        except UnicodeEncodeError:
            return ""  # what is no text any more was never written so
        return hashlib.sha256(header + self.content).hexdigest()


_ROW = Insert(
    table="_snapshots",
    columns=Snapshot.__struct_fields__,
    key=("stream", "seq"),
    on_conflict=OnConflict.REPLACE,
)
_STATE = Insert(
    table="_snapshot_states",
    columns=("stream", "key", "content"),
    key=("stream", "key"),
    on_conflict=OnConflict.REPLACE,
)
"""Replaced, for what lies there under the key may be damaged."""

_COLUMNS = tuple(getattr(Table, name) for name in Snapshot.__struct_fields__)


class Snapshots:
    """The snapshots of a database."""

    def __init__(self, database: Database) -> None:
        """Any open database will do for reading; writing needs its owner's."""
        self._database = database

    def all(self, stream: str) -> list[Snapshot]:
        """Every snapshot of a stream, the newest first."""
        query = Table.select(*_COLUMNS).where(Table.stream == stream).order_by(Table.seq.desc())
        return self._database.read(lambda reader: [_snapshot(row) for row in fetched(reader, query)])

    def states(self, stream: str, keys: Sequence[str]) -> dict[str, bytes]:
        """Stored states by their keys; one that is not there is left out."""
        return self._database.read(functools.partial(_states, stream=stream, keys=keys))

    def whole(
        self, stream: str, seq: int, keys: Callable[[Snapshot], Sequence[str]]
    ) -> tuple[Snapshot, dict[str, bytes]] | None:
        """A snapshot and the states that it names, as they stood at one moment; None where it is there no more."""

        def work(reader: pw.Database) -> tuple[Snapshot, dict[str, bytes]] | None:
            query = Table.select(*_COLUMNS).where((Table.stream == stream) & (Table.seq == seq))
            row = next(iter(fetched(reader, query)), None)
            if row is None:
                return None
            snapshot = _snapshot(row)
            return snapshot, _states(reader, stream, keys(snapshot))

        return self._database.read(work)

    def put_states(self, lease: Lease, contents: Mapping[str, bytes]) -> None:
        """Write states that the next snapshot will name. Raises LeaseLost."""
        rows = [(lease.stream, key, content) for key, content in contents.items()]
        self._write(lease, lambda transaction: transaction.insert(_STATE, rows))

    def put(self, lease: Lease, snapshot: Snapshot) -> None:
        """Write a snapshot whose states are written; from here on it counts. Raises LeaseLost."""
        self._write(lease, lambda transaction: transaction.insert(_ROW, [msgspec.structs.astuple(snapshot)]))

    def keep(self, lease: Lease, seqs: Collection[int], keys: Collection[str]) -> None:
        """Take away all snapshots of the stream but these, and all states but these. Raises LeaseLost."""
        stored = self._values(Table.select(Table.seq).where(Table.stream == lease.stream))
        self._delete(lease, ("_snapshots", "seq"), (seq for seq in stored if seq not in seqs))
        known = self._values(States.select(States.key).where(States.stream == lease.stream))
        # A key that is no text any more cannot be named in a statement; it lies there and does no harm.
        gone = (key for key in known if key not in keys and key.isprintable())
        self._delete(lease, ("_snapshot_states", "key"), gone)

    def _values(self, query: Any) -> list[Any]:
        return self._database.read(lambda reader: [value for (value,) in fetched(reader, query)])

    def _delete(self, lease: Lease, place: tuple[str, str], values: Iterable[Any]) -> None:
        table, column = place
        for some in _parts(values):
            marks = ", ".join("?" * len(some))
            sql = f'DELETE FROM {quote(table)} WHERE "stream" = ? AND {quote(column)} IN ({marks})'  # noqa: S608  (our names)
            self._write(lease, functools.partial(Transaction.execute, sql=sql, values=(lease.stream, *some)))

    def _write(self, lease: Lease, work: Callable[[Transaction], int]) -> None:
        def fenced(transaction: Transaction) -> None:
            held = 'SELECT 1 FROM "leases" WHERE "stream" = ? AND "epoch" = ?'
            if not transaction.fetch(held, (lease.stream, lease.epoch)):
                raise LeaseLost(lease.stream, lease.epoch)
            work(transaction)

        self._database.write(fenced)


def _states(reader: pw.Database, stream: str, keys: Sequence[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for some in _parts(keys):
        query = States.select(States.key, States.content).where((States.stream == stream) & States.key.in_(some))
        found.update((key, bytes(content)) for key, content in fetched(reader, query))
    return found


def _snapshot(row: Sequence[Any]) -> Snapshot:
    fields = dict(zip(Snapshot.__struct_fields__, row, strict=True))
    return Snapshot(**{**fields, "content": bytes(fields["content"])})


def _parts(values: Iterable[Any]) -> Iterable[list[Any]]:
    left = iter(values)
    return iter(lambda: list(itertools.islice(left, KEYS_AT_ONCE)), [])
