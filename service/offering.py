"""What the running process offers to HTTP, the control socket and the demo (``service.api.ServiceApi``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from actors.board import ChainShown
from actors.streaming import StreamShown
from messages.addresses import (
    coordinator_address,
    gate_address,
    ingest_address,
    market_address,
)
from messages.control import Answer, Backfill, Command, MarkExternal, RecordTrade, ResumeMarket
from messages.cycle import SyncAsked
from portfolio.facts import Source
from portfolio.gate import TradeGate, trade_gate
from portfolio.outcomes import OperationsReport
from portfolio.reports import render_operations
from portfolio.thresholds import CRITICAL_DRIFT_MICRO
from service import pnl
from service.api import Mark, ServiceUnavailable, SourceState
from service.config import load
from service.describing import Describing
from service.health import HealthFacts
from service.wiring import ANSWER_WITHIN_S
from storage.queries import Queries, ReportKind, Selection

LOGS = Source.CHAIN_LOGS.value

BACKFILL_WITHIN_S = 600
"""Years of trades are thousands of pages."""


class Offering(Describing):
    """Commands wait until what they did is durable (D-18); everything else is read from the board and the database."""

    def command(self, command: Command) -> Answer:
        """Hand a command to its actor; the answer comes once what it did is durable."""
        name, within_s = self._wallet.name, ANSWER_WITHIN_S
        match command:
            case ResumeMarket() | RecordTrade() | MarkExternal():
                address = market_address(name, command.market_id)
                if not self._post.knows(address):
                    detail = f"no market {command.market_id} is known; a cycle reads those that the wallet is in"
                    return Answer(request_id="", ok=False, detail=detail)
            case Backfill():
                address, within_s = ingest_address(name), BACKFILL_WITHIN_S
            case _:
                address = gate_address(name)
        request_id, result = self._waiters.open()
        self._post.tell(address, msgspec.structs.replace(command, request_id=request_id))
        return self._wait(result, within_s)

    def force_sync(self) -> dict[str, Any]:
        """A full cycle now, and what it wrote (S-19)."""
        request_id, result = self._waiters.open()
        self._post.tell(coordinator_address(self._wallet.name), SyncAsked(why="force", request_id=request_id))
        answer = self._wait(result)
        if not answer.ok:
            raise ServiceUnavailable(answer.detail)
        report = msgspec.json.decode(answer.body, type=OperationsReport)
        return self.cycle_document(report)

    def cycle_document(self, report: OperationsReport) -> dict[str, Any]:
        """A cycle's report with its settlement reports and issues, as they stand in the database."""
        queries = self.queries()
        selection = Selection(wallet=self._wallet.name, since_ms=report.synced_at_ms)
        settlements = queries.reports(ReportKind.SETTLEMENT, selection)
        issues = queries.issues(selection)
        return {
            "operations_report": render_operations(report),
            "settlement_reports": [row for row in settlements if row.get("cycle_id") == report.cycle_id],
            "issues": [row for row in issues if row.get("cycle_id") == report.cycle_id],
        }

    def health(self) -> HealthFacts:
        """What health is judged on."""
        now_ms = self._clock.now_ms()
        shown = self._board.sync.get(self._wallet.name)
        gate = self._board.gate.get(self._wallet.name)
        report = shown.report if shown is not None else None
        completed = shown.completed_at_ms if shown is not None else None
        known = shown.wallet.known_drift_micro if shown is not None else 0
        drift = max(known, report.drift_max_micro if report is not None else 0)
        down_since = shown.clob_down_since_ms if shown is not None else None
        stream = self._stream_shown()
        return HealthFacts(
            sync_interval_ms=self._config.sync.sync_interval_ms,
            cycle_age_ms=None if completed is None else max(0, now_ms - completed),
            clob_unavailable_ms=None if down_since is None else max(0, now_ms - down_since),
            rpc_up=shown is None or shown.rpc_up,
            data_api_up=shown is None or shown.data_api_up,
            discrepancy_count=report.discrepancy_count if report is not None else 0,
            critical_drift=drift > CRITICAL_DRIFT_MICRO,
            paused_strategies=tuple(sorted(gate.state.paused)) if gate is not None else (),
            halted_markets=tuple(image.market_id for image in shown.images if image.halted) if shown else (),
            kill_switch=self.kill_switch(),
            auto_pause=gate.state.auto_pause if gate is not None else True,
            auto_pause_operator=self._config.sync.operator,
            pending_alerts=len(self._outbox.pending(limit=100)),
            quarantined=self._board.quarantined,
            stream_connected=stream.connected if stream is not None else None,
            stream_gap_ms=(stream.gap_ms or 0) if stream is not None else 0,
            logs_up=(report is None or _logs_up(report)) and not self._board.chain.detail,
        )

    def _stream_shown(self) -> StreamShown | None:
        """What the user stream shows of itself; None where none is followed."""
        return self._board.stream.get(self._wallet.name) if self._outside.stream is not None else None

    def gate(self, strategy_id: str) -> TradeGate | None:
        """The trade gate of one strategy (R-14)."""
        return next((gate for gate in self.gates() if gate.strategy_id == strategy_id), None)

    def gates(self) -> tuple[TradeGate, ...]:
        """The trade gates of all strategies."""
        shown = self._board.gate.get(self._wallet.name)
        if shown is None:
            return ()
        sync = self._config.sync
        live = self._board.liveness(
            self._wallet.name,
            self._clock.now_ms(),
            sync.sync_interval_ms,
            apply_without_rpc=sync.rpc_unavailable_policy == "apply",
        )
        return tuple(trade_gate(shown.state, live, strategy) for strategy in shown.state.strategy_ids)

    def sources(self) -> tuple[SourceState, ...]:
        """The witnesses as the last cycle saw them."""
        shown = self._board.sync.get(self._wallet.name)
        if shown is None or shown.report is None:
            return ()
        reasons = shown.report.reasons
        at_ms = shown.report.synced_at_ms
        up = {
            "clob": shown.clob_down_since_ms is None,
            "chain": shown.rpc_up,
            LOGS: _logs_up(shown.report),
            "data": shown.data_api_up,
        }
        stream, chain = self._stream_shown(), self._board.chain
        followed = () if stream is None else (_stream_state(stream),)
        up[LOGS] = up[LOGS] and not chain.detail
        agreed = agreement(shown.report, len(set(self._config.polygon.rpc_urls))) if shown.rpc_up else ""
        said = {LOGS: _heights(chain) if up[LOGS] else "", "chain": agreed}
        return followed + tuple(
            SourceState(
                name=name,
                up=is_up,
                last_ok_at_ms=at_ms if is_up else None,
                last_failure_at_ms=None if is_up else at_ms,
                detail=said.get(name) or _reason(reasons, name, up=is_up) or (chain.detail if name == LOGS else ""),
            )
            for name, is_up in up.items()
        )

    def marks(self) -> dict[str, Mark]:
        """Marks by token (R-03)."""
        shown = self._board.sync.get(self._wallet.name)
        return {} if shown is None else pnl.marks_of(shown, self._clock.now_ms())

    def kill_switch(self) -> bool:
        """Whether the kill switch is on."""
        gate = self._board.gate.get(self._wallet.name)
        return gate is not None and gate.state.kill_switch

    def strategy_map(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Strategies as configured."""
        return self._config.strategy_map

    def queries(self) -> Queries:
        """The stored state."""
        return Queries(self._database)

    def reload_config(self) -> dict[str, Any]:
        """Read the file again; strategies and auto-pause apply at once, the rest is said to need a restart (S-10).

        Raises:
            ConfigError: with every problem; the old configuration stays in force.
        """
        new = load(self._config.file)
        old, self._config = (
            self._config,
            msgspec.structs.replace(
                self._config,
                strategies=new.strategies,
                sync=msgspec.structs.replace(
                    self._config.sync,
                    auto_pause=new.sync.auto_pause,
                    operator=new.sync.operator,
                    reason=new.sync.reason,
                ),
                findings=new.findings,
            ),
        )
        self._tell_gate_settings()
        restart = [
            name
            for name in (
                "service",
                "sync",
                "wallets",
                "endpoints",
                "polygon",
                "storage_url",
                "statsd",
                "alerts",
                "http",
            )
            if getattr(new, name) != getattr(self._config, name)
        ]
        return {"applied": new.strategies != old.strategies or new.sync != old.sync, "needs_restart": restart}


def _stream_state(stream: StreamShown) -> SourceState:
    """The user stream among the witnesses: up while subscribed, with what the last comparison with REST showed."""
    detail = stream.reason
    if stream.gap_ms:
        detail = f"it was {stream.gap_ms} ms behind the exchange's list; {stream.missed} fills were missed so far"
    return SourceState(
        name="stream",
        up=stream.connected,
        last_ok_at_ms=stream.proven_at_ms,
        last_failure_at_ms=None,
        detail=detail,
    )


def _reason(reasons: Sequence[str], name: str, *, up: bool) -> str:
    return "" if up else next((reason for reason in reasons if reason.startswith(name)), "")


def agreement(report: OperationsReport, endpoints: int) -> str:
    """Whether several RPC endpoints had the block that the cycle compared at; with one that is waived (X-14, R-31)."""
    if endpoints == 1:
        return "agreement waived: one endpoint"
    doubt = next((reason for reason in report.reasons if reason.startswith(Source.CHAIN_AGREEMENT.value)), "")
    if doubt or not report.onchain_reconciled:
        return doubt
    return f"at least two of {endpoints} endpoints agreed on block {report.block_number}"


def _heights(chain: ChainShown) -> str:
    """How far the chain was followed, and how firm that is (X-14)."""
    if chain.head is None:
        return ""
    firm = (("safe", chain.safe), ("finalized", chain.finalized))
    tiers = "".join(f", {name} {'unknown' if number is None else number}" for name, number in firm)
    return f"followed to block {chain.followed}; head {chain.head}{tiers}"


def _logs_up(report: OperationsReport) -> bool:
    """Whether the cycle says nothing against the chain's logs."""
    return not any(reason.startswith(LOGS) for reason in report.reasons)
