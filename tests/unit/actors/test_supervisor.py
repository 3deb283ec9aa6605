"""The supervisor: restarts within an intensity, quarantine, escalation; no restart loses a fill (L-12, D-19)."""

from __future__ import annotations

import pytest

from actors.gathering import Stage
from actors.supervisor import RESTARTS_MAX, WINDOW_MS
from messages.addresses import REPORTER, WRITER, Address, coordinator_address, gate_address, market_address
from messages.control import PauseStrategy
from messages.reads import ReadOpenOrders
from portfolio.outcomes import CycleStatus
from tests.support.moves import Deal, move, trade
from tests.support.system import INTERVAL_MS, WALLET, Build, Harness
from tests.unit.actors.worlds import SHARE, running

MARKET = market_address(WALLET, "0xa")
COORDINATOR = coordinator_address(WALLET)
DEAL = Deal(token_id="0xa-yes", size=SHARE, price=500_000)


class Poison:
    """A message that no actor takes: whoever gets it crashes."""


def crash(harness: Harness, address: Address, times: int = 1) -> None:
    """Crash an actor, and let the supervisor do its work each time."""
    harness.crashes_expected = True
    for _ in range(times):
        harness.post.tell(address, Poison())
        harness.runtime.run_until_idle()


@pytest.mark.req("L-12", "D-19")
def test_a_crashed_market_comes_back_from_its_journal(build: Build) -> None:
    harness = running(build())
    trade(harness.venue, "trade-1", DEAL)
    harness.cycle()
    crash(harness, MARKET)
    move(harness.venue, "0xa-yes", 50 * SHARE)
    harness.cycles(2)
    assert harness.shares() == {"0xa-yes": 151 * SHARE}
    harness.assert_replays()


@pytest.mark.req("L-01", "D-21")
def test_fills_that_were_in_the_mailbox_of_a_crashed_market_are_told_again(build: Build) -> None:
    """The market dies with a fill waiting behind the poison; the ingest must not think that it was taken."""
    harness = running(build())
    trade(harness.venue, "trade-1", DEAL)
    harness.crashes_expected = True
    harness.post.tell(MARKET, Poison())
    harness.cycle()
    harness.runtime.run_for(2 * INTERVAL_MS)
    assert [row["trade_id"] for row in harness.queries.fills()] == ["trade-1"]
    assert harness.settlements()[-1]["cause"] != "EXTERNAL_BUY"
    harness.assert_replays()


@pytest.mark.req("L-01", "D-18", "D-20")
@pytest.mark.parametrize("seed", range(20))
def test_a_market_that_crashes_at_any_moment_of_a_busy_cycle_diverges_from_nothing(build: Build, seed: int) -> None:
    """Whatever was decided before the crash is durable before the actor comes back; the journal stays one story."""
    harness = running(build(seed=seed), "0xa", "0xb")
    for number in range(6):
        trade(harness.venue, f"trade-{number}", DEAL)
    harness.post.tell(COORDINATOR, _force())
    for _ in range(seed):
        harness.runtime.step()
    harness.crashes_expected = True
    harness.post.tell(MARKET, Poison())
    harness.runtime.run_for(4 * INTERVAL_MS)
    assert harness.shares() == {"0xa-yes": 106 * SHARE, "0xb-yes": 100 * SHARE}
    assert len(harness.queries.fills()) == 6
    assert len(harness.queries.adjustments()) == 2, "the openings: no fill was taken for drift"
    harness.assert_replays()
    assert harness.metrics.reports[-1].status is CycleStatus.OK


def _force() -> object:
    from messages.cycle import SyncAsked

    return SyncAsked(why="force")


@pytest.mark.req("L-12")
def test_a_market_that_keeps_crashing_is_quarantined_and_the_others_go_on(build: Build) -> None:
    harness = running(build(), "0xa", "0xb")
    crash(harness, MARKET, times=RESTARTS_MAX + 1)
    assert harness.board.quarantined == ("0xa",)
    assert harness.sink.codes() == ["PORTFOLIO_SYNC_MARKET_HALTED"]
    assert harness.may_trade().reasons == ("a market of the strategy is halted",)
    move(harness.venue, "0xa-yes", -50 * SHARE)
    harness.venue.cash_micro += 20 * SHARE
    move(harness.venue, "0xb-yes", 50 * SHARE)
    first, second = harness.cycles(2)
    assert first.status is second.status is CycleStatus.OK
    assert "market 0xa is quarantined" in second.reasons
    assert harness.shares() == {"0xa-yes": 100 * SHARE, "0xb-yes": 150 * SHARE}
    assert harness.settlements()[-1]["cause"] == "UNTRACKED_INCREASE", "the other's cash explains nothing here"
    assert not harness.post.knows(MARKET)
    harness.restart()
    harness.cycles(2)
    assert harness.shares() == {"0xa-yes": 50 * SHARE, "0xb-yes": 150 * SHARE}


