"""How far a fill has come in a running service, from its frame in the socket to the cursor behind it, from outside.

As in ``watching``, nothing in the product helps: the kernel tells what the process has not read, SQLite's write lock is
visible to every process, and so are the tables. A look is taken while the process is stopped. What it does in memory
between reading the frame and opening the transaction cannot be told apart; the process is let go on there for some
moments, more of them every time.
"""

from __future__ import annotations

import contextlib
import enum
import sqlite3
import time
import urllib.parse
from pathlib import Path
from typing import Any

import gevent

from tests.support.live import LiveService, until
from tests.system.watching import Watch

_QUIET_S = 0.03
"""After so long an answer that was on its way has arrived."""
_SHORT_S, _LONG_S = 0.0003, 0.01
"""Moments between two looks: while it is booked, and while a cycle is awaited."""


class Step(enum.StrEnum):
    """A fill's way to the disk."""

    ARRIVED = "arrived"
    """The kernel has its frame, and the process has not."""
    TAKEN = "taken"
    """The frame was read; no transaction is open."""
    BOOKING = "booking"
    """A transaction is open, and the fill is not on disk."""
    DURABLE = "durable"
    """The fill is on disk, and the cursor of trades has not moved since."""
    PASSED = "passed"
    """The cursor has moved too."""


_ORDER = tuple(Step)


class Intake:
    """One fill in one life of a service process. ``begin`` first, then let it happen, then ``go_to``."""

    def __init__(self, service: LiveService, watch: Watch) -> None:
        self._service = service
        self._watch = watch
        self._port = urllib.parse.urlsplit(service.info["clob_url"]).port
        self._before: dict[str, int] = {}
        self._stream = ""
        self._arrived = 0
        self._cursor: Any = None

    def begin(self) -> None:
        """Stop the process, with all that was on its way in its sockets."""
        self._watch.freeze()
        gevent.sleep(_QUIET_S)
        self._before = self._unread()

    def arrives(self) -> None:
        """Wait until the stream's next frame is there: the one socket in which something came."""

        def grown() -> str:
            return next((name for name, size in self._unread().items() if size > self._before.get(name, 0)), "")

        self._stream = until(grown, "a frame of the stream")
        gevent.sleep(_QUIET_S)
        self._arrived = self._unread()[self._stream]

    def go_to(self, wanted: Step, trade_id: str, *, linger: int, within_s: float) -> Step:
        """Let the process go on until the trade has come as far, or further where that was too quick to be seen.

        Of what is TAKEN it does ``linger`` moments more. The process is stopped then.
        """
        deadline = time.monotonic() + within_s
        found = self.look(trade_id)
        while _ORDER.index(found) < _ORDER.index(wanted) and time.monotonic() < deadline:
            if wanted is Step.BOOKING and found is Step.TAKEN:
                self._let_book()
            else:
                self._let_go(_LONG_S if found is Step.DURABLE else _SHORT_S)
            found = self.look(trade_id)
        while linger and found is wanted is Step.TAKEN:
            linger -= 1
            self._let_go(_SHORT_S)
            found = self.look(trade_id)
        return found

    def look(self, trade_id: str) -> Step:
        """How far the trade has come. Certain only while the process is stopped."""
        if self._unread().get(self._stream, 0) >= self._arrived:
            return Step.ARRIVED
        booked, cursor = self._stored(trade_id)
        if booked:
            return Step.DURABLE if cursor == self._cursor else Step.PASSED
        self._cursor = cursor
        return Step.BOOKING if self._watch.writing() else Step.TAKEN

    def _let_go(self, seconds: float) -> None:
        self._watch.thaw()
        end = time.monotonic() + seconds
        while time.monotonic() < end:  # more exactly than a timer can
            pass
        self._watch.freeze()

    def _let_book(self) -> None:
        self._watch.thaw()
        self._watch.spin_until_writing(_LONG_S)
        self._watch.freeze()

    def _stored(self, trade_id: str) -> tuple[bool, Any]:
        file = self._service.folder / "books.db"
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5)) as reader:
            booked = reader.execute("SELECT 1 FROM fills WHERE trade_id = ?", (trade_id,)).fetchone()
            return booked is not None, reader.execute("SELECT value, at_ms FROM cursors").fetchall()

    def _unread(self) -> dict[str, int]:
        """Bytes that wait in each of the process's connections to the sandbox, by the socket's inode."""
        own = set(_sockets(self._service.pid))
        found = {}
        for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            remote, queues, inode = fields[2], fields[4], fields[9]
            if inode in own and int(remote.partition(":")[2], 16) == self._port:
                found[inode] = int(queues.partition(":")[2], 16)
        return found


def _sockets(pid: int) -> list[str]:
    """Inodes of a process's sockets."""
    found = []
    for name in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            kind, _, inode = str(name.readlink()).partition(":[")
            if kind == "socket":
                found.append(inode.removesuffix("]"))
    return found
