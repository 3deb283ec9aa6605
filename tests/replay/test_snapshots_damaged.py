"""No snapshot is believed that is not whole, not of this code, or not of this journal (L-20, X-12)."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from messages.ledger import JournalEntry
from service.config import Config
from service.keeping import Broken
from service.replay import rebuild
from service.snapshots import Ref, Unusable, packed, restored, unpacked
from service.snapshots_checked import replay_from
from service.verify import verify
from storage.journal import Journal
from storage.snapshots import Snapshots
from tests.replay.stories import as_it_is, keeper_of, seqs, spoil
from tests.support.system import WALLET, Harness

pytestmark = pytest.mark.req("L-20", "X-12", "D-20", "D-23")

DAMAGES = (
    "UPDATE _snapshots SET hash = '{zeros}' WHERE seq = {seq}",
    "UPDATE _snapshots SET digest = '{zeros}' WHERE seq = {seq}",
    "UPDATE _snapshots SET at_ms = at_ms + 1 WHERE seq = {seq}",
    "UPDATE _snapshots SET checksum = '' WHERE seq = {seq}",
    "UPDATE _snapshots SET checksum = CAST(X'FFFF' AS TEXT) WHERE seq = {seq}",
    "UPDATE _snapshots SET stream = 'main', seq = seq - 1 WHERE seq = {seq}",
    "UPDATE _snapshots SET content = CAST('{{}}' AS BLOB) WHERE seq = {seq}",
    "UPDATE _snapshot_states SET content = CAST(X'00' || SUBSTR(content, 2) AS BLOB)",
    "UPDATE _snapshot_states SET content = SUBSTR(content, 2) WHERE key = (SELECT MAX(key) FROM _snapshot_states)",
    "DELETE FROM _snapshot_states WHERE key = (SELECT MIN(key) FROM _snapshot_states)",
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_snapshot_is_said_and_passed_over(told: Harness, config: Config, damage: str) -> None:
    keeper, whole = keeper_of(told), as_it_is(told.rebuilt())
    keeper.make()
    (seq,) = seqs(told)
    assert spoil(told, damage.format(seq=seq, zeros="0" * 64))
    with capture_logs() as lines:
        assert as_it_is(keeper.rebuilt()) == whole
    assert [line["event"] for line in lines] == ["snapshot_passed_over"], lines
    assert lines[0]["log_level"] == "warning"
    document = verify(config)
    assert not document["ok"]
    assert [one["sound"] for one in document["snapshots"]] == [False]
    assert document["problems"][0].startswith("snapshot of entry ")
    assert not replay_from(config, "newest")["snapshots"][0]["equal"]
    keeper.make()
    assert seqs(told) == [seq]
    with capture_logs() as lines:
        assert as_it_is(keeper.rebuilt()) == whole
    assert lines == []
    assert verify(config)["ok"]


def test_the_next_older_one_is_taken_where_the_newest_is_damaged(told: Harness) -> None:
    entries, keeper = told.journal(), keeper_of(told)
    for number in (10, 20):
        keeper.store(rebuild(WALLET, entries[:number]))
    spoil(told, "UPDATE _snapshots SET digest = '' WHERE seq = 20")
    read: list[int] = []
    keeper._journal = _Watched(told, read)
    assert as_it_is(keeper.rebuilt()) == as_it_is(told.rebuilt())
    assert read == [10], "the tail began behind entry 10"


class _Watched(Journal):
    def __init__(self, harness: Harness, read: list[int]) -> None:
        super().__init__(harness.database)
        self._read = read

    def read(self, stream: str, after_seq: int = 0, *further: Any) -> Iterator[JournalEntry]:
        self._read.append(after_seq)
        return super().read(stream, after_seq, *further)


def test_what_other_code_wrote_is_not_used_and_is_no_damage(
    told: Harness, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version may make other states of the same journal; its own start replays all of it, once."""
    keeper = keeper_of(told)
    keeper.make()
    monkeypatch.setattr("service.snapshots.code", lambda: "later")
    with capture_logs() as lines:
        assert as_it_is(keeper.rebuilt()) == as_it_is(told.rebuilt())
    assert [(line["event"], line["log_level"]) for line in lines] == [("snapshot_passed_over", "info")]
    document = verify(config)
    assert document["ok"]
    assert [one["sound"] for one in document["snapshots"]] == [None]
    keeper.make()
    assert [one["sound"] for one in verify(config)["snapshots"]] == [True]


