"""A journal that was changed behind its writer's back: found, and located to the entry and what of it (X-12, D-17)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from messages.codec import SCHEMA, encode, kind_of_event
from messages.ledger import Decision, JournalEntry, entry_hash
from portfolio.events import CursorAdvanced, Event, KillSwitchSet, MarketResumed
from storage.damage import DAMAGES_MAX, ChainCheck, Damage, Part, check_chain
from storage.database import open_database, open_readonly
from storage.lease import Leases
from storage.ledger import Ledger
from tests.support.system import WALLET, Harness

pytestmark = pytest.mark.req("X-12", "D-17")

AT_MS = 1_746_792_000_000
EVENTS: tuple[tuple[str, Event], ...] = (
    ("ingest:main", CursorAdvanced(source="clob.trades", value="1746792000")),
    ("gate:main", KillSwitchSet(active=True, operator="ada", reason="tés")),
    ("market:main/0xa", MarketResumed(operator="ada", reason="")),
    ("gate:main", KillSwitchSet(active=False, operator="bob", reason="")),
)
TEXTS = ("stream", "address", "kind", "previous_hash", "hash")
INTEGERS = ("seq", "schema", "version", "at_ms")
COLUMNS = (*TEXTS, *INTEGERS, "payload")
LINKS = {"previous_hash", "hash"}
ADDED = """
INSERT INTO journal SELECT stream, 5, address, kind, schema, version, at_ms, payload, hash, hash FROM journal
WHERE seq = 4
"""


def part_of(column: str) -> Part:
    if column == "payload":
        return Part.PAYLOAD
    return Part.LINK if column in LINKS else Part.HEADER


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database whose journal has a few small entries."""
    made = tmp_path / "books.db"
    database = open_database(f"sqlite:///{made}", owner="test", now_ms=AT_MS)
    ledger = Ledger(database)
    ledger.hold(Leases(database).acquire(WALLET, "test", AT_MS))
    ledger.commit(
        [
            Decision(
                stream=WALLET,
                address=address,
                kind=kind_of_event(event),
                schema=SCHEMA,
                version=number + 300,
                at_ms=AT_MS + number,
                payload=encode(event),
            )
            for number, (address, event) in enumerate(EVENTS)
        ]
    )
    database.close()
    return made


def checked(file: Path, each: Callable[[JournalEntry], None] = lambda _entry: None) -> ChainCheck:
    database = open_readonly(f"sqlite:///{file}")
    try:
        return check_chain(database, WALLET, each)
    finally:
        database.close()


