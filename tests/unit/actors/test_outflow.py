"""What the ingest hands on: numbered, a few chunks at a time, and called durable when it is and not before (D-21)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from actors import ingest, outflow
from actors.outflow import Outflow
from actors.readings import STALLED_MS
from actors.supervisor import RESTARTS_MAX
from messages.addresses import Address
from messages.control import Backfill
from messages.feeding import Marker, MarkerDurable, SeenTogether
from portfolio.events import OrderChecked
from tests.support.moves import Deal, trade
from tests.support.system import INTERVAL_MS, Build, Harness
from tests.unit.actors.worlds import (
    INGEST,
    MARKET,
    SHARE,
    Poison,
    cursor_s,
    following,
    now_s,
    running,
    seen_first,
    show,
    states,
)

A, B = Address("market:main/a"), Address("market:main/b")
DEAL = Deal(token_id="0xa-yes", size=SHARE, price=500_000)
OTHER = Deal(token_id="0xb-yes", size=SHARE, price=500_000)


class Carried:
    """A carrier that remembers what it was given; ``absent`` are markets where nobody is."""

    address = INGEST

    def __init__(self) -> None:
        self.told: list[tuple[Address, object]] = []
        self.absent: set[Address] = set()

    def tell(self, address: Address, message: object) -> None:
        """Remember it."""
        self.told.append((address, message))

    def knows(self, address: Address) -> bool:
        """Everybody is there, but for the absent."""
        return address not in self.absent

    @property
    def numbers(self) -> list[int]:
        """The events in order, those that were told together one by one."""
        found: list[int] = []
        for _, message in self.told:
            together = message.events if isinstance(message, SeenTogether) else (message,)
            found += [int(one.order_id) for one in together if isinstance(one, OrderChecked)]
        return found

    @property
    def markers(self) -> list[tuple[Address, int]]:
        """The markers, in order."""
        return [(address, message.chunk) for address, message in self.told if isinstance(message, Marker)]


class Waiting:
    """Who waits; what they were told, in order."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bool]] = []

    def named(self, name: str) -> Any:
        """A callback of that name."""
        return lambda arrived: self.heard.append((name, arrived))


@pytest.fixture
def carried(monkeypatch: pytest.MonkeyPatch) -> Carried:
    """Chunks of three, two at a time."""
    monkeypatch.setattr(outflow, "CHUNK", 3)
    monkeypatch.setattr(outflow, "WINDOW", 2)
    return Carried()


def event(number: int) -> OrderChecked:
    """An event with a number."""
    return OrderChecked(order_id=str(number), order=None, ttl_ms=0)


def put(flowing: Outflow, numbers: Collection[int], market: Address = A) -> None:
    """Put events for a market, and let flow what may."""
    for number in numbers:
        flowing.put(market, event(number))
    flowing.flow()


def durable(flowing: Outflow, market: Address, chunk: int) -> None:
    """A market's marker comes back."""
    flowing.durable(MarkerDurable(market=market, chunk=chunk))
    flowing.flow()


@pytest.mark.req("D-21")
def test_no_more_than_the_window_is_on_its_way_and_the_rest_follows_in_order(carried: Carried) -> None:
    flowing = Outflow(carried)
    put(flowing, range(10))
    assert (carried.numbers, flowing.waiting) == ([0, 1, 2, 3, 4, 5], 4)
    assert carried.markers == [(A, 0), (A, 1)]
    durable(flowing, A, 1)
    assert carried.numbers == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    durable(flowing, A, 0)
    assert (carried.numbers, flowing.waiting) == ([*range(10)], 0)
    assert flowing.open_chunks() == (2,)


@pytest.mark.req("D-21")
def test_a_chunk_has_a_marker_for_each_market_that_was_told_something_in_it(carried: Carried) -> None:
    flowing = Outflow(carried)
    put(flowing, [1], A)
    put(flowing, [2, 3], B)
    put(flowing, [4, 5, 6], B)
    assert carried.markers == [(A, 0), (B, 0), (B, 1)]
    assert [message.reply_to for _, message in carried.told if isinstance(message, Marker)] == [INGEST] * 3


