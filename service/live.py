"""A readable view of a running service: one line per cycle, one per thing worth knowing (S-08, L-22).

``cycle_line`` and ``delta_line`` put reports into words. ``Follower`` reads what is new from the stored state, beside
its owner; ``Plain`` and ``Panel`` show it, as lines anywhere or in place on a terminal.
"""

from __future__ import annotations

import datetime as dt
import enum
import re
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TextIO

import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel as Box
from rich.table import Table
from rich.text import Text

from actors.ports import Metrics
from portfolio.entries import FillState
from portfolio.facts import TradeStatus
from portfolio.outcomes import Alert, CycleStatus, DeltaType, OperationsReport
from portfolio.reasons import ReasonCode, Route
from portfolio.reports import render_operations
from portfolio.units import format_micro
from storage.queries import Queries, Record, ReportKind, Selection

CYCLES_SHOWN = 12
EVENTS_SHOWN = 14
_FRAME_ROWS = 6
_FRAME_COLUMNS = 4
"""Borders of both boxes, the headings of the cycles, and a free row under it all."""

PAUSED = ReasonCode.PORTFOLIO_SYNC_STRATEGY_PAUSED.value
_IDENTITY = ("wallet", "market_id", "synced_at_ms", "subject", "event_type", "strategy_id")
_PAGE = 500
_MS_PER_S = 1000
_HASH = re.compile(r"0x[0-9a-f]{64}")
_LOG = re.compile(r"log \d+, block (\d+)")
CHAIN = "chain"
"""In the place of the feed, where a log settled a fill before any feed told of it."""

_ROUTINE = ReasonCode.PORTFOLIO_SYNC_NEGRISK_AGGREGATE.value


class Kind(enum.StrEnum):
    """What a line is about; decides its colour and nothing else."""

    CYCLE = "cycle"
    FILL = "fill"
    DELTA = "found"
    PAUSE = "pause"
    ALERT = "alert"
    SCRIPT = "sandbox"
    NOTE = "note"


_ORDER = (Kind.FILL, Kind.DELTA, Kind.PAUSE, Kind.CYCLE)
_COLOURS = {
    Kind.CYCLE: "",
    Kind.FILL: "green",
    Kind.DELTA: "yellow",
    Kind.PAUSE: "bold red",
    Kind.ALERT: "red",
    Kind.SCRIPT: "cyan",
    Kind.NOTE: "dim",
}


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """Something to show. ``row`` is the report behind it, empty for announcements."""

    kind: Kind
    at_ms: int
    text: str
    row: dict[str, Any] = {}


def cycle_line(number: int, report: Mapping[str, Any]) -> str:
    """One operations report in one line; ``number`` counts the cycles that the reader has seen."""
    block = report["block_number"]
    parts = [
        f"cycle {number:>4}",
        f"{report['status']:<16}",
        f"block {'-' if block is None else block:<10}",
        f"positions {report['total_positions']:>4}",
        f"deltas {report['delta_count']:>3}",
        f"drift max {report['drift_pusd_max']:>10} pUSD",
        f"pending {report['pending_count']:>3}",
        f"{report['sync_duration_ms']:>5} ms",
    ]
    reasons = "; ".join(reason for reason in report["reasons"] if reason != _ROUTINE)
    return "  ".join(parts) + (f"  ({reasons})" if reasons else "")


def delta_line(report: Mapping[str, Any]) -> str:
    """One settlement report in words: what, where, from what to what, why, and how that is known."""
    sizes = f"{report['internal_size_pusd']} → {report['clob_size_pusd']} pUSD"
    drift = report["drift_pusd"]
    cause = f", cause {report['cause']}" if report["cause"] else ""
    evidence = f" ({short_evidence(report['evidence'])})" if report["evidence"] else ""
    subject = str(report["subject"]).replace("_", " ")
    place = f"{report['delta_type']} {subject} in {short(report['market_id'])}"
    return f"{place}: {sizes}, drift {drift} pUSD{cause}{evidence}; {report['action_taken']}"


def fill_line(seen: Mapping[str, Any], fill: Mapping[str, Any]) -> str:
    """A status in which a feed showed a fill: what, where, by whom, how long after the match, and what counts now."""
    size, price = format_micro(fill["size_micro"]), format_micro(fill["price_micro"])
    after_ms = seen["at_ms"] - fill["matched_at_ms"]
    place = f"{fill['side']:<4} {size:>9} at {price:<6} in {short(fill['condition_id'])}"
    seen_by = f"{seen['status']:<9} by {seen['feed']:<8} {after_ms / _MS_PER_S:>6.1f} s after the match"
    return f"{place}  {seen_by}  → {fill['state']}{_ahead(seen, fill)}"


