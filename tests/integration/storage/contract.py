"""What both databases must do alike; ``test_sqlite`` and ``test_postgresql`` inherit it with a URL of their own.

The parts: writing (here), owning and the journal (``contract_journal``), reading (``contract_reading``).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import msgspec
import peewee as pw
import pytest

from messages.ledger import GENESIS_HASH, entry_hash
from portfolio.outcomes import Outcome
from storage import schema, tables
from storage.database import Database, Transaction, open_database, open_readonly
from storage.errors import (
    DatabaseUnavailable,
    LeaseLost,
    ReadOnlyDatabase,
    RowConflict,
    SchemaOutdated,
    SchemaTooNew,
    StorageError,
    StreamFailed,
)
from storage.lease import Leases
from storage.ledger import Ledger
from storage.projections import PROJECTIONS
from storage.tables_own import INTERNAL
from tests.integration.storage import samples
from tests.integration.storage.faults import FailingConnection, InjectedError

OWNER = "the test"
KINDS = [pytest.param(row, id=type(row).__name__) for row in samples.EVERY_KIND]


def plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row with bytes as such; psycopg2 gives memoryviews."""
    return tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)


def dump(database: Database) -> dict[str, list[str]]:
    """Every row of every table, by table."""

    def work(reader: pw.Database) -> dict[str, list[str]]:
        return {
            model._meta.table_name: sorted(repr(plain(row)) for row in model.select().tuples().execute(reader))
            for model in (*tables.PUBLIC, *INTERNAL)
        }

    return database.read(work)


class Fixtures:
    """An open database and its ledger; the subclass brings ``url``."""

    @pytest.fixture
    def database(self, url: str) -> Iterator[Database]:
        database = open_database(url, owner=OWNER, now_ms=samples.AT_MS)
        yield database
        database.close()

    @pytest.fixture
    def leases(self, database: Database) -> Leases:
        return Leases(database)

    @pytest.fixture
    def ledger(self, database: Database, leases: Leases) -> Ledger:
        ledger = Ledger(database)
        ledger.hold(leases.acquire(samples.STREAM, OWNER, samples.AT_MS))
        return ledger


