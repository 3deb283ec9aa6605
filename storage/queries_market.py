"""All that is stored of one market, read at one moment: what its story is held against (X-04)."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec
import peewee as pw

from storage import tables

Record: TypeAlias = dict[str, Any]
"""One row: column name → value."""


class MarketRows(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one market of one wallet, and up to which journal entry they go.

    Fills include the notices of provisional quantities (D-03). ``strategy_events`` are all of the wallet: a resume
    names no market, and neither does the kill switch.
    """

    market_id: str
    head_seq: int
    conditions: tuple[Record, ...]
    tokens: tuple[Record, ...]
    positions: tuple[Record, ...]
    fills: tuple[Record, ...]
    adjustments: tuple[Record, ...]
    issues: tuple[Record, ...]
    strategy_events: tuple[Record, ...]


def market_rows(reader: pw.Database, wallet: str, market_id: str) -> MarketRows:
    """Within one read transaction; what has a time is in its order, equal times by key."""
    issue, event, head = tables.IntegrityIssues, tables.StrategyEvents, tables.Leases
    seqs = head.select(head.head_seq).where(head.stream == wallet).tuples().execute(reader)
    (head_seq,) = next(iter(seqs), (0,))

    def of_market(table: Any, *order: Any) -> tuple[Record, ...]:
        mine = (table.wallet == wallet) & (table.market_id == market_id)
        return _records(table.select().where(mine).order_by(*order), reader)

    return MarketRows(
        market_id=market_id,
        head_seq=int(head_seq),
        conditions=of_market(tables.Markets, tables.Markets.question_index, tables.Markets.condition_id),
        tokens=of_market(tables.Tokens, tables.Tokens.condition_id, tables.Tokens.outcome_index),
        positions=of_market(tables.Positions, tables.Positions.token_id),
        fills=of_market(tables.Fills, tables.Fills.trade_id, tables.Fills.order_id),
        adjustments=of_market(tables.Adjustments, tables.Adjustments.entry_id, tables.Adjustments.token_id),
        issues=of_market(issue, issue.at_ms, issue.digest),
        strategy_events=_records(
            event.select().where(event.wallet == wallet).order_by(event.at_ms, event.digest), reader
        ),
    )


def _records(query: pw.ModelSelect[Any], reader: pw.Database) -> tuple[Record, ...]:
    return tuple(dict(row) for row in query.dicts().execute(reader))
