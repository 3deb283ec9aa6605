"""The storage contract on SQLite, and what SQLite alone must do."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
from gevent.monkey import get_original, is_module_patched

from storage.database import SWITCH_S, open_database, open_readonly
from storage.errors import DatabaseUnavailable, StorageError
from tests.integration.storage import samples
from tests.integration.storage.contract import OWNER, RowsContract, WritingContract
from tests.integration.storage.contract_journal import JournalContract
from tests.integration.storage.contract_reading import ReadingContract
from tests.integration.storage.contract_snapshots import SnapshotsContract


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/portfolio ä?%.db".replace("?", "")


class TestSqliteWriting(WritingContract):
    pass


class TestSqliteRows(RowsContract):
    pass


class TestSqliteJournal(JournalContract):
    pass


class TestSqliteReading(ReadingContract):
    pass


class TestSqliteSnapshots(SnapshotsContract):
    pass


@pytest.mark.req("L-02")
def test_commits_are_on_disk_when_they_return(url: str) -> None:
    database = open_database(url, owner=OWNER, now_ms=samples.AT_MS)
    pragmas = [database.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert pragmas == ["wal", 2]
    database.close()


@pytest.mark.req("L-02", "D-22")
def test_a_commit_waits_only_shortly_for_the_interpreter(url: str) -> None:
    """It wants it back after each statement, from the thread that books: by Python's default after 5 ms each time."""
    before_s = sys.getswitchinterval()
    database = open_database(url, owner=OWNER, now_ms=samples.AT_MS)
    assert sys.getswitchinterval() == pytest.approx(SWITCH_S)
    database.close()
    sys.setswitchinterval(before_s)


@pytest.mark.req("D-22")
def test_the_folder_is_made_and_the_lock_file_is_the_owners_alone(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/deep/er/x.db", owner=OWNER, now_ms=samples.AT_MS)
    lock = tmp_path / "deep/er/x.db.lock"
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600
    database.close()


def test_a_missing_database_is_not_made_by_a_reader(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match=r"does not exist.*portfolio-sync run"):
        open_readonly(f"sqlite:///{tmp_path}/none.db")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_named_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.db"
    file.write_text("these are my notes, not a database\n" * 20)
    for opening in (lambda url: open_database(url, owner=OWNER, now_ms=1), open_readonly):
        with pytest.raises(StorageError, match=r"notes\.db"):
            opening(f"sqlite:///{file}")
    assert file.read_text().startswith("these are my notes")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnavailable, match="folder"):
        open_database(f"sqlite:///{tmp_path}/file/x.db", owner=OWNER, now_ms=1)


def test_a_lock_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.db.lock").mkdir()
    with pytest.raises(DatabaseUnavailable, match=r"x\.db\.lock"):
        open_database(f"sqlite:///{tmp_path}/x.db", owner=OWNER, now_ms=1)


@pytest.mark.req("D-22")
@pytest.mark.parametrize("threads", [False, True])
def test_work_leaves_its_thread_under_gevent_unless_it_shall_not(url: str, *, threads: bool) -> None:
    thread = get_original("_thread", "get_ident")
    database = open_database(url, owner=OWNER, now_ms=samples.AT_MS, threads=threads)
    found = {database.read(lambda _reader: thread()), database.write(lambda _transaction: thread())}
    assert (thread() not in found) is (threads and is_module_patched("threading"))
    database.close()
