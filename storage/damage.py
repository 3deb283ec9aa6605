"""Where a journal was changed behind its writer's back, and what of the entry: header, payload or link (X-12).

The chain proves that something was changed; the links around an entry say whether it is one of them or the entry's own
content. Which byte of the content it was is tried out: the hash tells when one byte, put right, makes the entry whole.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, cast

import msgspec
import peewee as pw

from messages.ledger import GENESIS_HASH, JournalEntry, entry_hash
from storage.database import Database
from storage.dialect import SqlRow
from storage.journal import BATCH_ENTRIES, raw_rows
from storage.projections import JOURNAL
from storage.tables import Journal as Table
from storage.tables import Leases

DAMAGES_MAX = 20
"""Where the walk ends: so much damage is no accident, and each is looked into."""

BYTES_TRIED_MAX = 600
"""Payloads up to this length are tried with every other byte in each place, longer ones with single bits turned."""

BITS_TRIED_MAX = 40_000
"""Longer payloads are not tried: it would take minutes."""

_INTEGERS = ("schema", "version", "at_ms")
_TEXTS = ("address", "kind")
_WIDTHS = (1, 2, 3, 4, 6, 8)
"""In bytes: how SQLite stores an integer, by its size."""

_BITS = tuple(1 << bit for bit in range(8))
_BYTES = tuple(range(1, 256))


class Part(enum.StrEnum):
    """What of an entry was changed. CONTENT: header or payload, more than one byte of it."""

    HEADER = "header"
    PAYLOAD = "payload"
    CONTENT = "content"
    LINK = "link"
    MISSING = "missing"
    HEAD = "head"


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """One place. ``field`` is the column, empty where it is not known; ``detail`` is for people."""

    seq: int
    part: Part
    field: str
    detail: str


class ChainCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A whole chain. ``entries`` and ``head_hash`` are what the lease says; ``complete``: walked to its end."""

    stream: str
    entries: int
    head_hash: str
    damages: tuple[Damage, ...]
    complete: bool


def check_chain(database: Database, stream: str, each: Callable[[JournalEntry], None]) -> ChainCheck:
    """Walk the chain to its head; ``each`` takes every entry before the first damage. Changes nothing."""
    walk = _Walk(database, stream)
    for entry in walk.entries():
        if not walk.damages:
            each(entry)
        if len(walk.damages) >= DAMAGES_MAX:
            break
    return ChainCheck(
        stream=stream,
        entries=walk.head_seq,
        head_hash=walk.head_hash,
        damages=tuple(walk.damages),
        complete=len(walk.damages) < DAMAGES_MAX,
    )


