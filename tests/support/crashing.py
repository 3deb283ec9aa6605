"""prototype"""
from __future__ import annotations
from typing import Any
from collections.abc import Callable

class Watched:
    def __init__(self, connection: Any, at: Callable[[str], None]) -> None:
        self._connection = connection
        self.at = at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def cursor(self) -> Any:
        return _Cursor(self._connection.cursor(), self)

class _Cursor:
    def __init__(self, cursor: Any, owner: Watched) -> None:
        self._cursor = cursor
        self._owner = owner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def execute(self, sql: str, *arguments: Any) -> Any:
        self._owner.at("before " + sql[:40])
        result = self._cursor.execute(sql, *arguments)
        if sql == "COMMIT":
            self._owner.at("after COMMIT")
        return result