@pytest.mark.req("D-21", "D-18")
def test_what_was_put_is_durable_when_every_market_before_it_has_said_so(carried: Carried) -> None:
    flowing, who = Outflow(carried), Waiting()
    put(flowing, [1], A)
    put(flowing, [2, 3], B)
    flowing.when_durable(who.named("first"))
    put(flowing, [4, 5, 6], A)
    flowing.when_durable(who.named("second"))
    durable(flowing, A, 1)
    durable(flowing, A, 0)
    assert who.heard == [], "the second chunk says nothing about the first"
    durable(flowing, B, 0)
    assert who.heard == [("first", True), ("second", True)]


@pytest.mark.req("D-21")
def test_sent_is_when_it_is_in_the_mailboxes_and_durable_is_later(carried: Carried) -> None:
    flowing, who = Outflow(carried), Waiting()
    for number in range(7):
        flowing.put(A, event(number))
    flowing.when_sent(who.named("sent"))
    flowing.when_durable(who.named("durable"))
    flowing.flow()
    assert who.heard == [], "one message waits behind the window"
    durable(flowing, A, 0)
    assert who.heard == [("sent", True)]
    durable(flowing, A, 1)
    durable(flowing, A, 2)
    assert who.heard == [("sent", True), ("durable", True)]


@pytest.mark.req("D-21")
def test_a_chunk_is_closed_early_only_for_someone_who_waits(carried: Carried) -> None:
    flowing, who = Outflow(carried), Waiting()
    put(flowing, [1])
    assert carried.markers == []
    flowing.when_durable(who.named("late"))
    flowing.flow()
    assert (carried.markers, who.heard) == ([(A, 0)], [])
    durable(flowing, A, 0)
    flowing.when_durable(who.named("nothing new"))
    flowing.flow()
    assert who.heard == [("late", True), ("nothing new", True)]
    assert carried.markers == [(A, 0)]


@pytest.mark.req("D-21", "L-19")
def test_a_marker_that_comes_twice_or_for_nothing_claims_nothing(carried: Carried) -> None:
    flowing, who = Outflow(carried), Waiting()
    put(flowing, [1, 2], A)
    put(flowing, [3], B)
    flowing.when_durable(who.named("all"))
    durable(flowing, A, 0)
    durable(flowing, A, 0)
    durable(flowing, A, 7)
    assert who.heard == []
    assert flowing.durable(MarkerDurable(market=B, chunk=0)) == 0
    assert flowing.durable(MarkerDurable(market=B, chunk=0)) is None


@pytest.mark.req("D-21", "L-12")
def test_what_was_lost_is_told_to_nobody_as_arrived_and_the_rest_flows_on(carried: Carried) -> None:
    flowing, who = Outflow(carried), Waiting()
    put(flowing, range(8))
    flowing.when_durable(who.named("before"))
    flowing.lose()
    assert who.heard == [("before", False)]
    flowing.flow()
    assert (carried.numbers, flowing.open_chunks()) == ([*range(8)], ())
    flowing.when_durable(who.named("after"))
    flowing.flow()
    durable(flowing, A, 0)
    assert who.heard == [("before", False)], "a marker of the lost chunks proves nothing"
    durable(flowing, A, 2)
    assert who.heard == [("before", False), ("after", True)]


@pytest.mark.req("D-21", "L-12")
def test_what_was_told_where_nobody_is_never_arrived(carried: Carried) -> None:
    flowing, who = Outflow(carried), Waiting()
    put(flowing, [1, 2, 3], A)
    flowing.when_durable(who.named("before"))
    carried.absent = {B}
    flowing.put(A, event(4))
    flowing.put(B, event(5))
    flowing.when_durable(who.named("with it"))
    assert flowing.flow() == {B}
    assert who.heard == [("with it", False)]
    assert carried.markers == [(A, 0), (A, 1)]
    durable(flowing, A, 0)
    assert who.heard == [("with it", False), ("before", True)]
    flowing.when_durable(who.named("behind"))
    assert flowing.flow() == frozenset()
    durable(flowing, A, 1)
    assert who.heard[2:] == [("behind", True)]