class _Walk:
    """One pass, which goes on behind a damage with what the next entry says of the one before."""

    def __init__(self, database: Database, stream: str) -> None:
        self._database = database
        self._stream = stream
        self.head_seq, self.head_hash, self._last_seq = database.read(lambda reader: _ends(reader, stream))
        self.damages: list[Damage] = []
        self._seq = 0
        self._hash: str | None = GENESIS_HASH
        """Of the entry before; None where it is missing and so not known."""
        self._moved: set[int] = set()

    def entries(self) -> Iterator[JournalEntry]:
        """Each entry, after it was looked at."""
        for entry in _raw_entries(self._database, self._stream, self.head_seq):
            if entry.seq != self._seq + 1:
                self._miss(entry.seq)
            self._look_at(entry)
            yield entry
        if self._seq < self.head_seq:
            self._miss(self.head_seq + 1)
        self._end()

    def _note(self, seq: int, part: Part, field: str, detail: str) -> None:
        self.damages.append(Damage(seq=seq, part=part, field=field, detail=detail))

    def _miss(self, found_seq: int) -> None:
        """Entries up to ``found_seq`` are not in their places; the first may have been given another number or name."""
        seq, last = self._seq + 1, found_seq - 1
        moved = self._elsewhere() if self._hash is not None else None
        if moved is not None:
            stream, stands_at = moved
            field = "seq" if stream == self._stream else "stream"
            self._moved.add(stands_at)
            self._note(seq, Part.HEADER, field, f"it stands as entry {stands_at} of stream {stream!r}")
        if moved is None or last > seq:
            first = seq if moved is None else seq + 1
            self._note(first, Part.MISSING, "", f"entries {first} to {last} are gone" if last > first else "is gone")
        self._seq, self._hash = last, None

    def _elsewhere(self) -> tuple[str, int] | None:
        """Where the entry stands that follows the one before, if it was only numbered or named anew."""
        rows = self._rows(Table.select(Table.stream, Table.seq).where(Table.previous_hash == self._hash).limit(1))
        return next(((str(stream), int(seq)) for stream, seq in rows), None)

    def _look_at(self, entry: JournalEntry) -> None:
        previous = entry.previous_hash if self._hash is None else self._hash
        own = _hash(msgspec.structs.replace(entry, previous_hash=previous))
        following = ""
        if entry.previous_hash != previous and entry.hash == _hash(entry):
            detail = f"it was replaced: the next entry follows one with the hash {entry.previous_hash}"
            self._note(entry.seq - 1, Part.LINK, "hash", detail)
        elif entry.previous_hash != previous or entry.hash != own:
            following = self._following(entry.seq)
            self._note(entry.seq, *_examined(entry, (previous, own, following)))
        self._seq = entry.seq
        self._hash = following or entry.hash

    def _following(self, seq: int) -> str:
        """The hash of an entry as the next one, or the lease's head, remembers it."""
        if seq == self.head_seq:
            return self.head_hash
        chosen = (Table.stream == self._stream) & (Table.seq == seq + 1)
        rows = self._rows(Table.select(Table.previous_hash).where(chosen))
        return next((str(previous) for (previous,) in rows), "")

    def _end(self) -> None:
        """The lease remembers the head, so that entries cut off at the end, or added behind it, are noticed too."""
        if self._hash is not None and self._hash != self.head_hash:
            detail = f"the lease's head is {self.head_hash} at entry {self.head_seq}, the entry's hash is {self._hash}"
            self._note(self.head_seq, Part.HEAD, "head_hash", detail)
        if self._last_seq > self.head_seq and self._last_seq not in self._moved:
            detail = f"the lease's head is entry {self.head_seq}, and there are entries up to {self._last_seq}"
            self._note(self.head_seq + 1, Part.HEAD, "head_seq", detail)

    def _rows(self, query: Any) -> list[SqlRow]:
        return self._database.read(lambda reader: fetched(reader, query))


def _ends(reader: pw.Database, stream: str) -> tuple[int, str, int]:
    """The lease's head, and the number of the last entry, at one moment."""
    heads = fetched(reader, Leases.select(Leases.head_seq, Leases.head_hash).where(Leases.stream == stream))
    last = Table.select(pw.fn.MAX(Table.seq)).where(Table.stream == stream)
    head_seq, head_hash = next(iter(heads), (0, GENESIS_HASH))
    (last_seq,) = next(iter(fetched(reader, last)), (0,))
    return int(head_seq), str(head_hash), int(last_seq or 0)


def _raw_entries(database: Database, stream: str, head_seq: int) -> Iterator[JournalEntry]:
    after_seq = 0
    while True:
        chosen = (Table.stream == stream) & (Table.seq > after_seq) & (Table.seq <= head_seq)
        query = Table.select().where(chosen).order_by(Table.seq).limit(BATCH_ENTRIES)
        batch = [_entry(row) for row in database.read(functools.partial(fetched, query=query))]
        yield from batch
        if len(batch) < BATCH_ENTRIES:
            return
        after_seq = batch[-1].seq


def fetched(reader: pw.Database, query: Any) -> list[SqlRow]:
    """As the driver gives it; text that is no UTF-8 any more must not end the walk (it has surrogates then)."""
    with _any_text(cast("Any", reader).connection()):
        return list(raw_rows(reader, query))


