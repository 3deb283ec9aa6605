"""``pnl``: what the markets earned and cost, and what they would earn at marks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, TypeAlias
from urllib.parse import urlencode

import typer

from service.cli.context import control, load_config, stored_state
from service.cli.failures import Exit, say
from service.cli.options import ConfigFile, Json, MarketId, Since, WalletName, Wide
from service.cli.output import Grid, cell, moment, print_json, shorten, terminal_width
from service.cli.reading import since_time

AllMarkets = Annotated[
    bool, typer.Option("--all", help="Markets too that never held, earned or paid anything.", show_default="off")
]
UNKNOWN = "unknown"

commands = typer.Typer()
"""Collected here, added to the application in ``application``."""


@commands.command(epilog="Example: portfolio-sync pnl --since 2026-05-01")
def pnl(
    context: typer.Context,
    *,
    config: ConfigFile = None,
    json: Json = False,
    wide: Wide = False,
    everything: AllMarkets = False,
    wallet: WalletName = None,
    market: MarketId = None,
    since: Since = None,
) -> None:
    """Show cost, realised P&L, fees and, at marks, unrealised P&L per market and in total.

    Realised P&L and fees are of what was booked since --since. Marks come from the running process. Ends with 3 where
    a market's realised P&L is not the sum over its entries.
    """
    from service import pnl as documents
    from service.client import NotRunning
    from service.clock import SystemClock
    from storage.queries import Selection

    settings = load_config(context, config, secrets_needed=False)
    name = None if market is None else market.lower()
    selection = Selection(wallet=wallet, market=name, since_ms=since_time(since))
    try:
        document = control(settings).get(f"/v1/pnl?{_query(selection, everything=everything)}")
    except NotRunning:
        with stored_state(settings) as queries:
            document = documents.document(queries, None, selection, everything=everything)
    if json:
        print_json(document)
    else:
        show(document, SystemClock().now_ms(), wide=wide)
    for row in documents.wrong(document):
        apart = cell("difference_micro", row["difference_micro"], wide=True)
        say(
            f"error: market {row['market_id']}: the realised P&L of its positions and the sum over its entries are "
            f"{apart} pUSD apart; `portfolio-sync replay` tells whether the stored state is what the journal gives"
        )
    if documents.wrong(document):
        raise typer.Exit(int(Exit.FOUND))


def _query(selection: Any, *, everything: bool) -> str:
    wanted = {"wallet": selection.wallet, "market": selection.market, "since_ms": selection.since_ms}
    flags = {"all": "true"} if everything else {}
    return urlencode({**{name: value for name, value in wanted.items() if value is not None}, **flags})


GROUPS: Sequence[tuple[str, Sequence[tuple[str, str]]]] = (
    ("", (("market", ""), ("id", ""), ("mark", ""))),
    ("shares", (("held", "shares_micro"), ("settled", "settled_micro"), ("in flight", "in_flight_micro"))),
    ("pUSD", (("cost", "cost_basis_micro"), ("value", "value_micro"))),
    ("pUSD", (("realised", "realized_pnl_micro"), ("fees", "fees_micro"), ("after fees", "realized_after_fees_micro"))),
    ("pUSD", (("unrealised", "unrealized_pnl_micro"),)),
)
"""Unit, headings and fields. On a narrow terminal those of a group stand below each other."""


def show(document: dict[str, Any], now_ms: int, *, wide: bool) -> None:
    """A table with a total line; ages are up to ``now_ms``."""
    if document["since_ms"] is not None:
        say(f"realised P&L and fees of what was booked since {moment(document['since_ms'])}")
    if not document["markets"]:
        say("no markets")
        return
    rows = [_cells(row, now_ms, wide=wide) for row in document["markets"]]
    total = [["total", "", ""], *_amounts(document["total"])]
    grid = _side_by_side(rows, total)
    if grid.width > terminal_width():
        grid = _stacked(rows, total)
    grid.print()
    if document["total"]["unknown_because"]:
        say(f"unrealised P&L is unknown: {document['total']['unknown_because']}")


Cells: TypeAlias = Sequence[Sequence[str]]
"""The cells of a row, by group."""


def _side_by_side(rows: Iterable[Cells], total: Cells) -> Grid:
    grid = Grid([(f"{name}\n{unit}".strip(), bool(unit)) for unit, group in GROUPS for name, _ in group])
    for row in rows:
        grid.add([cell for group in row for cell in group])
    grid.add_rule()
    grid.add([cell for group in total for cell in group])
    return grid


def _stacked(rows: Iterable[Cells], total: Cells) -> Grid:
    grid = Grid([("\n".join((unit, *(name for name, _ in group))), bool(unit)) for unit, group in GROUPS])
    for row in rows:
        grid.add(["\n".join(group) for group in row])
        grid.add([""] * len(GROUPS))
    grid.add_rule()
    grid.add(["\n".join(group) for group in total])
    return grid


def _cells(row: dict[str, Any], now_ms: int, *, wide: bool) -> Cells:
    market_id = row["market_id"] if wide else shorten(row["market_id"])
    return [[row["title"] or "no title yet", market_id, _marks(row, now_ms)], *_amounts(row)]


def _amounts(row: dict[str, Any]) -> Cells:
    return [
        [UNKNOWN if row[field] is None else cell(field, row[field], wide=True) for _, field in group]
        for _, group in GROUPS[1:]
    ]


def _marks(row: dict[str, Any], now_ms: int) -> str:
    """The marks of what is held, those of one source and age together; a payout has no age."""
    told: dict[str, list[str]] = {}
    for token in row["tokens"]:
        if not token["shares_micro"]:
            continue
        price, source = UNKNOWN, ""
        if token["mark_source"] is not None:
            price = cell("price_micro", token["mark_price_micro"], wide=True)
            age = "" if token["mark_source"] == "payout" else f" {_age(now_ms - token['mark_at_ms'])} ago"
            source = f" by {token['mark_source']}{age}"
        told.setdefault(source, []).append(f"{token['outcome']} {price}")
    return "; ".join(f"{', '.join(prices)}{source}" for source, prices in told.items()) or "-"


def _age(age_ms: int) -> str:
    seconds = max(0, age_ms) // 1000
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"
