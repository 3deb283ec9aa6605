"""Connections: one for the owner who writes, some for readers; on SQLite both off gevent's hub (D-22).

A SQLite call blocks its thread, and a greenlet switch inside a transaction could dead-lock the process. So under
gevent each unit of work, a whole transaction, runs in one native thread, where there is nothing to switch to, and the
caller's greenlet waits. psycopg2 waits cooperatively (psycogreen) and needs no thread. Without gevent all run inline.
"""

from __future__ import annotations

import contextlib
import functools
import getpass
import sqlite3
import sys
import threading
import urllib.parse
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar, cast

import peewee as pw
import psycopg2

from storage import schema
from storage.dialect import Dialect, Insert, Postgres, Sqlite, SqlRow
from storage.errors import DatabaseUnavailable, ReadOnlyDatabase, StorageError, UnsupportedUrl
from storage.locations import FORMS, Location, SqliteFile, parse_url
from storage.lock import FileLock, lock_session

T = TypeVar("T")

READERS_MAX = 4
"""Readers at a time; more wait for their turn."""

SWITCH_S = 0.0005
"""How long a thread that waits for the interpreter lets another go on with it, in seconds."""

WRITER_PRAGMAS: dict[str, object] = {
    "journal_mode": "wal",  # readers see the last commit and never wait for the writer
    "synchronous": "full",  # a commit is on disk when it returns; NORMAL may lose the last ones on a power cut,
    # which would un-say alerts and cursors that have left the process (D-18)
    "foreign_keys": 1,
    "busy_timeout": 5000,
    "journal_size_limit": 64 * 1024 * 1024,
}
READER_PRAGMAS: dict[str, object] = {"query_only": 1, "busy_timeout": 5000}

_KEEPALIVE = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
"""The server drops the session, and so the lock, of a machine that vanished, within half a minute."""

_UNAVAILABLE = (
    sqlite3.OperationalError,
    psycopg2.OperationalError,
    psycopg2.InterfaceError,
    pw.OperationalError,
    pw.InterfaceError,
)
_FAILED = (sqlite3.Error, psycopg2.Error, pw.PeeweeException)


