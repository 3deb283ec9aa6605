"""Crashes of a process at the boundaries of its storage: before every statement, and after every commit.

A process that dies leaves two things, the files of its database and the world. So the files are copied as they lie at
each boundary of one run, and a new process is begun on each copy: that is the crash there, without playing the run
before it again. Nothing of the old process ends its transaction or closes its connection.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from storage.tables import PUBLIC
from storage.tables_own import INTERNAL
from tests.support.system import Harness

Row = dict[str, Any]

LEDGER = {
    "fills": ("trade_id", "order_id"),
    "positions": ("token_id",),
    "orders": ("order_id",),
    "adjustments": ("market_id", "entry_id", "token_id"),
    "fill_observations": ("trade_id", "order_id", "status", "feed"),
    "cursors": ("source",),
}
"""The tables of the ledger and by what their rows are sorted."""


class Watched:
    """The writer's connection, with somebody told before each statement and after each commit."""

    def __init__(self, connection: Any, at: Callable[[str], None]) -> None:
        self._connection = connection
        self.at = at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def cursor(self) -> Any:
        return _WatchedCursor(self._connection.cursor(), self.at)


class _WatchedCursor:
    def __init__(self, cursor: Any, at: Callable[[str], None]) -> None:
        self._cursor = cursor
        self._at = at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._cursor.close()

    def execute(self, statement: Any, *values: Any) -> Any:
        self._at(f"before {_name(statement)}")
        result = self._cursor.execute(statement, *values)
        if statement == "COMMIT":
            self._at("after COMMIT")
        return result


def _name(statement: Any) -> str:
    """Enough of a statement to know it again."""
    text = statement.decode() if isinstance(statement, bytes) else str(statement)
    return text.partition(" (")[0][:60]


@dataclass(frozen=True)
class Disk:
    """What a SQLite database has on disk: its file and its write-ahead log. The index beside them is made anew."""

    main: bytes = field(repr=False)
    log: bytes = field(repr=False)

    @classmethod
    def of(cls, file: Path) -> Disk:
        """As it lies there now, whoever writes it."""
        return cls(file.read_bytes(), Path(f"{file}-wal").read_bytes())

    def put(self, folder: Path) -> Path:
        """Lay it into ``folder``; returns the database's file."""
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "sync.db"
        file.write_bytes(self.main)
        Path(f"{file}-wal").write_bytes(self.log)
        return file


@dataclass(frozen=True)
class Boundary:
    """A place where a process may die. Boundaries between which nothing was written have one and the same disk."""

    number: int
    what: str
    disk: Disk

    def __str__(self) -> str:
        return f"boundary {self.number}, {self.what}"


class Tape:
    """The boundaries that a running system comes by, from now on."""

    def __init__(self, harness: Harness) -> None:
        self._file = Path(harness.url.removeprefix("sqlite:///"))
        self._taken: list[Boundary] = []
        self._disk = Disk.of(self._file)
        self.count = 0
        harness.database.connection = Watched(harness.database.connection, self._at)

    def _at(self, what: str) -> None:
        disk = Disk.of(self._file)
        self._disk = self._disk if disk == self._disk else disk
        self.count += 1
        self._taken.append(Boundary(self.count, what, self._disk))

    def take(self) -> list[Boundary]:
        """Those since the last time."""
        taken, self._taken = self._taken, []
        return taken

    def crashes(self, steps: Iterator[None]) -> Iterator[Boundary]:
        """Go through the steps of one frame: of the boundaries with one disk the first, for they are one crash."""
        known: Disk | None = None
        for _ in steps:
            for boundary in self.take():
                if boundary.disk is not known:
                    known = boundary.disk
                    yield boundary


def torn(before: Disk, after: Disk) -> Iterator[Disk]:
    """Disks of a process that dies within a commit, as often as SQLite writes to its log, and amid each write.

    The log is written page by page, in order; where it was begun anew, over its old content.
    """
    old, new = before.log, after.log
    pages = range(_LOG_HEADER, max(len(old), len(new)), _LOG_PAGE)
    written = [page for page in pages if old[page : page + _LOG_PAGE] != new[page : page + _LOG_PAGE]]
    for page in written:
        for cut in (page, page + _LOG_PAGE // 2):
            yield Disk(before.main, new[:cut] + old[cut:])


_LOG_HEADER = 32
_LOG_PAGE = 24 + 4096
"""Bytes of SQLite's documented write-ahead log: its header, and a page with a header of its own."""


def content(disk: Disk, folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row that a database with these files holds, as the next process will find it."""
    file = disk.put(folder)
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as reader:
        tables = [model._meta.table_name for model in (*PUBLIC, *INTERNAL)]
        return {table: reader.execute(f'SELECT * FROM "{table}"').fetchall() for table in tables}


def ledger(harness: Harness) -> dict[str, list[Row]]:
    """Every column of every row of the ledger's tables, on either database."""
    return {table: _rows(harness, table, keys) for table, keys in LEDGER.items()}


def _rows(harness: Harness, table: str, keys: tuple[str, ...]) -> list[Row]:
    def read(reader: Any) -> list[Row]:
        cursor = reader.execute_sql(f'SELECT * FROM "{table}"')
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    return sorted(harness.database.read(read), key=lambda row: [row[name] for name in keys])
