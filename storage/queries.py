"""What the command line and HTTP read: rows as dictionaries with the interface's field names (S-23).

Every method is one read transaction. Fields beyond the fixed ones are the tables' other columns. Amounts are integers
of 1e-6, times ms UTC; only documents of reports have decimals. A list without ``limit`` is whole (L-29).
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec
import peewee as pw

from messages.ledger import JournalEntry
from portfolio.entries import FillState
from portfolio.facts import OrderStatus
from portfolio.provisional import PROVISIONAL
from storage import documents, tables
from storage.database import Database
from storage.journal import Journal
from storage.queries_market import MarketRows, market_rows

Record: TypeAlias = dict[str, Any]
"""One row: column name → value."""

TRADES_ASKED = 500
"""Trades whose observations are read by one statement."""

LIVE_STATUSES = tuple(status.value for status in OrderStatus if status.live)
"""Statuses of orders that can still be filled."""


class ReportKind(enum.StrEnum):
    """The two kinds of reports."""

    SETTLEMENT = "settlement"
    OPERATIONS = "operations"


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows: of a wallet, of a market (by market or condition id), from a time on; None takes all.

    ``limit`` keeps the newest; lists by time are newest first.
    """

    wallet: str | None = None
    market: str | None = None
    since_ms: int | None = None
    limit: int | None = None


ALL = Selection()
"""Everything."""


class FillFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which fills beyond a :class:`Selection`: of an order, in a state; None takes all.

    ``notices`` takes provisional notices too whose trades have taken their place (D-03).
    """

    order_id: str | None = None
    state: FillState | None = None
    notices: bool = False


ANY_FILL = FillFilter()
"""Every fill."""


class EntrySums(msgspec.Struct, frozen=True, kw_only=True):
    """What the entries of one token add up to. Fees are those of fills that count."""

    market_id: str
    realized_pnl_micro: int = 0
    fees_micro: int = 0


TokenKey: TypeAlias = tuple[str, str]
"""Wallet and token id."""


class Profits(msgspec.Struct, frozen=True, kw_only=True):
    """Positions, zero ones included, beside the sums of all their entries, all at one moment (L-10).

    ``since`` are the sums of the entries that were booked at ``Selection.since_ms`` or later, None without it.
    ``titles`` are by wallet and condition.
    """

    positions: tuple[Record, ...]
    entries: dict[TokenKey, EntrySums]
    since: dict[TokenKey, EntrySums] | None
    titles: dict[tuple[str, str], str]


class Queries:
    """The read side of a database."""

    def __init__(self, database: Database) -> None:
        """Any open database will do."""
        self._database = database

    def wallets(self) -> list[Record]:
        """Configured wallets as last stored."""
        return self._all(tables.Wallets.select().order_by(tables.Wallets.wallet))

    def markets(self, selection: Selection = ALL) -> list[Record]:
        """Conditions with their metadata and whether they are halted."""
        table = tables.Markets
        return self._all(_where(table, selection).order_by(table.wallet, table.market_id, table.condition_id))

    def tokens(self, selection: Selection = ALL) -> list[Record]:
        """Outcome tokens."""
        table = tables.Tokens
        return self._all(_where(table, selection).order_by(table.wallet, table.market_id, table.token_id))

    def positions(self, selection: Selection = ALL, *, include_zero: bool = False) -> list[Record]:
        """Positions by wallet, market and token; those without shares, settled or in flight, only when asked for."""
        table = tables.Positions
        query = _where(table, selection)
        if not include_zero:
            query = query.where((table.shares_micro != 0) | (table.settled_micro != 0) | (table.in_flight_micro != 0))
        return self._all(query.order_by(table.wallet, table.market_id, table.token_id))

    def orders(self, selection: Selection = ALL, *, include_closed: bool = False) -> list[Record]:
        """Orders by wallet, market and id; only live ones unless asked for all."""
        table = tables.Orders
        query = _where(table, selection, "created_at_ms")
        if not include_closed:
            query = query.where(table.status.in_(LIVE_STATUSES) & table.closed_at_ms.is_null())
        return self._all(query.order_by(table.wallet, table.market_id, table.order_id))

    def fills(self, selection: Selection = ALL, chosen: FillFilter = ANY_FILL) -> list[Record]:
        """Fills, newest match first, each with the feed that showed it first and when, None where none did.

        ``settled_micro`` and ``in_flight_micro`` are the shares of it that count, apart (X-15).
        """
        table = tables.Fills
        query = _chosen(_where(table, selection, "matched_at_ms"), chosen)
        query = query.order_by(table.matched_at_ns.desc(), table.trade_id, table.order_id)
        rows = self._database.read(lambda reader: _seen_first(_records(query, reader), reader))
        return [{**row, **_settled(row)} for row in rows]

    def booked_since(self, wallet: str, feed: str, at_ms: int) -> int:
        """How many fills were booked at ``at_ms`` or later and shown by ``feed`` before any other."""
        table = tables.Fills
        query = table.select().where((table.wallet == wallet) & (table.booked_at_ms >= at_ms))
        rows = self._database.read(lambda reader: _seen_first(_records(query, reader), reader))
        return sum(row["first_seen_by"] == feed for row in rows)

    def fill_observations(self, selection: Selection = ALL) -> list[Record]:
        """In which statuses fills were seen, by which feed; newest first. They know no market: it is not looked at."""
        table = tables.FillObservations
        query = _where(table, selection, "at_ms", market_columns=())
        return self._all(query.order_by(table.at_ms.desc(), table.trade_id, table.order_id, table.status, table.feed))

    def adjustments(self, selection: Selection = ALL) -> list[Record]:
        """Changes of inventory other than by own fills, newest first."""
        table = tables.Adjustments
        query = _where(table, selection, "at_ms")
        return self._all(query.order_by(table.at_ms.desc(), table.entry_id, table.token_id))

    def adjustment(self, wallet: str, entry_id: str) -> list[Record]:
        """The rows of one entry, one per token leg."""
        table = tables.Adjustments
        mine = (table.wallet == wallet) & (table.entry_id == entry_id)
        return self._all(table.select().where(mine).order_by(table.market_id, table.token_id))

    def profits(self, selection: Selection = ALL) -> Profits:
        """Positions and what their entries add up to; ``limit`` is not looked at."""
        return self._database.read(lambda reader: _profits(reader, selection))

    def issues(self, selection: Selection = ALL) -> list[Record]:
        """Integrity issues, newest first."""
        table = tables.IntegrityIssues
        query = _where(table, selection, "at_ms", market_columns=("market_id",))
        return self._all(query.order_by(table.at_ms.desc(), table.digest))

    def strategies(self, selection: Selection = ALL) -> list[Record]:
        """Strategies and their pauses. What the gate says of them is not stored but asked of the running process."""
        table = tables.Strategies
        return self._all(_where(table, selection, market_columns=()).order_by(table.wallet, table.strategy_id))

    def strategy_events(self, selection: Selection = ALL) -> list[Record]:
        """Pauses, resumes and kill-switch changes, newest first."""
        table = tables.StrategyEvents
        query = _where(table, selection, "at_ms", market_columns=("market_id",))
        return self._all(query.order_by(table.at_ms.desc(), table.digest))

    def cursors(self, selection: Selection = ALL) -> list[Record]:
        """How far each source was processed."""
        table = tables.Cursors
        return self._all(_where(table, selection, market_columns=()).order_by(table.wallet, table.source))

    def leases(self) -> list[Record]:
        """Streams with their owners and heads."""
        return self._all(tables.Leases.select().order_by(tables.Leases.stream))

    def reports(self, kind: ReportKind, selection: Selection = ALL) -> list[Record]:
        """Documents of reports, newest first. Operations reports know no market: it is not looked at."""
        query: pw.ModelSelect[Any]
        if kind is ReportKind.SETTLEMENT:
            settlements = tables.SettlementReports
            query = _where(settlements, selection, "synced_at_ms", market_columns=("market_id",)).order_by(
                settlements.synced_at_ms.desc(), settlements.market_id, settlements.subject, settlements.event_type
            )
        else:
            operations = tables.OperationsReports
            query = _where(operations, selection, "synced_at_ms", market_columns=()).order_by(
                operations.synced_at_ms.desc(), operations.wallet, operations.cycle_id
            )
        return [documents.decode_document(record["document"]) for record in self._all(query)]

    def last_operations_report(self, wallet: str) -> Record | None:
        """The document of a wallet's newest cycle, None before the first."""
        return next(iter(self.reports(ReportKind.OPERATIONS, Selection(wallet=wallet, limit=1))), None)

    def counts(self) -> dict[str, int]:
        """Rows that describe the state: open positions, live orders, and all rows of the growing tables."""
        return self._database.read(_counts)

    def of_market(self, wallet: str, market_id: str) -> MarketRows:
        """All that is stored of one market, with the head of the wallet's stream, at one moment."""
        return self._database.read(lambda reader: market_rows(reader, wallet, market_id))

    def journaled(self, stream: str, address: str) -> Iterator[JournalEntry]:
        """The entries that went to ``address``, in order; fetched in batches as they are taken."""
        return Journal(self._database).read(stream, address=address)

    def _all(self, query: pw.ModelSelect[Any]) -> list[Record]:
        return self._database.read(lambda reader: _records(query, reader))


def _records(query: pw.ModelSelect[Any], reader: pw.Database) -> list[Record]:
    return [dict(row) for row in query.dicts().execute(reader)]


def _where(
    table: type[tables.Row],
    selection: Selection,
    time_column: str | None = None,
    market_columns: tuple[str, ...] = ("market_id", "condition_id"),
) -> pw.ModelSelect[Any]:
    query = table.select()
    if selection.wallet is not None:
        query = query.where(_column(table, "wallet") == selection.wallet)
    if selection.since_ms is not None and time_column is not None:
        query = query.where(_column(table, time_column) >= selection.since_ms)
    if selection.market is not None and market_columns:
        matches = [_column(table, name) == selection.market for name in market_columns]
        query = query.where(matches[0] if len(matches) == 1 else matches[0] | matches[1])
    return query if selection.limit is None else query.limit(selection.limit)


