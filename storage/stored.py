"""All rows of a wallet's tables of state, as they were written, at one journal head: what a replay is held against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import peewee as pw

from portfolio import outcomes
from portfolio.outcomes import Outcome
from storage import tables
from storage.database import Database
from storage.dialect import OnConflict, SqlRow, quote
from storage.projections import PROJECTIONS

STATE: tuple[type[msgspec.Struct], ...] = (
    outcomes.WalletRow,
    outcomes.MarketRow,
    outcomes.TokenRow,
    outcomes.PositionRow,
    outcomes.OrderRow,
    outcomes.FillRow,
    outcomes.AdjustmentRow,
    outcomes.StrategyRow,
    outcomes.CursorRow,
)
"""The kinds of rows that make up a wallet's state; reports, issues and observations tell of it."""

_MODELS: dict[str, Any] = {model._meta.table_name: model for model in tables.PUBLIC}  # noqa: SLF001


class StateTable(msgspec.Struct, frozen=True, kw_only=True):
    """One table of state. ``first_wins``: its rows are records, of which the first under a key stays."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    first_wins: bool

    def named(self, row: SqlRow) -> dict[str, Any]:
        """The row with the names of its columns."""
        return dict(zip(self.columns, row, strict=True))


def _state_table(kind: type[msgspec.Struct]) -> StateTable:
    statement = PROJECTIONS[kind].statement
    return StateTable(
        name=statement.table,
        columns=statement.columns,
        key=tuple(column for column in statement.key if column != "wallet") or statement.key,
        first_wins=statement.on_conflict is OnConflict.KEEP,
    )


TABLES: Mapping[type[msgspec.Struct], StateTable] = {kind: _state_table(kind) for kind in STATE}
"""How each kind is stored; keys are within one wallet."""


class StoredState(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of each table, by kind, and how far the journal went when they were read."""

    head_seq: int
    rows: dict[type[msgspec.Struct], list[SqlRow]]


def as_stored(row: Outcome) -> SqlRow:
    """The values that are written for a row, in the order of its table's columns."""
    return PROJECTIONS[type(row)].values(row)


def stored_state(database: Database, wallet: str) -> StoredState:
    """All rows of the wallet's state, at one moment."""
    return database.read(lambda reader: _stored_state(database, reader, wallet))


def _stored_state(database: Database, reader: pw.Database, wallet: str) -> StoredState:
    heads = tables.Leases.select(tables.Leases.head_seq).where(tables.Leases.stream == wallet).tuples()
    (head_seq,) = next(iter(heads.execute(reader)), (0,))
    return StoredState(
        head_seq=int(head_seq),
        rows={kind: list(_rows(database, reader, wallet, table)) for kind, table in TABLES.items()},
    )


def _rows(database: Database, reader: pw.Database, wallet: str, table: StateTable) -> Iterator[SqlRow]:
    """As the driver gives them, but for truth values, which SQLite keeps as numbers."""
    model = _MODELS[table.name]
    sql = f"SELECT {quote(*table.columns)} FROM {quote(table.name)} WHERE {quote('wallet')} = ?"  # noqa: S608 - names of ours
    truths = [n for n, name in enumerate(table.columns) if isinstance(model._meta.fields[name], pw.BooleanField)]  # noqa: SLF001
    for row in database.rows(reader, sql, (wallet,)):
        yield _with_truths(row, truths) if truths else tuple(row)


def _with_truths(row: Sequence[Any], truths: Sequence[int]) -> SqlRow:
    changed = list(row)
    for number in truths:
        if changed[number] is not None:
            changed[number] = bool(changed[number])
    return tuple(changed)
