"""The gate: commands with answers after durability, pauses, the kill switch, and who may trade."""

from __future__ import annotations

import json

import pytest

from messages.addresses import gate_address
from messages.control import DescribeState, PauseStrategy, ResumeStrategy, SetKillSwitch
from messages.reads import ReadBalances, ReadOpenOrders
from portfolio.events import GateConfigured
from portfolio.facts import FailureKind
from tests.support.moves import move
from tests.support.system import INTERVAL_MS, WALLET, Build, Harness
from tests.unit.actors.worlds import SHARE, running

PAUSE = PauseStrategy(request_id="p", strategy_id="default", operator="Ada", reason="maintenance")
RESUME = ResumeStrategy(request_id="r", strategy_id="default", operator="Ada", reason="done")
ON = SetKillSwitch(request_id="on", active=True, operator="Ada", reason="incident 12")
OFF = SetKillSwitch(request_id="off", active=False, operator="Ada", reason="over")

TWO = GateConfigured(auto_pause=True, operator="", reason="", strategies=(("alpha", ("0xa",)), ("beta", ("0xb",))))
NO_PAUSE = GateConfigured(auto_pause=False, operator="Ada", reason="a migration", strategies=())


def critical(harness: Harness, condition_id: str = "0xa") -> None:
    """A drift of 600 pUSD, looked at twice."""
    move(harness.venue, f"{condition_id}-yes", 1_200 * SHARE)
    harness.cycles(2)


def events(harness: Harness) -> list[str]:
    """What the gate recorded of strategies, oldest first."""
    return [row["event"] for row in reversed(harness.queries.strategy_events())]


@pytest.mark.req("S-06", "S-19")
def test_pause_and_resume_by_name_are_recorded_with_the_operator(build: Build) -> None:
    harness = running(build())
    assert harness.ask(PAUSE) == (True, "strategy default is paused")
    assert harness.may_trade().reasons == ("paused: by Ada: maintenance",)
    assert harness.ask(RESUME) == (True, "strategy default was resumed")
    assert harness.may_trade().allowed
    rows = [(row["event"], row["operator"], row["reason"]) for row in reversed(harness.queries.strategy_events())]
    assert rows == [("paused", "Ada", "maintenance"), ("resumed", "Ada", "done")]


@pytest.mark.req("S-19")
def test_a_command_that_cannot_be_obeyed_says_why_and_changes_nothing(build: Build) -> None:
    harness = running(build())
    before = len(harness.journal())
    assert harness.ask(RESUME) == (False, "strategy default is not paused")
    unknown = ResumeStrategy(request_id="u", strategy_id="gamma", operator="Ada", reason="")
    assert harness.ask(unknown) == (False, "no strategy is called 'gamma'; configured are default")
    assert harness.ask(OFF) == (False, "the kill switch is already off")
    assert len(harness.journal()) == before


@pytest.mark.req("D-18", "S-19")
def test_a_command_is_answered_when_it_is_durable_and_not_before(build: Build) -> None:
    harness = running(build())
    harness.post.tell(gate_address(WALLET), PAUSE)
    while not harness.answers.given:
        assert harness.runtime.step()
    assert harness.queries.strategies()[0]["paused"], "the caller may read what it was told"
    assert harness.rebuilt().gate.paused


@pytest.mark.req("D-18")
def test_a_command_that_the_disk_refused_is_never_confirmed(build: Build) -> None:
    harness = running(build())
    harness.lose_disk()
    harness.post.tell(gate_address(WALLET), PAUSE)
    harness.runtime.run_until_idle()
    assert harness.answers.given == {}
    assert "a commit of 1 decisions failed" in harness.escalated[0]


@pytest.mark.req("S-06", "S-14")
def test_a_pause_holds_across_cycles_and_restarts_until_someone_resumes(build: Build) -> None:
    harness = running(build())
    critical(harness)
    harness.restart()
    assert harness.cycles(3)[-1].paused_strategies == ("default",)
    assert harness.ask(RESUME)[0]
    harness.restart()
    assert harness.cycle().paused_strategies == ()
    assert harness.sink.codes().count("PORTFOLIO_SYNC_STRATEGY_PAUSED") == 1


