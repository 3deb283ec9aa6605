"""The journal as it stands: reading it in order, proving its chain, and taking it elsewhere as JSON lines (X-12, L-20).

Entries are written by ``ledger`` alone. Payloads stay opaque bytes; decoding them is the codec's.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any, cast

import msgspec
import peewee as pw

from messages.ledger import GENESIS_HASH, JournalEntry, entry_hash
from storage.database import Database
from storage.dialect import SqlRow, quote
from storage.errors import ChainBroken, StorageError
from storage.tables import Journal as Table
from storage.tables import Leases

BATCH_ENTRIES = 500
"""Entries per query: memory stays flat, and no read transaction lasts long enough to hold up checkpoints."""


class ChainReport(msgspec.Struct, frozen=True, kw_only=True):
    """What walking a chain showed.

    ``entries`` and ``head_hash`` are those of the sound part; ``broken_at`` is the number of the first entry that is
    missing, moved or changed, and ``reason`` says which; None and empty when all is sound.
    """

    stream: str
    entries: int
    head_hash: str
    broken_at: int | None
    reason: str


class _Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A JSON line. A payload that is text is kept as text, so that people can read and compare it."""

    stream: str
    seq: int
    address: str
    kind: str
    schema: int
    version: int
    at_ms: int
    previous_hash: str
    hash: str
    payload: str | None = None
    payload_base64: str | None = None


class Journal:
    """The journal of a database."""

    def __init__(self, database: Database) -> None:
        """Any open database will do."""
        self._database = database

    def streams(self) -> list[str]:
        """Names of all streams that were ever acquired."""
        query = Leases.select(Leases.stream).order_by(Leases.stream).tuples()
        return self._database.read(lambda reader: [stream for (stream,) in query.execute(reader)])

    def read(
        self, stream: str, after_seq: int = 0, limit: int | None = None, address: str | None = None
    ) -> Iterator[JournalEntry]:
        """Entries numbered above ``after_seq``, in order, at most ``limit``; fetched in batches as they are taken.

        With ``address`` only those that went to it.
        """
        left = limit
        while left is None or left > 0:
            size = BATCH_ENTRIES if left is None else min(left, BATCH_ENTRIES)
            batch = self._batch(stream, after_seq, size, address)
            yield from batch
            if len(batch) < size:
                return
            after_seq = batch[-1].seq
            left = None if left is None else left - size

    def verify_chain(self, stream: str) -> ChainReport:
        """Walk the chain from its first entry to the stored head (X-12). Changes nothing; a break is in the report."""
        head_seq, head_hash, last_seq = self._database.read(lambda reader: _ends(reader, stream))
        entries, last_hash = 0, GENESIS_HASH
        try:
            for entry in _following(self.read(stream, limit=head_seq), stream):
                entries, last_hash = entry.seq, entry.hash
            _require_end(stream, (entries, last_hash), (head_seq, head_hash), last_seq)
        except ChainBroken as broken:
            return ChainReport(
                stream=stream, entries=entries, head_hash=last_hash, broken_at=broken.seq, reason=broken.reason
            )
        return ChainReport(stream=stream, entries=entries, head_hash=last_hash, broken_at=None, reason="")

    def export_lines(self, stream: str) -> Iterator[bytes]:
        """The stream as JSON lines, each with its newline, oldest first; :func:`import_lines` reads them back."""
        return (_to_line(entry) for entry in self.read(stream))

    def _batch(self, stream: str, after_seq: int, size: int, address: str | None) -> list[JournalEntry]:
        sql = _PAGE if address is None else _PAGE_OF_ADDRESS
        values = (stream, after_seq, size) if address is None else (stream, after_seq, address, size)
        return self._database.read(lambda reader: [_entry(row) for row in self._database.rows(reader, sql, values)])


def import_lines(lines: Iterable[bytes]) -> Iterator[JournalEntry]:
    """Entries of one stream from JSON lines, verified as they are taken.

    Raises ChainBroken where one does not follow from the one before, StorageError for a line that is no entry. The
    first entry may have any number, its chain is then taken as given.
    """
    entries = (_from_line(number, line) for number, line in enumerate(lines, start=1) if line.strip())
    first = next(entries, None)
    if first is None:
        return
    yield from _following(_chain(first, entries), first.stream, first.seq - 1, first.previous_hash)


def _chain(first: JournalEntry, rest: Iterator[JournalEntry]) -> Iterator[JournalEntry]:
    yield first
    yield from rest


