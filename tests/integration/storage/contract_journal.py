"""Owning a database, the journal's chain and the outbox: the second part of the contract."""

from __future__ import annotations

import functools
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import peewee as pw
import pytest

from messages.ledger import GENESIS_HASH
from storage.damage import check_chain
from storage.database import Database, Transaction, open_database, open_readonly
from storage.errors import ChainBroken, LeaseHeld, LeaseLost, StorageError
from storage.journal import BATCH_ENTRIES, Journal, import_lines
from storage.lease import Leases
from storage.ledger import Ledger
from storage.outbox import Outbox
from storage.queries import Queries
from tests.integration.storage import hub_process, owner_process, samples
from tests.integration.storage.contract import OWNER, Fixtures

ROOT = Path(__file__).parents[3]


def start_owner(url: str, *arguments: str) -> subprocess.Popen[str]:
    """Another process that owns the database, ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", owner_process.__name__, url, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    """kill -9, and wait for its end."""
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


def execute(statement: str, transaction: Transaction) -> int:
    """A unit of work of one statement."""
    return transaction.execute(statement)


class JournalContract(Fixtures):
    """Lock and lease between owners, chain, JSON lines, outbox."""

    @pytest.mark.req("L-18", "R-12", "D-22")
    def test_a_second_process_is_told_who_owns_the_database(self, url: str) -> None:
        process = start_owner(url)
        try:
            with pytest.raises(LeaseHeld, match=rf"pid {process.pid} on .* since .*stop it first"):
                open_database(url, owner=OWNER, now_ms=1)
            reading = open_readonly(url)
            assert [entry.seq for entry in Journal(reading).read(samples.STREAM)] == [1]
            reading.close()
        finally:
            kill(process)

    @pytest.mark.req("L-18", "R-12", "D-22")
    def test_kill_9_frees_the_database_and_the_next_owner_has_the_next_epoch(self, url: str) -> None:
        kill(start_owner(url))
        database = open_database(url, owner=OWNER, now_ms=samples.AT_MS)
        lease = Leases(database).acquire(samples.STREAM, OWNER, samples.AT_MS)
        assert (lease.epoch, lease.head_seq, lease.owner) == (2, 1, OWNER)
        assert Journal(database).verify_chain(samples.STREAM).broken_at is None
        database.close()

    @pytest.mark.req("L-02", "L-30")
    @pytest.mark.parametrize(("moment", "entries"), [("begun", 1), ("written", 1), ("committed", 2)])
    def test_kill_9_within_a_commit_leaves_all_or_nothing(self, url: str, moment: str, entries: int) -> None:
        start_owner(url, moment).communicate()
        database = open_database(url, owner=OWNER, now_ms=samples.AT_MS)
        assert Leases(database).acquire(samples.STREAM, OWNER, samples.AT_MS).head_seq == entries
        assert Journal(database).verify_chain(samples.STREAM).entries == entries
        assert set(Queries(database).counts().values()) == ({0, 1} if entries == 1 else {1, 2})
        database.close()

    @pytest.mark.req("D-22")
    def test_storage_never_stops_gevents_hub(self, url: str) -> None:
        command = [sys.executable, "-m", "gevent.monkey", "--module", hub_process.__name__, url]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
        assert (result.stdout, result.returncode) == ("alive\n", 0), result.stderr

    @pytest.mark.req("L-18")
    def test_a_second_opening_in_the_same_process_is_refused_too(self, url: str, database: Database) -> None:
        with pytest.raises(LeaseHeld, match=OWNER):
            open_database(url, owner="someone else", now_ms=samples.AT_MS)
        database.close()
        open_database(url, owner="someone else", now_ms=samples.AT_MS).close()

    @pytest.mark.req("L-18", "D-17")
    def test_a_stream_has_one_owner_and_each_acquire_a_new_epoch(self, leases: Leases) -> None:
        first = leases.acquire("main", "writer 1", samples.AT_MS)
        with pytest.raises(LeaseHeld, match="writer 1"):
            leases.acquire("main", "writer 2", samples.AT_MS)
        again = leases.acquire("main", "writer 1", samples.AT_MS)
        leases.release(again, samples.AT_MS)
        other = leases.acquire("main", "writer 2", samples.AT_MS)
        assert [first.epoch, again.epoch, other.epoch] == [1, 2, 3]
        with pytest.raises(LeaseLost):
            leases.release(first, samples.AT_MS)

    @pytest.mark.req("X-12", "L-20")
    def test_ten_thousand_entries_are_streamed_in_batches(
        self, database: Database, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for start in range(0, 10_000, 1_000):
            ledger.commit([samples.decision(payload=b"%d" % n) for n in range(start, start + 1_000)])
        journal, read = Journal(database), database.read
        reads: list[object] = []

        def counted(work: Callable[[pw.Database], object]) -> object:
            reads.append(work)
            return read(work)

        monkeypatch.setattr(database, "read", counted)
        first = list(itertools.islice(journal.read(samples.STREAM), 10))
        assert (len(first), len(reads)) == (10, 1)
        seqs = [entry.seq for entry in journal.read(samples.STREAM)]
        assert seqs == list(range(1, 10_001))
        assert len(reads) <= 1 + 10_000 // BATCH_ENTRIES + 1
        assert [entry.payload for entry in journal.read(samples.STREAM, after_seq=9_998)] == [b"9998", b"9999"]
        assert [entry.seq for entry in journal.read(samples.STREAM, after_seq=499, limit=2)] == [500, 501]
        assert len(list(journal.read(samples.STREAM, limit=BATCH_ENTRIES + 1))) == BATCH_ENTRIES + 1
        report = journal.verify_chain(samples.STREAM)
        assert (report.entries, report.broken_at, report.head_hash) == (10_000, None, ledger.head("main").head_hash)
        handed_on: list[int] = []
        check = check_chain(database, samples.STREAM, lambda entry: handed_on.append(entry.seq))
        assert (check.damages, check.head_hash, handed_on) == ((), report.head_hash, seqs)

    @pytest.mark.req("X-12")
    @pytest.mark.parametrize(
        ("tampering", "broken_at"),
        [
            ('UPDATE "journal" SET "payload" = CAST(\'x\' AS {blob}) WHERE "seq" = 4', 4),
            ('UPDATE "journal" SET "at_ms" = "at_ms" + 1 WHERE "seq" = 4', 4),
            ('UPDATE "journal" SET "kind" = \'other\' WHERE "seq" = 4', 4),
            ('DELETE FROM "journal" WHERE "seq" = 4', 4),
            ('DELETE FROM "journal" WHERE "seq" = 1', 1),
            ('DELETE FROM "journal" WHERE "seq" = 9', 9),
            ('DELETE FROM "journal"', 1),
            ('UPDATE "leases" SET "head_seq" = 8', 8),
            (f'UPDATE "leases" SET "head_seq" = 0, "head_hash" = \'{GENESIS_HASH}\'', 1),
            (
                (
                    'UPDATE "journal" SET "seq" = -1 WHERE "seq" = 4;UPDATE "journal" SET "seq" = 4 WHERE "seq" = 5;'
                    'UPDATE "journal" SET "seq" = 5 WHERE "seq" = -1'
                ),
                4,
            ),
        ],
        ids=["byte", "stamp", "kind", "removed", "first", "last", "all", "head", "head back", "reordered"],
    )
    def test_verify_finds_the_first_entry_that_was_tampered_with(
        self, database: Database, ledger: Ledger, tampering: str, broken_at: int
    ) -> None:
        ledger.commit([samples.fill_decision(number) for number in range(9)])
        journal = Journal(database)
        assert journal.verify_chain(samples.STREAM).broken_at is None
        blob = "BYTEA" if database.dialect.begin == "BEGIN" else "BLOB"
        for statement in tampering.format(blob=blob).split(";"):
            assert database.write(functools.partial(execute, statement)) > 0
        report = journal.verify_chain(samples.STREAM)
        assert report.broken_at == broken_at
        assert report.reason
        assert check_chain(database, samples.STREAM, lambda _entry: None).damages[0].seq == broken_at
        assert report.entries == (8 if broken_at == 8 else broken_at - 1)

    @pytest.mark.req("X-12")
    def test_a_stream_without_entries_is_sound(self, database: Database) -> None:
        report = Journal(database).verify_chain("nobody")
        assert (report.entries, report.head_hash, report.broken_at) == (0, GENESIS_HASH, None)
        check = check_chain(database, "nobody", lambda _entry: None)
        assert (check.entries, check.head_hash, check.damages) == (0, GENESIS_HASH, ())

    @pytest.mark.req("L-20")
    def test_streams_are_those_that_were_acquired(self, database: Database, leases: Leases) -> None:
        for name in ("system", "main"):
            leases.acquire(name, OWNER, samples.AT_MS)
        assert Journal(database).streams() == ["main", "system"]

    @pytest.mark.req("L-20", "X-12")
    def test_json_lines_bring_back_the_same_entries_byte_for_byte(self, database: Database, ledger: Ledger) -> None:
        payloads = [b'{"a": "\xc3\xa4\\n"}', b"", b"\xff\x00binary", b"line\nbreak"]
        ledger.commit([samples.decision(payload=payload) for payload in payloads])
        journal = Journal(database)
        lines = list(journal.export_lines(samples.STREAM))
        assert all(line.count(b"\n") == 1 for line in lines)
        entries = list(journal.read(samples.STREAM))
        assert [entry.payload for entry in entries] == payloads
        assert list(import_lines([*lines, b"\n"])) == entries
        assert list(import_lines(lines[2:])) == entries[2:]
        assert list(import_lines([])) == []

    @pytest.mark.req("X-12")
    def test_tampered_or_foreign_lines_are_refused(self, database: Database, ledger: Ledger) -> None:
        ledger.commit([samples.decision(payload=b"%d" % n) for n in range(3)])
        lines = list(Journal(database).export_lines(samples.STREAM))
        changed = msgspec.json.encode({**msgspec.json.decode(lines[1]), "payload": "9"})
        foreign = msgspec.json.encode({**msgspec.json.decode(lines[1]), "stream": "other"})
        for wrong in ([lines[0], changed], [lines[0], lines[2]], [lines[0], foreign]):
            with pytest.raises(ChainBroken) as caught:
                list(import_lines(wrong))
            assert caught.value.seq == 2
        for text in (b"{}", b"<html>", b'"text"'):
            with pytest.raises(StorageError, match="Line 2 is no journal entry"):
                list(import_lines([lines[0], text]))

    @pytest.mark.req("S-05")
    def test_alerts_stay_pending_until_they_are_said_also_over_a_restart(self, url: str) -> None:
        kill(start_owner(url))
        database = open_database(url, owner=OWNER, now_ms=samples.AT_MS)
        ledger = Ledger(database)
        ledger.hold(Leases(database).acquire(samples.STREAM, OWNER, samples.AT_MS))
        ledger.commit([samples.decision(*(samples.alert(number) for number in (3, 1, 2)))])
        assert [pending.key for pending in Outbox(database).pending(2)] == ["alert-1", "alert-2"]
        assert Outbox(database).mark_delivered(["alert-1", "unknown"], samples.AT_MS) == 1
        database.close()
        database = open_database(url, owner=OWNER, now_ms=samples.AT_MS)
        pending = Outbox(database).pending(10)
        assert [each.key for each in pending] == ["alert-2", "alert-3"]
        assert msgspec.json.decode(pending[0].payload, type=type(samples.alert())) == samples.alert(2)
        assert Outbox(database).mark_delivered(["alert-1", "alert-2", "alert-3"], samples.AT_MS) == 2
        assert Outbox(database).pending(10) == []
        database.close()

    @pytest.mark.req("L-19")
    def test_an_alert_that_was_said_is_not_pending_again(self, database: Database, ledger: Ledger) -> None:
        ledger.commit([samples.decision(samples.alert())])
        Outbox(database).mark_delivered(["alert-1"], samples.AT_MS)
        ledger.commit([samples.decision(samples.alert(text="said in other words"))])
        assert Outbox(database).pending(10) == []