@pytest.mark.req("D-21", "L-12")
def test_a_chunk_for_nobody_but_the_absent_is_not_waited_for(carried: Carried) -> None:
    flowing = Outflow(carried)
    carried.absent = {B}
    put(flowing, range(9), B)
    assert (flowing.waiting, flowing.open_chunks(), carried.markers) == (0, (), [])


# -- in the system ----------------------------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small chunks, so that few fills are many of them."""
    monkeypatch.setattr(outflow, "CHUNK", 4)
    monkeypatch.setattr(outflow, "WINDOW", 2)


@pytest.mark.req("D-21", "D-18", "L-01")
@pytest.mark.usefixtures("small")
def test_a_backlog_waits_in_the_ingest_and_the_cursor_for_its_last_fill(build: Build) -> None:
    harness = running(build(), "0xa", "0xb")
    for number in range(50):
        trade(harness.venue, f"trade-{number}", (DEAL, OTHER)[number % 2])
    at_s = now_s(harness)
    harness.stream.subscribe()
    most = 0
    while harness.runtime.step():
        waiting = len(harness.actor(MARKET).actor_inbox.mail)
        most = max(most, waiting)
        if cursor_s(harness):
            assert len(states(harness)) == 50, "the cursor may not be there before the fills"
    assert most <= 2 * 4 + 2, "messages and markers of two chunks"
    assert (len(states(harness)), cursor_s(harness)) == (50, at_s)
    assert set(seen_first(harness).values()) == {"backfill"}


def drop_mail(harness: Harness, address: Address) -> None:
    """An actor's mail is gone, and nobody is told."""
    harness.actor(address).actor_inbox.mail.clear()
    harness.runtime._ready = [inbox for inbox in harness.runtime._ready if inbox.mail]


@pytest.mark.req("D-21", "L-01", "L-30")
def test_a_marker_that_never_comes_stalls_nothing_and_the_next_cycle_repairs(build: Build) -> None:
    harness = following(build(), "0xa", "0xb")
    harness.stream.show(trade(harness.venue, "trade-1", DEAL), trade(harness.venue, "trade-2", OTHER))
    harness.post.tell(INGEST, Backfill(request_id="b", since_s=0))
    while not harness.actor(MARKET).actor_inbox.mail:
        assert harness.runtime.step()
    while harness.actor(INGEST)._outflow.open_chunks() == ():
        drop_mail(harness, MARKET)
        assert harness.runtime.step()
    drop_mail(harness, MARKET)
    harness.runtime.run_until_idle()
    assert set(states(harness)) == {"trade-2"}
    assert (cursor_s(harness), harness.answers.given) == (0, {})
    harness.runtime.run_for(STALLED_MS)
    assert harness.metrics.counts["handing_on_stalled"] == 1
    assert not harness.answers.given["b"][0]
    assert "ask again" in harness.answers.given["b"][1]
    harness.runtime.run_for(INTERVAL_MS)
    assert set(states(harness)) == {"trade-1", "trade-2"}
    assert cursor_s(harness) > 0
    assert harness.metrics.counts["handing_on_stalled"] == 1


@pytest.mark.req("D-21", "L-01", "L-12")
def test_a_market_that_loses_a_fill_of_the_stream_with_its_mailbox_gets_it_again(build: Build) -> None:
    harness = following(build())
    harness.crashes_expected = True
    harness.post.tell(MARKET, Poison())
    show(harness, trade(harness.venue, "trade-1", DEAL))
    assert states(harness) == {}
    harness.cycle()
    assert states(harness) == {"trade-1": "SETTLED"}
    assert {row["cause"] for row in harness.queries.adjustments()} == {"OPENING"}