@contextmanager
def forger(file: Path) -> Iterator[sqlite3.Connection]:
    """Someone with the file and without the service; nothing of it has to survive a power cut."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        yield connection


def stored(column: str, value: Any) -> bytes:
    """The bytes that SQLite keeps of a value: of an integer as few as hold it."""
    if column not in INTEGERS:
        return bytes(value)
    width = next(width for width in (1, 2, 3, 4, 6, 8) if -(1 << 8 * width - 1) <= value < 1 << 8 * width - 1)
    return int(value).to_bytes(width, "big", signed=True)


def with_byte(column: str, value: Any, place: int, mask: int) -> tuple[str, Any]:
    """SQL for the new value, and its parameter."""
    content = stored(column, value)
    content = content[:place] + bytes([content[place] ^ mask]) + content[place + 1 :]
    if column in INTEGERS:
        return "?", int.from_bytes(content, "big", signed=True)
    return ("CAST(? AS TEXT)" if column in TEXTS else "?"), content


def values(connection: sqlite3.Connection, column: str) -> list[tuple[int, Any]]:
    """(number, value) of every entry; texts as bytes."""
    shown = f"CAST({column} AS BLOB)" if column in TEXTS else column
    return connection.execute(f"SELECT seq, {shown} FROM journal ORDER BY seq").fetchall()


def flips(connection: sqlite3.Connection, column: str, mask_of: Callable[[int], int]) -> Iterator[tuple[int, int]]:
    """(entry, place) of each byte of a column, changed while the caller looks and put right again behind."""
    for seq, value in values(connection, column):
        for place in range(len(stored(column, value))):
            marks, changed = with_byte(column, value, place, mask_of(place))
            found = connection.execute("SELECT rowid FROM journal WHERE seq = ?", (seq,)).fetchone()
            connection.execute(f"UPDATE journal SET {column} = {marks} WHERE rowid = ?", (changed, *found))
            yield seq, place
            marks, same = with_byte(column, value, place, 0)
            connection.execute(f"UPDATE journal SET {column} = {marks} WHERE rowid = ?", (same, *found))


@pytest.mark.parametrize("column", COLUMNS)
def test_every_byte_of_a_stored_journal_that_is_flipped_is_located(file: Path, column: str) -> None:
    """Each byte of each entry in turn: the entry, the part, the column, and nothing else."""
    assert checked(file).damages == ()
    tried = 0
    with forger(file) as connection:
        for seq, place in flips(connection, column, lambda place: 1 << (3 + place) % 8):
            found = [(damage.seq, damage.part, damage.field) for damage in checked(file).damages]
            assert found == [(seq, part_of(column), column)], f"entry {seq}, byte {place}"
            tried += 1
    assert tried >= len(EVENTS)
    assert checked(file).damages == ()


@pytest.mark.parametrize("column", ["address", "kind", "payload", "at_ms"])
def test_any_other_byte_in_its_place_is_located_too(file: Path, column: str) -> None:
    with forger(file) as connection:
        for seq, place in flips(connection, column, lambda place: 255 - place % 200):
            if place % 11 == 0:
                found = [(damage.seq, damage.part, damage.field) for damage in checked(file).damages]
                assert found == [(seq, part_of(column), column)], f"entry {seq}, byte {place}"


def test_a_flipped_byte_in_the_payloads_of_a_whole_story_is_located(told: Harness) -> None:
    """Long payloads too, of every kind of event: each at a few places, single bits."""
    url = told.url.removeprefix("sqlite:///")
    with forger(Path(url)) as connection:
        for seq, payload in values(connection, "payload"):
            for place in range(seq % 97, len(payload), 997):
                _, changed = with_byte("payload", payload, place, 1 << seq % 8)
                connection.execute("UPDATE journal SET payload = ? WHERE seq = ?", (changed, seq))
                (found,) = check_chain(told.database, WALLET, lambda _entry: None).damages
                assert (found.seq, found.part) == (seq, Part.PAYLOAD)
                assert found.detail.startswith(f"byte {place} of its payload should be")
            connection.execute("UPDATE journal SET payload = ? WHERE seq = ?", (payload, seq))


# -- more than a byte -----------------------------------------------------------------------------------------------


def damages(file: Path, *statements: str) -> list[Damage]:
    with forger(file) as connection:
        for statement in statements:
            connection.execute(statement)
    return list(checked(file).damages)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE journal SET payload = CAST('{}' AS BLOB) WHERE seq = 2", (2, Part.CONTENT, "")),
        ("UPDATE journal SET payload = CAST('{}' AS BLOB), at_ms = 1 WHERE seq = 4", (4, Part.CONTENT, "")),
        ("UPDATE journal SET hash = previous_hash WHERE seq = 3", (3, Part.LINK, "hash")),
        ("UPDATE journal SET seq = 70 WHERE seq = 2", (2, Part.HEADER, "seq")),
        ("UPDATE journal SET seq = -2 WHERE seq = 4", (4, Part.HEADER, "seq")),
        ("UPDATE journal SET stream = 'other' WHERE seq = 1", (1, Part.HEADER, "stream")),
        ("DELETE FROM journal WHERE seq = 1", (1, Part.MISSING, "")),
        ("DELETE FROM journal WHERE seq IN (2, 3)", (2, Part.MISSING, "")),
        ("DELETE FROM journal WHERE seq >= 3", (3, Part.MISSING, "")),
        ("UPDATE leases SET head_hash = 'x'", (4, Part.HEAD, "head_hash")),
        ("UPDATE leases SET head_seq = 6", (5, Part.MISSING, "")),
        (ADDED, (5, Part.HEAD, "head_seq")),
    ],
)
def test_what_was_done_to_an_entry_is_said(file: Path, statement: str, expected: tuple[int, Part, str]) -> None:
    (found,) = damages(file, statement)
    assert (found.seq, found.part, found.field) == expected
    assert found.detail


def test_content_and_link_changed_together_are_said_so(file: Path) -> None:
    (found,) = damages(file, "UPDATE journal SET at_ms = 1, previous_hash = 'x', hash = 'y' WHERE seq = 2")
    assert (found.seq, found.part) == (2, Part.CONTENT)
    assert found.detail == "content and link were changed"


def test_an_entry_that_was_replaced_with_its_hash_is_found_by_the_next(file: Path) -> None:
    """Who forges an entry and hashes it anew must forge all that follow, and the lease's head."""
    database = open_readonly(f"sqlite:///{file}")
    entries: list[JournalEntry] = []
    check_chain(database, WALLET, entries.append)
    database.close()
    forged = msgspec.structs.replace(entries[1], at_ms=1)
    with forger(file) as connection:
        connection.execute("UPDATE journal SET at_ms = 1, hash = ? WHERE seq = 2", (entry_hash(forged),))
    (found,) = checked(file).damages
    assert (found.seq, found.part) == (2, Part.LINK)


def test_all_damages_are_listed_and_what_is_before_the_first_is_handed_on(file: Path) -> None:
    damages(
        file, "UPDATE journal SET at_ms = at_ms + 1 WHERE seq IN (2, 4)", "UPDATE journal SET hash = '' WHERE seq = 3"
    )
    sound: list[int] = []
    check = checked(file, lambda entry: sound.append(entry.seq))
    assert [(damage.seq, damage.part) for damage in check.damages] == [
        (2, Part.HEADER),
        (3, Part.LINK),
        (4, Part.HEADER),
    ]
    assert sound == [1]
    assert check.complete


def test_a_journal_that_is_all_damage_ends_the_walk(told: Harness) -> None:
    told.database.write(lambda transaction: transaction.execute("UPDATE journal SET at_ms = at_ms + 1"))
    check = check_chain(told.database, WALLET, lambda _entry: None)
    assert (len(check.damages), check.complete) == (DAMAGES_MAX, False)


def test_a_stream_that_nobody_wrote_is_sound(file: Path) -> None:
    database = open_readonly(f"sqlite:///{file}")
    try:
        check = check_chain(database, "nobody", lambda _entry: None)
    finally:
        database.close()
    assert (check.entries, check.damages) == (0, ())