def _column(table: type[tables.Row], name: str) -> Any:
    return getattr(table, name)


def _chosen(query: pw.ModelSelect[Any], chosen: FillFilter) -> pw.ModelSelect[Any]:
    table = tables.Fills
    if chosen.order_id is not None:
        query = query.where(table.order_id == chosen.order_id)
    if chosen.state is not None:
        query = query.where(table.state == chosen.state.value)
    if not chosen.notices:
        query = query.where((table.trade_id != PROVISIONAL) | (table.state != FillState.SUPERSEDED.value))
    return query


def _seen_first(fills: list[Record], reader: pw.Database) -> list[Record]:
    """The same rows with ``first_seen_by`` and ``first_seen_at_ms``; equal times go by the feed's name."""
    seen = tables.FillObservations
    first: dict[tuple[str, str, str], tuple[int, str]] = {}
    trades = sorted({row["trade_id"] for row in fills})
    for start in range(0, len(trades), TRADES_ASKED):
        query = seen.select().where(seen.trade_id.in_(trades[start : start + TRADES_ASKED]))
        for row in _records(query, reader):
            sight = (row["at_ms"], row["feed"])
            first[_fill_key(row)] = min(sight, first.get(_fill_key(row), sight))
    none = (None, None)
    return [
        {**row, "first_seen_by": by, "first_seen_at_ms": at_ms}
        for row in fills
        for at_ms, by in [first.get(_fill_key(row), none)]
    ]


def _settled(fill: Record) -> Record:
    state, size = FillState(fill["state"]), fill["size_micro"]
    settled = size if state is FillState.SETTLED else 0
    return {"settled_micro": settled, "in_flight_micro": size - settled if state.effective else 0}


def _fill_key(row: Record) -> tuple[str, str, str]:
    return (row["wallet"], row["trade_id"], row["order_id"])


def _profits(reader: pw.Database, selection: Selection) -> Profits:
    everything = msgspec.structs.replace(selection, since_ms=None, limit=None)
    period = msgspec.structs.replace(selection, limit=None)
    position, market = tables.Positions, tables.Markets
    held = _where(position, everything).order_by(position.wallet, position.market_id, position.token_id)
    known = _records(_where(market, everything), reader)
    return Profits(
        positions=tuple(_records(held, reader)),
        entries=_sums(reader, everything),
        since=None if selection.since_ms is None else _sums(reader, period),
        titles={(row["wallet"], row["condition_id"]): row["title"] for row in known},
    )


def _sums(reader: pw.Database, selection: Selection) -> dict[TokenKey, EntrySums]:
    """Σ over fills, whatever became of them, and over adjustments, which state what became of them (D-02)."""
    effective = [state.value for state in FillState if state.effective]
    fee = pw.Case(None, [(tables.Fills.state.in_(effective), tables.Fills.fee_micro)], 0)
    found: dict[TokenKey, EntrySums] = {}
    sources = ((tables.Fills, "booked_at_ms", fee), (tables.Adjustments, "at_ms", tables.Adjustments.fee_micro))
    for table, time_column, fees in sources:
        key = (_column(table, "wallet"), _column(table, "token_id"))
        sums = (pw.fn.SUM(_column(table, "realized_pnl_micro")), pw.fn.SUM(fees))
        query = _where(table, selection, time_column).select(*key, pw.fn.MIN(_column(table, "market_id")), *sums)
        for wallet, token_id, market_id, realized, paid in query.group_by(*key).tuples().execute(reader):
            before = found.get((wallet, token_id), EntrySums(market_id=market_id))
            found[wallet, token_id] = EntrySums(
                market_id=before.market_id,
                realized_pnl_micro=before.realized_pnl_micro + int(realized),
                fees_micro=before.fees_micro + int(paid),
            )
    return found


def _counts(reader: pw.Database) -> dict[str, int]:
    position, order, outbox = tables.Positions, tables.Orders, tables.Outbox
    queries: dict[str, pw.ModelSelect[Any]] = {
        "open_positions": position.select().where(position.shares_micro != 0),
        "live_orders": order.select().where(order.status.in_(LIVE_STATUSES) & order.closed_at_ms.is_null()),
        "halted_markets": tables.Markets.select().where(tables.Markets.halted),
        "paused_strategies": tables.Strategies.select().where(tables.Strategies.paused),
        "pending_alerts": outbox.select().where(outbox.delivered_at_ms.is_null()),
        "fills": tables.Fills.select(),
        "adjustments": tables.Adjustments.select(),
        "issues": tables.IntegrityIssues.select(),
        "settlement_reports": tables.SettlementReports.select(),
        "operations_reports": tables.OperationsReports.select(),
    }
    return {name: int(query.count(reader)) for name, query in queries.items()}