class Transaction:
    """What a unit of work may do within its transaction on the writer's connection."""

    def __init__(self, cursor: Any, dialect: Dialect) -> None:
        """``cursor`` is the driver's own, of the writer's connection."""
        self._cursor = cursor
        self._dialect = dialect

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run ``sql`` with ``?`` for each value; returns the number of rows changed."""
        with _storable():
            self._dialect.execute(self._cursor, sql, values)
        return int(self._cursor.rowcount)

    def fetch(self, sql: str, values: Sequence[Any] = ()) -> list[SqlRow]:
        """All rows of a query with ``?`` for each value."""
        with _storable():
            self._dialect.execute(self._cursor, sql, values)
        return list(self._cursor.fetchall())

    def insert(self, statement: Insert, rows: Sequence[SqlRow]) -> int:
        """Insert rows, no key twice when replacing; returns how many were inserted or replaced."""
        with _storable():
            return self._dialect.insert(self._cursor, statement, rows)


class Database:
    """An open database. Use :func:`open_database` or :func:`open_readonly`; close it when done.

    ``connection`` is the writer's raw connection, None when opened for reading; tests put a failing one in its place.
    """

    def __init__(
        self, location: Location, writer: pw.Database | None, lock: FileLock | None, *, threads: bool = True
    ) -> None:
        """Takes over an open writer and its lock, both None for reading only; see ``open_database`` for ``threads``."""
        self.location = location
        self.dialect: Dialect = Sqlite() if isinstance(location, SqliteFile) else Postgres()
        self.connection: Any = None if writer is None else _raw(writer)
        self._writer = writer
        self._lock = lock
        self._idle: deque[pw.Database] = deque()
        self._turn = threading.BoundedSemaphore(READERS_MAX)
        self._pool = _thread_pool() if threads and isinstance(location, SqliteFile) else None
        self._writing = _native_lock() if self._pool is not None else threading.Lock()
        self._broken = False
        self._closed = False

    @property
    def writable(self) -> bool:
        """Whether this process owns the database."""
        return self._writer is not None

    def read(self, work: Callable[[pw.Database], T]) -> T:
        """Run ``work`` on a reader's connection, in one read transaction: all its queries see one state."""
        self._require_open()
        with self._turn:
            return self._off_hub(lambda: self._read(work))

    def rows(self, reader: pw.Database, sql: str, values: Sequence[Any]) -> Iterable[SqlRow]:
        """The rows of a query with ``?`` for each value, as the driver gives them, within a ``read``."""
        cursor = _raw(reader).cursor()
        self.dialect.execute(cursor, sql, values)
        return cast("Iterable[SqlRow]", cursor)

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` in one transaction of the owner; committed and on disk when this returns, or nothing of it is.

        Raises DatabaseUnavailable when the database failed; a commit under way may then have become durable, so
        start again from the stored state. Whatever ``work`` raises is raised after the rollback.
        """
        if self._writer is None:
            raise ReadOnlyDatabase(f"{self.location.shown} was opened for reading; only its owner writes.")
        self._require_open()
        return self._off_hub(lambda: self._write(work))

    def close(self) -> None:
        """Close all connections and give up the lock. Once is enough, twice does no harm."""
        self._closed = True
        while self._idle:
            self._idle.popleft().close()
        if self._writer is not None:
            with self._writing, _translated(self.location):
                self._writer.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        if self._pool is not None:
            self._pool.kill()

    def _require_open(self) -> None:
        if self._closed:
            raise DatabaseUnavailable(f"{self.location.shown} was closed here; open it again.")

    def _off_hub(self, work: Callable[[], T]) -> T:
        if self._pool is None:
            return work()
        result, error = self._pool.apply(_caught, (work,))
        if error is not None:
            raise error
        return cast("T", result)

    def _read(self, work: Callable[[pw.Database], T]) -> T:
        with _translated(self.location):
            reader = self._idle.popleft() if self._idle else _connect_reader(self.location)
            try:
                cursor = _raw(reader).cursor()
                cursor.execute(self.dialect.begin_read)
                result = work(reader)
                cursor.execute("COMMIT")
                cursor.close()
            except BaseException:
                with contextlib.suppress(*_FAILED):  # the first error is the one to report
                    reader.close()
                raise
            self._idle.append(reader)
            return result

    def _write(self, work: Callable[[Transaction], T]) -> T:
        with self._writing, _translated(self.location):
            if self._broken:
                raise DatabaseUnavailable(f"The connection to {self.location.shown} broke; open the database again.")
            cursor = self.connection.cursor()
            try:
                cursor.execute(self.dialect.begin)
                result = work(Transaction(cursor, self.dialect))
                cursor.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
            cursor.close()
            return result

    def _roll_back(self) -> None:
        try:
            self.dialect.roll_back(self.connection)
        except _FAILED:
            self._broken = True


def _caught(work: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    """The result or the error as values: gevent's pool would print an error that the caller is about to handle."""
    try:
        return work(), None
    except BaseException as error:  # noqa: BLE001 - raised again in the caller's greenlet
        return None, error


def open_database(url: str, *, owner: str, now_ms: int, threads: bool = True) -> Database:
    """Open as the owner: take the lock, make missing schema changes, connect to write (D-22).

    ``owner`` says to others who has it (``lock.describe_process``). ``threads`` False: SQLite runs in the caller's
    thread under gevent too, for a process in which nobody else waits meanwhile. Raises UnsupportedUrl, LeaseHeld when
    another process has it, SchemaTooNew, DatabaseUnavailable.
    """
    location = parse_url(url)
    lock = _lock_file(location, owner, now_ms)
    writer = _writer(location, owner)
    try:
        with _translated(location):
            writer.connect()
            if not isinstance(location, SqliteFile):
                lock_session(_raw(writer), location.shown)
            schema.migrate(writer)
    except BaseException:
        writer.close()
        if lock is not None:
            lock.release()
        raise
    return Database(location, writer, lock, threads=threads)


def open_readonly(url: str) -> Database:
    """Open beside the owner, for queries only. Raises DatabaseUnavailable when it is not there, and as the owner's."""
    location = parse_url(url)
    if isinstance(location, SqliteFile) and not location.path.exists():
        raise DatabaseUnavailable(
            f"{location.shown} does not exist. Start `portfolio-sync run` or `portfolio-sync sync` once, "
            "or correct storage.url."
        )
    database = Database(location, None, None)
    try:
        database.read(schema.check)
    except BaseException:
        database.close()
        raise
    return database


def _lock_file(location: Location, owner: str, now_ms: int) -> FileLock | None:
    if not isinstance(location, SqliteFile):
        return None
    try:
        location.path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnavailable(f"The folder of {location.shown} cannot be made: {error.strerror}.") from error
    return FileLock(location.path, owner, now_ms)


def _writer(location: Location, owner: str) -> pw.Database:
    if isinstance(location, SqliteFile):
        # the connection is used by one thread at a time, but not always by the same
        return pw.SqliteDatabase(str(location.path), pragmas=WRITER_PRAGMAS, thread_safe=False, check_same_thread=False)
    return _postgres(location.url, f"portfolio-sync {owner}", _KEEPALIVE)


def _connect_reader(location: Location) -> pw.Database:
    reader: pw.Database
    if isinstance(location, SqliteFile):
        uri = f"file:{urllib.parse.quote(str(location.path))}?mode=ro"
        reader = pw.SqliteDatabase(uri, pragmas=READER_PRAGMAS, thread_safe=False, check_same_thread=False, uri=True)
    else:
        reader = _postgres(location.url, "portfolio-sync reader", "-c default_transaction_read_only=on")
    reader.connect()
    return reader


def _postgres(url: str, session: str, options: str) -> pw.Database:
    if _patched():
        _patch_psycopg()
    try:
        parts = psycopg2.extensions.parse_dsn(url)
    except psycopg2.ProgrammingError:
        raise UnsupportedUrl(f"storage.url is no valid PostgreSQL URL; expected one of {FORMS}.") from None
    parts["options"] = f"{parts.get('options', '')} -c lock_timeout=5000 {options}".strip()
    parts.setdefault("connect_timeout", "5")
    parts["application_name"] = session[:63]  # PostgreSQL keeps that many bytes
    name = parts.pop("dbname", "") or parts.get("user") or getpass.getuser()  # libpq's own defaults
    return pw.PostgresqlDatabase(name, thread_safe=False, **parts)


def _raw(database: pw.Database) -> Any:
    """The driver's connection of an open database."""
    return database.connection()  # type: ignore[no-untyped-call]


@functools.cache
def _patch_psycopg() -> None:
    from psycogreen.gevent import patch_psycopg

    patch_psycopg()


def _patched() -> bool:
    """Whether gevent has patched this process; gevent is not imported where it has not."""
    monkey: Any = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def _thread_pool() -> Any:
    """Native threads for all readers and the writer, so that none waits for a thread; None without gevent.

    A commit gives the interpreter free while SQLite works, and wants it back some tens of times. While fills are booked
    it would wait up to 5 ms each time, which is Python's default, and half of the time nobody would book or write.
    """
    if not _patched():
        return None
    from gevent.threadpool import ThreadPool

    sys.setswitchinterval(SWITCH_S)
    return ThreadPool(READERS_MAX + 1)


def _native_lock() -> Any:
    """A lock between native threads; the patched one is between greenlets."""
    from gevent.monkey import get_original

    return get_original("_thread", "allocate_lock")()


@contextlib.contextmanager
def _storable() -> Iterator[None]:
    """What the drivers raise for integers past 64 bits and text with NUL, before the database sees them."""
    try:
        yield
    except (OverflowError, ValueError) as error:
        raise StorageError(f"A value cannot be stored: {_first_line(error)}. The parser should refuse it.") from error


@contextlib.contextmanager
def _translated(location: Location) -> Iterator[None]:
    """Drivers' errors become this package's; the drivers' texts carry no values of rows, the location no password."""
    try:
        yield
    except StorageError:
        raise
    except _UNAVAILABLE as error:
        raise DatabaseUnavailable(f"{location.shown} failed: {_first_line(error)}.") from error
    except _FAILED as error:
        raise StorageError(f"{location.shown} refused a statement: {_first_line(error)}.") from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
