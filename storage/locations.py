"""What ``storage.url`` means: which database, and where. Opens nothing."""

from __future__ import annotations

import urllib.parse
from pathlib import Path
from typing import TypeAlias

import msgspec

from storage.errors import UnsupportedUrl

FORMS = "sqlite:///relative.db, sqlite:////absolute/path.db or postgresql://user@host:port/name"
"""The forms of URL that can be opened, for messages."""


class SqliteFile(msgspec.Struct, frozen=True, kw_only=True):
    """A SQLite database in a file; ``path`` is absolute."""

    path: Path

    @property
    def shown(self) -> str:
        """The location for messages."""
        return f"Database {self.path}"


class PostgresServer(msgspec.Struct, frozen=True, kw_only=True):
    """A PostgreSQL database; ``url`` goes to libpq as it is, and may hold a password."""

    url: str

    @property
    def shown(self) -> str:
        """The location for messages, without password and parameters."""
        parts = urllib.parse.urlsplit(self.url)
        place = parts.netloc.rpartition("@")[2] or "local socket"
        return f"PostgreSQL database {parts.path.lstrip('/') or '(default)'} at {place}"


Location: TypeAlias = SqliteFile | PostgresServer


def parse_url(url: str) -> Location:
    """The database that ``url`` names; a relative SQLite path counts from the working directory.

    Raises UnsupportedUrl for every other scheme, and for SQLite in memory: readers have connections of their own and
    would each see an empty database.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme in {"postgresql", "postgres"}:
        return PostgresServer(url=url)
    if not separator or scheme != "sqlite":
        raise UnsupportedUrl(f"storage.url has the scheme {scheme[:20]!r}; expected one of {FORMS}.")
    path = rest[1:] if rest.startswith("/") else ""
    if path in {"", ":memory:"} or "?" in path:
        raise UnsupportedUrl(f"storage.url names no SQLite file: was {url!r}; expected one of {FORMS}.")
    return SqliteFile(path=Path(path).absolute())