@contextlib.contextmanager
def _any_text(connection: Any) -> Iterator[None]:
    """PostgreSQL never gives text that is not UTF-8."""
    if not isinstance(connection, sqlite3.Connection):
        yield
        return
    connection.text_factory = _text
    try:
        yield
    finally:
        connection.text_factory = str


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _entry(row: SqlRow) -> JournalEntry:
    fields = dict(zip(JOURNAL.columns, row, strict=True))
    return JournalEntry(**{**fields, "payload": bytes(fields["payload"])})


def _hash(entry: JournalEntry) -> str:
    """By its content; empty where that is no text, and so was never hashed."""
    try:
        return entry_hash(entry)
    except UnicodeEncodeError:
        return ""


def _examined(entry: JournalEntry, hashes: tuple[str, str, str]) -> tuple[Part, str, str]:
    """What is wrong with an entry that does not fit.

    ``hashes`` are the one before, its own by its content, and what follows it says of it.
    """
    previous, own, following = hashes
    if entry.previous_hash != previous:
        if entry.hash == own:
            return Part.LINK, "previous_hash", f"its previous hash should be {previous}, was {entry.previous_hash}"
        return Part.CONTENT, "", "content and link were changed"
    if following == own:
        return Part.LINK, "hash", f"its hash should be {own}, was {entry.hash}"
    found = _changed_byte(entry)
    if found is not None:
        return found
    return Part.CONTENT, "", "header or payload, in more than one byte: the hash of its content should be " + entry.hash


def _changed_byte(entry: JournalEntry) -> tuple[Part, str, str] | None:
    """The one byte that, put right, makes the content fit its hash again; None where it is more than one."""
    size = len(entry.payload)
    for masks, size_max in ((_BITS, BITS_TRIED_MAX), (_BYTES, BYTES_TRIED_MAX)):
        for field, was, candidate in _other_headers(entry, masks):
            if _hash(candidate) == entry.hash:
                return Part.HEADER, field, f"{field} should be {was!r}, was {getattr(entry, field)!r}"
        for place, byte in _places(entry.payload, masks) if size <= size_max else ():
            candidate = msgspec.structs.replace(entry, payload=_with(entry.payload, place, byte))
            if _hash(candidate) == entry.hash:
                detail = (
                    f"byte {place} of its payload should be {bytes([byte])!r}, was {entry.payload[place : place + 1]!r}"
                )
                return Part.PAYLOAD, "payload", detail
    return None


def _places(content: bytes, masks: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Every place with every other byte that a mask gives there."""
    return ((place, content[place] ^ mask) for place in range(len(content)) for mask in masks)


def _with(content: bytes, place: int, byte: int) -> bytes:
    return content[:place] + bytes([byte]) + content[place + 1 :]


def _other_headers(entry: JournalEntry, masks: tuple[int, ...]) -> Iterator[tuple[str, Any, JournalEntry]]:
    """The entry with one byte of its header changed: (column, its value then, the entry then).

    Stream and number are not among them: by these it was found.
    """
    for field in _TEXTS:
        content = _bytes(getattr(entry, field))
        for place, byte in _places(content, masks):
            text = _with(content, place, byte).decode("utf-8", "ignore")
            yield field, text, msgspec.structs.replace(entry, **{field: text})
    for field in _INTEGERS:
        for number in _other_integers(getattr(entry, field), masks):
            yield field, number, msgspec.structs.replace(entry, **{field: number})


def _other_integers(value: int, masks: tuple[int, ...]) -> Iterator[int]:
    for width in _WIDTHS:
        if -(1 << 8 * width - 1) <= value < 1 << 8 * width - 1:
            content = value.to_bytes(width, "big", signed=True)
            for place, byte in _places(content, masks):
                yield int.from_bytes(_with(content, place, byte), "big", signed=True)
