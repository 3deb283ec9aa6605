"""A connection that fails at a chosen statement, standing in front of the driver's own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any


class InjectedError(Exception):
    """The fault."""


def raise_error() -> None:
    """The fault of a statement that fails."""
    raise InjectedError


def kill_process() -> None:
    """The fault of a process that is killed."""
    os.kill(os.getpid(), signal.SIGKILL)


class FailingConnection:
    """Counts what is executed; the fault comes before, or after, the statement with number ``fail_at`` (from 1)."""

    def __init__(
        self, connection: Any, fail_at: int, *, after: bool = False, fault: Callable[[], None] = raise_error
    ) -> None:
        self._connection = connection
        self.fail_at = fail_at
        self.after = after
        self.fault = fault
        self.executed = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def cursor(self) -> Any:
        return _FailingCursor(self._connection.cursor(), self)


class _FailingCursor:
    def __init__(self, cursor: Any, owner: FailingConnection) -> None:
        self._cursor = cursor
        self._owner = owner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def __enter__(self) -> Any:
        return self._cursor  # a rollback is not what is tested

    def __exit__(self, *_error: object) -> None:
        self._cursor.close()

    def execute(self, *arguments: Any) -> Any:
        return self._run(self._cursor.execute, arguments)

    def executemany(self, *arguments: Any) -> Any:
        return self._run(self._cursor.executemany, arguments)

    def _run(self, method: Any, arguments: tuple[Any, ...]) -> Any:
        self._owner.executed += 1
        failing = self._owner.executed == self._owner.fail_at
        if failing and not self._owner.after:
            self._owner.fault()
        result = method(*arguments)
        if failing:
            self._owner.fault()
        return result
