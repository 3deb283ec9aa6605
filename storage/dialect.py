"""What differs between SQLite and PostgreSQL when rows are written: the hot path, on the raw connection (D-07).

peewee builds a row's insert in some 26 µs; here a statement is rendered once per table and its rows go to the driver
in bulk.
"""

from __future__ import annotations

import enum
import functools
import itertools
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import msgspec
from psycopg2.extras import execute_values

SqlRow: TypeAlias = tuple[Any, ...]
"""Values in the order of a statement's columns."""

_PAGE_ROWS = 1_000
_SQLITE_PAGE_ROWS = 512
"""A power of two. More rows in a statement gain little; each size of each table is kept prepared."""


class OnConflict(enum.Enum):
    """What happens to a row whose key is there."""

    FAIL = "fail"
    KEEP = "keep"
    REPLACE = "replace"


class Insert(msgspec.Struct, frozen=True, kw_only=True):
    """An insert into ``table``; ``key`` are the columns of its primary key."""

    table: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    on_conflict: OnConflict


class Dialect(Protocol):
    """How to talk to one kind of database through its raw cursor."""

    begin: str
    begin_read: str
    """Starts a transaction whose queries all see one state."""

    def execute(self, cursor: Any, sql: str, values: Sequence[Any]) -> None:
        """Run ``sql`` with ``?`` for each value."""

    def insert(self, cursor: Any, statement: Insert, rows: Sequence[SqlRow]) -> int:
        """Insert rows, no key twice when replacing; returns how many were inserted or replaced."""

    def roll_back(self, connection: Any) -> None:
        """End the transaction without effect; fine where none is open."""


class Sqlite:
    """sqlite3 keeps prepared statements by their text, and gives the interpreter free while one runs.

    Its ``executemany`` runs a statement per row, and each time has to win the interpreter back from the thread that
    books the next fills: some hundred rows a second while that one works. With many rows in one both work at once.
    """

    begin = "BEGIN IMMEDIATE"  # a deferred one could find another writer only at its first write
    begin_read = "BEGIN"

    def execute(self, cursor: Any, sql: str, values: Sequence[Any]) -> None:
        """Run ``sql`` with ``?`` for each value."""
        cursor.execute(sql, values)

    def insert(self, cursor: Any, statement: Insert, rows: Sequence[SqlRow]) -> int:
        """Insert by prepared statements of many rows; returns how many rows changed."""
        changed = start = 0
        while start < len(rows):
            size = min(_SQLITE_PAGE_ROWS, 1 << (len(rows) - start).bit_length() - 1)
            page = rows[start : start + size]
            marks = _marks(len(statement.columns), size)
            cursor.execute(render(statement, marks), tuple(itertools.chain.from_iterable(page)))
            changed += cursor.rowcount
            start += size
        return changed

    def roll_back(self, connection: Any) -> None:
        """End the transaction; the driver looks whether SQLite has one open (some errors end it)."""
        connection.rollback()


class Postgres:
    """psycopg2's ``executemany`` is a round trip per row; ``execute_values`` is one per thousand."""

    begin = "BEGIN"
    begin_read = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

    def execute(self, cursor: Any, sql: str, values: Sequence[Any]) -> None:
        """Run ``sql`` with ``?`` for each value."""
        cursor.execute(sql.replace("?", "%s"), values)

    def insert(self, cursor: Any, statement: Insert, rows: Sequence[SqlRow]) -> int:
        """Insert by statements of many rows; returns how many rows changed."""
        sql = render(statement, "%s")
        changed = 0
        for start in range(0, len(rows), _PAGE_ROWS):
            execute_values(cursor, sql, rows[start : start + _PAGE_ROWS], page_size=_PAGE_ROWS)
            changed += cursor.rowcount
        return changed

    def roll_back(self, connection: Any) -> None:
        """End the transaction by statement; the driver's own would do nothing in autocommit mode."""
        with connection.cursor() as cursor:
            cursor.execute("ROLLBACK")


@functools.lru_cache(maxsize=256)
def _marks(columns: int, rows: int) -> str:
    row = "(" + ", ".join("?" * columns) + ")"
    return ", ".join([row] * rows)


@functools.lru_cache(maxsize=256)
def render(statement: Insert, marks: str) -> str:
    """The SQL of an insert, with ``marks`` in place of the values; the same for both databases but for the marks."""
    sql = f"INSERT INTO {quote(statement.table)} ({quote(*statement.columns)}) VALUES {marks}"  # noqa: S608  (our names)
    if statement.on_conflict is OnConflict.FAIL:
        return sql
    sql += f" ON CONFLICT ({quote(*statement.key)}) DO "
    rest = [column for column in statement.columns if column not in statement.key]
    if statement.on_conflict is OnConflict.KEEP or not rest:
        return sql + "NOTHING"
    return sql + "UPDATE SET " + ", ".join(f"{quote(column)} = excluded.{quote(column)}" for column in rest)


def quote(*names: str) -> str:
    """Names of ours as SQL identifiers."""
    return ", ".join(f'"{name}"' for name in names)
