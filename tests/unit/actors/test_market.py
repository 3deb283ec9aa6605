"""A market whose transition fails: halted, paged, its books as they were, and the way back (D-19, R-29)."""

from __future__ import annotations

from typing import Any

import pytest

from actors import market as module
from messages.addresses import market_address
from messages.control import ResumeMarket
from portfolio.events import FillSeen
from portfolio.market import Step, transition
from tests.support.moves import Deal, move, trade
from tests.support.system import WALLET, Build, Harness
from tests.unit.actors.worlds import SHARE, running

MARKET = market_address(WALLET, "0xa")
RESUME = ResumeMarket(request_id="r", market_id="0xa", operator="Ada", reason="fixed in 1.2")


@pytest.fixture
def poisoned(build: Build, monkeypatch: pytest.MonkeyPatch) -> Harness:
    """Two markets; in one a trade came that the transition cannot digest."""

    def failing(state: Any, event: Any, now_ms: int) -> Step:
        if isinstance(event, FillSeen) and event.leg.trade_id == "poison":
            raise ZeroDivisionError("planted")
        return transition(state, event, now_ms)

    monkeypatch.setattr(module, "transition", failing)
    harness = running(build(), "0xa", "0xb")
    trade(harness.venue, "poison", Deal(token_id="0xa-yes", size=SHARE, price=500_000, settled=False))
    trade(harness.venue, "good", Deal(token_id="0xa-yes", size=SHARE, price=500_000))
    trade(harness.venue, "other", Deal(token_id="0xb-yes", size=SHARE, price=500_000))
    harness.cycle()
    return harness


@pytest.mark.req("D-19", "L-12")
def test_a_transition_that_raises_halts_its_market_and_pages(poisoned: Harness) -> None:
    (alert,) = poisoned.sink.alerts
    assert (alert.code, alert.route, alert.market_id) == ("PORTFOLIO_SYNC_MARKET_HALTED", "page", "0xa")
    assert "fill_seen could not be processed: ZeroDivisionError: planted" in alert.text
    assert [(row["condition_id"], row["halted"]) for row in poisoned.queries.markets()] == [
        ("0xa", True),
        ("0xb", False),
    ]
    assert poisoned.may_trade().reasons == ("a market of the strategy is halted",)
    (issue,) = [row for row in poisoned.queries.issues() if row["type"] == "REJECTED_MESSAGE"]
    assert issue["action"] == "REQUIRES_MANUAL"


@pytest.mark.req("D-19")
def test_its_books_are_as_they_were_and_its_mailbox_is_kept(poisoned: Harness) -> None:
    """The other trades of the poll are booked, in this market and in the other; cycles go on."""
    assert sorted(row["trade_id"] for row in poisoned.queries.fills()) == ["good", "other"]
    assert poisoned.shares() == {"0xa-yes": 101 * SHARE, "0xb-yes": 101 * SHARE}
    assert poisoned.cycle().status.value == "ok"
    assert poisoned.escalated == []


@pytest.mark.req("D-19", "L-20")
def test_replay_does_not_run_the_poison_again(poisoned: Harness) -> None:
    assert [entry.kind for entry in poisoned.journal()].count("event_rejected") == 1
    poisoned.assert_replays()
    poisoned.restart()
    assert poisoned.rebuilt().markets[MARKET].halted


@pytest.mark.req("R-29")
def test_an_operator_brings_it_back_by_name(poisoned: Harness) -> None:
    assert poisoned.ask(RESUME, MARKET) == (True, "market 0xa was resumed")
    poisoned.cycle()
    assert poisoned.may_trade().allowed
    assert not poisoned.queries.markets()[0]["halted"]
    assert poisoned.sink.codes()[-1] == "PORTFOLIO_SYNC_MARKET_RESUMED"
    assert poisoned.ask(RESUME, MARKET) == (False, "market 0xa is not halted")


@pytest.mark.req("D-19", "D-11")
def test_a_view_that_cannot_be_judged_halts_the_market_and_the_cycle_still_ends(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(state: Any, event: Any, now_ms: int) -> Step:
        if getattr(event, "cycle_id", "") and state.market_id == "0xa" and not event.opening:
            raise ZeroDivisionError("planted")
        return transition(state, event, now_ms)

    harness = running(build(), "0xa", "0xb")
    monkeypatch.setattr(module, "transition", failing)
    for name in ("0xa", "0xb"):
        move(harness.venue, f"{name}-yes", SHARE)
    first, second = harness.cycles(2)
    assert "market 0xa could not judge its view and halted" in first.reasons
    assert second.delta_count == 1
    assert harness.shares() == {"0xa-yes": 100 * SHARE, "0xb-yes": 101 * SHARE}
    harness.assert_replays()
