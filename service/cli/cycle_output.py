"""How one cycle is shown after ``sync`` and ``force-sync``, and the exit code that it deserves."""

from __future__ import annotations

from typing import Any

import typer

from service.cli.failures import Exit, say
from service.cli.output import print_json, print_pairs, print_rows
from service.cli.reading import ISSUES, SETTLEMENTS

COMPLETED = frozenset({"ok", "data_api_unavailable"})
"""Statuses of cycles that compared the books with the chain (R-01)."""


def show_cycle(cycle: dict[str, Any], *, json: bool) -> None:
    """Print it; ends with 1 where books and chain were not compared, with 3 where drift was above the alert line."""
    report = cycle["operations_report"]
    if json:
        print_json(cycle)
    else:
        print_pairs((name, report[name]) for name in _SHOWN if name in report)
        if cycle["settlement_reports"]:
            print_rows(cycle["settlement_reports"], SETTLEMENTS.split(), empty="", wide=False)
        if cycle["issues"]:
            print_rows(cycle["issues"], ISSUES.split(), empty="", wide=False)
    code = exit_code(report)
    if code is Exit.FAILED:
        say(f"error: the books were not compared with the chain: {report['status']}: {'; '.join(report['reasons'])}")
    elif code is Exit.FOUND:
        say(f"drift found: {report['discrepancy_count']} market(s), largest {report['drift_pusd_max']} pUSD; corrected")
    if code is not Exit.FINE:
        raise typer.Exit(int(code))


_SHOWN = (
    "synced_at_ms",
    "status",
    "total_positions",
    "synced_count",
    "delta_count",
    "pending_count",
    "discrepancy_count",
    "drift_pusd_max",
    "onchain_balance",
    "block_number",
    "paused_strategies",
    "sync_duration_ms",
    "reasons",
)


def exit_code(report: dict[str, Any]) -> Exit:
    """Of an operations report."""
    if report["status"] not in COMPLETED:
        return Exit.FAILED
    return Exit.FOUND if report["discrepancy_count"] else Exit.FINE
