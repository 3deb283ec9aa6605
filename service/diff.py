"""``diff``: what changed between two entries of a journal, per market, and by which entries (L-20, X-04)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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

_TOUCHED = frozenset({"version", "updated_at_ms"})
"""Columns that say no more than that an entry touched the row."""

_EARNED = ("cost_basis_micro", "realized_pnl_micro", "fees_micro")


class _Point(msgspec.Struct, frozen=True, kw_only=True):
    """What stood after an entry, None before the first."""

    last: EntryRef | None
    rows: Mapping[Kind, Mapping[Key, Any]]
    cash: Record
    gate: GateState
    halted: Mapping[str, str]
    cycles: int


def _point(rebuilt: Rebuilt) -> _Point:
    books = rebuilt.books
    return _Point(
        last=rebuilt.last,
        rows=rebuilt.snapshot(),
        cash=cash_of(rebuilt),
        gate=books.gate,
        halted={state.market_id: state.halted for state in books.markets.values()},
        cycles=books.wallet.cycles,
    )


class _Between:
    """Replays a journal and notes what is written after the first of two entries."""

    def __init__(self, name: str, first_seq: int) -> None:
        self.rebuilt = Rebuilt(name)
        self.entries: list[EntryRef] = []
        self.writers: dict[tuple[Kind, Key], list[int]] = {}
        """Numbers of the entries that wrote each row."""
        self._first_seq = first_seq
        self._before: _Point | None = None

    def take(self, entry: JournalEntry) -> None:
        """One entry, in order."""
        if entry.seq > self._first_seq and self._before is None:
            self._before = _point(self.rebuilt)
        rows = self.rebuilt.apply(entry)
        if self._before is None:
            return
        self.entries.append(EntryRef(seq=entry.seq, kind=entry.kind, address=entry.address, at_ms=entry.at_ms))
        for row in rows:
            if type(row) in TABLES:
                self.writers.setdefault((type(row), key_of(row)), []).append(entry.seq)

    def points(self) -> tuple[_Point, _Point]:
        """What stood at both ends."""
        after = _point(self.rebuilt)
        return self._before or after, after


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
    return {"wallet": name, **_document(between)}


def _document(between: _Between) -> Record:
    before, after = between.points()
    return {
        "from": _when(before),
        "to": _when(after),
        "entries": len(between.entries),
        "markets": list(_markets(between, before, after)),
        "cash": _changed(before.cash, after.cash),
        "gate": {**_gate(before.gate, after.gate), "rows": list(_changes(between, before, after, StrategyRow))},
        "cycles": after.cycles - before.cycles,
        "cursors": list(_changes(between, before, after, CursorRow)),
        "other_entries": [msgspec.to_builtins(ref) for ref in between.entries if not market_of(ref.address)],
    }


def _when(point: _Point) -> Record:
    return {"seq": point.last.seq if point.last else 0, "at_ms": point.last.at_ms if point.last else None}


def _markets(between: _Between, before: _Point, after: _Point) -> Iterator[Record]:
    """Every market that an entry went to, by its first one."""
    named = titles(between.rebuilt)
    changes = {kind: list(_changes(between, before, after, kind)) for kind in OF_MARKET}
    for market_id in dict.fromkeys(market_of(ref.address) for ref in between.entries):
        if not market_id:
            continue
        halted = {"halted": before.halted.get(market_id, "")}, {"halted": after.halted.get(market_id, "")}
        yield {
            "market_id": market_id,
            "title": named.get(market_id, ""),
            "entries": [msgspec.to_builtins(ref) for ref in between.entries if market_of(ref.address) == market_id],
            **{
                TABLES[kind].name: [row for row in found if row["market_id"] == market_id]
                for kind, found in changes.items()
            },
            "pnl": _changed(_earned(before, market_id), _earned(after, market_id)),
            **_changed(*halted),
        }


def _earned(point: _Point, market_id: str) -> Record:
    held = [row for row in point.rows[PositionRow].values() if row.market_id == market_id]
    return {name: sum(getattr(row, name) for row in held) for name in _EARNED}


def _changes(between: _Between, before: _Point, after: _Point, kind: Kind) -> Iterator[Record]:
    """Rows that are new or not as they were; ``changed`` has what was and what is, for a new row it is empty."""
    for (written, key), seqs in between.writers.items():
        if written is not kind:
            continue
        was, now = before.rows[kind].get(key), record(after.rows[kind][key])
        changed = {} if was is None else _changed(record(was), now)
        if was is None or changed:
            yield {
                "key": dict(zip(TABLES[kind].key, key, strict=True)),
                "market_id": now.get("market_id", ""),
                "new": was is None,
                "changed": changed,
                "row": now,
                "entries": list(dict.fromkeys(seqs)),
            }


def _changed(was: Record, now: Record) -> Record:
    """Field → [before, after] of what differs."""
    return {name: [was[name], now[name]] for name in now if name not in _TOUCHED and was[name] != now[name]}


def _gate(was: GateState, now: GateState) -> Record:
    return _changed(_gate_shown(was), _gate_shown(now))


def _gate_shown(gate: GateState) -> Record:
    return {
        "kill_switch": gate.kill_switch,
        "auto_pause": gate.auto_pause,
        "paused": {name: pause.reason for name, pause in sorted(gate.paused.items())},
        "suppressed": sorted(gate.suppressed),
        "strategies": {name: list(markets) for name, markets in gate.strategies},
    }
