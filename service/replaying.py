"""What ``replay`` shows: whether the journal gives the stored state, and the state at an earlier entry (L-20, D-20)."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from messages.ledger import JournalEntry
from portfolio.images import image_of
from portfolio.outcomes import AdjustmentRow, FillRow, MarketRow, OrderRow, PositionRow
from portfolio.units import format_micro
from service.config import Config
from service.errors import ServiceError
from service.one_wallet import the_wallet
from service.rebuilt import Difference, Rebuilt, differences, digests, keyed, state_digest
from service.replay import digest_of, uncollected
from storage.database import open_readonly
from storage.journal import Journal, import_lines
from storage.stored import TABLES, as_stored, stored_state

DIFFERENCES_MAX = 100
"""Differences that are listed; all are counted."""

_EARNED = ("cost_basis_micro", "realized_pnl_micro", "fees_micro")

Record: TypeAlias = dict[str, Any]
Watch: TypeAlias = Callable[[int], None]
"""Is told the number of each entry that was replayed."""


def nobody(seq: int) -> None:
    """Watches nothing."""
    del seq


def replay(
    config: Config, until: int | None = None, journal_file: Path | None = None, watch: Watch = nobody
) -> dict[str, Any]:
    """Rebuild from the database's journal, or from an exported file, and compare with the stored state.

    ``stored_digest`` is None where there is nothing to compare with: part of a journal, or a file without database.
    The state then stands in ``state`` instead.
    """
    if journal_file is not None or until is not None:
        with journal_entries(config, journal_file) as (name, entries):
            rebuilt = replayed(name, entries, until, watch)
        broken_at = None if journal_file is not None else _broken_at(config)
        alone = (state_digest(rebuilt.stored()), None)
        return {**_document(rebuilt, alone, broken_at), "state": state_at(rebuilt)}
    database = open_readonly(config.storage_url)
    try:
        name = the_wallet(config).name
        stored = stored_state(database, name)
        # What a running process adds meanwhile is in neither.
        rebuilt = replayed(name, Journal(database).read(name), stored.head_seq, watch)
    finally:
        database.close()
    kept = keyed(stored.rows)
    document = _document(rebuilt, digests(rebuilt.stored(), kept), _broken_at(config))
    return {**document, **listed([] if document["equal"] else differences(rebuilt, kept))}


def _broken_at(config: Config) -> int | None:
    database = open_readonly(config.storage_url)
    try:
        return Journal(database).verify_chain(the_wallet(config).name).broken_at
    finally:
        database.close()


@contextlib.contextmanager
def journal_entries(config: Config, file: Path | None) -> Iterator[tuple[str, Iterator[JournalEntry]]]:
    """Name and entries of the configured wallet's journal, or of an exported one, whose chain is checked as it is read.

    An empty file is an empty journal of the configured wallet.
    """
    name = the_wallet(config).name
    if file is None:
        database = open_readonly(config.storage_url)
        try:
            yield name, Journal(database).read(name)
        finally:
            database.close()
        return
    with file.open("rb") as lines:
        entries = import_lines(lines)
        first = next(entries, None)
        if first is None:
            yield name, entries
        else:
            yield first.stream, itertools.chain((first,), entries)


def export(config: Config, file: Path) -> int:
    """Write the wallet's journal as JSON lines, which ``--journal`` reads; returns how many entries there are."""
    database = open_readonly(config.storage_url)
    try:
        with file.open("xb") as lines:
            return sum(1 for line in Journal(database).export_lines(the_wallet(config).name) if lines.write(line))
    except FileExistsError:
        raise ServiceError(f"{file} is there already; name another file") from None
    finally:
        database.close()


def replayed(name: str, entries: Iterable[JournalEntry], until: int | None, watch: Watch = nobody) -> Rebuilt:
    """The books and tables after all entries up to ``until``, None for all."""
    rebuilt = Rebuilt(name)
    with uncollected():
        for entry in entries:
            if until is not None and entry.seq > until:
                break
            rebuilt.apply(entry)
            watch(entry.seq)
    return rebuilt


def _document(rebuilt: Rebuilt, shown: tuple[str, str | None], broken_at: int | None) -> Record:
    (made, stored), states = shown, rebuilt.books.digests()
    return {
        "digest": made,
        "stored_digest": stored,
        "equal": stored is None or made == stored,
        "entries": rebuilt.books.entries,
        "chain_broken_at": broken_at,
        "state_digest": digest_of(states),
        "states": msgspec.to_builtins(states),
    }


