"""``replay --without``: what the books would be had some entries never been (L-20, D-20).

The journal is replayed twice at once, as it is and without those entries, and compared in the form of ``diff``: before
is as it is, after is without. What the service decided on other books is not decided anew: the entries that remain are
those that there are. Where one of them then breaks a rule, the service would have halted, and that is told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from msgspec.structs import replace

from messages.addresses import kind_of, market_of
from messages.codec import SCHEMA, encode, kind_of_event
from messages.ledger import JournalEntry
from portfolio.events import EventRejected
from portfolio.outcomes import IssueRow, Outcome
from portfolio.reasons import IssueType
from service.config import Config
from service.diff import OF_MARKET, Compared, changed_fields, changes, point_of, ref_of, when
from service.errors import ServiceError
from service.rebuilt import EntryRef, Key, Kind, Rebuilt, key_of
from service.replay import ReplayFailed, uncollected
from service.replaying import Record, Watch, journal_entries, nobody, record, titles
from storage.stored import TABLES

_BREAKS = frozenset({IssueType.INVARIANT_BREACH.value, IssueType.REJECTED_MESSAGE.value})
_HALTED = "halted"

_Rows: TypeAlias = dict[tuple[Kind, Key], Outcome]


class Break(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that can only be applied after those that were left out; ``text`` says what it then does."""

    entry: EntryRef
    market_id: str
    text: str


class _Without:
    """Replays a journal as it is and without some entries, and notes where the two part."""

    def __init__(self, name: str, left_out: Collection[int]) -> None:
        self.as_is = Rebuilt(name)
        self.first: EntryRef | None = None
        self.left_out: list[EntryRef] = []
        self.breaks: list[Break] = []
        self.idle: list[EntryRef] = []
        """Entries that wrote rows, and then write none."""
        self._rebuilt = Rebuilt(name)
        self._seqs = left_out
        self._entries: list[EntryRef] = []
        self._writers: dict[tuple[Kind, Key], list[int]] = {}

    def take(self, entry: JournalEntry) -> None:
        """One entry, in order. Raises ReplayFailed where the journal itself cannot be replayed."""
        given = self.as_is.apply(entry)
        self.first = self.first or self.as_is.last
        if entry.seq in self._seqs:
            self.left_out.append(ref_of(entry))
            self._note(entry, given, ())
            return
        made = self._applied(entry)
        if made != given:
            self.breaks += _breaks(entry, given, made)
            if given and not made:
                self.idle.append(ref_of(entry))
            self._note(entry, given, made)

    def compared(self) -> Compared:
        """The books as they are, and as they would be."""
        return Compared(
            before=point_of(self.as_is),
            after=point_of(self._rebuilt),
            entries=self._entries,
            writers=self._writers,
            titles=titles(self.as_is),
        )

    def _applied(self, entry: JournalEntry) -> tuple[Outcome, ...]:
        """Apply to the other books; a market where that raises rejects the event and halts, as it would have (D-19)."""
        try:
            return self._rebuilt.apply(entry)
        except ReplayFailed:
            raise
        except Exception as error:
            if kind_of(entry.address) != "market":
                raise
            event = EventRejected(kind=entry.kind, detail=f"{type(error).__name__}: {error}")
            rejected = {"kind": kind_of_event(event), "schema": SCHEMA, "payload": encode(event)}
            return self._rebuilt.apply(replace(entry, **rejected))

    def _note(self, entry: JournalEntry, given: Iterable[Outcome], made: Iterable[Outcome]) -> None:
        """Remember the entry, and the rows that it writes otherwise."""
        were, are = _by_key(given), _by_key(made)
        parted = [place for place in {**were, **are} if not _same(were.get(place), are.get(place))]
        for place in parted:
            self._writers.setdefault(place, []).append(entry.seq)
        if parted or entry.seq in self._seqs:
            self._entries.append(ref_of(entry))


def _by_key(rows: Iterable[Outcome]) -> _Rows:
    return {(type(row), key_of(row)): row for row in rows if type(row) in TABLES}


def _same(was: Outcome | None, now: Outcome | None) -> bool:
    """Whether both write the same, but for how often the row was touched."""
    if was is None or now is None:
        return False
    return was == now or not changed_fields(record(was), record(now))


def _breaks(entry: JournalEntry, given: Iterable[Outcome], made: Iterable[Outcome]) -> Iterator[Break]:
    """The rules that break only without the entries that were left out."""
    known = {_rule(row) for row in given if isinstance(row, IssueRow)}
    for row in made:
        if isinstance(row, IssueRow) and row.type in _BREAKS and _rule(row) not in known:
            yield Break(entry=ref_of(entry), market_id=market_of(entry.address), text=_told(row))


def _rule(row: IssueRow) -> tuple[str, str, str]:
    return (row.type, row.subject, row.cause)


def _told(row: IssueRow) -> str:
    if row.type == IssueType.REJECTED_MESSAGE.value:
        return f"halts the market: {row.cause}"
    if row.after == _HALTED:
        return f"breaks {row.cause}, which halts the market"
    return f"breaks {row.cause}; {row.subject}: expected {row.before}, was {row.after}"


def without(
    config: Config,
    left_out: Collection[int],
    until: int | None = None,
    journal_file: Path | None = None,
    watch: Watch = nobody,
) -> dict[str, Any]:
    """What would not be as it is, had the entries with these numbers never been.

    Raises:
        ServiceError: the journal, or its part up to ``until``, has no such entry.
    """
    with journal_entries(config, journal_file) as (name, entries), uncollected():
        replays = _Without(name, frozenset(left_out))
        for entry in entries:
            if until is not None and entry.seq > until:
                break
            replays.take(entry)
            watch(entry.seq)
    _require_all(left_out, replays)
    compared = replays.compared()
    found = changes(compared)
    return {
        "wallet": name,
        "without": [msgspec.to_builtins(ref) for ref in replays.left_out],
        "to": when(compared.before),
        "entries": replays.as_is.books.entries,
        "breaks": [msgspec.to_builtins(one) for one in replays.breaks],
        "without_effect": [msgspec.to_builtins(ref) for ref in replays.idle],
        **found,
        "markets": [market for market in found["markets"] if _differs(market)],
    }


def _require_all(wanted: Collection[int], replays: _Without) -> None:
    missing = sorted(set(wanted) - {ref.seq for ref in replays.left_out})
    if not missing:
        return
    first, last = replays.first, replays.as_is.last
    there = f"it has entries {first.seq} to {last.seq}" if first and last else "it has none"
    raise ServiceError(f"the journal has no entry {', '.join(map(str, missing))}: {there}")


def _differs(market: Record) -> bool:
    tables = (market[TABLES[kind].name] for kind in OF_MARKET)
    return any(tables) or bool(market["pnl"]) or "halted" in market
