"""What the tables must show, by the journal: each row with the entry that last wrote it, held against what is stored.

Left out of the comparison is how a thing was worded, and which entry touched a row without changing its numbers: a
later version may word it anew.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import msgspec

from messages.addresses import market_of
from messages.ledger import JournalEntry
from portfolio.outcomes import Outcome
from portfolio.state import digest
from service.replay import Books
from storage.dialect import SqlRow
from storage.stored import TABLES, StateTable, as_stored

WORDED = frozenset(
    {"evidence", "settled_by", "ended_because", "pause_reason", "halt_reason", "version", "updated_at_ms"}
)
"""Columns that no comparison looks at."""

Kind: TypeAlias = type[msgspec.Struct]
Key: TypeAlias = tuple[str, ...]
StateRows: TypeAlias = Mapping[Kind, Mapping[Key, SqlRow]]
"""Rows of each table by their keys, as they are stored."""


class EntryRef(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Which entry, without what it says."""

    seq: int
    kind: str
    address: str
    at_ms: int


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a row that is not what the journal gives; ``field`` is empty where a whole row is on one side only.

    ``entry`` is the one that last wrote the row; where none did, the last one of its market, or None.
    """

    table: str
    key: dict[str, str]
    field: str
    stored: Any
    rebuilt: Any
    market_id: str
    entry: EntryRef | None


class Rebuilt:
    """Books of one wallet with the rows that their entries gave."""

    def __init__(self, name: str) -> None:
        """Nothing yet."""
        self.books = Books(name, rows=True)
        self.last: EntryRef | None = None
        self._rows: dict[Kind, dict[Key, Outcome]] = {kind: {} for kind in TABLES}
        self._written: dict[tuple[Kind, Key], EntryRef] = {}
        self._by_market: dict[str, EntryRef] = {}

    def apply(self, entry: JournalEntry) -> tuple[Outcome, ...]:
        """Apply one entry; returns the rows that it gave. Raises ReplayFailed."""
        rows = self.books.apply(entry)
        ref = EntryRef(seq=entry.seq, kind=entry.kind, address=entry.address, at_ms=entry.at_ms)
        self.last = ref
        if market_of(entry.address):
            self._by_market[market_of(entry.address)] = ref
        for row in rows:
            self._take(row, ref)
        return rows

    def _take(self, row: Outcome, ref: EntryRef) -> None:
        kind = type(row)
        known = self._rows.get(kind)
        if known is None:
            return
        key = key_of(row)
        if key in known and TABLES[kind].first_wins:
            return
        known[key] = row
        self._written[kind, key] = ref

    def snapshot(self) -> Mapping[Kind, Mapping[Key, Any]]:
        """All rows as they stand now, whatever is applied later."""
        return {kind: dict(rows) for kind, rows in self._rows.items()}

    def rows(self, kind: Kind) -> Iterable[Any]:
        """The rows of a kind as they stand, by key."""
        return (row for _, row in sorted(self._rows[kind].items()))

    def written_by(self, kind: Kind, key: Key, market_id: str) -> EntryRef | None:
        """The entry that last wrote the row, else the last one of its market."""
        return self._written.get((kind, key)) or self._by_market.get(market_id)

    def stored(self) -> StateRows:
        """The rows as they should be stored."""
        return {kind: {key: as_stored(row) for key, row in rows.items()} for kind, rows in self._rows.items()}


def _key_of(table: StateTable) -> Any:
    """A function from an outcome to its key."""
    get = operator.attrgetter(*table.key)
    return get if len(table.key) > 1 else lambda row: (get(row),)


_KEYS: Mapping[Kind, Any] = {kind: _key_of(table) for kind, table in TABLES.items()}


def key_of(row: Outcome) -> Key:
    """The key of a row of state within its table."""
    key: Key = _KEYS[type(row)](row)
    return key


def keyed(rows: Mapping[Kind, Iterable[SqlRow]]) -> StateRows:
    """Stored rows by their keys."""
    return {kind: {_STORED_KEYS[kind](row): row for row in some} for kind, some in rows.items()}


def _places(table: StateTable, columns: Iterable[str]) -> Any:
    """A function from a stored row to the values of some columns; always a tuple."""
    places = [table.columns.index(column) for column in columns]
    get = operator.itemgetter(*places)
    return get if len(places) > 1 else lambda row: (get(row),)


_STORED_KEYS: Mapping[Kind, Any] = {kind: _places(table, table.key) for kind, table in TABLES.items()}


def state_digest(rows: StateRows) -> str:
    """Digest of all that is compared: equal where :func:`differences` finds none (D-20)."""
    return digest([(TABLES[kind].name, _compared_rows(TABLES[kind], rows[kind])) for kind in TABLES])


def digests(rebuilt: StateRows, stored: StateRows) -> tuple[str, str]:
    """The digests of both; where every row is the same, the second need not be computed."""
    made = state_digest(rebuilt)
    return made, made if rebuilt == stored else state_digest(stored)


def _compared(table: StateTable) -> tuple[str, ...]:
    return tuple(column for column in table.columns if column not in WORDED)


def _compared_rows(table: StateTable, rows: Mapping[Key, SqlRow]) -> list[SqlRow]:
    chosen = _places(table, _compared(table))
    return [chosen(row) for _, row in sorted(rows.items())]


def differences(rebuilt: Rebuilt, stored: StateRows) -> list[Difference]:
    """Every field that is not what the journal gives, by the entry that wrote it; what no entry wrote comes last."""
    given = rebuilt.stored()
    found = [one for kind in TABLES for one in _of_table(rebuilt, kind, stored[kind], given[kind])]
    return sorted(found, key=lambda one: (one.entry is None, one.entry.seq if one.entry else 0))


def _of_table(
    rebuilt: Rebuilt, kind: Kind, stored: Mapping[Key, SqlRow], given: Mapping[Key, SqlRow]
) -> Iterator[Difference]:
    table = TABLES[kind]
    for key in sorted(stored.keys() | given.keys()):
        left, right = stored.get(key), given.get(key)
        if left == right:
            continue
        named = table.named(right if right is not None else left or ())
        market_id = str(named.get("market_id", ""))
        entry = rebuilt.written_by(kind, key, market_id)
        for field, kept, made in _fields(table, left, right):
            yield Difference(
                table=table.name,
                key=dict(zip(table.key, key, strict=True)),
                field=field,
                stored=kept,
                rebuilt=made,
                market_id=market_id,
                entry=entry,
            )


def _fields(table: StateTable, left: SqlRow | None, right: SqlRow | None) -> Iterator[tuple[str, Any, Any]]:
    """(field, stored, rebuilt) of what differs; a row that one side lacks is one difference without a field."""
    if left is None or right is None:
        yield "", left and table.named(left), right and table.named(right)
        return
    kept, made = table.named(left), table.named(right)
    yield from ((name, kept[name], made[name]) for name in _compared(table) if kept[name] != made[name])
