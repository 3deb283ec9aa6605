"""Behind each new subscription of the user stream REST is read first; what the stream shows meanwhile waits (L-17)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from actors import streaming
from actors.coordinator import EXTRA_CYCLE_MS
from actors.streaming import GRACE_MS
from messages.control import DescribeState
from messages.cycle import SyncAsked
from messages.reads import Read, ReadBalances, ReadMarkets, ReadOpenOrders, ReadOrder, ReadTrades
from portfolio.facts import FailureKind, OrderStatus
from portfolio.outcomes import CycleStatus
from portfolio.views import ViewPolicy
from tests.support.moves import Deal, fill_order, fill_part, trade
from tests.support.system import INTERVAL_MS, Build, Harness
from tests.unit.actors.worlds import (
    COORDINATOR,
    INGEST,
    SHARE,
    Poison,
    following,
    running,
    seen_first,
    show,
    states,
    subscribe,
)

DEAL = Deal(token_id="0xa-yes", size=10 * SHARE, price=500_000)
MINUTE_MS = 60_000
CATCHING_UP: tuple[type[Read], ...] = (ReadTrades, ReadOpenOrders)


def held(harness: Harness) -> list[Callable[[], None]]:
    """Subscribe while nothing answers; what would answer: the trades, then the open orders."""
    harness.venue.held = set(CATCHING_UP)
    harness.stream.subscribe()
    harness.runtime.run_until_idle()
    answers, harness.venue.waiting = harness.venue.waiting, []
    assert len(answers) == len(CATCHING_UP)
    harness.venue.held = set()
    return answers


def answer(harness: Harness, given: Callable[[], None]) -> None:
    """One answer, and everybody takes their mail."""
    given()
    harness.runtime.run_until_idle()


@pytest.mark.req("L-01", "L-17")
@pytest.mark.parametrize("first", [0, 1], ids=["trades first", "orders first"])
def test_events_wait_until_trades_and_orders_were_read(build: Build, first: int) -> None:
    harness = running(build())
    trade(harness.venue, "before", DEAL)
    answers = held(harness)
    made = trade(harness.venue, "after", DEAL)
    harness.venue.hide_trades = "after".__eq__
    show(harness, made)
    answer(harness, answers[first])
    assert "after" not in states(harness)
    answer(harness, answers[1 - first])
    assert seen_first(harness) == {"before": "backfill", "after": "stream"}
    reports = len(harness.metrics.reports)
    harness.runtime.run_for(EXTRA_CYCLE_MS)
    assert len(harness.metrics.reports) == reports + 1, "a new subscription makes a cycle due"


@pytest.mark.req("L-07", "L-19")
def test_what_waited_goes_on_in_the_order_in_which_it_came(build: Build) -> None:
    harness = running(build())
    answers = held(harness)
    events = []
    for number in range(3):
        made, order = fill_part(harness.venue, "order-1", f"trade-{number}", SHARE)
        events += [made, order]
        harness.venue.hide_trades = lambda _: True
        show(harness, made)
        show(harness, order)
    harness.venue.hide_orders = lambda _: True
    before = len(harness.journal())
    for given in answers:
        answer(harness, given)
    kinds = [entry.kind for entry in harness.journal()[before:]]
    assert kinds == ["fill_seen", "order_seen"] * 3


@pytest.mark.req("L-05", "L-06", "L-17")
def test_known_orders_are_as_the_list_shows_them_behind_a_subscription_before_any_cycle(build: Build) -> None:
    harness = running(build())
    made, _ = fill_part(harness.venue, "order-1", "trade-1", 40 * SHARE)
    reports = len(harness.metrics.reports)
    harness.stream.subscribe()
    harness.runtime.run_until_idle()
    assert len(harness.metrics.reports) == reports
    rows = {row["order_id"]: row["size_matched_micro"] for row in harness.queries.orders()}
    assert rows == {"order-1": 40 * SHARE}
    assert seen_first(harness) == {made.trade_id: "backfill"}


@pytest.mark.req("R-04", "L-27")
@pytest.mark.parametrize("adopt", [True, False])
def test_an_order_that_is_first_found_behind_a_subscription_is_judged_by_the_cycle(
    build: Build, *, adopt: bool
) -> None:
    """A complete list lacked it although it is older: unknown. One that is younger than that list is ordinary."""
    harness = following(build(policy=ViewPolicy(settle_window_ms=INTERVAL_MS, adopt_unknown_orders=adopt)))
    created_ms = harness.clock.now_ms() - MINUTE_MS
    harness.venue.add_order("odd", "0xa-no", size=SHARE, price=300_000, created_at_ms=created_ms)
    harness.runtime.run_for(1)
    for _ in range(2):
        harness.stream.cut()
        harness.runtime.run_for(MINUTE_MS // 60)
        harness.venue.add_order("young", "0xa-no", size=SHARE, price=200_000)
        subscribe(harness)
    show(harness, harness.venue.orders["odd"])
    found = {row["order_id"] for row in harness.queries.orders()}
    assert found == {"order-1", "young"} | ({"odd"} if adopt else set())
    unknown = [row for row in harness.queries.issues() if row["type"] == "ORDER_UNKNOWN"]
    assert [row["subject"] for row in unknown] == ["odd"]


@pytest.mark.req("L-01", "L-30", "S-11")
@pytest.mark.parametrize("broken", [CATCHING_UP, CATCHING_UP[:1], CATCHING_UP[1:]], ids=["both", "trades", "orders"])
@pytest.mark.parametrize("how", ["failed", "partial"])
def test_a_reading_that_fails_holds_nothing_back(build: Build, broken: tuple[type[Read], ...], how: str) -> None:
    harness = running(build())
    trade(harness.venue, "before", DEAL)
    if how == "partial":
        harness.venue.partial = set(broken)
    else:
        harness.venue.failing = dict.fromkeys(broken, FailureKind.TIMEOUT)
    harness.stream.subscribe()
    show(harness, trade(harness.venue, "after", DEAL))
    assert harness.metrics.counts["catch_up_failed"] == len(broken)
    assert states(harness)["after"] == "SETTLED"
    harness.venue.partial, harness.venue.failing = set(), {}
    harness.runtime.run_for(EXTRA_CYCLE_MS)
    assert set(states(harness)) == {"before", "after"}, "the next cycle finds it"


@pytest.mark.req("L-30")
def test_what_was_filled_before_a_subscription_does_not_show_that_the_stream_is_silent(build: Build) -> None:
    """The reading behind the subscription failed; a cycle finds the fill, which the stream had no reason to show."""
    harness = running(build())
    trade(harness.venue, "before", Deal(token_id="0xa-yes", size=SHARE, price=500_000, age_ms=2_000))
    harness.venue.failing = {ReadTrades: FailureKind.TIMEOUT}
    subscribe(harness)
    harness.venue.failing = {}
    harness.cycle()
    assert seen_first(harness) == {"before": "poll"}
    harness.runtime.run_for(2 * INTERVAL_MS + GRACE_MS)
    assert harness.metrics.counts["stream_missed_fill"] == 0
    assert harness.stream.reconnects == []


@pytest.mark.req("L-01", "L-30")
@pytest.mark.parametrize("told", [True, False], ids=["its end was told", "its end was lost"])
def test_late_answers_of_a_first_subscription_do_not_end_the_waiting_of_the_second(build: Build, *, told: bool) -> None:
    harness = running(build())
    late = held(harness)
    first = trade(harness.venue, "first", DEAL)
    show(harness, first)
    if told:
        harness.stream.cut()
    answers = held(harness)
    show(harness, trade(harness.venue, "second", DEAL))
    harness.venue.hide_trades = lambda _: True
    for given in late:
        answer(harness, given)
    assert "second" not in states(harness)
    harness.venue.hide_trades = "second".__eq__
    for given in answers:
        answer(harness, given)
    assert set(states(harness)) == {"first", "second"}
    assert seen_first(harness)["second"] == "stream"


@pytest.mark.req("L-01", "L-30")
def test_a_second_subscription_does_not_wait_for_what_the_first_asked(build: Build) -> None:
    """The answers to the first are lost for good, as they are when a source hangs."""
    harness = running(build())
    assert len(held(harness)) == 2
    answers = held(harness)
    show(harness, trade(harness.venue, "trade-1", DEAL))
    harness.venue.hide_trades = lambda _: True
    for given in answers:
        answer(harness, given)
    assert seen_first(harness) == {"trade-1": "stream"}


@pytest.mark.req("L-01")
def test_a_subscription_that_ends_while_rest_catches_up_loses_nothing_that_it_showed(build: Build) -> None:
    harness = running(build())
    answers = held(harness)
    harness.venue.hide_trades = lambda _: True
    show(harness, trade(harness.venue, "trade-1", DEAL))
    harness.stream.cut()
    harness.runtime.run_until_idle()
    assert seen_first(harness) == {"trade-1": "stream"}
    for given in answers:
        answer(harness, given)
    assert not harness.board.stream["main"].connected


@pytest.mark.req("L-30")
def test_too_much_to_keep_while_rest_is_read_begins_the_stream_again_and_loses_nothing(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "BUFFER_MAX", 10)
    harness = running(build())
    answers = held(harness)
    made = [trade(harness.venue, f"trade-{number}", DEAL) for number in range(30)]
    for one in made:
        show(harness, one)
        assert len(harness.actor(INGEST)._watch._buffer) <= 10
    assert harness.metrics.counts["stream_begun_again"] == len(harness.stream.reconnects) > 0
    assert "until REST has caught up" in harness.stream.reconnects[0]
    for given in answers:
        answer(harness, given)
    assert set(states(harness)) == {one.trade_id for one in made}


@pytest.mark.req("L-01")
def test_what_an_ended_subscription_still_shows_is_left_to_the_readings_behind_the_next_one(build: Build) -> None:
    harness = following(build())
    number = harness.stream.connection
    harness.stream.cut()
    harness.runtime.run_until_idle()
    harness.stream.connection, harness.stream.connected = number, True
    show(harness, trade(harness.venue, "trade-1", DEAL))
    assert states(harness) == {}
    harness.stream.connection = number - 1
    harness.stream.cut("heard late")
    harness.runtime.run_until_idle()
    assert harness.metrics.counts["stream_closed"] == 1
    subscribe(harness)
    assert seen_first(harness) == {"trade-1": "backfill"}


# -- before the first cycle -------------------------------------------------------------------------------------------


@pytest.mark.req("R-23", "S-14")
@pytest.mark.parametrize("cut", [False, True], ids=["it stays", "it breaks and comes back"])
def test_what_the_stream_shows_before_the_first_cycle_waits_for_it(build: Build, *, cut: bool) -> None:
    """The trade is in the opening balance already, so it may not be booked beside it."""
    harness = build()
    harness.venue.failing = {ReadOpenOrders: FailureKind.UNREACHABLE}
    running(harness)
    made = trade(harness.venue, "trade-1", DEAL)
    asked = len(harness.venue.asked)
    harness.stream.subscribe()
    show(harness, made)
    if cut:
        harness.stream.cut()
        harness.runtime.run_until_idle()
        harness.stream.subscribe()
        show(harness, made)
    assert harness.venue.asked[asked:] == []
    assert (harness.queries.fills(), harness.shares()) == ([], {})
    harness.venue.failing = {}
    harness.cycle()
    assert harness.shares() == {"0xa-yes": 110 * SHARE}
    assert states(harness) == {"trade-1": "SUPERSEDED"}
    assert opened(harness) == [110 * SHARE]
    show(harness, trade(harness.venue, "trade-2", DEAL))
    assert seen_first(harness)["trade-2"] == "stream"
    harness.cycles(2)
    assert harness.shares() == {"0xa-yes": 120 * SHARE}
    assert opened(harness) == [110 * SHARE]


def opened(harness: Harness) -> list[int]:
    """The sizes of all entries that no fill made, the first look at a trade aside."""
    return [row["size_micro"] for row in harness.queries.adjustments() if row["cause"] != "RESTATED"]


@pytest.mark.req("R-23", "R-34")
def test_no_extra_cycle_comes_before_the_first_one_was_complete(build: Build) -> None:
    harness = build()
    harness.venue.failing = {ReadOpenOrders: FailureKind.UNREACHABLE}
    running(harness)
    subscribe(harness)
    show(harness, trade(harness.venue, "trade-1", DEAL))
    for why in ("fill", "stream"):
        harness.post.tell(COORDINATOR, SyncAsked(why=why))
    harness.runtime.run_for(INTERVAL_MS // 2)
    assert len(harness.metrics.reports) == 1


@pytest.mark.req("R-23", "L-17")
def test_in_a_later_life_the_stream_does_not_wait_for_a_cycle(build: Build) -> None:
    harness = following(build())
    harness.stop()
    harness.venue.failing = {ReadOpenOrders: FailureKind.UNREACHABLE, ReadBalances: FailureKind.UNREACHABLE}
    harness.start()
    assert harness.metrics.reports[-1].status is CycleStatus.CLOB_UNAVAILABLE
    harness.stream.subscribe()
    show(harness, trade(harness.venue, "trade-1", DEAL))
    assert states(harness) == {"trade-1": "SETTLED"}


# -- the plug is pulled -----------------------------------------------------------------------------------------------


@pytest.mark.req("L-01", "L-05", "L-06", "L-17", "L-30")
@pytest.mark.parametrize("restarts", [False, True], ids=["the process runs on", "the process is restarted"])
def test_all_that_happened_while_the_plug_was_pulled_is_there_afterwards_and_nothing_twice(
    build: Build, *, restarts: bool
) -> None:
    harness = following(build(), "0xa", "0xb")
    harness.venue.add_order("order-2", "0xb-no", size=50 * SHARE, price=400_000)
    harness.venue.add_order("order-3", "0xb-no", size=50 * SHARE, price=300_000)
    known = trade(harness.venue, "known", DEAL)
    show(harness, known, *harness.venue.orders.values())
    every = (ReadTrades, ReadOpenOrders, ReadOrder, ReadBalances, ReadMarkets)
    harness.stream.cut("no route to host")
    harness.venue.failing = dict.fromkeys(every, FailureKind.UNREACHABLE)
    harness.runtime.run_for(MINUTE_MS // 2)
    trade(harness.venue, "taken", DEAL)
    fill_part(harness.venue, "order-1", "half", 50 * SHARE)
    fill_order(harness.venue, "order-2", "whole")
    harness.venue.end_order("order-3", OrderStatus.CANCELED)
    harness.venue.add_order("order-4", "0xa-no", size=SHARE, price=200_000)
    if restarts:
        harness.restart()
    harness.runtime.run_for(MINUTE_MS // 2)
    assert set(states(harness)) == {"known"}

    harness.venue.failing = {}
    harness.stream.subscribe()
    harness.runtime.run_until_idle()
    show(harness, known)
    expected = dict.fromkeys(("taken", "half", "whole"), "backfill") | {"known": "stream"}
    assert seen_first(harness) == expected
    rows = {row["order_id"]: row["size_matched_micro"] for row in harness.queries.orders()}
    assert rows == {"order-1": 50 * SHARE, "order-2": 50 * SHARE, "order-3": 0}
    harness.runtime.run_for(EXTRA_CYCLE_MS)
    report = harness.metrics.reports[-1]
    assert report.status is CycleStatus.OK
    assert {row["order_id"] for row in harness.queries.orders()} == {"order-1", "order-4"}
    ended = {row["order_id"]: row["status"] for row in harness.queries.orders(include_closed=True)}
    assert (ended["order-2"], ended["order-3"]) == ("MATCHED", "CANCELED")
    assert harness.cycle().delta_count == 0
    assert seen_first(harness) == expected
    assert harness.shares() == harness.venue.balances
    assert {row["cause"] for row in harness.queries.adjustments()} == {"OPENING"}


@pytest.mark.req("L-12", "L-17", "D-21")
def test_an_ingest_that_crashed_follows_a_subscription_of_its_own_and_catches_up(build: Build) -> None:
    harness = following(build())
    harness.crashes_expected = True
    harness.post.tell(INGEST, Poison())
    harness.runtime.run_until_idle()
    assert not harness.board.stream["main"].connected
    trade(harness.venue, "meanwhile", DEAL)
    harness.stream.subscribe()
    show(harness, trade(harness.venue, "after", DEAL))
    assert seen_first(harness) == {"meanwhile": "backfill", "after": "backfill"}
    show(harness, trade(harness.venue, "trade-3", DEAL))
    assert seen_first(harness)["trade-3"] == "stream"
    assert harness.ask(DescribeState(request_id="d"), INGEST)[0]


@pytest.mark.req("L-17", "D-21")
def test_the_trades_behind_a_subscription_are_read_since_the_cursor(build: Build) -> None:
    harness = following(build())
    show(harness, trade(harness.venue, "trade-1", DEAL))
    harness.cycle()
    matched_s = harness.venue.trades[0].matched_at_ns // 1_000_000_000
    harness.runtime.run_for(10 * MINUTE_MS)
    harness.venue.asked.clear()
    harness.stream.cut()
    harness.stream.subscribe()
    harness.runtime.run_until_idle()
    assert [read for read in harness.venue.asked if isinstance(read, ReadTrades)] == [
        ReadTrades(wallet="main", after_s=matched_s - 60)
    ]
    assert replace(harness.board.stream["main"], gap_ms=None).connected
