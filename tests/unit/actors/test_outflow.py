"""What the ingest hands on: numbered, a few chunks at a time, and called durable when it is and not before (D-21)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from actors import outflow
from actors.outflow import Outflow
from messages.addresses import Address
from messages.feeding import Marker, MarkerDurable, SeenTogether
from portfolio.events import OrderChecked
from tests.support.moves import Deal
from tests.unit.actors.worlds import (
    INGEST,
    SHARE,
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
        self.breathed_after: list[int] = []

    def tell(self, address: Address, message: object) -> None:
        """Remember it."""
        self.told.append((address, message))

    def knows(self, address: Address) -> bool:
        """Everybody is there, but for the absent."""
        return address not in self.absent

    def breathe(self) -> None:
        """Remember after how many events others were let in."""
        self.breathed_after.append(len(self.numbers))

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


@pytest.mark.req("L-02", "D-21")
def test_others_are_let_in_after_each_stretch_so_that_the_writer_need_not_wait_for_the_whole_chunk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outflow, "STRETCH", 4)
    carried = Carried()
    flowing = Outflow(carried)
    for number in range(20):
        flowing.put(Address(f"market:main/{number // 2}"), event(number))
    flowing.flow()
    assert carried.breathed_after == [4, 8, 12, 16, 20]


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