def _ahead(seen: Mapping[str, Any], fill: Mapping[str, Any]) -> str:
    """What the state rests on where the exchange has not said so: the chain's log comes first (X-01)."""
    if fill["state"] == FillState.FAILED:
        return ", reversed"
    block = _LOG.search(fill["settled_by"])
    if fill["state"] != FillState.SETTLED or seen["status"] == TradeStatus.CONFIRMED or block is None:
        return ""
    already = "" if seen["feed"] == CHAIN else " already,"
    return f"{already} by its log in block {block[1]}"


def pause_line(report: Mapping[str, Any]) -> str:
    """A pause in words, with what resumes it."""
    strategy = report.get("strategy_id", "")
    why = f"drift of {report['drift_pusd']} pUSD in {short(report['market_id'])}, cause {report['cause'] or 'unknown'}"
    return f"strategy {strategy} PAUSED: {why}; resume by name: resume-strategy --strategy-id {strategy}"


def alert_line(alert: Alert) -> Line:
    """An alert as it was said."""
    word = "PAGE" if alert.route == Route.PAGE else alert.severity.value
    return Line(kind=Kind.ALERT, at_ms=alert.at_ms, text=f"{word} {alert.code}: {short_evidence(alert.text)}")


def short(name: str) -> str:
    """A long id, recognisable."""
    return name if len(name) <= 18 else f"{name[:10]}…{name[-4:]}"


def short_evidence(text: str) -> str:
    """What shows a change, with transactions and blocks recognisable; ``adjustments`` has them whole."""
    return _HASH.sub(lambda found: short(found[0]), text)


def _fill_key(seen: Mapping[str, Any]) -> tuple[Any, ...]:
    """A status is told once, by the feed that showed it first."""
    return (Kind.FILL, *(seen[name] for name in ("trade_id", "order_id", "status")))


