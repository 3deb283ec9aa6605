"""Which outcome becomes which row of which table, and how rows of a batch are written (D-07).

Two kinds of tables. *State* (positions, orders, fills, …) is replaced by key, the latest wins. *Records* (observations,
adjustments, reports, issues, events) are only ever added. A record that comes again, after a crash or from a second
feed, must be the same record (L-19): it is compared with the stored one and leaves it as it is, and a difference
refuses the whole batch, for it means that one key names two facts. Excepted are columns that say *when* a thing was
noticed first (``Projection.first_wins``), and alerts, whose key alone says that they are the same. Issues and strategy
events have the digest of their content as key: two different ones within a millisecond are both kept.
"""

from __future__ import annotations

import enum
import hashlib
import operator
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from portfolio import outcomes
from portfolio.outcomes import Outcome
from storage import documents, tables
from storage.database import Transaction
from storage.dialect import Insert, OnConflict, SqlRow, quote
from storage.errors import RowConflict

Derive: TypeAlias = Callable[[Any], object]
"""A column's value from an outcome, where it is not simply the field of that name."""

_encoder = msgspec.json.Encoder(order="deterministic")


class Projection(msgspec.Struct, frozen=True, kw_only=True):
    """How one kind of outcome is written."""

    statement: Insert
    key: Callable[[Any], object] | None
    """Tells apart what is replaced; None where rows are records."""
    values: Callable[[Any], SqlRow]
    first_wins: frozenset[str]


def digest(row: msgspec.Struct) -> str:
    """sha256 over the canonical encoding of a row."""
    return hashlib.sha256(_encoder.encode(row)).hexdigest()


def _projection(
    outcome: type[msgspec.Struct],
    model: type[tables.Row],
    derived: Mapping[str, Derive] | None = None,
    *,
    on_conflict: OnConflict = OnConflict.KEEP,
    first_wins: Iterable[str] = (),
) -> Projection:
    meta: Any = model._meta  # noqa: SLF001  (peewee's documented place for a model's metadata)
    columns, key = tuple(meta.sorted_field_names), tuple(meta.primary_key.field_names)
    return Projection(
        statement=Insert(table=meta.table_name, columns=columns, key=key, on_conflict=on_conflict),
        key=operator.attrgetter(*key) if on_conflict is OnConflict.REPLACE else None,
        values=_values(outcome, columns, derived or {}),
        first_wins=frozenset(first_wins),
    )


def _values(
    outcome: type[msgspec.Struct], columns: Sequence[str], derived: Mapping[str, Derive]
) -> Callable[[Any], SqlRow]:
    """A function from outcome to row: one C call when every column is a field, as on the hot tables."""
    types = typing.get_type_hints(outcome)
    # _value_ is an enum member's plain attribute; .value would be a call for each
    path = {name: f"{name}._value_" if _is_enum(types[name]) else name for name in columns if name not in derived}
    if not derived:
        return operator.attrgetter(*(path[name] for name in columns))
    getters = [derived.get(name) or operator.attrgetter(path[name]) for name in columns]
    return lambda row: tuple(getter(row) for getter in getters)


def _is_enum(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, enum.Enum)


_REPLACE = OnConflict.REPLACE

