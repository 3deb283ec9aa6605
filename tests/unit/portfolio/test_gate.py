"""The gate's transition: what pauses, what resumes, what changes nothing."""

from __future__ import annotations

import pytest

from portfolio.events import (
    DriftFound,
    GateConfigured,
    GateEvent,
    KillSwitchSet,
    StrategyPauseAsked,
    StrategyResumed,
)
from portfolio.gate import GateState, transition

NOW_MS = 1_746_792_000_000


def drift(market: str = "0xa") -> DriftFound:
    return DriftFound(
        cycle_id="main-1",
        market_id=market,
        condition_ids=(market,),
        drift_micro=600_000_000,
        internal_size_micro=0,
        clob_size_micro=600_000_000,
        neg_risk=False,
        causes=("TRANSFER_IN",),
        evidence="block 1",
        onchain_reconciled=True,
        synced_at_ms=NOW_MS,
    )


def gate(*events: GateEvent) -> GateState:
    state = GateState(wallet="main")
    for event in events:
        state = transition(state, event, NOW_MS).state
    return state


@pytest.mark.req("S-05", "L-19")
def test_drift_of_a_strategy_that_is_paused_already_changes_nothing() -> None:
    state = gate(drift())
    step = transition(state, drift(), NOW_MS + 1)
    assert step.state is state
    assert (step.rows, step.newly_paused) == ((), ())


@pytest.mark.req("S-06")
def test_a_pause_by_hand_names_who_and_why_and_is_refused_twice() -> None:
    asked = StrategyPauseAsked(strategy_id="default", operator="alice", reason="looks odd")
    step = transition(gate(), asked, NOW_MS)
    assert step.newly_paused == ("default",)
    assert step.state.paused["default"].reason == "by alice: looks odd"
    assert transition(step.state, asked, NOW_MS).refused == "strategy default is already paused"


@pytest.mark.req("S-06")
def test_a_strategy_that_nobody_configured_is_named_with_those_that_are() -> None:
    asked = StrategyPauseAsked(strategy_id="makr", operator="alice", reason="")
    assert transition(gate(), asked, NOW_MS).refused == "no strategy is called 'makr'; configured are default"


@pytest.mark.req("S-07", "R-28")
def test_a_pause_held_back_does_not_pause_again_what_was_paused_by_hand() -> None:
    by_hand = StrategyPauseAsked(strategy_id="default", operator="alice", reason="mine")
    state = gate(KillSwitchSet(active=True, operator="bob", reason="storm"), drift(), by_hand)
    step = transition(state, KillSwitchSet(active=False, operator="bob", reason="over"), NOW_MS)
    assert step.newly_paused == ()
    assert step.state.paused["default"].reason == "by alice: mine"


@pytest.mark.req("R-28", "S-06")
def test_a_pause_held_back_counts_as_reviewed_once_its_strategy_is_resumed_by_name() -> None:
    state = gate(KillSwitchSet(active=True, operator="bob", reason="storm"), drift())
    state = transition(state, StrategyResumed(strategy_id="default", operator="alice", reason="seen"), NOW_MS).state
    step = transition(state, KillSwitchSet(active=False, operator="bob", reason="over"), NOW_MS)
    assert (step.newly_paused, step.state.paused) == ((), {})


@pytest.mark.req("L-19", "R-07")
def test_the_same_settings_twice_change_nothing() -> None:
    settings = GateConfigured(auto_pause=False, operator="alice", reason="migration", strategies=(("maker", ("0xa",)),))
    state = gate(settings)
    assert state.strategies_of(("0xA",)) == ("maker",)
    assert transition(state, settings, NOW_MS).state is state
