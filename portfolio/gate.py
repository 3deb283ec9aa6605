"""Which strategies may trade: pauses, resumes, the kill switch, and the trade gate (S-05…S-07, S-14, R-14, R-28).

A pause holds until an operator resumes the strategy by name; nothing resumes by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

import msgspec
from msgspec.structs import replace

from portfolio.events import (
    DriftFound,
    GateConfigured,
    GateEvent,
    KillSwitchSet,
    StrategyPauseAsked,
    StrategyResumed,
)
from portfolio.judging import BOT_ID
from portfolio.outcomes import (
    Alert,
    DeltaType,
    Outcome,
    SettlementReport,
    StrategyEventRow,
    StrategyRow,
    Subject,
)
from portfolio.reasons import REASONS, ReasonCode
from portfolio.units import format_micro

DEFAULT_STRATEGY = "default"
"""Takes every market that no strategy claims (D-25)."""


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """A pause in force."""

    reason: str
    market_id: str
    at_ms: int


class GateState(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate of one wallet owns. ``suppressed`` are drifts whose pause the kill switch holds back (R-28)."""

    wallet: str
    version: int = 0
    auto_pause: bool = True
    strategies: tuple[tuple[str, tuple[str, ...]], ...] = ()
    paused: dict[str, Pause] = {}
    kill_switch: bool = False
    suppressed: dict[str, DriftFound] = {}

    def strategies_of(self, market_ids: Sequence[str]) -> tuple[str, ...]:
        """Strategies that hold any of these market or condition ids; ``default`` where none claims them."""
        wanted = {market_id.lower() for market_id in market_ids}
        owners = tuple(
            strategy for strategy, markets in self.strategies if wanted & {market.lower() for market in markets}
        )
        return owners or (DEFAULT_STRATEGY,)

    @property
    def strategy_ids(self) -> tuple[str, ...]:
        """All configured strategies, ``default`` included."""
        return tuple(sorted({DEFAULT_STRATEGY, *(strategy for strategy, _ in self.strategies)}))


class GateStep(msgspec.Struct, frozen=True, kw_only=True):
    """What a gate transition gives; ``refused`` says why a command was not obeyed, ``newly_paused`` who stopped."""

    state: GateState
    rows: tuple[Outcome, ...] = ()
    newly_paused: tuple[str, ...] = ()
    refused: str = ""