@pytest.mark.req("S-05")
def test_only_the_strategy_of_the_drifting_market_is_paused(build: Build) -> None:
    harness = running(build(gate=TWO), "0xa", "0xb", "0xc")
    critical(harness, "0xb")
    assert harness.cycle().paused_strategies == ("beta",)
    assert harness.may_trade("alpha").allowed
    assert not harness.may_trade("beta").allowed
    critical(harness, "0xc")
    assert harness.cycle().paused_strategies == ("beta", "default"), "nobody claims 0xc"


@pytest.mark.req("S-07", "R-28")
def test_the_kill_switch_suppresses_the_pause_and_syncing_goes_on(build: Build) -> None:
    harness = running(build())
    assert harness.ask(ON) == (True, "the kill switch is on")
    critical(harness)
    assert harness.shares() == {"0xa-yes": 1_300 * SHARE}
    assert harness.metrics.reports[-1].paused_strategies == ()
    assert harness.sink.codes() == [
        "PORTFOLIO_SYNC_DISCREPANCY",
        "PORTFOLIO_SYNC_CRITICAL_DISCREPANCY",
        "PORTFOLIO_SYNC_PAUSE_SUPPRESSED",
    ]
    assert events(harness) == ["kill_switch_on", "pause_suppressed"]
    assert harness.may_trade().reasons == ("the kill switch is on",)


@pytest.mark.req("S-07", "R-28")
@pytest.mark.parametrize("reviewed", [False, True])
def test_when_the_kill_switch_goes_off_suppressed_pauses_apply_unless_reviewed(build: Build, *, reviewed: bool) -> None:
    harness = running(build())
    harness.ask(ON)
    critical(harness)
    harness.restart()
    if reviewed:
        assert harness.ask(RESUME)[0]
    assert harness.ask(OFF) == (True, "the kill switch is off")
    assert harness.cycle().paused_strategies == (() if reviewed else ("default",))
    assert len(harness.settlements("PORTFOLIO_SYNC_STRATEGY_PAUSED")) == (0 if reviewed else 1)


@pytest.mark.req("S-05", "R-07")
def test_with_auto_pause_off_the_page_goes_out_and_the_strategy_goes_on(build: Build) -> None:
    harness = running(build(gate=NO_PAUSE))
    assert harness.sink.codes() == ["PORTFOLIO_SYNC_AUTO_PAUSE_OFF"]
    critical(harness)
    assert harness.sink.codes()[1:] == [
        "PORTFOLIO_SYNC_DISCREPANCY",
        "PORTFOLIO_SYNC_CRITICAL_DISCREPANCY",
        "PORTFOLIO_SYNC_PAUSE_SUPPRESSED",
    ]
    assert harness.may_trade().allowed
    harness.restart()
    assert harness.sink.codes().count("PORTFOLIO_SYNC_AUTO_PAUSE_OFF") == 1


@pytest.mark.req("R-14")
def test_the_trade_gate_names_every_reason(build: Build) -> None:
    harness = running(build())
    harness.ask(ON)
    harness.ask(PAUSE)
    harness.venue.failing = {ReadOpenOrders: FailureKind.UNREACHABLE, ReadBalances: FailureKind.UNREACHABLE}
    harness.cycle()
    harness.board.lease_held = False
    harness.board.quarantined = ("0xa",)
    harness.clock.advance_to(harness.clock.now_ms() + 3 * INTERVAL_MS)
    assert harness.may_trade().reasons == (
        "another process owns the wallet, or the lease was lost",
        f"no cycle completed within {2 * INTERVAL_MS} ms",
        "the CLOB is unavailable",
        "paused: by Ada: maintenance",
        "a market of the strategy is halted",
        "the kill switch is on",
    )


@pytest.mark.req("S-01")
def test_every_actor_describes_its_state(build: Build) -> None:
    harness = running(build())
    for address in harness.post.addresses:
        if address not in {"supervisor", "writer", "reporter"}:
            harness.post.tell(address, DescribeState(request_id=address))
    harness.runtime.run_until_idle()
    described = {request_id: json.loads(body) for request_id, (_, _, body) in harness.answers.given.items()}
    assert sorted(described) == ["coordinator:main", "gate:main", "ingest:main", "market:main/0xa", "watcher"]
    assert described["market:main/0xa"]["state"]["market_id"] == "0xa"
    assert described["coordinator:main"]["state"]["opened"] is True
