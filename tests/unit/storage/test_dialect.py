"""Bulk inserts on SQLite: every row once, in a few statements, and the number that changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from storage.dialect import Insert, OnConflict, Sqlite, SqlRow


@pytest.fixture
def cursor() -> Iterator[sqlite3.Cursor]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT)")
    yield connection.cursor()
    connection.close()


def insert_into(on_conflict: OnConflict) -> Insert:
    return Insert(table="t", columns=("k", "v"), key=("k",), on_conflict=on_conflict)


def rows(*keys: int, text: str = "new") -> list[SqlRow]:
    return [(key, f"{text} {key}") for key in keys]


@pytest.mark.req("L-02")
@pytest.mark.parametrize("count", [0, 1, 2, 3, 63, 64, 65, 127, 128, 1000])
def test_every_row_is_inserted_once_whatever_their_number(cursor: sqlite3.Cursor, count: int) -> None:
    new = rows(*range(count))
    assert Sqlite().insert(cursor, insert_into(OnConflict.FAIL), new) == count
    assert cursor.execute("SELECT k, v FROM t ORDER BY k").fetchall() == new


def test_rows_that_are_kept_do_not_count_and_replaced_ones_do(cursor: sqlite3.Cursor) -> None:
    Sqlite().insert(cursor, insert_into(OnConflict.FAIL), rows(3, 70, text="old"))
    assert Sqlite().insert(cursor, insert_into(OnConflict.KEEP), rows(*range(100))) == 98
    assert cursor.execute("SELECT v FROM t WHERE k = 70").fetchall() == [("old 70",)]
    assert Sqlite().insert(cursor, insert_into(OnConflict.REPLACE), rows(*range(100))) == 100
    assert cursor.execute("SELECT v FROM t WHERE k = 70").fetchall() == [("new 70",)]


def test_a_batch_takes_few_statements(cursor: sqlite3.Cursor) -> None:
    """Between two statements the writer's thread waits for the interpreter, which the booking of fills holds."""
    statements: list[str] = []
    cursor.connection.set_trace_callback(statements.append)
    Sqlite().insert(cursor, insert_into(OnConflict.FAIL), rows(*range(511)))
    assert len(statements) <= 16
