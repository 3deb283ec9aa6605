"""Everything at once, in any order: in the end the books are the exchange's, and nobody waits for anything.

Fills, orders and cancellations whose messages are lost, doubled and shuffled; a stream that breaks; sources that fail
or do not answer; actors that crash, a process that is restarted; conditions whose metadata comes late. Chunks and
buffers are small, so that their bounds are met.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from actors import handing, ingest, outflow, streaming
from messages.addresses import market_address
from messages.control import Backfill
from messages.reads import Read, ReadBalances, ReadMarkets, ReadOpenOrders, ReadOrder, ReadTrades
from portfolio.facts import FailureKind, OpenOrder, OrderChange, OrderMessage, OrderStatus, Trade, TradeStatus
from tests.support.moves import Deal, fill_part, trade
from tests.support.system import INTERVAL_MS, WALLET, Build, Harness
from tests.unit.actors.worlds import COORDINATOR, INGEST, MARKET, SHARE, Poison, cursor_s, following, states

STEPS = 60
CRASHES_MAX = 8
"""In all, so that no actor is given up."""

SOURCES: tuple[type[Read], ...] = (ReadTrades, ReadOpenOrders, ReadMarkets, ReadBalances, ReadOrder)
CRASHING = (MARKET, MARKET, market_address(WALLET, "0xb"), INGEST, COORDINATOR)


class Storm:
    """Does one thing after the other to a system."""

    def __init__(self, harness: Harness, seed: int) -> None:
        self.harness = harness
        self.choose = random.Random(seed)
        self.conditions = ["0xa", "0xb"]
        self.unnamed: list[str] = []
        self.crashes = 0
        self.number = 0
        self.deeds: tuple[tuple[int, Callable[[], None]], ...] = (
            (20, self.trade),
            (20, self.fill),
            (10, self.place),
            (5, self.cancel),
            (6, self.cut),
            (10, self.subscribe),
            (4, self.fail),
            (3, self.hold),
            (12, self.heal),
            (5, self.crash),
            (3, self.restart),
            (2, self.backfill),
            (4, self.list_market),
            (3, self.name_market),
        )

    def rage(self) -> None:
        """Many deeds, each followed by a while in which not everybody needs to take all mail."""
        weights = [weight for weight, _ in self.deeds]
        for _ in range(STEPS):
            self.number += 1
            _, deed = self.choose.choices(self.deeds, weights)[0]
            deed()
            self.choose.choice((self.steps, self.settle, self.moment, self.moment, self.minute))()

    def calm(self) -> None:
        """Everything is well again, and some cycles follow."""
        while self.unnamed:
            self.name_market()
        self.heal()
        self.subscribe()
        self.harness.runtime.run_for(3 * INTERVAL_MS)
        self.harness.cycles(3)
        self.harness.runtime.run_for(INTERVAL_MS)

    # -- time passes --------------------------------------------------------------------------------------------------

    def steps(self) -> None:
        """Some messages are taken."""
        for _ in range(self.choose.randrange(30)):
            self.harness.runtime.step()

    def settle(self) -> None:
        """All mail is taken."""
        self.harness.runtime.run_until_idle()

    def moment(self) -> None:
        """Up to three seconds."""
        self.harness.runtime.run_for(self.choose.randrange(3_000))

    def minute(self) -> None:
        """Up to a minute and more."""
        self.harness.runtime.run_for(self.choose.randrange(70_000))

    # -- the exchange -------------------------------------------------------------------------------------------------

    def trade(self) -> None:
        """A trade of ours as taker."""
        token_id = f"{self.choose.choice(self.conditions)}-{self.choose.choice(('yes', 'no'))}"
        deal = Deal(token_id=token_id, size=self.choose.randrange(1, 9) * SHARE, price=500_000)
        self.say(trade(self.harness.venue, f"trade-{self.number}", deal))

    def fill(self) -> None:
        """A part of one of our orders."""
        orders = [order for order in self.harness.venue.orders.values() if order.remaining_micro >= 3 * SHARE]
        order_id, size = self.choose.choice(orders).order_id, self.choose.randrange(1, 4) * SHARE
        self.say(*fill_part(self.harness.venue, order_id, f"trade-{self.number}", size))

    def place(self) -> None:
        """An order of ours."""
        token_id = self.choose.choice(("0xa-no", "0xb-no", "0xa-yes"))
        order = self.harness.venue.add_order(f"order-{self.number}-x", token_id, size=20 * SHARE, price=300_000)
        self.say(OrderMessage(order=order, change=OrderChange.PLACEMENT, at_ms=self.harness.clock.now_ms()))

    def cancel(self) -> None:
        """An order of ours is cancelled."""
        order = self.choose.choice([*self.harness.venue.orders.values()])
        if order.order_id == "order-1":
            return
        self.harness.venue.end_order(order.order_id, OrderStatus.CANCELED)
        ended = replace(order, status=OrderStatus.CANCELED)
        self.say(OrderMessage(order=ended, change=OrderChange.CANCELLATION, at_ms=self.harness.clock.now_ms()))

    def say(self, *events: Trade | OpenOrder | OrderMessage) -> None:
        """The stream's messages of it, some lost, some doubled, in any order."""
        said = [*events]
        for made in events:
            if isinstance(made, Trade):
                said += [replace(made, status=status) for status in (TradeStatus.MATCHED, TradeStatus.MINED)]
        twisted = [event for event in said for _ in range(self.choose.choice((0, 1, 1, 2)))]
        self.choose.shuffle(twisted)
        for event in twisted:
            self.harness.stream.show(event)

    def list_market(self) -> None:
        """A new condition, whose metadata comes at once or later."""
        name = f"0xnew{self.number}"
        self.conditions.append(name)
        self.unnamed.append(name)
        if self.choose.random() < 0.5:
            self.name_market()

    def name_market(self) -> None:
        """Metadata of a condition is there."""
        if self.unnamed:
            self.harness.venue.add_market(self.unnamed.pop())

    # -- what goes wrong ----------------------------------------------------------------------------------------------

    def cut(self) -> None:
        """The stream breaks."""
        self.harness.stream.cut()

    def subscribe(self) -> None:
        """The stream is there, again or still."""
        if not self.harness.stream.connected:
            self.harness.stream.subscribe()

    def fail(self) -> None:
        """A source is down."""
        self.harness.venue.failing = {self.choose.choice(SOURCES): FailureKind.TIMEOUT}

    def hold(self) -> None:
        """Two sources do not answer."""
        self.harness.venue.held = set(self.choose.sample(SOURCES, 2))

    def heal(self) -> None:
        """All sources answer."""
        self.harness.venue.failing = {}
        self.harness.venue.release()

    def crash(self) -> None:
        """An actor crashes."""
        if self.crashes < CRASHES_MAX:
            self.crashes += 1
            self.harness.post.tell(self.choose.choice(CRASHING), Poison())

    def restart(self) -> None:
        """The process dies and comes back."""
        self.harness.restart()

    def backfill(self) -> None:
        """An operator asks for everything."""
        self.harness.post.tell(INGEST, Backfill(request_id=f"backfill-{self.number}", since_s=0))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that are soon met."""
    monkeypatch.setattr(outflow, "CHUNK", 3)
    monkeypatch.setattr(ingest, "FLOOD_MAX", 10)
    monkeypatch.setattr(streaming, "BUFFER_MAX", 6)
    monkeypatch.setattr(handing, "HOMELESS_MAX", 3)


@pytest.mark.req("L-01", "L-05", "L-06", "L-07", "L-17", "L-19", "L-30", "D-02", "D-03", "D-21")
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_the_books_end_equal_to_the_exchange(build: Build, seed: int) -> None:
    harness = following(build(seed=seed), "0xa", "0xb")
    harness.crashes_expected = True
    storm = Storm(harness, seed)
    storm.rage()
    storm.calm()
    venue = harness.venue
    assert set(states(harness)) - {"provisional"} == {made.trade_id for made in venue.trades}
    assert harness.shares() == {token_id: shares for token_id, shares in venue.balances.items() if shares}
    live = {order.order_id: order.size_matched_micro for order in venue.orders.values()}
    assert {row["order_id"]: row["size_matched_micro"] for row in harness.queries.orders()} == live
    assert cursor_s(harness) == max((made.matched_at_ns for made in venue.trades), default=0) // 1_000_000_000
    found = harness.actor(INGEST)
    assert (found._outflow.waiting, found._outflow.open_chunks(), found._jobs, found._checks._running) == (
        0,
        (),
        {},
        {},
    )
    assert (harness.metrics.reports[-1].delta_count, harness.escalated) == (0, [])
    assert harness.board.stream[WALLET].connected