def _following(
    entries: Iterable[JournalEntry], stream: str, seq: int = 0, previous_hash: str = GENESIS_HASH
) -> Iterator[JournalEntry]:
    """The entries as long as each follows from the one before; raises ChainBroken at the first that does not."""
    for entry in entries:
        seq += 1
        if entry.stream != stream:
            raise ChainBroken(stream, seq, f"expected an entry of this stream, was one of {entry.stream!r}")
        if entry.seq != seq:
            raise ChainBroken(stream, seq, f"expected entry {seq}, was entry {entry.seq}")
        if entry.previous_hash != previous_hash:
            raise ChainBroken(stream, seq, f"expected previous hash {previous_hash}, was {entry.previous_hash}")
        expected = entry_hash(entry)
        if entry.hash != expected:
            raise ChainBroken(stream, seq, f"expected hash {expected} of its content, was {entry.hash}")
        previous_hash = entry.hash
        yield entry


def _require_end(stream: str, walked: tuple[int, str], head: tuple[int, str], last_seq: int) -> None:
    """The lease remembers the head, so that entries cut off at the end, or added behind it, are noticed too."""
    if walked[0] < head[0]:
        raise ChainBroken(stream, walked[0] + 1, f"expected entries up to {head[0]}, the last was {walked[0]}")
    if walked[1] != head[1]:
        raise ChainBroken(stream, walked[0], f"expected head hash {head[1]}, was {walked[1]}")
    if last_seq > head[0]:
        raise ChainBroken(stream, head[0] + 1, f"expected no entry after the head {head[0]}, the last is {last_seq}")


def _ends(reader: pw.Database, stream: str) -> tuple[int, str, int]:
    """The lease's head, and the number of the last entry, at one moment."""
    heads = Leases.select(Leases.head_seq, Leases.head_hash).where(Leases.stream == stream).tuples()
    last = Table.select(Table.seq).where(Table.stream == stream).order_by(Table.seq.desc()).limit(1).tuples()
    head_seq, head_hash = next(iter(heads.execute(reader)), (0, GENESIS_HASH))
    (last_seq,) = next(iter(last.execute(reader)), (0,))
    return int(head_seq), str(head_hash), int(last_seq)


_SELECT = f"SELECT {quote(*JournalEntry.__struct_fields__)} FROM {quote(Table._meta.table_name)}"  # noqa: S608, SLF001 - names of ours
_WHERE = f"WHERE {quote('stream')} = ? AND {quote('seq')} > ?"
_ORDER = f"ORDER BY {quote('seq')} LIMIT ?"
_PAGE = f"{_SELECT} {_WHERE} {_ORDER}"
"""Written once and by hand: peewee takes longer to write a query than SQLite takes to answer this one."""

_PAGE_OF_ADDRESS = f"{_SELECT} {_WHERE} AND {quote('address')} = ? {_ORDER}"


def raw_rows(reader: pw.Database, query: Any) -> Iterable[SqlRow]:
    """The rows of a query as the driver gives them: peewee's own take four times as long."""
    raw = cast("Any", reader)
    sql, values = raw.get_sql_context().sql(query).query()
    rows: Iterable[SqlRow] = raw.execute_sql(sql, values)
    return rows


def _entry(row: SqlRow) -> JournalEntry:
    """In the order of its fields."""
    return JournalEntry(
        stream=row[0],
        seq=row[1],
        address=row[2],
        kind=row[3],
        schema=row[4],
        version=row[5],
        at_ms=row[6],
        payload=bytes(row[7]),  # PostgreSQL's driver gives a view of memory
        previous_hash=row[8],
        hash=row[9],
    )


def _to_line(entry: JournalEntry) -> bytes:
    fields = msgspec.structs.asdict(entry)
    payload = fields.pop("payload")
    try:
        line = _Line(**fields, payload=payload.decode("utf-8"))
    except UnicodeDecodeError:
        line = _Line(**fields, payload_base64=base64.b64encode(payload).decode("ascii"))
    return msgspec.json.encode(line) + b"\n"


def _from_line(number: int, text: bytes) -> JournalEntry:
    try:
        fields = msgspec.structs.asdict(msgspec.json.decode(text, type=_Line))
        payload, encoded = fields.pop("payload"), fields.pop("payload_base64")
        content = payload.encode("utf-8") if payload is not None else base64.b64decode(encoded or "", validate=True)
    except ValueError as error:
        raise StorageError(
            f"Line {number} is no journal entry: {error}. Expected JSON lines as `export` writes them."
        ) from error
    return JournalEntry(**fields, payload=content)
