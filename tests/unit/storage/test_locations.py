"""Which database a URL names."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.errors import UnsupportedUrl
from storage.locations import PostgresServer, SqliteFile, parse_url


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///portfolio-sync.db", Path.cwd() / "portfolio-sync.db"),
        ("sqlite:///state/books.db", Path.cwd() / "state/books.db"),
        ("sqlite:////var/lib/books.db", Path("/var/lib/books.db")),
    ],
)
def test_three_slashes_are_relative_and_four_absolute(url: str, path: Path) -> None:
    assert parse_url(url) == SqliteFile(path=path)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_postgresql_url_goes_to_libpq_as_it_is(scheme: str) -> None:
    url = f"{scheme}://me:secret@db.example:5433/books?sslmode=require"
    location = parse_url(url)
    assert location == PostgresServer(url=url)
    assert location.shown == "PostgreSQL database books at db.example:5433"


def test_a_local_postgresql_is_shown_as_such() -> None:
    assert parse_url("postgresql:///?host=/run").shown == "PostgreSQL database (default) at local socket"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "books.db",
        "mysql://host/books",
        "sqlite://",
        "sqlite:///",
        "sqlite://books.db",
        "sqlite:///:memory:",
        "sqlite:///books.db?mode=ro",
        "sqlite:books.db",
    ],
)
def test_any_other_url_is_refused_with_the_forms_that_work(url: str) -> None:
    with pytest.raises(UnsupportedUrl, match=r"expected one of sqlite:///relative\.db"):
        parse_url(url)


def test_a_refused_url_shows_no_password() -> None:
    with pytest.raises(UnsupportedUrl) as caught:
        parse_url("mysql://me:hunter2@host/books")
    assert "hunter2" not in str(caught.value)