PROJECTIONS: Mapping[type[msgspec.Struct], Projection] = {
    outcomes.WalletRow: _projection(outcomes.WalletRow, tables.Wallets, on_conflict=_REPLACE),
    outcomes.MarketRow: _projection(outcomes.MarketRow, tables.Markets, on_conflict=_REPLACE),
    outcomes.TokenRow: _projection(outcomes.TokenRow, tables.Tokens, on_conflict=_REPLACE),
    outcomes.PositionRow: _projection(outcomes.PositionRow, tables.Positions, on_conflict=_REPLACE),
    outcomes.OrderRow: _projection(outcomes.OrderRow, tables.Orders, on_conflict=_REPLACE),
    outcomes.FillRow: _projection(outcomes.FillRow, tables.Fills, on_conflict=_REPLACE),
    outcomes.StrategyRow: _projection(outcomes.StrategyRow, tables.Strategies, on_conflict=_REPLACE),
    outcomes.CursorRow: _projection(outcomes.CursorRow, tables.Cursors, on_conflict=_REPLACE),
    outcomes.FillObservationRow: _projection(
        outcomes.FillObservationRow, tables.FillObservations, first_wins={"at_ms"}
    ),
    outcomes.AdjustmentRow: _projection(outcomes.AdjustmentRow, tables.Adjustments),
    outcomes.IssueRow: _projection(outcomes.IssueRow, tables.IntegrityIssues, {"digest": digest}),
    outcomes.StrategyEventRow: _projection(outcomes.StrategyEventRow, tables.StrategyEvents, {"digest": digest}),
    outcomes.SettlementReport: _projection(
        outcomes.SettlementReport,
        tables.SettlementReports,
        {
            "document": documents.settlement_document,
            "retained_until_ms": documents.settlement_retained_until_ms,
        },
    ),
    outcomes.OperationsReport: _projection(
        outcomes.OperationsReport,
        tables.OperationsReports,
        {
            "document": documents.operations_document,
            "retained_until_ms": documents.operations_retained_until_ms,
        },
    ),
    outcomes.Alert: _projection(
        outcomes.Alert,
        tables.Outbox,
        {"payload": _encoder.encode, "delivered_at_ms": lambda _alert: None},
        first_wins={"wallet", "payload", "at_ms", "delivered_at_ms"},
    ),
}
"""Every kind of outcome, and how it is written."""

JOURNAL = Insert(
    table="journal",
    columns=tuple(tables.Journal._meta.sorted_field_names),  # noqa: SLF001
    key=("stream", "seq"),
    on_conflict=OnConflict.FAIL,
)


def project(rows: Iterable[Outcome]) -> dict[Projection, list[SqlRow]]:
    """The rows of a batch by table; of those with one key in a table of states only the last.

    PostgreSQL refuses to replace a row twice in one statement, and the earlier ones would be written for nothing.
    """
    grouped: dict[type[msgspec.Struct], list[Outcome]] = {}
    for row in rows:
        grouped.setdefault(type(row), []).append(row)
    return {
        projection: [projection.values(row) for row in _latest(projection, grouped[kind])]
        for kind, projection in PROJECTIONS.items()
        if kind in grouped
    }


def write(transaction: Transaction, rows: Iterable[Outcome]) -> None:
    """Write the rows of a batch within ``transaction``, always in the same order of tables.

    Raises RowConflict when a record's key is taken by another content.
    """
    for projection, sql_rows in project(rows).items():
        changed = transaction.insert(projection.statement, sql_rows)
        if changed < len(sql_rows):
            _compare_kept(transaction, projection, sql_rows)


def _latest(projection: Projection, rows: Iterable[Outcome]) -> Iterable[Outcome]:
    if projection.key is None:
        return rows
    return {projection.key(row): row for row in rows}.values()


def _compare_kept(transaction: Transaction, projection: Projection, rows: Sequence[SqlRow]) -> None:
    """Some rows were there: refuse when one of them differs. Rare, hence one query a row."""
    statement = projection.statement
    where = " AND ".join(f"{quote(column)} = ?" for column in statement.key)
    sql = f"SELECT {quote(*statement.columns)} FROM {quote(statement.table)} WHERE {where}"  # noqa: S608  (our names)
    for row in rows:
        new = dict(zip(statement.columns, row, strict=True))
        key = [new[column] for column in statement.key]
        (stored,) = transaction.fetch(sql, key)
        different = [
            column
            for column, kept in zip(statement.columns, stored, strict=True)
            if column not in projection.first_wins and _plain(kept) != new[column]
        ]
        if different:
            raise RowConflict(statement.table, key, different)


def _plain(value: object) -> object:
    """PostgreSQL's driver gives bytes as memoryview."""
    return bytes(value) if isinstance(value, memoryview) else value