class WritingContract(Fixtures):
    """Schema, rows, group commit, atomicity, fencing."""

    @pytest.mark.req("S-23", "D-23")
    @pytest.mark.parametrize("model", [*tables.PUBLIC, *INTERNAL], ids=lambda model: model.__name__)
    def test_migrations_make_the_tables_that_the_models_describe(
        self, database: Database, model: type[tables.Row]
    ) -> None:
        name = model._meta.table_name
        columns = database.read(lambda reader: reader.get_columns(name))
        keys = database.read(lambda reader: reader.get_primary_keys(name))
        assert {(c.name, c.null) for c in columns} == {(f.column_name, f.null) for f in model._meta.sorted_fields}
        primary_key: Any = model._meta.primary_key
        assert tuple(keys) == primary_key.field_names

    @pytest.mark.req("S-23")
    def test_public_tables_have_the_names_others_rely_on(self, database: Database) -> None:
        names = set(database.read(lambda reader: reader.get_tables()))
        public = (
            "wallets markets tokens positions orders fills adjustments fill_observations settlement_reports "
            "operations_reports integrity_issues strategies strategy_events journal cursors leases"
        )
        assert {name for name in names if not name.startswith(("_", "sqlite_"))} == set(public.split())

    @pytest.mark.req("L-19")
    def test_opening_again_finds_nothing_to_migrate(self, url: str, database: Database) -> None:
        database.close()
        with_history = open_database(url, owner=OWNER, now_ms=samples.AT_MS)
        assert with_history.read(schema.applied) == schema.known()
        with_history.close()

    def test_a_newer_schema_is_refused_and_says_what_to_do(self, url: str, database: Database) -> None:
        database.write(
            lambda transaction: transaction.execute(
                f'INSERT INTO "{schema.HISTORY_TABLE}" ("name", "migrated_at") VALUES (?, ?)',
                ("m9999_future", "2030-01-01 00:00:00"),
            )
        )
        database.close()
        for opening in (functools.partial(open_database, owner=OWNER, now_ms=1), open_readonly):
            with pytest.raises(SchemaTooNew, match=r"m9999_future.*newer") as caught:
                opening(url)
            assert caught.value.unknown == ("m9999_future",)

    def test_an_unmade_schema_change_stops_a_reader_but_not_an_owner(self, url: str, database: Database) -> None:
        database.write(lambda transaction: transaction.execute(f'DELETE FROM "{schema.HISTORY_TABLE}"'))
        with pytest.raises(SchemaOutdated, match="m0001_initial"):
            open_readonly(url)

    @pytest.mark.req("S-23")
    @pytest.mark.parametrize("row", KINDS)
    def test_a_row_reads_back_as_it_was_committed(self, database: Database, ledger: Ledger, row: Outcome) -> None:
        ledger.commit([samples.decision(row)])
        statement = PROJECTIONS[type(row)].statement
        model = next(m for m in (*tables.PUBLIC, *INTERNAL) if m._meta.table_name == statement.table)
        (stored,) = database.read(lambda reader: list(model.select().dicts().execute(reader)))
        expected = msgspec.to_builtins(row)
        common = stored.keys() & expected.keys()
        assert {name: stored[name] for name in common} == {name: expected[name] for name in common}
        # what has no column of its own is in the document or the payload
        rest = expected.keys() - common - {"row"}
        assert not rest or "document" in stored or "payload" in stored

    @pytest.mark.req("L-02", "X-12", "D-17")
    def test_a_batch_is_numbered_and_chained_per_stream(self, ledger: Ledger, leases: Leases) -> None:
        ledger.hold(leases.acquire("system", OWNER, samples.AT_MS))
        batch = [samples.decision(version=n, stream=s) for n, s in enumerate(["main", "system", "main"])]
        first, system, second = ledger.commit(batch)
        (third,) = ledger.commit([samples.decision()])
        assert [entry.seq for entry in (first, system, second, third)] == [1, 1, 2, 3]
        assert [first.previous_hash, system.previous_hash] == [GENESIS_HASH, GENESIS_HASH]
        assert [second.previous_hash, third.previous_hash] == [first.hash, second.hash]
        assert all(entry.hash == entry_hash(entry) for entry in (first, system, second, third))
        assert (ledger.head("main").head_seq, ledger.head("main").head_hash) == (3, third.hash)

    @pytest.mark.req("L-02")
    def test_an_empty_batch_changes_nothing(self, database: Database, ledger: Ledger) -> None:
        before = dump(database)
        assert ledger.commit([]) == ()
        assert dump(database) == before

    @pytest.mark.req("L-02", "L-30", "D-18")
    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    def test_a_failure_at_any_statement_of_a_commit_leaves_nothing(self, url: str, after: bool) -> None:
        batch = [samples.decision(*samples.EVERY_KIND), samples.fill_decision(2)]
        database = open_database(url, owner=OWNER, now_ms=samples.AT_MS)
        leases, ledger = Leases(database), Ledger(database)
        ledger.hold(leases.acquire(samples.STREAM, OWNER, samples.AT_MS))
        ledger.commit([samples.fill_decision(1)])
        real, statement = database.connection, 0
        while True:
            statement += 1
            ledger.hold(leases.acquire(samples.STREAM, OWNER, samples.AT_MS))
            before = dump(database)
            database.connection = failing = FailingConnection(real, statement, after=after)
            try:
                ledger.commit(batch)
            except InjectedError:
                database.connection = real
                if after and dump(database) != before:
                    break  # the statement was the COMMIT: what it did is durable
                assert dump(database) == before, f"statement {statement}"
                continue
            finally:
                database.connection = real
            break
        tables_written = len(PROJECTIONS) + 1
        looks = 2  # at two observations, one of which was there
        assert failing.executed == 1 + 1 + tables_written + looks + 1, "begin, head, a statement a table, commit"
        assert leases.acquire(samples.STREAM, OWNER, samples.AT_MS).head_seq == 3
        database.close()

    @pytest.mark.req("D-18", "L-30")
    def test_after_a_failed_commit_the_stream_waits_until_it_is_held_again(
        self, database: Database, ledger: Ledger, leases: Leases
    ) -> None:
        real = database.connection
        database.connection = FailingConnection(real, 3)
        with pytest.raises(InjectedError):
            ledger.commit([samples.fill_decision(1)])
        database.connection = real
        with pytest.raises(StreamFailed, match="start them again"):
            ledger.commit([samples.fill_decision(2)])
        ledger.hold(leases.acquire(samples.STREAM, OWNER, samples.AT_MS))
        (entry,) = ledger.commit([samples.fill_decision(1)])
        assert entry.seq == 1

    @pytest.mark.req("L-02", "D-18")
    def test_one_bad_decision_fails_its_whole_batch(self, database: Database, ledger: Ledger) -> None:
        before = dump(database)
        bad = samples.decision(samples.position(token_id="2", shares_micro=2**63))
        with pytest.raises(StorageError):
            ledger.commit([samples.fill_decision(1), bad, samples.fill_decision(2)])
        assert dump(database) == before

    @pytest.mark.req("L-13")
    def test_a_float_never_enters_an_amount(self, database: Database, ledger: Ledger) -> None:
        before = dump(database)
        try:
            ledger.commit([samples.decision(samples.position(shares_micro=0.5))])
        except StorageError:
            assert dump(database) == before
        else:  # PostgreSQL rounds to the column's type; still no float is stored
            (row,) = database.read(lambda reader: list(tables.Positions.select().dicts().execute(reader)))
            assert isinstance(row["shares_micro"], int)

    @pytest.mark.req("L-18", "D-17", "R-12")
    def test_an_owner_that_was_replaced_is_refused_and_writes_nothing(
        self, database: Database, ledger: Ledger, leases: Leases
    ) -> None:
        ledger.commit([samples.fill_decision(1)])
        lease = leases.acquire(samples.STREAM, OWNER, samples.AT_MS + 1)
        before = dump(database)
        with pytest.raises(LeaseLost, match="epoch 1"):
            ledger.commit([samples.fill_decision(2)])
        assert dump(database) == before
        assert (lease.epoch, lease.head_seq) == (2, 1)

    @pytest.mark.req("D-17")
    def test_a_head_that_moved_behind_the_writers_back_stops_it(self, database: Database, ledger: Ledger) -> None:
        ledger.commit([samples.fill_decision(1)])
        database.write(lambda transaction: transaction.execute('UPDATE "leases" SET "head_hash" = ?', (GENESIS_HASH,)))
        with pytest.raises(LeaseLost):
            ledger.commit([samples.fill_decision(2)])

    @pytest.mark.req("L-18")
    def test_a_stream_that_was_never_acquired_takes_no_commit(self, ledger: Ledger) -> None:
        with pytest.raises(LeaseLost, match="acquire it first"):
            ledger.commit([samples.decision(stream="other")])


