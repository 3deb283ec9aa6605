"""The end of the demo: what was done, when it was found, by which cause, and where to look further."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Table

from portfolio.facts import TradeStatus
from portfolio.units import format_micro
from service.demo.script import Deed
from service.live import PAUSED, Kind, Line, short, short_evidence
from storage.queries import Queries, Selection

OPENING = "OPENING"
STORIES = 2


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A deed with the report that found it, None while nothing has, and the strategies paused by it.

    ``entries`` says what became of a trade of an own order: it has no transaction that stands.
    """

    deed: Deed
    report: dict[str, Any] | None
    paused: tuple[str, ...]
    entries: str = ""


def told(lines: Sequence[Line]) -> list[Line]:
    """Lines worth showing: not the orders that strategies place and cancel, and what was there at the start as one."""
    openings = [line for line in lines if line.kind is Kind.DELTA and line.row["cause"] == OPENING]
    kept = [line for line in lines if line not in openings and not _ordinary(line)]
    if not openings:
        return kept
    text = f"{len(openings)} positions were there before; taken over as the chain has them, at the Data API's cost"
    return [Line(kind=Kind.NOTE, at_ms=openings[0].at_ms, text=text), *kept]


def _ordinary(line: Line) -> bool:
    return line.kind is Kind.DELTA and line.row["subject"] == "open_orders" and not line.row["drift_pusd"]


def match(deeds: Sequence[Deed], lines: Sequence[Line]) -> list[Found]:
    """The first report about each deed's market after it was done; of a trade, the one that names it."""
    rows = [line.row for line in lines if line.kind in {Kind.DELTA, Kind.PAUSE}]
    found = []
    for deed in deeds:
        mine = [row for row in rows if row["market_id"] == deed.condition_id and row["synced_at_ms"] >= deed.at_ms]
        deltas = [row for row in mine if row["event_type"] != PAUSED and row["subject"] == "position"]
        named = [row for row in deltas if deed.trade_id in row["evidence"]]
        paused = tuple(row["strategy_id"] for row in mine if row["event_type"] == PAUSED)
        entries = _entries(deed, lines) if deed.trade_id else ""
        found.append(Found(deed=deed, report=named[0] if named else None, paused=paused, entries=entries))
    return found


def _entries(deed: Deed, lines: Sequence[Line]) -> str:
    """How its trade was booked, and taken back."""
    seen = [line for line in lines if line.kind is Kind.FILL and line.row["trade_id"] == deed.trade_id]
    if not seen:
        return f"trade {short(deed.trade_id)}"
    first = seen[0]
    terms = f"{first.row['side']} {format_micro(first.row['size_micro'])} at {format_micro(first.row['price_micro'])}"
    told = f"trade {short(deed.trade_id)}: {terms} booked ({_seconds(first.at_ms - deed.at_ms)})"
    failed = next((line for line in seen if line.row["status"] == TradeStatus.FAILED), None)
    return told if failed is None else f"{told}, reversed ({_seconds(failed.at_ms - deed.at_ms)})"


def _seconds(ms: int) -> str:
    return f"{ms / 1000:.1f} s"


def table(found: Sequence[Found]) -> Table:
    """One row per deed."""
    made = Table(title="what the sandbox did, and what the service made of it")
    for name in ("the sandbox", "market", "found after", "drift", "cause", "evidence", "paused"):
        made.add_column(name, overflow="fold", no_wrap=name == "market")
    for each in found:
        report = each.report
        made.add_row(
            each.deed.name,
            short(each.deed.condition_id),
            "not yet" if report is None else _seconds(report["synced_at_ms"] - each.deed.at_ms),
            "-" if report is None else f"{report['drift_pusd']} pUSD",
            "-" if report is None else report["cause"].replace("+", " + "),
            each.entries or ("-" if report is None else short_evidence(report["evidence"])),
            ", ".join(each.paused) or "-",
        )
    return made


def cycles_text(lines: Sequence[Line]) -> str:
    """How many cycles ended in which way."""
    counts = Counter(line.row["status"] for line in lines if line.kind is Kind.CYCLE)
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "none"


def differences(queries: Queries, wallet: str, books: Mapping[str, Any]) -> list[str]:
    """Tokens whose shares differ between the service's books and the sandbox's, in words."""
    ours = {row["token_id"]: row["shares_micro"] for row in queries.positions(Selection(wallet=wallet))}
    theirs = {row["token_id"]: row["settled_micro"] + row["in_flight_micro"] for row in books["positions"]}
    theirs = {token: shares for token, shares in theirs.items() if shares}
    return [
        f"token {short(token)}: ours {ours.get(token, 0)}, the sandbox's {theirs.get(token, 0)} (1e-6 shares)"
        for token in sorted({*ours, *theirs})
        if ours.get(token, 0) != theirs.get(token, 0)
    ]


def hints(file: str, deeds: Sequence[Deed]) -> list[str]:
    """Commands that look further; stories are told of the two markets where the sandbox did most."""
    markets = Counter(deed.condition_id for deed in deeds).most_common(STORIES)
    stories = [f"explain {condition_id}" for condition_id, _ in markets]
    commands = ("positions", "adjustments", *stories, "reports --kind settlement", "strategies", "replay")
    return [f"{_program()} {command} --config {file}" for command in commands]


def _program() -> str:
    """How the reader starts the command: as it was started, seen from the current directory."""
    started = Path(sys.argv[0]).absolute()
    return str(started.relative_to(Path.cwd())) if started.is_relative_to(Path.cwd()) else started.name
