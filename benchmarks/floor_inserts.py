"""Floor of what is booked: the rows of fills and of other entries, inserted by the driver and nothing else (D-27).

Imports nothing of the product. A fill is a journal row, a fill, an observation and a position, with ids as long as real
ones, the same keys, and the head of the stream moved; a batch is one transaction, durable when it returns (SQLite in
WAL mode with ``synchronous=FULL``, PostgreSQL with its defaults). The fills go round ``markets`` markets, and of a
position that a batch writes several times only the last is written, as any writer would.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psycopg2
from psycopg2.extras import execute_values

Row = tuple[Any, ...]


class Pace(NamedTuple):
    """So many fills a second; those of the warm-up come first and are not counted."""

    rate: int
    warm_up: int
    fills: int


TABLES: dict[str, tuple[int, int, tuple[int, ...], bool]] = {
    # name: text columns, integer columns, places of the key among all columns, whether a row is replaced
    "floor_journal": (6, 4, (0, 6), False),
    "floor_fills": (12, 10, (0, 1, 2), False),
    "floor_observations": (5, 1, (0, 1, 2, 3, 4), False),
    "floor_positions": (5, 9, (0, 1), True),
}
OTHERS: dict[str, tuple[int, int, tuple[int, ...], bool]] = {
    # what a catch-up writes beside them
    "floor_adjustments": (9, 8, (0, 1), False),
    "floor_issues": (11, 1, (0, 1), False),
    "floor_reports": (10, 8, (0, 1), False),
}
ALL = TABLES | OTHERS
HEAD = "floor_head"
LONG_ID = "0x" + "c0" * 32
TOKEN_ID = "7" * 77
PAYLOAD = "x" * 680


def _columns(name: str) -> list[str]:
    texts, integers, _key, _replaced = ALL[name]
    return [f"t{number}" for number in range(texts)] + [f"n{number}" for number in range(integers)]


def _create(name: str) -> str:
    columns = _columns(name)
    key = ", ".join(columns[place] for place in ALL[name][2])
    typed = ", ".join(f"{column} {'TEXT' if column.startswith('t') else 'BIGINT'} NOT NULL" for column in columns)
    return f"CREATE TABLE {name} ({typed}, PRIMARY KEY ({key}))"


def _insert(name: str, marks: str) -> str:
    columns = _columns(name)
    key = [columns[place] for place in ALL[name][2]]
    sql = f"INSERT INTO {name} ({', '.join(columns)}) VALUES {marks}"  # noqa: S608  (names of this file)
    if not ALL[name][3]:
        return sql
    changes = ", ".join(f"{column} = excluded.{column}" for column in columns if column not in key)
    return f"{sql} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"


def _row(name: str, number: int, markets: int, payload: str = PAYLOAD) -> Row:
    texts, integers, _key, replaced = ALL[name]
    identity = f"{number % markets:077d}" if replaced else f"00000000-0000-4000-8000-{number:012d}"
    body = payload if name == "floor_journal" else TOKEN_ID
    values = ["main", identity, LONG_ID, LONG_ID, body, "BUY", *["LIVE"] * 6]
    return (*values[:texts], *[number] * integers)


def _batches(size: int, count: int, markets: int) -> list[dict[str, list[Row]]]:
    """The rows of each batch by table."""
    batches = []
    for start in range(0, size * count, size):
        numbers = range(start, start + size)
        last = numbers[-min(size, markets) :]
        batches.append(
            {
                name: [_row(name, number, markets) for number in (last if replaced else numbers)]
                for name, (_texts, _integers, _key, replaced) in TABLES.items()
            }
        )
    return batches


def _timed(
    cursor: Any, batches: Sequence[dict[str, list[Row]]], insert: Callable[[Any, str, list[Row]], object]
) -> float:
    started = time.perf_counter()
    for number, batch in enumerate(batches):
        _transact(cursor, number, batch, insert)
    return time.perf_counter() - started


def _transact(
    cursor: Any, number: int, batch: dict[str, list[Row]], insert: Callable[[Any, str, list[Row]], object]
) -> None:
    cursor.execute("BEGIN")
    cursor.execute(f"UPDATE {HEAD} SET n0 = {number + 1} WHERE n0 = {number}")  # noqa: S608  (two integers)
    for name, rows in batch.items():
        insert(cursor, name, rows)
    cursor.execute("COMMIT")


def _prepare(cursor: Any, tables: Iterable[str] = TABLES) -> None:
    for statement in (*map(_create, tables), f"CREATE TABLE {HEAD} (n0 BIGINT)", f"INSERT INTO {HEAD} VALUES (0)"):  # noqa: S608
        cursor.execute(statement)


def _sqlite(path: Path, tables: Iterable[str] = TABLES) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("PRAGMA synchronous = full")
    _prepare(connection.cursor(), tables)
    return connection


def _sqlite_insert() -> Callable[[Any, str, list[Row]], object]:
    statements = {name: _insert(name, "(" + ", ".join("?" for _ in _columns(name)) + ")") for name in ALL}
    return lambda target, name, rows: target.executemany(statements[name], rows)


def sqlite_seconds(path: Path, size: int, count: int, markets: int) -> float:
    """Seconds for ``count`` transactions of ``size`` fills each, into a new SQLite file at ``path``."""
    connection = _sqlite(path)
    seconds = _timed(connection.cursor(), _batches(size, count, markets), _sqlite_insert())
    connection.close()
    return seconds


def sqlite_rows_seconds(path: Path, rows: Mapping[str, int], count: int, payload_bytes: int) -> float:
    """Seconds for so many rows by table, spread over ``count`` transactions, into a new SQLite file at ``path``.

    ``payload_bytes`` are those of all journal rows together.
    """
    payload = "x" * (payload_bytes // rows["floor_journal"])
    batches = [
        {
            name: [
                _row(name, number, total, payload)
                for number in range(total * batch // count, total * (batch + 1) // count)
            ]
            for name, total in rows.items()
        }
        for batch in range(count)
    ]
    connection = _sqlite(path, rows)
    seconds = _timed(connection.cursor(), batches, _sqlite_insert())
    connection.close()
    return seconds


def sqlite_latencies(path: Path, pace: Pace, markets: int) -> list[float]:
    """Milliseconds from the moment a fill is due to the end of its own transaction, into a new SQLite file."""
    connection = _sqlite(path)
    cursor, insert = connection.cursor(), _sqlite_insert()
    found = []
    started = time.perf_counter()
    for number, batch in enumerate(_batches(1, pace.warm_up + pace.fills, markets)):
        due = started + number / pace.rate
        time.sleep(max(0.0, due - time.perf_counter()))
        _transact(cursor, number, batch, insert)
        found.append((time.perf_counter() - due) * 1000)
    connection.close()
    return found[pace.warm_up :]


def postgres_seconds(url: str, size: int, count: int, markets: int) -> float:
    """Seconds for ``count`` transactions of ``size`` fills each, into the PostgreSQL database at ``url``.

    By psycopg2's bulk insert; its ``executemany`` is a round trip a row. Makes its tables, and drops them.
    """
    connection = psycopg2.connect(url)
    connection.autocommit = True
    cursor = connection.cursor()
    _prepare(cursor)
    statements = {name: _insert(name, "%s") for name in TABLES}
    seconds = _timed(
        cursor,
        _batches(size, count, markets),
        lambda target, name, rows: execute_values(target, statements[name], rows, page_size=1000),
    )
    for name in (*TABLES, HEAD):
        cursor.execute(f"DROP TABLE {name}")
    connection.close()
    return seconds
