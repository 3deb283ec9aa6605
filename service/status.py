"""The state of everything in one document, and the strategies with their trade gate; stored facts and live ones.

Live facts come from the running process. Without one, a strategy may not trade (R-14): unreachable is not allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from portfolio.gate import TradeGate
from service.api import ServiceApi, SourceState
from service.version import version
from storage.queries import Queries, Record, ReportKind, Selection

NOT_RUNNING = "the service is not running"
WITNESSES = ("clob", "stream", "chain", "chain.logs", "data", "gamma")


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """What only the running process knows."""

    gates: tuple[TradeGate, ...]
    sources: tuple[SourceState, ...]
    kill_switch: bool


def live_facts(api: ServiceApi) -> Live:
    """Ask the process."""
    return Live(gates=api.gates(), sources=api.sources(), kill_switch=api.kill_switch())


def status(queries: Queries, live: Live | None) -> Record:
    """One object: version, wallets, the newest cycle, the witnesses, and whether strategies may trade."""
    wallets = [_wallet(queries, row) for row in queries.wallets()]
    cycles = queries.reports(ReportKind.OPERATIONS, Selection(limit=1))
    return {
        "version": version(),
        "running": live is not None,
        "wallets": wallets,
        "last_cycle": cycles[0] if cycles else None,
        "sources": _sources(live),
        "gate": _gate(live, stored_kill_switch(queries) if live is None else live.kill_switch),
        "counts": queries.counts(),
    }


def strategies(queries: Queries, configured: Sequence[str], live: Live | None) -> list[Record]:
    """Strategies of the stored state and of the configuration, each with its trade gate."""
    rows = queries.strategies()
    known = {row["strategy_id"] for row in rows}
    wallets = [row["wallet"] for row in queries.wallets()] or [""]
    unseen: list[Record] = [
        {"wallet": wallet, "strategy_id": name, "paused": False, "pause_reason": "", "paused_at_ms": None}
        for name in configured
        if name not in known
        for wallet in wallets
    ]
    gates = {} if live is None else {gate.strategy_id: gate for gate in live.gates}
    return [{**row, **_allowed(gates.get(row["strategy_id"]), live)} for row in (*rows, *unseen)]


def gate_document(gate: TradeGate) -> Record:
    """A strategy's trade gate, with reasons."""
    return {"strategy_id": gate.strategy_id, "trade_allowed": gate.allowed, "reasons": list(gate.reasons)}


def stored_kill_switch(queries: Queries) -> bool:
    """Whether the kill switch was last switched on."""
    switches = {"kill_switch_on": True, "kill_switch_off": False}
    newest = next((row for row in queries.strategy_events() if row["event"] in switches), None)
    return newest is not None and switches[newest["event"]]


def _wallet(queries: Queries, row: Record) -> Record:
    selection = Selection(wallet=row["wallet"])
    last = queries.last_operations_report(row["wallet"])
    return {
        "wallet": row["wallet"],
        "address": row["address"],
        "open_positions": len(queries.positions(selection)),
        "live_orders": len(queries.orders(selection)),
        "last_cycle": last,
    }


def _sources(live: Live | None) -> dict[str, Record]:
    seen: Mapping[str, SourceState] = {} if live is None else {source.name: source for source in live.sources}
    detail = NOT_RUNNING if live is None else "not read yet"
    states = [seen.get(name, SourceState(name=name, up=None, detail=detail)) for name in WITNESSES]
    return {
        state.name: {key: value for key, value in msgspec.to_builtins(state).items() if key != "name"}
        for state in states
    }


def _gate(live: Live | None, kill_switch: bool) -> Record:  # noqa: FBT001 - a fact, not a mode
    """May anything trade? Allowed when every strategy is; the reasons are all those that occur."""
    gates = () if live is None else live.gates
    reasons = [NOT_RUNNING] if live is None else list(dict.fromkeys(text for gate in gates for text in gate.reasons))
    return {
        "trade_allowed": bool(gates) and all(gate.allowed for gate in gates),
        "reasons": reasons,
        "kill_switch": kill_switch,
        "strategies": {gate.strategy_id: gate_document(gate) for gate in gates},
    }


def _allowed(gate: TradeGate | None, live: Live | None) -> Record:
    if gate is not None:
        return {"trade_allowed": gate.allowed, "reasons": list(gate.reasons)}
    reason = NOT_RUNNING if live is None else "the running process does not know this strategy"
    return {"trade_allowed": False, "reasons": [reason]}