@pytest.mark.req("L-12")
def test_crashes_further_apart_than_the_window_are_forgiven(build: Build) -> None:
    harness = running(build())
    for _ in range(2 * RESTARTS_MAX):
        crash(harness, MARKET)
        harness.clock.advance_to(harness.clock.now_ms() + WINDOW_MS // RESTARTS_MAX)
    assert (harness.board.quarantined, harness.escalated) == ((), [])


@pytest.mark.req("L-12", "D-11")
def test_a_crashed_coordinator_comes_back_with_a_cycle_of_its_own(build: Build) -> None:
    harness = running(build())
    harness.venue.held.add(ReadOpenOrders)
    crash(harness, COORDINATOR)
    harness.venue.release()
    harness.runtime.run_until_idle()
    assert harness.metrics.reports[-1].status is CycleStatus.OK
    move(harness.venue, "0xa-yes", 50 * SHARE)
    harness.runtime.run_for(2 * INTERVAL_MS)
    assert harness.shares() == {"0xa-yes": 150 * SHARE}
    harness.assert_replays()


@pytest.mark.req("S-05", "D-11")
def test_a_market_that_does_not_answer_does_not_cost_the_pause_of_another(build: Build) -> None:
    """One market dies with its view unread, the other has corrected 600 pUSD: the deadline closes, the gate judges."""
    harness = running(build(), "0xa", "0xb")
    move(harness.venue, "0xa-yes", SHARE)
    move(harness.venue, "0xb-yes", 1_200 * SHARE)
    harness.cycle()
    harness.post.tell(COORDINATOR, _force())
    while harness.actor(COORDINATOR)._cycle is None or harness.actor(COORDINATOR)._cycle.stage is not Stage.VIEWS:
        harness.runtime.step()
    harness.actor(MARKET).actor_inbox.mail.clear()
    harness.runtime._ready = [inbox for inbox in harness.runtime._ready if inbox.mail]
    harness.runtime.run_until_idle()
    harness.runtime.run_for(INTERVAL_MS)
    stale = next(report for report in reversed(harness.metrics.reports) if report.status is CycleStatus.STALE)
    assert "view:0xa" in stale.reasons[0]
    assert stale.paused_strategies == ("default",)
    assert len(harness.settlements("PORTFOLIO_SYNC_STRATEGY_PAUSED")) == 1


@pytest.mark.req("S-05", "D-18")
def test_a_gate_that_crashes_before_it_judged_judges_in_its_next_life(build: Build) -> None:
    harness = running(build())
    move(harness.venue, "0xa-yes", 1_200 * SHARE)
    harness.cycle()
    harness.post.tell(COORDINATOR, _force())
    while not any(row["drift_pusd"] == 600 for row in harness.settlements()):
        harness.runtime.step()
    gate = harness.actor(gate_address(WALLET))
    gate.actor_inbox.mail.clear()
    harness.runtime._ready = [inbox for inbox in harness.runtime._ready if inbox.mail]
    crash(harness, gate_address(WALLET))
    harness.runtime.run_for(2 * INTERVAL_MS)
    assert len(harness.settlements("PORTFOLIO_SYNC_STRATEGY_PAUSED")) == 1
    assert not harness.may_trade().allowed


@pytest.mark.req("S-06")
def test_a_crashed_gate_still_knows_who_is_paused(build: Build) -> None:
    harness = running(build())
    harness.ask(PauseStrategy(request_id="p", strategy_id="default", operator="Ada", reason="x"))
    crash(harness, gate_address(WALLET))
    assert harness.cycle().paused_strategies == ("default",)


@pytest.mark.req("D-18")
def test_who_is_no_market_and_keeps_crashing_ends_the_process(build: Build) -> None:
    harness = running(build())
    crash(harness, COORDINATOR, times=RESTARTS_MAX + 1)
    (detail,) = harness.escalated
    assert detail.startswith(f"coordinator:main crashed {RESTARTS_MAX + 1} times within {WINDOW_MS} ms: TypeError")


@pytest.mark.req("D-18")
def test_a_crashed_writer_ends_the_process_at_once(build: Build) -> None:
    """What it had gathered is lost, so memory is ahead of the disk: no restart inside can mend that."""
    harness = running(build())
    crash(harness, WRITER)
    assert len(harness.escalated) == 1
    assert harness.escalated[0].startswith("the writer crashed: TypeError")


@pytest.mark.req("D-18")
def test_a_broken_stream_ends_the_process_and_the_next_one_continues_from_disk(build: Build) -> None:
    harness = running(build())
    trade(harness.venue, "trade-1", DEAL)
    harness.lose_disk()
    harness.cycle()
    assert len(harness.escalated) == 1
    harness.restart()
    harness.cycle()
    assert harness.shares() == {"0xa-yes": 101 * SHARE}
    harness.assert_replays()


@pytest.mark.req("D-18")
def test_a_crashed_reporter_comes_back_and_says_what_it_had_not_said(build: Build) -> None:
    harness = running(build())
    crash(harness, REPORTER)
    move(harness.venue, "0xa-yes", 100 * SHARE)
    harness.cycles(2)
    assert harness.sink.codes() == ["PORTFOLIO_SYNC_DISCREPANCY"]