@pytest.mark.req("D-21", "L-12", "L-17")
@pytest.mark.parametrize("when", ["before", "while it waits there"])
def test_the_cursor_does_not_pass_what_a_quarantined_market_was_not_told(build: Build, when: str) -> None:
    """Nothing stalls, the others go on; the next life of the process books what the market missed."""
    harness = following(build(), "0xa", "0xb")
    harness.crashes_expected = True
    crashes = RESTARTS_MAX + 1
    if when == "before":
        quarantine(harness, crashes)
    else:
        quarantine(harness, crashes - 1)
        harness.post.tell(MARKET, Poison())
    show(harness, trade(harness.venue, "lost", DEAL))
    assert harness.board.quarantined == ("0xa",)
    at_s = now_s(harness)
    cycles = len(harness.metrics.reports)
    harness.runtime.run_for(INTERVAL_MS)
    for number in range(3):
        show(harness, trade(harness.venue, f"other-{number}", OTHER))
        harness.runtime.run_for(INTERVAL_MS)
    assert set(states(harness)) == {"other-0", "other-1", "other-2"}
    assert cursor_s(harness) <= at_s
    assert len(harness.metrics.reports) - cycles <= 10, "what cannot be told is no news, each time anew"
    assert harness.metrics.counts["handing_on_stalled"] == 0
    assert harness.metrics.counts["stream_missed_fill"] == 0
    ok, detail = harness.ask(Backfill(request_id="b", since_s=0), INGEST)
    assert not ok
    assert "a market is down" in detail

    harness.restart()
    harness.runtime.run_for(10 * INTERVAL_MS)
    assert states(harness)["lost"] == "SETTLED"
    assert cursor_s(harness) > at_s
    assert {row["cause"] for row in harness.queries.adjustments()} == {"OPENING"}


def quarantine(harness: Harness, crashes: int) -> None:
    """So many crashes of a market, one after the other."""
    for _ in range(crashes):
        harness.post.tell(MARKET, Poison())
        harness.runtime.run_until_idle()


@pytest.mark.req("L-30", "L-01")
@pytest.mark.usefixtures("small")
def test_a_flood_begins_the_stream_again_and_loses_nothing_in_the_end(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "FLOOD_MAX", 20)
    harness = following(build())
    made = [trade(harness.venue, f"trade-{number}", DEAL) for number in range(400)]
    for number in range(0, 400, 10):
        harness.stream.show(*made[number : number + 10])
    most = 0
    while harness.runtime.step():
        most = max(most, harness.actor(INGEST)._outflow.waiting)
        if harness.stream.reconnects:
            break
    assert most <= 20 + 10, "what waits stays bounded"
    assert "than can be made durable" in harness.stream.reconnects[0]
    assert len(states(harness)) < 400
    harness.runtime.run_until_idle()
    assert len(states(harness)) == 400
    assert harness.metrics.counts["stream_begun_again"] == len(harness.stream.reconnects)
    harness.runtime.run_for(2 * INTERVAL_MS)
    assert harness.shares() == {"0xa-yes": 500 * SHARE}
    assert harness.board.stream["main"].connected
    assert harness.metrics.counts["stream_missed_fill"] == 0


@pytest.mark.req("D-18", "D-21")
def test_nothing_is_called_durable_while_the_disk_refuses(build: Build) -> None:
    harness = following(build())
    harness.lose_disk()
    harness.stream.show(trade(harness.venue, "trade-1", DEAL))
    harness.post.tell(INGEST, Backfill(request_id="b", since_s=0))
    harness.runtime.run_until_idle()
    assert "a commit of 1 decisions failed" in harness.escalated[0]
    assert harness.answers.given == {}
    harness.stop()
    harness.start(run=False)
    assert (cursor_s(harness), states(harness)) == (0, {})
    harness.runtime.run_until_idle()
    assert states(harness) == {"trade-1": "SETTLED"}
