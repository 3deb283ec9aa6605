"""Starts the floor of the cycle benchmarks: tells it which contracts, tokens and conditions to ask for."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from benchmarks.places import ROOT, Child, Place
from polymarket.sandbox.control import SandboxControl


def bare_cycle(at: Place) -> Child:
    """The bare fetch and rows against the same sandbox, in a process of its own."""
    control = SandboxControl(at.info["control_url"])
    try:
        books = control.books()
    finally:
        control.close()
    file = at.folder / "floor.json"
    file.write_bytes(msgspec.json.encode({**at.info, **_asked(books), "database": str(at.folder / "floor.db")}))
    return Child([sys.executable, "-I", str(ROOT / "benchmarks" / "floor_cycle.py"), str(file)])


def _asked(books: dict[str, Any]) -> dict[str, Any]:
    """All tokens by contract, the payouts of what is held, and the question counts of events: as the service asks."""
    tokens: dict[str, list[str]] = {}
    for market in books["markets"]:
        tokens.setdefault(market["contract"], []).extend(market["tokens"])
    return {
        "tokens": tokens,
        "conditions": sorted({row["condition_id"] for row in books["positions"]}),
        "events": sorted({row["neg_risk_market_id"] for row in books["markets"] if row["neg_risk"]}),
    }
