"""``diff``: what changed between two entries of a journal, per market, and by which entries (L-20, X-04).

``changes`` is the form in which any two points are compared; ``what_if`` compares in it a journal without some entries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from messages.addresses import market_of
from messages.ledger import JournalEntry
from portfolio.gate import GateState
from portfolio.outcomes import AdjustmentRow, CursorRow, FillRow, OrderRow, PositionRow, StrategyRow
from service.config import Config
from service.errors import ServiceError
from service.rebuilt import EntryRef, Key, Kind, Rebuilt, key_of
from service.replay import uncollected
from service.replaying import Record, Watch, cash_of, journal_entries, nobody, record, titles
from storage.stored import TABLES

OF_MARKET: tuple[Kind, ...] = (PositionRow, OrderRow, FillRow, AdjustmentRow)
"""Rows that are told of under their market."""

TOUCHED = frozenset({"version", "updated_at_ms"})
"""Columns that say no more than that an entry touched the row."""

_EARNED = ("cost_basis_micro", "realized_pnl_micro", "fees_micro")


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """What stood after an entry, None before the first."""

    last: EntryRef | None
    rows: Mapping[Kind, Mapping[Key, Any]]
    cash: Record
    gate: GateState
    halted: Mapping[str, str]
    cycles: int


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """Two points, and the entries that make the difference: ``writers`` are their numbers by the rows they wrote."""

    before: Point
    after: Point
    entries: Sequence[EntryRef]
    writers: Mapping[tuple[Kind, Key], Sequence[int]]
    titles: Mapping[str, str]


def point_of(rebuilt: Rebuilt) -> Point:
    """What stands now, whatever is applied later."""
    books = rebuilt.books
    return Point(
        last=rebuilt.last,
        rows=rebuilt.snapshot(),
        cash=cash_of(rebuilt),
        gate=books.gate,
        halted={state.market_id: state.halted for state in books.markets.values()},
        cycles=books.wallet.cycles,
    )


def ref_of(entry: JournalEntry) -> EntryRef:
    """Which entry it is."""
    return EntryRef(seq=entry.seq, kind=entry.kind, address=entry.address, at_ms=entry.at_ms)


class _Between:
    """Replays a journal and notes what is written after the first of two entries."""

    def __init__(self, name: str, first_seq: int) -> None:
        self.rebuilt = Rebuilt(name)
        self.entries: list[EntryRef] = []
        self.writers: dict[tuple[Kind, Key], list[int]] = {}
        """Numbers of the entries that wrote each row."""
        self._first_seq = first_seq
        self._before: Point | None = None

    def take(self, entry: JournalEntry) -> None:
        """One entry, in order."""
        if entry.seq > self._first_seq and self._before is None:
            self._before = point_of(self.rebuilt)
        rows = self.rebuilt.apply(entry)
        if self._before is None:
            return
        self.entries.append(ref_of(entry))
        for row in rows:
            if type(row) in TABLES:
                self.writers.setdefault((type(row), key_of(row)), []).append(entry.seq)

    def compared(self) -> Compared:
        """What stood at both ends, and what led from one to the other."""
        after = point_of(self.rebuilt)
        return Compared(
            before=self._before or after,
            after=after,
            entries=self.entries,
            writers=self.writers,
            titles=titles(self.rebuilt),
        )


def diff(
    config: Config, first_seq: int, last_seq: int, journal_file: Path | None = None, watch: Watch = nobody
) -> dict[str, Any]:
    """What the entries after ``first_seq`` up to ``last_seq`` changed; 0 is before the first entry.

    Raises:
        ServiceError: the journal ends before ``last_seq``.
    """
    with journal_entries(config, journal_file) as (name, entries), uncollected():
        between = _Between(name, first_seq)
        for entry in entries:
            if entry.seq > last_seq:
                break
            between.take(entry)
            watch(entry.seq)
    last = between.rebuilt.last
    if last_seq > (last.seq if last is not None else 0):
        raise ServiceError(f"the journal ends at entry {last.seq if last is not None else 0}, before {last_seq}")
    compared = between.compared()
    return {
        "wallet": name,
        "from": when(compared.before),
        "to": when(compared.after),
        "entries": len(between.entries),
        **changes(compared),
        "other_entries": [msgspec.to_builtins(ref) for ref in between.entries if not market_of(ref.address)],
    }


def when(point: Point) -> Record:
    """Number and time of the point's last entry."""
    return {"seq": point.last.seq if point.last else 0, "at_ms": point.last.at_ms if point.last else None}