class Liveness(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate knows of the running process; never journaled. Ages in ms; None: there was none yet."""

    first_cycle_complete: bool
    completed_cycle_age_ms: int | None
    sync_interval_ms: int
    clob_up: bool
    rpc_up: bool
    data_api_up: bool
    apply_without_rpc: bool
    halted_markets: tuple[str, ...]
    lease_held: bool
    short_markets: tuple[str, ...] = ()
    """Markets in which more was sold than is held, as far as is known (R-24)."""


class TradeGate(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a strategy may trade, and if not, every reason (R-14)."""

    strategy_id: str
    allowed: bool
    reasons: tuple[str, ...]


def transition(state: GateState, event: GateEvent, now_ms: int) -> GateStep:
    """Apply one event, taken at ``now_ms``. An event that changes nothing gives the same state and no rows."""
    step = _decide(state, event, now_ms)
    if step.refused or (step.state is state and not step.rows):
        return step
    return replace(step, state=replace(step.state, version=state.version + 1))


def _decide(state: GateState, event: GateEvent, now_ms: int) -> GateStep:
    match event:
        case GateConfigured():
            return _configure(state, event, now_ms)
        case DriftFound():
            return _drift(state, event, now_ms)
        case StrategyPauseAsked():
            return _pause_by_hand(state, event, now_ms)
        case StrategyResumed():
            return _resume(state, event, now_ms)
        case KillSwitchSet():
            return _kill_switch(state, event, now_ms)
        case _:  # pragma: no cover - mypy proves that no kind of event is left
            assert_never(event)


def trade_gate(state: GateState, live: Liveness, strategy_id: str) -> TradeGate:
    """Judge one strategy (R-14)."""
    overdue_ms = 2 * live.sync_interval_ms
    checks = (
        (not live.lease_held, "another process owns the wallet, or the lease was lost"),
        (not live.first_cycle_complete, "the first full cycle is not complete"),
        (
            live.first_cycle_complete
            and (live.completed_cycle_age_ms is None or live.completed_cycle_age_ms > overdue_ms),
            f"no cycle completed within {overdue_ms} ms",
        ),
        (not live.clob_up, "the CLOB is unavailable"),
        (
            not live.rpc_up and not (live.data_api_up and live.apply_without_rpc),
            "the chain cannot be read and there is no stand-in",
        ),
        (strategy_id in state.paused, _pause_reason(state, strategy_id)),
        (bool(_of(state, live.halted_markets, strategy_id)), "a market of the strategy is halted"),
        (bool(_of(state, live.short_markets, strategy_id)), "a market of the strategy awaits a purchase it sold from"),
        (state.kill_switch, "the kill switch is on"),
    )
    reasons = tuple(reason for applies, reason in checks if applies)
    return TradeGate(strategy_id=strategy_id, allowed=not reasons, reasons=reasons)


def _pause_reason(state: GateState, strategy_id: str) -> str:
    pause = state.paused.get(strategy_id)
    return f"paused: {pause.reason}" if pause is not None else ""


def _of(state: GateState, markets: Iterable[str], strategy_id: str) -> tuple[str, ...]:
    return tuple(market for market in markets if strategy_id in state.strategies_of((market,)))


def _configure(state: GateState, event: GateConfigured, now_ms: int) -> GateStep:
    """Take in the settings; a switched-off auto-pause is alerted at the change (R-07)."""
    changed = replace(state, auto_pause=event.auto_pause, strategies=event.strategies)
    if changed == state:
        return GateStep(state=state)
    rows: list[Outcome] = [_strategy_row(changed, strategy, now_ms) for strategy in changed.strategy_ids]
    if not event.auto_pause and state.auto_pause:
        text = f"auto_pause_strategy_on_drift is off; {event.operator} takes responsibility: {event.reason}"
        rows.append(_alert(state, ReasonCode.PORTFOLIO_SYNC_AUTO_PAUSE_OFF, ("", ""), text, now_ms))
        rows.append(_event_row(state, "", ("auto_pause_off", "", event.operator, event.reason), now_ms))
    return GateStep(state=changed, rows=tuple(rows))


def _drift(state: GateState, event: DriftFound, now_ms: int) -> GateStep:
    """Pause every strategy with a leg in the market, or record why it was not paused (S-05, S-07, R-06)."""
    rows: list[Outcome] = []
    newly: list[str] = []
    for strategy in state.strategies_of((event.market_id, *event.condition_ids)):
        if state.kill_switch or not state.auto_pause:
            why = "kill switch on" if state.kill_switch else "auto_pause_strategy_on_drift is off"
            rows.append(_event_row(state, strategy, ("pause_suppressed", event.market_id, "", why), now_ms))
            text = f"{_drift_text(event)}; strategy {strategy} was not paused: {why}"
            code = ReasonCode.PORTFOLIO_SYNC_PAUSE_SUPPRESSED
            rows.append(_alert(state, code, (strategy, event.market_id), text, now_ms))
            if state.kill_switch and state.auto_pause:
                state = replace(state, suppressed={**state.suppressed, strategy: event})
        elif strategy not in state.paused:
            state, paused_rows = _pause(state, strategy, event, now_ms)
            rows.extend(paused_rows)
            newly.append(strategy)
    return GateStep(state=state, rows=tuple(rows), newly_paused=tuple(newly))


def _drift_text(event: DriftFound) -> str:
    causes = ", ".join(event.causes) or "open orders differ"
    return f"drift of {format_micro(event.drift_micro)} pUSD in market {event.market_id} ({causes})"


def _pause(state: GateState, strategy: str, event: DriftFound, now_ms: int) -> tuple[GateState, tuple[Outcome, ...]]:
    reason = _drift_text(event)
    pause = Pause(reason=reason, market_id=event.market_id, at_ms=now_ms)
    state = replace(state, paused={**state.paused, strategy: pause})
    code = ReasonCode.PORTFOLIO_SYNC_STRATEGY_PAUSED
    text = f"strategy {strategy} was paused: {reason}; resume it by name once reviewed"
    return state, (
        _strategy_row(state, strategy, now_ms),
        _event_row(state, strategy, ("paused", event.market_id, "", reason), now_ms),
        _pause_report(state, strategy, event),
        _alert(state, code, (strategy, event.market_id), text, now_ms),
    )


def _pause_report(state: GateState, strategy: str, event: DriftFound) -> SettlementReport:
    """The STRATEGY_PAUSED report, exactly one per pause (R-25); its market is the strategy's first leg."""
    claimed = {market.lower() for name, markets in state.strategies if name == strategy for market in markets}
    # One that claims the event as a whole is named by it, so that no two strategies have a report of one key (D-24).
    legs = [market for market in (event.market_id, *event.condition_ids) if market.lower() in claimed]
    return SettlementReport(
        wallet=state.wallet,
        bot_id=BOT_ID,
        event_type=ReasonCode.PORTFOLIO_SYNC_STRATEGY_PAUSED.value,
        market_id=(legs or list(event.condition_ids) or [event.market_id])[0],
        delta_type=DeltaType.NO_CHANGE,
        internal_size_micro=event.internal_size_micro,
        clob_size_micro=event.clob_size_micro,
        drift_micro=event.drift_micro,
        neg_risk=event.neg_risk,
        action_taken="strategy_paused",
        synced_at_ms=event.synced_at_ms,
        subject=Subject.POSITION,
        cause="+".join(event.causes),
        evidence=event.evidence,
        onchain_reconciled=event.onchain_reconciled,
        strategy_id=strategy,
        cycle_id=event.cycle_id,
    )


def _pause_by_hand(state: GateState, event: StrategyPauseAsked, now_ms: int) -> GateStep:
    refused = _unknown(state, event.strategy_id)
    if refused or event.strategy_id in state.paused:
        return GateStep(state=state, refused=refused or f"strategy {event.strategy_id} is already paused")
    pause = Pause(reason=f"by {event.operator}: {event.reason}", market_id="", at_ms=now_ms)
    changed = replace(state, paused={**state.paused, event.strategy_id: pause})
    rows = (
        _strategy_row(changed, event.strategy_id, now_ms),
        _event_row(state, event.strategy_id, ("paused", "", event.operator, event.reason), now_ms),
    )
    return GateStep(state=changed, rows=rows, newly_paused=(event.strategy_id,))


def _resume(state: GateState, event: StrategyResumed, now_ms: int) -> GateStep:
    """Resume by name; a pause held back by the kill switch counts as reviewed too (R-28)."""
    held_back = event.strategy_id in state.suppressed
    if event.strategy_id not in state.paused and not held_back:
        refused = _unknown(state, event.strategy_id) or f"strategy {event.strategy_id} is not paused"
        return GateStep(state=state, refused=refused)
    changed = replace(
        state,
        paused={name: pause for name, pause in state.paused.items() if name != event.strategy_id},
        suppressed={name: drift for name, drift in state.suppressed.items() if name != event.strategy_id},
    )
    text = f"strategy {event.strategy_id} was resumed by {event.operator}: {event.reason or 'no reason given'}"
    rows = (
        _strategy_row(changed, event.strategy_id, now_ms),
        _event_row(state, event.strategy_id, ("resumed", "", event.operator, event.reason), now_ms),
        _alert(state, ReasonCode.PORTFOLIO_SYNC_STRATEGY_RESUMED, (event.strategy_id, ""), text, now_ms),
    )
    return GateStep(state=changed, rows=rows)


def _kill_switch(state: GateState, event: KillSwitchSet, now_ms: int) -> GateStep:
    """Switch; when it goes off, the pauses that it held back apply (R-28)."""
    if event.active == state.kill_switch:
        word = "on" if event.active else "off"
        return GateStep(state=state, refused=f"the kill switch is already {word}")
    word = "kill_switch_on" if event.active else "kill_switch_off"
    rows: list[Outcome] = [_event_row(state, "", (word, "", event.operator, event.reason), now_ms)]
    held_back = {} if event.active else state.suppressed
    state = replace(state, kill_switch=event.active, suppressed=state.suppressed if event.active else {})
    newly: list[str] = []
    for strategy in sorted(held_back):
        if strategy not in state.paused:
            state, paused_rows = _pause(state, strategy, held_back[strategy], now_ms)
            rows.extend(paused_rows)
            newly.append(strategy)
    return GateStep(state=state, rows=tuple(rows), newly_paused=tuple(newly))


def _unknown(state: GateState, strategy_id: str) -> str:
    if strategy_id in state.strategy_ids:
        return ""
    return f"no strategy is called {strategy_id!r}; configured are {', '.join(state.strategy_ids)}"


def _strategy_row(state: GateState, strategy: str, now_ms: int) -> StrategyRow:
    pause = state.paused.get(strategy)
    return StrategyRow(
        wallet=state.wallet,
        strategy_id=strategy,
        paused=pause is not None,
        pause_reason=pause.reason if pause is not None else "",
        paused_at_ms=pause.at_ms if pause is not None else None,
        updated_at_ms=now_ms,
    )


def _event_row(state: GateState, strategy: str, what: tuple[str, str, str, str], now_ms: int) -> StrategyEventRow:
    event, market_id, operator, reason = what
    return StrategyEventRow(
        wallet=state.wallet,
        strategy_id=strategy,
        event=event,
        market_id=market_id,
        operator=operator,
        reason=reason,
        at_ms=now_ms,
    )


def _alert(state: GateState, code: ReasonCode, about: tuple[str, str], text: str, now_ms: int) -> Alert:
    strategy, market_id = about
    return Alert(
        wallet=state.wallet,
        key=f"gate:{state.wallet}:{state.version + 1}:{strategy}:{code.value}",
        code=code.value,
        severity=REASONS[code].severity,
        route=REASONS[code].route.value,
        market_id=market_id,
        strategy_id=strategy,
        text=text,
        at_ms=now_ms,
    )
