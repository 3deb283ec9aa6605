"""The ledger of a process that may die at a commit: before it, within its transaction, or behind it (D-18)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from messages.ledger import Decision, JournalEntry
from service.simulation.timeline import Life
from storage.database import Database
from storage.ledger import Ledger


class CrashingLedger(Ledger):
    """Kills its process where that is planned. ``died`` is the name it was planned under."""

    def __init__(self, database: Database, life: Life) -> None:
        """``life`` is what ends."""
        super().__init__(database)
        self._life = life
        self._before = self._within = self._behind = ""
        self._connection = _Connection(database.connection)
        database.connection = self._connection
        self.died = ""

    def plan(self, name: str, *, before: bool) -> None:
        """The next commit does not begin, or what it did is told to nobody."""
        self._before, self._behind = (name, "") if before else ("", name)

    def plan_within(self, name: str, statements: int) -> None:
        """After so many more statements of commits the connection is gone, with what the transaction did so far."""
        self._within, self._connection.left = name, statements

    def spare(self) -> None:
        """No commit is deadly any more."""
        self._before = self._behind = ""
        self._connection.left = None

    def commit(self, decisions: Sequence[Decision]) -> tuple[JournalEntry, ...]:
        """As the ledger does it, with a crash where one is due."""
        if self._before:
            self._die(self._before)
        self._connection.committing = True
        try:
            entries = super().commit(decisions)
        except _Torn:
            self._die(self._within)
            raise
        finally:
            self._connection.committing = False
        if self._behind:
            self._die(self._behind)
        return entries

    def _die(self, name: str) -> None:
        self.died = name
        self._life.die_here()


class _Torn(Exception):
    """The process is gone in the middle of a transaction."""


class _Connection:
    """The writer's raw connection; ``left`` are the statements until it is lost, None where it is not to be."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.left: int | None = None
        self.committing = False

    def cursor(self) -> _Cursor:
        return _Cursor(self._real.cursor(), self)

    def rollback(self) -> None:
        self._real.rollback()

    def close(self) -> None:
        self._real.close()

    def count(self) -> None:
        """Called before each statement."""
        if self.left is None or not self.committing:
            return
        if self.left == 0:
            self.left = None
            self._real.close()  # as a killed process leaves it: SQLite finds no commit, and takes nothing of it
            raise _Torn
        self.left -= 1


class _Cursor:
    """A cursor that counts its statements."""

    def __init__(self, real: Any, connection: _Connection) -> None:
        self._real = real
        self._connection = connection

    @property
    def rowcount(self) -> int:
        return int(self._real.rowcount)

    def execute(self, sql: str, values: Sequence[Any] = ()) -> None:
        self._connection.count()
        self._real.execute(sql, values)

    def fetchall(self) -> list[Any]:
        return list(self._real.fetchall())

    def close(self) -> None:
        self._real.close()
