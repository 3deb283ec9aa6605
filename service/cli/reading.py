"""Commands that read: the stored state, beside the running process or without one."""

from __future__ import annotations

import enum
from typing import Annotated, Any

import typer

from service.cli.context import control, load_config, stored_state
from service.cli.options import ConfigFile, Everything, Json, Limit, MarketId, Since, SinceMs, WalletName, Wide
from service.cli.output import cell, moment, print_json, print_pairs, print_rows
from service.cli.parsing import moment_ms, usage

POSITIONS = "wallet market_id outcome shares_micro settled_micro in_flight_micro cost_basis_micro realized_pnl_micro"
ORDERS = "wallet market_id order_id side price_micro original_size_micro size_matched_micro status created_at_ms"
ENDED = "closed_at_ms ended_because"
FILLS = (
    "matched_at_ms market_id side price_micro size_micro fee_micro state settled first_seen transaction_hash trade_id"
)
ADJUSTMENTS = (
    "at_ms wallet market_id cause size_micro cost_micro realized_pnl_micro estimated evidence operator entry_id"
)
ISSUES = "at_ms severity type action wallet market_id before after cause"
STRATEGIES = "wallet strategy_id paused pause_reason paused_at_ms trade_allowed reasons"
SETTLEMENTS = (
    "synced_at_ms event_type market_id delta_type internal_size_pusd clob_size_pusd drift_pusd cause action_taken"
)
CYCLES = (
    "synced_at_ms wallet status total_positions delta_count discrepancy_count drift_pusd_max sync_duration_ms reasons"
)


class Kind(enum.StrEnum):
    """Kinds of reports."""

    SETTLEMENT = "settlement"
    OPERATIONS = "operations"


class State(enum.StrEnum):
    """States of a fill (L-03)."""

    PROVISIONAL = "PROVISIONAL"
    OBSERVED = "OBSERVED"
    SETTLED = "SETTLED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"
    SUPERSEDED = "SUPERSEDED"


StateOption = Annotated[
    State | None,
    typer.Option(
        "--state",
        metavar="STATE",
        case_sensitive=False,
        help="Only PROVISIONAL or OBSERVED (in flight), SETTLED, FAILED, EXPIRED or SUPERSEDED ones.",
        show_default="all",
    ),
]
OrderId = Annotated[
    str | None, typer.Option("--order", metavar="ID", help="Only fills of this order.", show_default="all")
]
Superseded = Annotated[
    bool,
    typer.Option("--all", help="Provisional notices too whose trades have taken their place.", show_default="off"),
]
KindOption = Annotated[Kind, typer.Option("--kind", help="One report per delta, or one per cycle.")]


commands = typer.Typer()
"""Collected here, added to the application in ``application``."""


@commands.command(epilog="Example: portfolio-sync status --json")
def status(context: typer.Context, *, config: ConfigFile = None, json: Json = False) -> None:
    """Show the state of everything: wallets, the last cycle, the sources, and whether trading is allowed."""
    from service import status as documents
    from service.client import NotRunning

    settings = load_config(context, config, secrets_needed=False)
    try:
        document = control(settings).get("/v1/status")
    except NotRunning:
        with stored_state(settings) as queries:
            document = documents.status(queries, None)
    if json:
        print_json(document)
    else:
        print_pairs(_status_lines(document))


def _status_lines(document: dict[str, Any]) -> list[tuple[str, Any]]:
    gate, cycle = document["gate"], document["last_cycle"]
    lines: list[tuple[str, Any]] = [
        ("version", document["version"]),
        ("running", document["running"]),
        ("trading allowed", gate["trade_allowed"]),
        *(("because", reason) for reason in gate["reasons"]),
        ("kill switch", "on" if gate["kill_switch"] else "off"),
    ]
    for wallet in document["wallets"]:
        counts = f"{wallet['open_positions']} positions, {wallet['live_orders']} live orders"
        lines.append((f"wallet {wallet['wallet']}", f"{wallet['address']}  {counts}"))
    if cycle is None:
        lines.append(("last cycle", "none yet"))
    else:
        when = cell("synced_at_ms", cycle["synced_at_ms"], wide=True)
        drift = f"largest drift {cycle['drift_pusd_max']} pUSD, deltas {cycle['delta_count']}"
        lines.append(("last cycle", f"{when}  {cycle['status']}  {drift}  {cycle['sync_duration_ms']} ms"))
        lines += [("", reason) for reason in cycle["reasons"]]
    for name, source in document["sources"].items():
        state = {True: "up", False: "down", None: "unknown"}[source["up"]]
        lines.append((f"source {name}", f"{state}  {source['detail']}".rstrip()))
    return lines


@commands.command(epilog="Example: portfolio-sync positions --market 0x9b0c… --json")
def positions(
    context: typer.Context,
    *,
    config: ConfigFile = None,
    json: Json = False,
    wide: Wide = False,
    everything: Everything = False,
    wallet: WalletName = None,
    market: MarketId = None,
) -> None:
    """List positions: shares, what of them is settled, cost basis and realised P&L."""
    with stored_state(load_config(context, config, secrets_needed=False)) as queries:
        rows = queries.positions(_selection(wallet, market), include_zero=everything)
    _show(rows, POSITIONS, "no positions", json=json, wide=wide)


@commands.command(epilog="Example: portfolio-sync orders --all")
def orders(
    context: typer.Context,
    *,
    config: ConfigFile = None,
    json: Json = False,
    wide: Wide = False,
    everything: Everything = False,
    wallet: WalletName = None,
    market: MarketId = None,
) -> None:
    """List orders: the live ones, or all that were ever seen, with why they ended."""
    with stored_state(load_config(context, config, secrets_needed=False)) as queries:
        rows = queries.orders(_selection(wallet, market), include_closed=everything)
    _show(rows, f"{ORDERS} {ENDED}" if everything else ORDERS, "no live orders", json=json, wide=wide)


