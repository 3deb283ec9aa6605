"""Under gevent: ``python -m gevent.monkey hub_process.py URL``. Says ``alive`` when storage never stops the hub.

A commit waits here for something that only another greenlet of the same thread can bring. Then greenlets write and
read together, each stream with a ledger of its own.
"""

from __future__ import annotations

import sys
from typing import Any

import gevent
import psycopg2
from gevent.monkey import get_original

from storage.database import Database, Transaction, open_database
from storage.journal import Journal
from storage.lease import Leases
from storage.ledger import Ledger
from storage.queries import Queries
from tests.integration.storage import samples

STREAMS, COMMITS = 4, 25


def wait_for_a_greenlet_on_sqlite(database: Database) -> None:
    gate: Any = get_original("_thread", "allocate_lock")()
    gate.acquire()
    gevent.spawn(gate.release)
    assert database.write(lambda _transaction: gate.acquire(timeout=60))


def wait_for_a_greenlet_on_postgresql(database: Database, url: str) -> None:
    other = psycopg2.connect(url)
    other.cursor().execute("SELECT pg_advisory_lock(1)")
    unlocking = gevent.spawn(lambda: other.cursor().execute("SELECT pg_advisory_unlock(1)"))

    def work(transaction: Transaction) -> None:
        transaction.execute("SELECT pg_advisory_xact_lock(1)")

    database.write(work)
    # psycopg2 holds a connection's native lock through a query: closing it from another greenlet would stop the thread.
    unlocking.get()
    other.close()


def write_and_read_together(database: Database) -> None:
    def commit(stream: str) -> None:
        ledger = Ledger(database)
        ledger.hold(Leases(database).acquire(stream, "hub", samples.AT_MS))
        for number in range(COMMITS):
            ledger.commit([samples.decision(samples.cursor(source=stream, value=str(number)), stream=stream)])

    def read() -> None:
        for _ in range(COMMITS):
            Queries(database).counts()

    streams = [f"stream {number}" for number in range(STREAMS)]
    greenlets = [gevent.spawn(commit, stream) for stream in streams] + [gevent.spawn(read) for _ in range(8)]
    gevent.joinall(greenlets, raise_error=True)
    for stream in streams:
        assert Journal(database).verify_chain(stream).entries == COMMITS


def main(url: str) -> None:
    database = open_database(url, owner="hub", now_ms=samples.AT_MS)
    if url.startswith("sqlite"):
        wait_for_a_greenlet_on_sqlite(database)
    else:
        wait_for_a_greenlet_on_postgresql(database, url)
    write_and_read_together(database)
    database.close()
    sys.stdout.write("alive\n")


if __name__ == "__main__":
    main(sys.argv[1])
