"""Where in its cycle a running service is, seen from outside: what it asked, locks and wrote, and whom it calls.

Nothing in the product helps. The sandbox counts requests; SQLite's write lock is visible to every process; the tables
are; alerts go to a receiver of ours. A look is taken while the process is stopped (SIGSTOP), so that it holds still.
"""

from __future__ import annotations

import contextlib
import enum
import fcntl
import os
import signal
import sqlite3
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import gevent.event
import gevent.pywsgi
import msgspec

from polymarket.sandbox.control import SandboxControl
from tests.support.live import LiveService

_LOCK = "hhqqi"
"""struct flock of 64-bit Linux: type, whence, start, length, pid."""

_WRITE_LOCK_BYTE = 120
"""SQLite's WAL_WRITE_LOCK lies at this byte of the -shm file (its documented WAL-index format)."""

_FREEZE_WITHIN_S = 5.0

_MOMENT_S = 0.0003


class Phase(enum.StrEnum):
    """Where a cycle is."""

    FETCH = "fetch"
    """It reads."""
    COMPARE = "compare"
    """It has read everything, and nothing of what it decides is on its way to the disk."""
    APPLY = "apply"
    """Views that markets took are durable, the cycle's report is not."""
    COMMIT = "commit"
    """A transaction is open, and no view of this cycle is durable yet."""
    DELIVERY = "delivery"
    """It is saying an alert, which is durable."""
    IDLE = "idle"


class AlertReceiver:
    """An HTTP server that alerts are sent to. ``keys`` are those it took; a call can be held until ``release``."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.calls = 0
        self._open = gevent.event.Event()
        self._open.set()
        self._server = gevent.pywsgi.WSGIServer(("127.0.0.1", 0), self._take, log=None, error_log=None)
        self._server.start()

    @property
    def url(self) -> str:
        """As ``[alerts] urls`` takes it."""
        return f"json://127.0.0.1:{self._server.server_port}/"

    def hold(self) -> None:
        """Let calls wait."""
        self._open.clear()

    def release(self) -> None:
        """Answer those that wait and all others."""
        self._open.set()

    def close(self) -> None:
        """Stop listening."""
        self.release()
        self._server.stop(timeout=1)

    def _take(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        message = msgspec.json.decode(environ["wsgi.input"].read())["message"]
        self.calls += 1
        try:
            self._open.wait()
            self.keys += [line.removeprefix("key: ") for line in message.splitlines() if line.startswith("key: ")]
        finally:
            self.calls -= 1
        start_response("200 OK", [("Content-Length", "0")])
        return []


class Watch:
    """One life of a service process."""

    def __init__(self, service: LiveService, control: SandboxControl, receiver: AlertReceiver) -> None:
        self._service = service
        self._control = control
        self._receiver = receiver
        self._database = service.folder / "books.db"
        self._counts = control.requests()
        self._reading: bool | None = None
        self._closed_before = 0

    def look(self) -> Phase:
        """Where the process is. Certain only while it is stopped."""
        self.follow()
        if self._receiver.calls:
            return Phase.DELIVERY
        if self._reading is None:
            return Phase.IDLE
        writing = self.writing()
        if self._reading:
            return Phase.COMMIT if writing else Phase.FETCH
        closed, begun = self._cycles()
        if begun:
            return Phase.APPLY
        if writing:
            return Phase.COMMIT
        return Phase.IDLE if closed > self._closed_before else Phase.COMPARE

    def step_until_half_durable(self, within_s: float) -> bool:
        """Let the process run for moments until views of a cycle are durable and its report is not; leaves it stopped.

        False, with the process running, when a cycle ended before that was seen.
        """
        deadline = time.monotonic() + within_s
        self.freeze()
        closed_before, half = self._cycles()
        while not half:
            self.thaw()
            _burn(_MOMENT_S)
            self.freeze()
            closed, half = self._cycles()
            if not half and (closed > closed_before or time.monotonic() > deadline):
                self.thaw()
                return False
        return True

    def follow(self) -> bool | None:
        """Whether the cycle still reads: the chain is read first, trades last. None before its first request."""
        counts = self._control.requests()
        changed = {name for name, count in counts.items() if count != self._counts.get(name, 0)}
        self._counts = counts
        if any(name == "GET /clob/data/trades" for name in changed):
            self._reading = False
        elif any(name.startswith("POST /rpc") for name in changed):
            if not self._reading:
                self._closed_before = self._cycles()[0]
            self._reading = True
        return self._reading

    def writing(self) -> bool:
        """Whether somebody is inside a writing transaction."""
        try:
            with _raw(Path(f"{self._database}-shm")) as descriptor:
                wanted = struct.pack(_LOCK, fcntl.F_WRLCK, os.SEEK_SET, _WRITE_LOCK_BYTE, 1, 0)
                found = struct.unpack(_LOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, wanted))
                return bool(found[0] != fcntl.F_UNLCK)
        except FileNotFoundError:
            return False

    def spin_until_writing(self, within_s: float) -> bool:
        """Look at the lock as fast as can be; yields to nobody."""
        deadline = time.monotonic() + within_s
        try:
            with _raw(Path(f"{self._database}-shm")) as descriptor:
                wanted = struct.pack(_LOCK, fcntl.F_WRLCK, os.SEEK_SET, _WRITE_LOCK_BYTE, 1, 0)
                while time.monotonic() < deadline:
                    if struct.unpack(_LOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, wanted))[0] != fcntl.F_UNLCK:
                        return True
        except FileNotFoundError:
            pass
        return False

    def freeze(self) -> None:
        """Stop the process where it is."""
        self._service.signal(signal.SIGSTOP)
        deadline = time.monotonic() + _FREEZE_WITHIN_S
        while _state(self._service.pid) not in "TZ":
            assert time.monotonic() < deadline, "the process did not stop on SIGSTOP"

    def thaw(self) -> None:
        """Let it go on."""
        self._service.signal(signal.SIGCONT)

    def _cycles(self) -> tuple[int, bool]:
        """How many cycles are reported, and whether one has views in the journal but no report."""
        if not self._database.exists():
            return 0, False
        with contextlib.closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=5)) as reader:
            try:
                closed = reader.execute("SELECT count(*) FROM operations_reports").fetchone()[0]
                last = reader.execute(
                    "SELECT kind FROM journal WHERE kind IN ('external_view', 'cycle_closed') ORDER BY seq DESC LIMIT 1"
                ).fetchone()
            except sqlite3.OperationalError:
                return 0, False  # the tables are not there yet
        return closed, last is not None and last[0] == "external_view"


@contextlib.contextmanager
def _raw(path: Path) -> Iterator[int]:
    """A descriptor of the lock file; no connection of ours may be open meanwhile, or it would lose its locks."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _burn(seconds: float) -> None:
    """Wait more exactly than a timer can."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def _state(pid: int) -> str:
    """The process's state letter; Z where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"
