"""One owner per database: an OS lock beside a SQLite file, a session's advisory lock on PostgreSQL (D-22, R-12).

Both are freed by the system when the owner's process dies, by ``kill -9`` too. They keep a second process out; that a
former owner cannot write either is the lease's epoch (``lease``, ``ledger``).
"""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path
from typing import Any

import msgspec
import psycopg2

from storage.errors import DatabaseUnavailable, LeaseHeld

ADVISORY_KEY = 0x70735F6F776E6572
"""The key of the advisory lock (``ps_owner`` in ASCII); PostgreSQL keeps one set of keys per database."""

_WAIT_MS = 2_000
"""How long to wait for the lock of a session that may just have died; the server notices a moment later."""


class _Holder(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the lock file, for the message to whom it refuses."""

    owner: str
    since_ms: int


def describe_process() -> str:
    """This process as owner of a database: its id and host."""
    return f"pid {os.getpid()} on {socket.gethostname()}"


class FileLock:
    """An exclusive ``flock`` on ``<database>.lock``. The file stays when the lock goes; only the lock means something.

    Not inherited by programs that this process starts, but by its forks: do not fork while holding it.
    """

    def __init__(self, database: Path, owner: str, now_ms: int) -> None:
        """Take the lock, or raise LeaseHeld with what the holder wrote."""
        path = database.with_name(database.name + ".lock")
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise DatabaseUnavailable(f"Lock file {path} cannot be opened: {error.strerror}.") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = self._read_holder()
            os.close(self._descriptor)
            raise LeaseHeld(f"Database {database}", *holder) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, msgspec.json.encode(_Holder(owner=owner, since_ms=now_ms)), 0)

    def release(self) -> None:
        """Give the lock up."""
        os.close(self._descriptor)

    def _read_holder(self) -> tuple[str, int | None]:
        try:
            holder = msgspec.json.decode(os.pread(self._descriptor, 4096, 0), type=_Holder)
        except msgspec.DecodeError:  # taken a moment ago, not yet signed
            return "another process", None
        return holder.owner, holder.since_ms


def lock_session(connection: Any, shown: str) -> None:
    """Take the advisory lock in this session of psycopg2, or raise LeaseHeld; it goes when the session goes."""
    cursor = connection.cursor()
    cursor.execute("SHOW lock_timeout")
    (before,) = cursor.fetchone()
    cursor.execute("SELECT set_config('lock_timeout', %s, false)", (str(_WAIT_MS),))
    try:
        cursor.execute("SELECT pg_advisory_lock(%s)", (ADVISORY_KEY,))
    except psycopg2.errors.LockNotAvailable:
        raise LeaseHeld(shown, *_session_holder(cursor)) from None
    cursor.execute("SELECT set_config('lock_timeout', %s, false)", (before,))
    cursor.close()


def _session_holder(cursor: Any) -> tuple[str, int | None]:
    cursor.execute(
        "SELECT a.application_name, (extract(epoch FROM a.backend_start) * 1000)::bigint"
        " FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
        " WHERE l.locktype = 'advisory' AND l.granted AND l.classid = %s AND l.objid = %s AND l.objsubid = 1"
        " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        (ADVISORY_KEY >> 32, ADVISORY_KEY & 0xFFFFFFFF),
    )
    row = cursor.fetchone()
    return ("another session", None) if row is None else (str(row[0]), int(row[1]))