def test_a_state_that_other_code_would_read_otherwise_is_refused(told: Harness) -> None:
    """As a field would be that this version does not know: its digest is not the one that was written."""
    state = told.rebuilt().wallet
    ref, _ = packed(state, lambda: None)
    other, content = packed(msgspec.structs.replace(state, cycles=state.cycles + 1), lambda: None)
    with pytest.raises(Unusable, match="another digest"):
        unpacked(f"coordinator:{WALLET}", msgspec.structs.replace(other, digest=ref.digest), content)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"content": b"{}"}, "it cannot be read"),
        ({"digest": "0" * 64}, "its digest is not that of its states"),
        ({"seq": 10_000}, "entry 10000 of the journal is not the one"),
        ({"format": 2}, "another version"),
    ],
)
def test_a_row_with_a_right_checksum_has_to_be_right_all_the_same(
    told: Harness, changes: dict[str, Any], reason: str
) -> None:
    keeper_of(told).make()
    (row,) = Snapshots(told.database).all(WALLET)
    wrong = msgspec.structs.replace(row, **changes).sealed()
    Snapshots(told.database).put(told.ledger.head(WALLET), wrong)
    with pytest.raises(Unusable, match=reason):
        restored(told.database, WALLET, wrong.seq)


def test_one_that_is_gone_meanwhile_is_no_damage(told: Harness) -> None:
    with pytest.raises(Unusable, match="no more") as caught:
        restored(told.database, WALLET, 7)
    assert not caught.value.damaged


@pytest.mark.parametrize("content", [b"not compressed", zlib.compress(b"{}"), zlib.compress(b"{")])
def test_a_state_that_cannot_be_read_is_damaged(content: bytes) -> None:
    ref = Ref(digest="", key=hashlib.sha256(content).hexdigest())
    with pytest.raises(Unusable, match="state of market:main/0xa cannot be read") as caught:
        unpacked("market:main/0xa", ref, content)
    assert caught.value.damaged


def test_damage_that_is_met_while_one_is_made_from_another_is_passed_over(told: Harness) -> None:
    """The process has seen it whole, and an entry has come for a state that was damaged since."""
    entries, keeper = told.journal(), keeper_of(told)
    keeper.store(rebuild(WALLET, entries[:12]))
    spoil(told, "UPDATE _snapshot_states SET content = X'00'")
    with capture_logs() as lines:
        keeper.make()
    assert [line["event"] for line in lines] == ["snapshot_passed_over", "snapshot"]
    assert as_it_is(restored(told.database, WALLET, len(entries))) == as_it_is(rebuild(WALLET, entries))


@pytest.mark.parametrize("sql", ["UPDATE journal SET hash = 'x' WHERE seq = 9", "DELETE FROM journal WHERE seq >= 9"])
def test_none_is_made_where_entries_do_not_follow_or_are_gone(told: Harness, sql: str) -> None:
    books = told.rebuilt()
    assert spoil(told, sql)
    with pytest.raises(Broken, match="entry 9"):
        keeper_of(told).make()
    spoil(told, f"UPDATE journal SET hash = 'x' WHERE seq = {books.entries}")
    with pytest.raises(Broken, match=f"entry {books.entries}"):
        keeper_of(told).store(books)
    assert seqs(told) == []


def test_verify_finds_a_whole_snapshot_of_other_books(told: Harness, config: Config) -> None:
    """As an error in the code that makes them would show itself."""
    books = told.rebuilt()
    books.gate = msgspec.structs.replace(books.gate, kill_switch=not books.gate.kill_switch)
    books.reconciled_block = 1
    keeper_of(told).store(books)
    (one,) = verify(config)["snapshots"]
    assert (one["sound"], one["detail"]) == (False, "the journal gives another state of gate:main, span")
    (one,) = replay_from(config, "all")["snapshots"]
    assert (one["equal"], one["detail"]) == (False, "the whole journal gives another state of gate:main")


def test_no_snapshot_stands_for_a_journal_that_was_changed(told: Harness) -> None:
    keeper = keeper_of(told)
    spoil(told, "UPDATE journal SET at_ms = at_ms + 1 WHERE seq = 9")
    with capture_logs() as lines:
        books = keeper.rebuilt()
        keeper.begin(books)
        told.runtime.run_for(120_000)
    assert seqs(told) == []
    assert [line["seq"] for line in lines if line["event"] == "journal_broken"] == [9]
    assert any(line["event"] == "snapshot_not_made" and "entry 9" in line["reason"] for line in lines)