def changes(compared: Compared) -> Record:
    """What is not the same at both points: by market, of cash, gate and cursors, and how many cycles lie between."""
    before, after = compared.before, compared.after
    return {
        "markets": list(_markets(compared)),
        "cash": changed_fields(before.cash, after.cash),
        "gate": {
            **changed_fields(_gate_shown(before.gate), _gate_shown(after.gate)),
            "rows": list(_changes(compared, StrategyRow)),
        },
        "cycles": after.cycles - before.cycles,
        "cursors": list(_changes(compared, CursorRow)),
    }


def _markets(compared: Compared) -> Iterator[Record]:
    """Every market that an entry went to, by its first one."""
    before, after = compared.before, compared.after
    rows = {kind: list(_changes(compared, kind)) for kind in OF_MARKET}
    for market_id in dict.fromkeys(market_of(ref.address) for ref in compared.entries):
        if not market_id:
            continue
        halted = {"halted": before.halted.get(market_id, "")}, {"halted": after.halted.get(market_id, "")}
        yield {
            "market_id": market_id,
            "title": compared.titles.get(market_id, ""),
            "entries": [msgspec.to_builtins(ref) for ref in compared.entries if market_of(ref.address) == market_id],
            **{
                TABLES[kind].name: [row for row in found if row["market_id"] == market_id]
                for kind, found in rows.items()
            },
            "pnl": changed_fields(_earned(before, market_id), _earned(after, market_id)),
            **changed_fields(*halted),
        }


def _earned(point: Point, market_id: str) -> Record:
    held = [row for row in point.rows[PositionRow].values() if row.market_id == market_id]
    return {name: sum(getattr(row, name) for row in held) for name in _EARNED}


def _changes(compared: Compared, kind: Kind) -> Iterator[Record]:
    """Rows that are not as they were, each with the numbers of the entries that did it."""
    for (written, key), seqs in compared.writers.items():
        if written is not kind:
            continue
        pair = (compared.before.rows[kind].get(key), compared.after.rows[kind].get(key))
        was, now = (None if row is None else record(row) for row in pair)
        found = changed_row(dict(zip(TABLES[kind].key, key, strict=True)), was, now)
        if found is not None:
            yield {**found, "entries": list(dict.fromkeys(seqs))}


def changed_row(key: Record, was: Record | None, now: Record | None) -> Record | None:
    """A row that is new, gone, or not as it was, else None; ``changed`` is empty where one side has no such row."""
    row = now if now is not None else was
    changed = {} if was is None or now is None else changed_fields(was, now)
    if row is None or (was is not None and now is not None and not changed):
        return None
    return {
        "key": key,
        "market_id": row.get("market_id", ""),
        "new": was is None,
        "gone": now is None,
        "changed": changed,
        "row": row,
    }


def changed_fields(was: Record, now: Record) -> Record:
    """Field → [before, after] of what differs."""
    return {name: [was[name], now[name]] for name in now if name not in TOUCHED and was[name] != now[name]}


def _gate_shown(gate: GateState) -> Record:
    return {
        "kill_switch": gate.kill_switch,
        "auto_pause": gate.auto_pause,
        "paused": {name: pause.reason for name, pause in sorted(gate.paused.items())},
        "suppressed": sorted(gate.suppressed),
        "strategies": {name: list(markets) for name, markets in gate.strategies},
    }
