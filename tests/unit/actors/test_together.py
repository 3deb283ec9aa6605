"""Events that a market is told in one message: as if each were told alone, but with fewer messages (D-18, D-19)."""

from __future__ import annotations

from typing import Any

import pytest

from actors import market as module
from actors import outflow
from actors.base import BREATHE_EVERY, Submit
from actors.market import MarketActor
from actors.outflow import Outflow
from messages.addresses import REPORTER, WRITER, Address
from messages.codec import decode
from messages.feeding import Counted, Marker, Seen, SeenTogether
from messages.ledger import Decision
from portfolio.events import FillSeen, MarketDefined, OrderChecked
from portfolio.market import Step, transition
from portfolio.state import MarketState
from tests.support.probes import Probe, Small
from tests.unit.actors.worlds import INGEST, MARKET
from tests.unit.portfolio.markets import leg, meta


class Carried:
    """A carrier that remembers what it was told to tell."""

    address = INGEST

    def __init__(self) -> None:
        self.told: list[tuple[Address, object]] = []

    def tell(self, address: Address, message: object) -> None:
        """Remember it."""
        self.told.append((address, message))

    def knows(self, address: Address) -> bool:
        """Everybody is there."""
        return bool(address)

    def breathe(self) -> None:
        """Nobody waits."""


@pytest.mark.req("D-21")
def test_what_is_for_one_market_goes_to_it_together_in_order_and_never_too_much_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outflow, "CHUNK", 7)
    monkeypatch.setattr(outflow, "TOGETHER_MAX", 3)
    carried, other = Carried(), Address("market:main/other")
    flowing = Outflow(carried)
    events = [OrderChecked(order_id=str(number), order=None, ttl_ms=0) for number in range(8)]
    for event, market in zip(events, [MARKET, other, MARKET, MARKET, MARKET, other, MARKET, MARKET], strict=True):
        flowing.put(market, event)
    flowing.flow()
    assert carried.told[:3] == [
        (MARKET, SeenTogether(events=(events[0], events[2], events[3]))),
        (MARKET, SeenTogether(events=(events[4], events[6]))),
        (other, SeenTogether(events=(events[1], events[5]))),
    ]
    behind = [message for _, message in carried.told[3:]]
    assert [type(message) for message in behind] == [Marker, Marker, OrderChecked], "the next chunk begins"


def fills(*trades: str) -> tuple[Seen, ...]:
    """A fill of each trade, one after the other; a trade that is named twice is shown twice."""
    return tuple(FillSeen(leg=leg(trade, matched_at_ns=10**18 + trades.index(trade)), feed="poll") for trade in trades)


class World(Small):
    """A market with probes in place of the writer and the reporter."""

    def __init__(self) -> None:
        super().__init__()
        self.writer: Probe = self.probe(WRITER)
        self.reporter: Probe = self.probe(REPORTER)
        MarketActor.start(MARKET, self.system, MarketState(wallet="main", market_id="m"))
        self.tell(MARKET, MarketDefined(metas=(meta(),)))
        self.writer.taken.clear()

    @property
    def submits(self) -> list[tuple[Decision, ...]]:
        """The decisions of each message to the writer."""
        return [message.decisions for message in self.writer.taken if isinstance(message, Submit)]


@pytest.mark.req("D-18", "L-19", "L-20")
def test_told_together_gives_the_same_decisions_as_told_alone_in_one_message_to_the_writer() -> None:
    alone, together = World(), World()
    events = fills("t1", "t2", "t1", "t3")
    alone.tell(MARKET, *events)
    together.tell(MARKET, SeenTogether(events=events))
    assert [len(decisions) for decisions in alone.submits] == [1, 1, 1]
    (decisions,) = together.submits
    assert decisions == tuple(decision for (decision,) in alone.submits)
    assert [decision.version for decision in decisions] == [2, 3, 4]
    assert together.reporter.taken == alone.reporter.taken == [Counted(names=("repeated_trade_message",))]


@pytest.mark.req("D-18", "L-19")
def test_nothing_is_submitted_where_all_was_known() -> None:
    world = World()
    world.tell(MARKET, *fills("t1", "t2"), SeenTogether(events=fills("t1", "t2")))
    assert len(world.submits) == 2


@pytest.mark.req("D-19")
def test_one_that_cannot_be_digested_halts_the_market_and_the_others_are_booked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(state: Any, event: Any, now_ms: int) -> Step:
        if isinstance(event, FillSeen) and event.leg.trade_id == "poison":
            raise ZeroDivisionError("planted")
        return transition(state, event, now_ms)

    monkeypatch.setattr(module, "transition", failing)
    world = World()
    world.tell(MARKET, SeenTogether(events=fills("t1", "poison", "t2")))
    ((first, rejected, second),) = world.submits
    assert [one.kind for one in (first, rejected, second)] == ["fill_seen", "event_rejected", "fill_seen"]
    booked: Any = decode(second.payload, second.kind, second.schema)
    assert booked.leg.trade_id == "t2"


def test_each_counts_as_a_message_when_it_comes_to_letting_others_in() -> None:
    world = World()
    breaths: list[int] = []
    world.runtime.breathe = lambda: breaths.append(len(world.submits))  # type: ignore[method-assign]
    many = SeenTogether(events=fills(*(f"t{number}" for number in range(BREATHE_EVERY))))
    world.tell(MARKET, many, many, many)
    assert len(breaths) == 3