@commands.command(epilog="Example: portfolio-sync fills --since 2h --state OBSERVED")
def fills(
    context: typer.Context,
    *,
    config: ConfigFile = None,
    json: Json = False,
    wide: Wide = False,
    everything: Superseded = False,
    wallet: WalletName = None,
    market: MarketId = None,
    order: OrderId = None,
    state: StateOption = None,
    since: Since = None,
    since_ms: SinceMs = None,
    limit: Limit = 100,
) -> None:
    """List fills, newest first, each once: its state, whether it is settled, and which feed showed it first."""
    from portfolio.entries import FillState
    from storage.queries import FillFilter

    selection = _selection(wallet, market, since_time(since, since_ms), limit)
    order_id = None if order is None else order.lower()
    chosen = FillFilter(order_id=order_id, state=None if state is None else FillState(state), notices=everything)
    with stored_state(load_config(context, config, secrets_needed=False)) as queries:
        rows = queries.fills(selection, chosen)
    if json:
        print_json(rows)
    else:
        several = len({row["wallet"] for row in rows}) > 1
        columns = f"wallet {FILLS}" if several else FILLS
        _show([_with_words(row) for row in rows], columns, "no fills", json=False, wide=wide)


def _with_words(fill: dict[str, Any]) -> dict[str, Any]:
    """A fill with what a reader asks of it: does it count yet, and who saw it first."""
    counts = {"yes": fill["settled_micro"], "in flight": fill["in_flight_micro"]}
    settled = next((word for word, shares in counts.items() if shares), "no")
    feed, at_ms = fill["first_seen_by"], fill["first_seen_at_ms"]
    seen = None if feed is None else f"{feed} {moment(at_ms, beside_ms=fill['matched_at_ms'])}"
    return {**fill, "settled": settled, "first_seen": seen}


def since_time(since: str | None, since_ms: int | None = None) -> int | None:
    """The time that ``--since`` or ``--since-ms`` names, in ms UTC."""
    from service.clock import SystemClock

    if since is None:
        return since_ms
    if since_ms is not None:
        raise usage("--since and --since-ms say the same; give one of them")
    return moment_ms("--since", since, SystemClock().now_ms())


@commands.command(epilog="Example: portfolio-sync adjustments --json")
def adjustments(
    context: typer.Context,
    *,
    config: ConfigFile = None,
    json: Json = False,
    wide: Wide = False,
    wallet: WalletName = None,
    market: MarketId = None,
    since_ms: SinceMs = None,
    limit: Limit = 100,
) -> None:
    """List changes other than own fills, newest first: cause, evidence, and whether amounts are estimated."""
    with stored_state(load_config(context, config, secrets_needed=False)) as queries:
        rows = queries.adjustments(_selection(wallet, market, since_ms, limit))
    _show(rows, ADJUSTMENTS, "no adjustments", json=json, wide=wide)


@commands.command(epilog="Example: portfolio-sync issues --limit 20")
def issues(
    context: typer.Context,
    *,
    config: ConfigFile = None,
    json: Json = False,
    wide: Wide = False,
    wallet: WalletName = None,
    market: MarketId = None,
    since_ms: SinceMs = None,
    limit: Limit = 100,
) -> None:
    """List integrity issues, newest first: what was found, before and after, and what was done."""
    with stored_state(load_config(context, config, secrets_needed=False)) as queries:
        rows = queries.issues(_selection(wallet, market, since_ms, limit))
    _show(rows, ISSUES, "no issues", json=json, wide=wide)


@commands.command(epilog="Example: portfolio-sync reports --kind settlement --json")
def reports(
    context: typer.Context,
    *,
    config: ConfigFile = None,
    json: Json = False,
    wide: Wide = False,
    kind: KindOption = Kind.OPERATIONS,
    wallet: WalletName = None,
    market: MarketId = None,
    since_ms: SinceMs = None,
    limit: Limit = 100,
) -> None:
    """List reports, newest first: settlement reports are one per delta, operations reports one per cycle."""
    from storage.queries import ReportKind

    with stored_state(load_config(context, config, secrets_needed=False)) as queries:
        rows = queries.reports(ReportKind(kind.value), _selection(wallet, market, since_ms, limit))
    columns = SETTLEMENTS if kind is Kind.SETTLEMENT else CYCLES
    _show(rows, columns, f"no {kind.value} reports", json=json, wide=wide)


@commands.command(epilog="Example: portfolio-sync strategies")
def strategies(context: typer.Context, *, config: ConfigFile = None, json: Json = False, wide: Wide = False) -> None:
    """List strategies: paused or not and why, and whether they may trade now."""
    from service import status as documents
    from service.client import NotRunning

    settings = load_config(context, config, secrets_needed=False)
    try:
        rows = control(settings).get("/v1/strategies")
    except NotRunning:
        with stored_state(settings) as queries:
            rows = documents.strategies(queries, [each.strategy_id for each in settings.strategies], None)
    _show(rows, STRATEGIES, "no strategies", json=json, wide=wide)


def _selection(wallet: str | None, market: str | None, since_ms: int | None = None, limit: int | None = None) -> Any:
    from storage.queries import Selection

    return Selection(wallet=wallet, market=None if market is None else market.lower(), since_ms=since_ms, limit=limit)


def _show(rows: list[dict[str, Any]], columns: str, empty: str, *, json: bool, wide: bool) -> None:
    if json:
        print_json(rows)
    else:
        print_rows(rows, columns.split(), empty=empty, wide=wide)