class RowsContract(Fixtures):
    """What happens to rows that are there; what readers may do meanwhile."""

    @pytest.mark.req("L-19")
    def test_of_two_states_in_a_batch_the_later_stands(self, database: Database, ledger: Ledger) -> None:
        first, second = samples.position(version=1), samples.position(version=2, shares_micro=5)
        ledger.commit([samples.decision(first, second)])
        (row,) = database.read(lambda reader: list(tables.Positions.select().dicts().execute(reader)))
        assert (row["version"], row["shares_micro"]) == (2, 5)
        ledger.commit([samples.decision(samples.position(version=3))])
        (row,) = database.read(lambda reader: list(tables.Positions.select().dicts().execute(reader)))
        assert row["version"] == 3

    @pytest.mark.req("L-19", "L-01", "S-08")
    @pytest.mark.parametrize("row", KINDS)
    def test_the_same_outcome_again_leaves_one_row(self, database: Database, ledger: Ledger, row: Outcome) -> None:
        ledger.commit([samples.decision(row)])
        table = PROJECTIONS[type(row)].statement.table
        before = dump(database)[table]
        ledger.commit([samples.decision(row, row), samples.decision(row)])
        assert dump(database)[table] == before

    @pytest.mark.req("L-19", "S-08", "S-15")
    @pytest.mark.parametrize(
        ("row", "other", "column"),
        [
            (samples.adjustment(), samples.adjustment(cost_micro=1), "cost_micro"),
            (samples.settlement(), samples.settlement(drift_micro=1), "drift_micro"),
            (samples.operations(), samples.operations(delta_count=9), "delta_count"),
        ],
        ids=["adjustment", "settlement", "operations"],
    )
    def test_a_record_with_a_taken_key_and_other_content_is_refused(
        self, database: Database, ledger: Ledger, leases: Leases, row: Outcome, other: Outcome, column: str
    ) -> None:
        with pytest.raises(RowConflict, match=column):
            ledger.commit([samples.decision(row, other)])
        ledger.hold(leases.acquire(samples.STREAM, OWNER, samples.AT_MS))
        ledger.commit([samples.decision(row)])
        before = dump(database)
        with pytest.raises(RowConflict, match=column):
            ledger.commit([samples.decision(other)])
        assert dump(database) == before

    @pytest.mark.req("L-01", "L-19")
    def test_an_observation_keeps_the_time_it_was_first_made(self, database: Database, ledger: Ledger) -> None:
        ledger.commit([samples.decision(samples.observation())])
        ledger.commit([samples.decision(samples.observation(at_ms=samples.AT_MS + 9))])
        (row,) = database.read(lambda reader: list(tables.FillObservations.select().dicts().execute(reader)))
        assert row["at_ms"] == samples.AT_MS

    @pytest.mark.req("L-22")
    def test_two_findings_in_one_millisecond_are_both_kept(self, database: Database, ledger: Ledger) -> None:
        ledger.commit([samples.decision(samples.issue(), samples.issue(after="38.000000"), samples.issue())])
        assert len(dump(database)["integrity_issues"]) == 2

    @pytest.mark.req("L-29")
    def test_a_batch_of_thousands_is_written_whole(self, database: Database, ledger: Ledger) -> None:
        rows = [samples.fill(number) for number in range(2_500)]
        again = [samples.observation(number % 1_200) for number in range(2_500)]
        ledger.commit([samples.decision(*rows, *again)])
        assert [len(dump(database)[name]) for name in ("fills", "fill_observations")] == [2_500, 1_200]

    @pytest.mark.req("L-20", "S-23")
    def test_all_queries_of_one_read_see_one_state(self, database: Database, ledger: Ledger) -> None:
        ledger.commit([samples.decision(samples.cursor(value="1"))])

        def values(reader: pw.Database) -> list[Any]:
            return list(tables.Cursors.select(tables.Cursors.value).tuples().execute(reader))

        def work(reader: pw.Database) -> list[Any]:
            before = values(reader)
            ledger.commit([samples.decision(samples.cursor(value="2"))])
            return before + values(reader)

        assert database.read(work) == [("1",), ("1",)]
        assert database.read(values) == [("2",)]

    @pytest.mark.req("D-22")
    def test_a_closed_database_says_so(self, database: Database) -> None:
        database.close()
        with pytest.raises(DatabaseUnavailable, match="open it again"):
            database.read(schema.applied)
        with pytest.raises(DatabaseUnavailable, match="open it again"):
            database.write(lambda transaction: transaction.execute("SELECT 1"))

    @pytest.mark.req("D-22")
    def test_a_reader_can_change_nothing(self, url: str, database: Database, ledger: Ledger) -> None:
        reading = open_readonly(url)
        with pytest.raises(ReadOnlyDatabase):
            reading.write(lambda transaction: transaction.execute('DELETE FROM "journal"'))
        for opened in (reading, database):
            with pytest.raises((StorageError, DatabaseUnavailable)):
                opened.read(lambda reader: tables.Leases.delete().execute(reader))
        reading.close()

    @pytest.mark.req("D-22")
    def test_a_read_during_a_write_sees_the_last_commit_and_does_not_wait(
        self, database: Database, ledger: Ledger
    ) -> None:
        ledger.commit([samples.decision(samples.cursor(value="1"))])

        def work(transaction: Transaction) -> list[tuple[Any, ...]]:
            transaction.execute('UPDATE "cursors" SET "value" = ?', ("2",))
            return database.read(
                lambda reader: list(tables.Cursors.select(tables.Cursors.value).tuples().execute(reader))
            )

        assert database.write(work) == [("1",)]
        assert database.read(
            lambda reader: list(tables.Cursors.select(tables.Cursors.value).tuples().execute(reader))
        ) == [("2",)]