def listed(found: list[Difference]) -> Record:
    """The first differences, and how many there are."""
    return {
        "difference_count": len(found),
        "differences": [msgspec.to_builtins(one) for one in found[:DIFFERENCES_MAX]],
    }


def told(difference: Record) -> str:
    """One difference in words: what is where, what it should be, and by which entry."""
    name = " of ".join(difference["key"].values())
    where = f"{difference['table']} {name}"
    if difference["market_id"]:
        where += f" in market {difference['market_id']}"
    entry, field = difference["entry"], difference["field"]
    by = "" if entry is None else f"entry {entry['seq']} ({entry['kind']}, {moment_of(entry['at_ms'])})"
    if field:
        kept, made = (_shown(field, difference[side]) for side in ("stored", "rebuilt"))
        return f"{where}: stored {field} is {kept}, {by} gives {made}"
    if difference["stored"] is None:
        return f"{where}: is not stored, {by} gives it"
    last = f"; the last of its market is {by}" if by else ""
    return f"{where}: is stored, and no entry gives it{last}"


def _shown(field: str, value: Any) -> str:
    return format_micro(value) if field.endswith("_micro") and isinstance(value, int) else repr(value)


def moment_of(at_ms: int) -> str:
    """A time of the journal in UTC, to the millisecond: entries of one second are told apart."""
    at = dt.datetime.fromtimestamp(at_ms // 1000, tz=dt.UTC)
    return f"{at:%Y-%m-%d %H:%M:%S}.{at_ms % 1000:03}Z"


def state_at(rebuilt: Rebuilt) -> Record:
    """What was held, open, earned and paused after the last entry; rows as the read commands have them."""
    books = rebuilt.books
    positions = _by_market(rebuilt.rows(PositionRow))
    held = ("shares_micro", "settled_micro", "in_flight_micro")
    orders = _by_market(row for row in rebuilt.rows(OrderRow) if row.status.live and row.closed_at_ms is None)
    return {
        "seq": rebuilt.last.seq if rebuilt.last is not None else 0,
        "at_ms": rebuilt.last.at_ms if rebuilt.last is not None else None,
        "positions": [row for row in positions if any(row[name] for name in held)],
        "orders": orders,
        "cash": cash_of(rebuilt),
        "pnl": _pnl(positions, titles(rebuilt)),
        "gate": {
            "kill_switch": books.gate.kill_switch,
            "paused": {name: msgspec.to_builtins(pause) for name, pause in sorted(books.gate.paused.items())},
        },
        "halted": {state.market_id: state.halted for state in books.markets.values() if state.halted},
        "fills": sum(1 for _ in rebuilt.rows(FillRow)),
        "adjustments": sum(1 for _ in rebuilt.rows(AdjustmentRow)),
    }


def cash_of(rebuilt: Rebuilt) -> Record:
    """Collateral by the books: capital and what proven entries moved; None before the first reading of it (X-10)."""
    books = rebuilt.books
    capital = books.wallet.capital_micro
    moved = sum(image_of(state).proven_cash_micro for state in books.markets.values())
    return {
        "cash_micro": None if capital is None else capital + moved,
        "capital_micro": capital,
        "unexplained_pending_micro": books.wallet.cash_pending_micro,
        "reconciled_block": books.reconciled_block,
    }


def record(row: Any) -> Record:
    """A row with its column names."""
    return TABLES[type(row)].named(as_stored(row))


def _by_market(rows: Iterable[Any]) -> list[Record]:
    """As the read commands order them; of equal markets by their own keys, as they come."""
    return sorted((record(row) for row in rows), key=lambda row: row["market_id"])


def titles(rebuilt: Rebuilt) -> dict[str, str]:
    """Titles by market; of an event the first of its questions."""
    found: dict[str, list[str]] = {}
    for row in rebuilt.rows(MarketRow):
        found.setdefault(row.market_id, []).append(row.title)
    return {name: some[0] + (f", and {len(some) - 1} more" if len(some) > 1 else "") for name, some in found.items()}


def _pnl(positions: Iterable[Record], titles: dict[str, str]) -> Record:
    """Cost, realised P&L and fees per market and in total; what shares were worth then is not in the journal."""
    markets: dict[str, Record] = {}
    for row in positions:
        name = row["market_id"]
        empty = {"market_id": name, "title": titles.get(name, ""), **dict.fromkeys(_EARNED, 0)}
        sums = markets.setdefault(name, empty)
        for field in _EARNED:
            sums[field] += row[field]
    earned = [row for row in markets.values() if any(row[field] for field in _EARNED)]
    return {"markets": earned, "total": {field: sum(row[field] for row in earned) for field in _EARNED}}
