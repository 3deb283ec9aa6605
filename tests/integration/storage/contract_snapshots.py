"""Storing snapshots, on both databases: what is named is there, and only the owner of the lease writes (D-23, R-12)."""

from __future__ import annotations

import msgspec
import pytest

from storage.database import Database, open_readonly
from storage.errors import LeaseLost, ReadOnlyDatabase
from storage.lease import Leases
from storage.ledger import Ledger
from storage.snapshots import KEYS_AT_ONCE, Snapshot, Snapshots
from tests.integration.storage import samples
from tests.integration.storage.contract import Fixtures


def snapshot(seq: int = 7, content: bytes = b"\x00\xff content") -> Snapshot:
    return Snapshot(
        stream=samples.STREAM,
        seq=seq,
        hash=samples.hexadecimal(seq),
        format=1,
        code="code",
        at_ms=samples.AT_MS,
        digest=samples.hexadecimal(9),
        content=content,
    ).sealed()


def keys_of(one: Snapshot) -> list[str]:
    return one.content.decode().split()


@pytest.mark.req("L-20", "D-23")
class SnapshotsContract(Fixtures):
    """``storage.snapshots``."""

    @pytest.fixture
    def snapshots(self, database: Database) -> Snapshots:
        return Snapshots(database)

    def test_snapshots_read_back_as_they_were_written_the_newest_first(
        self, snapshots: Snapshots, ledger: Ledger
    ) -> None:
        lease = ledger.head(samples.STREAM)
        for seq in (7, 12, 9):
            snapshots.put(lease, snapshot(seq))
        assert snapshots.all(samples.STREAM) == [snapshot(12), snapshot(9), snapshot(7)]
        assert all(one.sound for one in snapshots.all(samples.STREAM))
        assert snapshots.all("another") == []

    def test_one_of_the_same_entry_takes_the_place_of_the_one_before(
        self, snapshots: Snapshots, ledger: Ledger
    ) -> None:
        lease = ledger.head(samples.STREAM)
        for content in (b"first", b"second"):
            snapshots.put(lease, snapshot(content=content))
        assert [one.content for one in snapshots.all(samples.STREAM)] == [b"second"]

    @pytest.mark.parametrize("field", ["stream", "seq", "hash", "format", "code", "at_ms", "digest", "content"])
    def test_its_checksum_covers_every_field(self, field: str) -> None:
        whole = snapshot()
        other: dict[type, object] = {str: "another", int: 8, bytes: b"another"}
        changed = msgspec.structs.replace(whole, **{field: other[type(getattr(whole, field))]})
        assert (whole.sound, changed.sound) == (True, False)

    def test_what_is_no_text_any_more_is_not_sound(self) -> None:
        assert not msgspec.structs.replace(snapshot(), code="\udcff", checksum="").sound

    def test_states_are_found_by_their_keys_and_written_anew_where_they_lie(
        self, snapshots: Snapshots, ledger: Ledger
    ) -> None:
        lease = ledger.head(samples.STREAM)
        many = {f"key-{number}": b"%d" % number for number in range(2 * KEYS_AT_ONCE + 1)}
        snapshots.put_states(lease, many)
        assert snapshots.states(samples.STREAM, [*many, "unknown"]) == many
        snapshots.put_states(lease, {"key-1": b"whole again"})
        assert snapshots.states(samples.STREAM, ["key-1", "key-2"]) == {"key-1": b"whole again", "key-2": b"2"}
        snapshots.put_states(lease, {})

    def test_a_snapshot_is_read_with_all_the_states_that_it_names(self, snapshots: Snapshots, ledger: Ledger) -> None:
        lease = ledger.head(samples.STREAM)
        snapshots.put_states(lease, {"a": b"1", "b": b"2", "c": b"3"})
        named = snapshot(content=b"a c gone")
        snapshots.put(lease, named)
        assert snapshots.whole(samples.STREAM, 7, keys_of) == (named, {"a": b"1", "c": b"3"})
        assert snapshots.whole(samples.STREAM, 8, keys_of) is None

    def test_what_is_not_kept_goes_and_other_streams_stay(
        self, snapshots: Snapshots, ledger: Ledger, leases: Leases
    ) -> None:
        lease = ledger.head(samples.STREAM)
        other = leases.acquire("other", "the test", samples.AT_MS)
        snapshots.put_states(other, {"key-0": b"other"})
        snapshots.put_states(lease, {f"key-{number}": b"%d" % number for number in range(KEYS_AT_ONCE + 2)})
        for seq in (1, 2, 3):
            snapshots.put(lease, snapshot(seq))
        snapshots.keep(lease, {1, 3}, {"key-1"})
        assert [one.seq for one in snapshots.all(samples.STREAM)] == [3, 1]
        assert snapshots.states(samples.STREAM, ["key-0", "key-1", "key-2"]) == {"key-1": b"1"}
        assert snapshots.states("other", ["key-0"]) == {"key-0": b"other"}

    @pytest.mark.req("R-12", "D-17")
    def test_who_was_fenced_writes_nothing(self, snapshots: Snapshots, ledger: Ledger, leases: Leases) -> None:
        lease = ledger.head(samples.STREAM)
        snapshots.put_states(lease, {"a": b"1"})
        snapshots.put(lease, snapshot())
        leases.acquire(samples.STREAM, "the test", samples.AT_MS)
        with pytest.raises(LeaseLost):
            snapshots.put_states(lease, {"b": b"2"})
        with pytest.raises(LeaseLost):
            snapshots.put(lease, snapshot(8))
        with pytest.raises(LeaseLost):
            snapshots.keep(lease, (), ())
        assert [one.seq for one in snapshots.all(samples.STREAM)] == [7]
        assert snapshots.states(samples.STREAM, ["a", "b"]) == {"a": b"1"}

    @pytest.mark.req("D-22")
    def test_who_reads_only_may_look_and_not_write(self, url: str, snapshots: Snapshots, ledger: Ledger) -> None:
        lease = ledger.head(samples.STREAM)
        snapshots.put(lease, snapshot())
        beside = open_readonly(url)
        assert [one.seq for one in Snapshots(beside).all(samples.STREAM)] == [7]
        with pytest.raises(ReadOnlyDatabase):
            Snapshots(beside).put(lease, snapshot(8))
        beside.close()
