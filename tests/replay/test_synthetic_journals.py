"""Journals that were written once, exported as JSON lines, and are replayed from there (L-20, X-12, D-20)."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from messages.ledger import JournalEntry
from service.config import Config
from service.rebuilt import Rebuilt, keyed, state_digest
from service.replay import ReplayFailed, rebuild
from service.replaying import replay
from storage.errors import ChainBroken
from storage.journal import Journal, import_lines
from storage.stored import TABLES
from tests.replay.stories import spoil
from tests.support.system import WALLET, Harness


def changed(file: Path, number: int, **fields: Any) -> Path:
    """The file with other fields in one line."""
    lines = file.read_text(encoding="utf-8").splitlines()
    lines[number] = json.dumps({**json.loads(lines[number]), **fields})
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


@pytest.mark.req("L-20", "X-12")
def test_replay_of_the_database_gives_the_stored_state(told: Harness, config: Config) -> None:
    document = replay(config)
    assert document["equal"] is True
    assert document["digest"] == document["stored_digest"]
    assert document["chain_broken_at"] is None
    assert document["entries"] == len(told.journal())


@pytest.mark.req("L-20", "D-20")
def test_replay_of_the_file_gives_the_digest_of_the_database(told: Harness, exported: Path, config: Config) -> None:
    document = replay(config, journal_file=exported)
    assert (document["digest"], document["stored_digest"]) == (replay(config)["digest"], None)
    assert document["states"] == replay(config)["states"]
    assert sorted(document["states"]) == [
        "coordinator:main",
        "gate:main",
        "ingest:main",
        "market:main/0xa",
        "market:main/0xb",
    ]


@pytest.mark.req("L-20", "D-20", "L-19")
def test_replay_twice_and_from_any_point_gives_the_same(told: Harness) -> None:
    """No entry depends on anything but the entries before it."""
    entries = told.journal()
    whole = rebuild(WALLET, entries).digests()
    assert rebuild(WALLET, entries).digests() == whole
    for cut in range(0, len(entries), 3):
        books = rebuild(WALLET, entries[:cut])
        for entry in entries[cut:]:
            books.apply(entry)
        assert books.digests() == whole


@pytest.mark.req("L-20")
def test_until_shows_the_state_at_an_earlier_point(told: Harness, exported: Path, config: Config) -> None:
    digests = [replay(config, until=seq)["state_digest"] for seq in range(len(told.journal()) + 1)]
    assert len(set(digests)) == len(digests), "every entry changed something"
    assert replay(config, until=7)["entries"] == 7
    assert replay(config, until=7)["stored_digest"] is None
    assert replay(config, until=7, journal_file=exported)["state_digest"] == digests[7]
    assert replay(config, until=10_000)["state_digest"] == digests[-1]


@pytest.mark.req("L-20", "D-16")
def test_actors_may_be_replayed_one_by_one(told: Harness) -> None:
    """Replay is per actor: the order in which the schedule wrote different actors does not matter (D-20)."""
    entries = told.journal()
    by_actor = sorted(entries, key=lambda entry: (entry.address, entry.seq))
    assert rebuild(WALLET, by_actor).digests() == rebuild(WALLET, entries).digests()


@pytest.mark.req("X-12", "D-17")
@pytest.mark.parametrize("number", [0, 5, 20])
def test_a_changed_entry_of_a_file_is_found(exported: Path, config: Config, number: int) -> None:
    changed(exported, number, at_ms=1)
    with pytest.raises(ChainBroken, match=f"{number + 1}"):
        replay(config, journal_file=exported)


@pytest.mark.req("X-12", "D-17")
@pytest.mark.parametrize("what", ["left out", "moved", "foreign", "re-encoded"])
def test_a_file_that_was_tampered_with_is_found(exported: Path, what: str) -> None:
    lines = exported.read_bytes().splitlines(keepends=True)
    match what:
        case "left out":
            del lines[4]
        case "moved":
            lines[4], lines[5] = lines[5], lines[4]
        case "foreign":
            lines[4] = lines[4].replace(b'"stream":"main"', b'"stream":"other"')
        case _:
            lines[4] = lines[4].replace(b'"payload":"{', b'"payload":"{ ')
    with pytest.raises(ChainBroken):
        list(import_lines(lines))


@pytest.mark.req("X-12", "D-17", "L-20")
@pytest.mark.parametrize("column", ["payload", "at_ms", "version", "address"])
def test_a_changed_entry_of_the_database_is_found(told: Harness, config: Config, column: str) -> None:
    """Whoever edits the journal behind the service's back breaks its chain, at the entry and no later."""
    value = {
        "payload": "CAST(payload || ' ' AS BLOB)",
        "at_ms": "at_ms + 1",
        "version": "version + 1",
        "address": "'gate:main'",
    }
    sql = f"UPDATE journal SET {column} = {value[column]} WHERE stream = 'main' AND seq = 9"
    spoil(told, sql)
    assert Journal(told.database).verify_chain(WALLET).broken_at == 9
    if column != "address":
        assert replay(config)["chain_broken_at"] == 9


@pytest.mark.req("X-12", "D-17")
def test_entries_cut_off_at_the_end_are_noticed(told: Harness) -> None:
    count = len(told.journal())
    sql = f"DELETE FROM journal WHERE stream = 'main' AND seq > {count - 2}"
    spoil(told, sql)
    assert Journal(told.database).verify_chain(WALLET).broken_at == count - 1


@pytest.mark.req("L-20")
def test_an_entry_for_an_unknown_actor_ends_the_replay_with_its_number(told: Harness) -> None:
    entry = msgspec.structs.replace(told.journal()[0], address="oracle:main")
    with pytest.raises(ReplayFailed, match="entry 1 of main is for oracle:main"):
        rebuild(WALLET, [entry])


@pytest.mark.req("L-20")
def test_an_empty_journal_is_an_empty_wallet() -> None:
    books = rebuild(WALLET, [])
    assert (books.entries, books.interrupted, books.recovery()) == (0, None, ())
    assert state_digest(Rebuilt(WALLET).stored()) == state_digest(keyed({kind: [] for kind in TABLES}))


def test_a_rebuild_leaves_the_collector_of_garbage_as_it_was(told: Harness) -> None:
    """It goes without while it lasts, also where it fails."""
    entries = told.journal()
    seen: set[bool] = set()

    def watched() -> Iterator[JournalEntry]:
        for entry in entries:
            seen.add(gc.isenabled())
            yield entry

    rebuild(WALLET, watched())
    assert (seen, gc.isenabled()) == ({False}, True)
    with pytest.raises(ReplayFailed):
        rebuild(WALLET, [msgspec.structs.replace(entries[0], address="oracle:main")])
    assert gc.isenabled()
    gc.disable()
    try:
        rebuild(WALLET, entries)
        assert not gc.isenabled()
    finally:
        gc.enable()