def _trade(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["trade_id"], row["order_id"]


def _is_settled(fills: Mapping[tuple[str, str], Mapping[str, Any]], key: tuple[str, str]) -> bool:
    return key in fills and fills[key]["state"] == FillState.SETTLED and bool(_LOG.search(fills[key]["settled_by"]))


def _by_log(fill: Mapping[str, Any]) -> dict[str, Any]:
    """A settlement as if a feed had shown it."""
    return {"status": FillState.SETTLED.value, "feed": CHAIN, "at_ms": fill["updated_at_ms"]}


def clock_time(at_ms: int) -> str:
    """Time of day in UTC."""
    return dt.datetime.fromtimestamp(at_ms // 1000, tz=dt.UTC).strftime("%H:%M:%S")


class Follower:
    """What is new in the stored state since the last look. Each report is given once."""

    def __init__(self, queries: Queries, wallet: str | None = None) -> None:
        """Begins with the first report there is; of one wallet, or of all."""
        self._queries = queries
        self._wallet = wallet
        self._seen: set[tuple[Any, ...]] = set()
        self._since: dict[ReportKind, int] = {}
        self._fills_since_ms: int | None = None
        self._flying: set[tuple[str, str]] = set()
        self.cycles = 0

    def look(self) -> list[Line]:
        """New lines, oldest first; within one cycle the findings come before the cycle's own line."""
        found = [*self._fills(), *(self._settlement(row) for row in self._new(ReportKind.SETTLEMENT))]
        for row in self._new(ReportKind.OPERATIONS):
            self.cycles += 1
            text = cycle_line(self.cycles, row)
            found.append(Line(kind=Kind.CYCLE, at_ms=row["synced_at_ms"], text=text, row=row))
        return sorted(found, key=lambda line: (line.at_ms, _ORDER.index(line.kind)))

    def _fills(self) -> list[Line]:
        """Statuses of fills that were seen since the last look, and settlements that only the chain has shown."""
        selection = Selection(wallet=self._wallet, since_ms=self._fills_since_ms, limit=_PAGE)
        rows = {_fill_key(row): row for row in self._queries.fill_observations(selection)}
        seen = [row for key, row in reversed(rows.items()) if key not in self._seen]
        if not seen and not self._flying:
            return []
        self._seen.update(rows)
        self._fills_since_ms = seen[-1]["at_ms"] if seen else self._fills_since_ms
        known = self._queries.fills(Selection(wallet=self._wallet, limit=_PAGE))
        fills = {(fill["trade_id"], fill["order_id"]): fill for fill in known}
        told = [(row, fills[_trade(row)]) for row in seen if _trade(row) in fills]
        named = {_trade(row) for row, _ in told}
        told += [(_by_log(fills[key]), fills[key]) for key in sorted(self._flying - named) if _is_settled(fills, key)]
        self._flying |= named
        self._flying = {key for key in self._flying if key in fills and fills[key]["state"] == FillState.OBSERVED}
        return [
            Line(kind=Kind.FILL, at_ms=row["at_ms"], text=fill_line(row, fill), row={**fill, "status": row["status"]})
            for row, fill in told
        ]

    def _settlement(self, row: Record) -> Line:
        paused = row["event_type"] == PAUSED
        text = pause_line(row) if paused else delta_line(row)
        return Line(kind=Kind.PAUSE if paused else Kind.DELTA, at_ms=row["synced_at_ms"], text=text, row=row)

    def _new(self, kind: ReportKind) -> list[Record]:
        selection = Selection(wallet=self._wallet, since_ms=self._since.get(kind), limit=_PAGE)
        fresh = []
        for row in reversed(self._queries.reports(kind, selection)):
            key = (kind, *(row.get(name) for name in _IDENTITY))
            if key not in self._seen:
                self._seen.add(key)
                fresh.append(row)
                self._since[kind] = row["synced_at_ms"]
        return fresh


class CycleLines:
    """The actors' ``Metrics`` port that also says each cycle in one line, for who runs the service on a terminal."""

    def __init__(self, inner: Metrics, out: TextIO) -> None:
        """``inner`` does the measuring."""
        self._inner = inner
        self._out = out
        self._count = 0

    def cycle(self, report: OperationsReport) -> None:
        """Measure it and say it."""
        self._inner.cycle(report)
        self._count += 1
        line = cycle_line(self._count, render_operations(report))
        self._out.write(f"{clock_time(report.synced_at_ms)}  {line}\n")
        self._out.flush()

    def positions_synced(self, delta_type: DeltaType, count: int) -> None:
        """As ``inner``."""
        self._inner.positions_synced(delta_type, count)

    def strategy_paused(self, strategy_id: str) -> None:
        """As ``inner``."""
        self._inner.strategy_paused(strategy_id)

    def counted(self, name: str, count: int = 1) -> None:
        """As ``inner``."""
        self._inner.counted(name, count)

    def stream_gap(self, gap_ms: int) -> None:
        """As ``inner``."""
        self._inner.stream_gap(gap_ms)

    def known_statuses(self, statuses: Sequence[CycleStatus]) -> None:
        """As ``inner``."""
        self._inner.known_statuses(statuses)


class View(Protocol):
    """Shows lines as they come."""

    def show(self, line: Line) -> None:
        """Show one."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


class Plain:
    """Lines, one after the other."""

    def __init__(self, out: TextIO) -> None:
        """``out`` gets every line at once."""
        self._out = out

    def show(self, line: Line) -> None:
        """Write it."""
        self._out.write(f"{clock_time(line.at_ms)}  {line.kind.value:<7}  {line.text}\n")
        self._out.flush()

    def close(self) -> None:
        """Nothing to undo."""


class Panel:
    """The last cycles and the last findings, redrawn in place on a terminal."""

    def __init__(self, console: Console, heading: str) -> None:
        """Takes the terminal until ``close``."""
        self._heading = heading
        self._console = console
        self._cycles: deque[Line] = deque(maxlen=CYCLES_SHOWN)
        self._events: deque[Line] = deque(maxlen=EVENTS_SHOWN)
        self._live = Live(console=console, auto_refresh=False, get_renderable=self._draw)
        self._live.start()

    def show(self, line: Line) -> None:
        """Add it and draw anew."""
        (self._cycles if line.kind is Kind.CYCLE else self._events).append(line)
        self._live.refresh()

    def close(self) -> None:
        """Leave the last picture standing."""
        self._live.stop()

    def _draw(self) -> Group:
        cycles = Table(box=None, expand=True, pad_edge=False)
        names = ("time", "status", "block", "positions", "deltas", "drift max pUSD", "pending", "ms")
        for name in names:
            cycles.add_column(name, justify="left" if name in {"time", "status"} else "right")
        height = self._console.size.height
        shown = list(self._cycles)[-max(1, height // 4) :]
        for line in shown:
            cycles.add_row(*_cells(line), style="" if line.row["status"] == "ok" else "yellow")
        events = Text("\n").join(self._newest(height - len(shown) - _FRAME_ROWS))
        return Group(Box(cycles, title=self._heading), Box(events, title="what happened"))

    def _newest(self, rows: int) -> list[Text]:
        """What happened last, so much that a low terminal shows all of it; a long line takes several rows."""
        width = max(1, self._console.size.width - _FRAME_COLUMNS)
        texts: deque[Text] = deque()
        for line in reversed(self._events):
            text = Text(f"{clock_time(line.at_ms)}  {line.kind.value:<7}  {line.text}", style=_COLOURS[line.kind])
            rows -= len(text.wrap(self._console, width))
            if rows < 0 and texts:
                break
            texts.appendleft(text)
        return list(texts)


def _cells(line: Line) -> tuple[str, ...]:
    row = line.row
    block = row["block_number"]
    return (
        clock_time(line.at_ms),
        str(row["status"]),
        "-" if block is None else str(block),
        str(row["total_positions"]),
        str(row["delta_count"]),
        str(row["drift_pusd_max"]),
        str(row["pending_count"]),
        str(row["sync_duration_ms"]),
    )
