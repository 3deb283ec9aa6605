"""Whether snapshots are what the journal gives: at their entries (``verify``), and with their tails (``replay``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from messages.ledger import JournalEntry
from service.config import Config
from service.errors import ServiceError
from service.one_wallet import the_wallet
from service.replay import Books, digest_of, uncollected
from service.replaying import Record, Watch, nobody, replay
from service.snapshots import Unusable, restored
from storage.database import Database, open_readonly
from storage.journal import Journal
from storage.snapshots import Snapshot, Snapshots

NEWEST = "newest"
ALL = "all"


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """One snapshot. ``sound`` None: it could not be compared. ``detail`` says what is wrong, or why it was not."""

    seq: int
    at_ms: int
    digest: str
    sound: bool | None
    detail: str = ""


class SnapshotCheck:
    """Looks at each stored snapshot when a walk through the journal comes to its entry."""

    def __init__(self, database: Database, name: str) -> None:
        """Those that are stored now."""
        self._database = database
        self._waiting = {snapshot.seq: snapshot for snapshot in Snapshots(database).all(name)}
        self.found: list[Checked] = []

    def take(self, entry: JournalEntry, books: Books) -> None:
        """``books`` are as they stand behind ``entry``."""
        snapshot = self._waiting.pop(entry.seq, None)
        if snapshot is not None:
            self.found.append(_checked(self._database, snapshot, books))

    def close(self) -> None:
        """The walk is over; what it did not come to stays unproven."""
        for snapshot in self._waiting.values():
            self.found.append(_shown(snapshot, None, "no sound entry of the journal was there to compare it with"))
        self.found.sort(key=lambda one: one.seq)


def _checked(database: Database, snapshot: Snapshot, books: Books) -> Checked:
    try:
        held = restored(database, snapshot.stream, snapshot.seq)
    except Unusable as error:
        return _shown(snapshot, False if error.damaged else None, str(error))
    differing = differing_actors(held, books)
    return _shown(snapshot, not differing, _other_states("the journal", differing))


def _other_states(of: str, differing: Sequence[str]) -> str:
    return f"{of} gives another state of {', '.join(differing)}" if differing else ""


def _shown(snapshot: Snapshot, sound: bool | None, detail: str) -> Checked:  # noqa: FBT001 - a finding, not a mode
    return Checked(seq=snapshot.seq, at_ms=snapshot.at_ms, digest=snapshot.digest, sound=sound, detail=detail)


def differing_actors(held: Books, given: Books) -> list[str]:
    """Addresses whose states are not the same in both; ``span`` for what belongs to no actor alone."""
    found = _differing(held.digests(), given.digests())
    return found if held.span == given.span else [*found, "span"]


def _differing(mine: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    return sorted(address for address in mine.keys() | theirs.keys() if mine.get(address) != theirs.get(address))


def replay_from(config: Config, which: str, until: int | None = None, watch: Watch = nobody) -> Record:
    """As ``replay``, and the same from snapshots: ``newest``, ``all``, or the number of one's entry.

    ``snapshots`` has each with the digest that it leads to with the entries behind it, and whether that is the same.
    """
    document = replay(config, until, None, watch)
    name = the_wallet(config).name
    database = open_readonly(config.storage_url)
    try:
        found = [_led(database, one, document) for one in _chosen(database, name, which, document["entries"])]
    finally:
        database.close()
    return {**document, "snapshots": found}


def _chosen(database: Database, name: str, which: str, end_seq: int) -> list[Snapshot]:
    stored = [snapshot for snapshot in Snapshots(database).all(name) if snapshot.seq <= end_seq]
    if which in {NEWEST, ALL}:
        return stored[:1] if which == NEWEST else stored[::-1]
    chosen = [snapshot for snapshot in stored if str(snapshot.seq) == which]
    if not chosen:
        there = ", ".join(str(snapshot.seq) for snapshot in stored) or "none"
        raise ServiceError(f"there is no snapshot of entry {which}; there are: {there}")
    return chosen


def _led(database: Database, snapshot: Snapshot, document: Record) -> dict[str, Any]:
    """Where a snapshot leads with the entries behind it, against where the whole journal led."""
    about = {"seq": snapshot.seq, "at_ms": snapshot.at_ms, "digest": snapshot.digest}
    tail = document["entries"] - snapshot.seq
    try:
        books = restored(database, snapshot.stream, snapshot.seq)
    except Unusable as error:
        equal = False if error.damaged else None
        return {**about, "entries": tail, "state_digest": None, "equal": equal, "detail": str(error)}
    with uncollected():
        for entry in Journal(database).read(snapshot.stream, after_seq=snapshot.seq, limit=tail):
            books.apply(entry)
    states = books.digests()
    differing = _differing(states, document["states"])
    return {
        **about,
        "entries": tail,
        "state_digest": digest_of(states),
        "equal": not differing,
        "detail": _other_states("the whole journal", differing),
    }
