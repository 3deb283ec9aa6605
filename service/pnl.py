"""Profit and loss per market and in total: realised by the books, unrealised at marks (L-10, X-15).

Realised P&L is fee-exclusive, and fees stand apart (R-20). Unrealised is the value at the mark less the cost basis;
where a held token has no mark it is unknown, which is not zero, and then the total is unknown too. Beside every market
stands how far its positions and the sum over its entries are apart: 0, or the books are wrong. All amounts are integers
of 1e-6.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from actors.board import SyncShown
from portfolio.cycle import PriceSource
from portfolio.units import mul_price
from service.api import Mark
from storage.queries import ALL, EntrySums, Profits, Queries, Record, Selection

NOT_RUNNING = "the service is not running, and marks are in the running process alone"
MARK_MAX_AGE_MS = 3_600_000
"""A mark is at most an hour old (R-03); a payout is for ever."""

_SUMMED = (
    "shares_micro",
    "settled_micro",
    "in_flight_micro",
    "cost_basis_micro",
    "realized_pnl_micro",
    "fees_micro",
    "realized_after_fees_micro",
    "difference_micro",
)
_OPEN = ("shares_micro", "settled_micro", "in_flight_micro")


def document(
    queries: Queries, marks: Mapping[str, Mark] | None, selection: Selection = ALL, *, everything: bool = False
) -> Record:
    """``markets``, one object each, and their ``total``; ``marks`` by token, None without a running process.

    With ``since_ms`` realised P&L and fees are those of what was booked from then on; what is held is as of now.
    Markets that hold nothing and never earned or paid anything stand there only with ``everything``.
    """
    found = queries.profits(selection)
    tokens = sorted((*_held(found, marks), *_left_over(found)), key=lambda row: (*_name(row), row["token_id"]))
    grouped = ((name, list(rows)) for name, rows in groupby(tokens, key=_name))
    markets = [_market(name, rows, found) for name, rows in grouped]
    shown = [row for row in markets if everything or any(row[name] for name in _SUMMED)]
    return {"since_ms": selection.since_ms, "markets": shown, "total": _total(markets, marks)}


def marks_of(shown: SyncShown, now_ms: int) -> dict[str, Mark]:
    """The reference prices of the last comparison that come from the market, and not from our own books (R-03)."""
    ages = {PriceSource.DATA_API: shown.priced_at_ms, PriceSource.METADATA: shown.metadata_at_ms}
    fresh = {source: at_ms for source, at_ms in ages.items() if now_ms - at_ms <= MARK_MAX_AGE_MS}
    fresh[PriceSource.PAYOUT] = shown.priced_at_ms
    return {
        token_id: Mark(price_micro=price.price_micro, source=price.source.value, at_ms=fresh[price.source])
        for token_id, price in shown.prices.items()
        if price.source in fresh
    }


def wrong(found: Record) -> list[Record]:
    """The markets of a document whose positions and entries are apart (L-10)."""
    return [row for row in found["markets"] if row["difference_micro"]]


def _name(row: Record) -> tuple[str, str]:
    return (row["wallet"], row["market_id"])


def _held(found: Profits, marks: Mapping[str, Mark] | None) -> Iterable[Record]:
    """Every position, with its mark."""
    for row in found.positions:
        names = ("wallet", "market_id", "condition_id", "token_id", "outcome", *_OPEN, "cost_basis_micro")
        yield {
            **{name: row[name] for name in names},
            **_earned(row, found),
            **_marked(row, None if marks is None else marks.get(row["token_id"])),
        }


def _left_over(found: Profits) -> Iterable[Record]:
    """Tokens that have entries and no position: there is none such in sound books."""
    positions = {(row["wallet"], row["token_id"]) for row in found.positions}
    for (wallet, token_id), sums in found.entries.items():
        if (wallet, token_id) not in positions:
            nothing = dict.fromkeys((*_OPEN, "cost_basis_micro", "realized_pnl_micro", "fees_micro"), 0)
            row = {"wallet": wallet, "market_id": sums.market_id, "condition_id": "", "token_id": token_id, **nothing}
            yield {**row, "outcome": "", **_earned(row, found), **_marked(row, None)}


def _earned(row: Record, found: Profits) -> Record:
    """Realised P&L and fees, of all time or since the time that was asked for, and the check of L-10."""
    key, none = (row["wallet"], row["token_id"]), EntrySums(market_id="")
    realized, fees = row["realized_pnl_micro"], row["fees_micro"]
    apart = abs(realized - found.entries.get(key, none).realized_pnl_micro)
    if found.since is not None:
        sums = found.since.get(key, none)
        realized, fees = sums.realized_pnl_micro, sums.fees_micro
    return {
        "realized_pnl_micro": realized,
        "fees_micro": fees,
        "realized_after_fees_micro": realized - fees,
        "difference_micro": apart,
    }


def _marked(row: Record, mark: Mark | None) -> Record:
    """What the token is worth; nothing is worth nothing, with a mark or without."""
    if row["shares_micro"] == 0:
        value: int | None = 0
    else:
        value = None if mark is None else mul_price(row["shares_micro"], mark.price_micro)
    return {
        "value_micro": value,
        "unrealized_pnl_micro": None if value is None else value - row["cost_basis_micro"],
        "mark_price_micro": None if mark is None else mark.price_micro,
        "mark_source": None if mark is None else mark.source,
        "mark_at_ms": None if mark is None else mark.at_ms,
    }


def _market(name: tuple[str, str], tokens: Sequence[Record], found: Profits) -> Record:
    """One market; of a neg-risk event all questions together, as a conversion moves P&L between them (D-01)."""
    wallet, market_id = name
    conditions = dict.fromkeys(row["condition_id"] for row in tokens)
    titles = [title for title in (found.titles.get((wallet, condition), "") for condition in conditions) if title]
    marked = [row for row in tokens if row["shares_micro"] and row["mark_source"] is not None]
    return {
        "wallet": wallet,
        "market_id": market_id,
        "title": f"{titles[0]}, and {len(titles) - 1} more" if len(titles) > 1 else "".join(titles),
        **_sums(tokens),
        "mark_source": ", ".join(sorted({row["mark_source"] for row in marked})) or None,
        "mark_at_ms": min((row["mark_at_ms"] for row in marked), default=None),
        "tokens": [{key: value for key, value in row.items() if key not in {"wallet", "market_id"}} for row in tokens],
    }


def _total(markets: Sequence[Record], marks: Mapping[str, Mark] | None) -> Record:
    sums = _sums(markets)
    unknown = [row for row in markets if row["unrealized_pnl_micro"] is None]
    because = ""
    if unknown:
        held = sum(any(token["shares_micro"] for token in row["tokens"]) for row in markets)
        no_mark = f"no source shows a price younger than an hour for {len(unknown)} of {held} markets that hold shares"
        because = NOT_RUNNING if marks is None else no_mark
    return {**sums, "markets": len(markets), "unknown_because": because}


def _sums(rows: Sequence[Record]) -> Record:
    """Sums of the amounts; one that is unknown makes its sum unknown."""
    sums: Record = {name: sum(row[name] for row in rows) for name in _SUMMED}
    for name in ("value_micro", "unrealized_pnl_micro"):
        amounts = [row[name] for row in rows]
        sums[name] = None if None in amounts else sum(amounts)
    return sums
