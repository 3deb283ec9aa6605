"""A market counts what is late or repeated; one whose transition fails is halted, and comes back (D-19, R-29)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from actors import market as module
from messages.control import ResumeMarket
from portfolio.events import FillSeen, OrderSeen
from portfolio.facts import TradeStatus
from portfolio.market import Step, transition
from portfolio.trades import own_legs
from tests.support.moves import Deal, move, trade
from tests.support.system import INTERVAL_MS, Build, Harness
from tests.unit.actors.worlds import MARKET, SHARE, cursor_s, following, now_s, running, show, states

RESUME = ResumeMarket(request_id="r", market_id="0xa", operator="Ada", reason="fixed in 1.2")


def digesting_all_but(trade_id: str) -> Callable[..., Step]:
    """A transition that raises on a trade."""

    def failing(state: Any, event: Any, now_ms: int) -> Step:
        if isinstance(event, FillSeen) and event.leg.trade_id == trade_id:
            raise ZeroDivisionError("planted")
        return transition(state, event, now_ms)

    return failing


@pytest.fixture
def poisoned(build: Build, monkeypatch: pytest.MonkeyPatch) -> Harness:
    """Two markets; in one a trade came that the transition cannot digest."""

    monkeypatch.setattr(module, "transition", digesting_all_but("poison"))
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


@pytest.mark.req("D-19", "L-01", "L-12")
def test_poison_of_the_stream_halts_one_market_and_the_ingest_goes_on(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What follows in the same frame is booked, in both markets; the cursor passes: it would be rejected again."""
    harness = following(build(), "0xa", "0xb")
    monkeypatch.setattr(module, "transition", digesting_all_but("poison"))
    deal = Deal(token_id="0xa-yes", size=SHARE, price=500_000)
    names = ("poison", "same", "other")
    made = [trade(harness.venue, name, deal) for name in names[:2]]
    made.append(trade(harness.venue, "other", Deal(token_id="0xb-yes", size=SHARE, price=500_000)))
    show(harness, *made)
    assert set(states(harness)) == {"same", "other"}
    assert {row["condition_id"]: row["halted"] for row in harness.queries.markets()} == {"0xa": True, "0xb": False}
    at_s = now_s(harness)
    harness.runtime.run_for(INTERVAL_MS)
    assert cursor_s(harness) == at_s
    assert [entry.kind for entry in harness.journal()].count("event_rejected") == 1
    show(harness, trade(harness.venue, "later", deal))
    assert "later" in states(harness)
    assert harness.board.stream["main"].connected


# -- counts -----------------------------------------------------------------------------------------------------------


@pytest.mark.req("L-05", "L-19")
def test_what_is_late_or_repeated_changes_nothing_and_is_counted(build: Build) -> None:
    harness = running(build())
    made = trade(harness.venue, "trade-1", Deal(token_id="0xa-no", size=SHARE, price=300_000))
    (leg,) = own_legs(made, made.maker_address, (made.owner,))
    order = replace(harness.venue.orders["order-1"], size_matched_micro=2 * SHARE)
    seen: tuple[FillSeen | OrderSeen, ...] = (
        FillSeen(leg=leg, feed="stream"),
        OrderSeen(order=order, at_ms=harness.clock.now_ms(), feed="stream"),
    )
    tell(harness, *seen)
    before = len(harness.journal())
    late = (
        FillSeen(leg=replace(leg, status=TradeStatus.MATCHED), feed="stream"),
        OrderSeen(order=replace(order, size_matched_micro=SHARE), at_ms=harness.clock.now_ms(), feed="stream"),
    )
    tell(harness, *seen, *late, *late)
    counted = {name: count for name, count in harness.metrics.counts.items() if name.endswith("_message")}
    assert counted == {
        "repeated_trade_message": 1,
        "repeated_order_message": 1,
        "late_trade_message": 2,
        "late_order_message": 2,
    }
    assert len(harness.journal()) == before


@pytest.mark.req("L-22")
def test_issues_are_counted_by_their_type_once_they_are_durable(build: Build) -> None:
    harness = running(build())
    move(harness.venue, "0xa-yes", SHARE)
    harness.cycles(2)
    assert harness.metrics.counts["issues.position_drift"] == 1


def tell(harness: Harness, *messages: object) -> None:
    """Tell the market, and let everybody take their mail."""
    for message in messages:
        harness.post.tell(MARKET, message)
    harness.runtime.run_until_idle()
