"""What an order shows beyond its trades for too long is looked up again: the order, and its trades (D-03, R-10)."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from actors import checking
from actors.coordinator import EXTRA_CYCLE_MS
from messages.reads import Read, ReadOrder, ReadTrades
from portfolio.facts import OpenOrder, OrderStatus, TradeStatus
from portfolio.provisional import PROVISIONAL
from tests.support.moves import Deal, becomes, fill_part, settle
from tests.support.system import INTERVAL_MS, Build, Harness
from tests.unit.actors.worlds import SHARE, Failing, following, issues, lookups, show, states

TTL_MS = 900_000
MATCHED = TradeStatus.MATCHED


def time_is_up(harness: Harness) -> None:
    """The first cycle behind the time to live."""
    harness.runtime.run_for(INTERVAL_MS + EXTRA_CYCLE_MS)


def showing(build: Build) -> Harness:
    """An order shows forty shares matched, and no trade of it was seen; the time to live ends with the next cycle."""
    harness = following(build())
    made, order = fill_part(harness.venue, "order-1", "trade-1", 40 * SHARE)
    harness.venue.balances["0xa-no"] = 0
    harness.venue.cash_micro += made.size_micro * made.price_micro // 1_000_000
    harness.venue.trades = [replace(made, status=MATCHED)]
    harness.venue.orders["order-1"] = replace(order, trade_ids=("trade-1",))
    harness.venue.hide_trades = lambda _: True
    show(harness, order)
    assert harness.shares()["0xa-no"] == 40 * SHARE
    harness.runtime.run_for(TTL_MS - INTERVAL_MS)
    harness.venue.asked.clear()
    return harness


@pytest.mark.req("R-10", "D-03", "R-11")
def test_the_trades_of_an_order_whose_figure_waits_too_long_are_read_one_by_one(build: Build) -> None:
    harness = showing(build)
    harness.venue.hide_trades = None
    harness.venue.trades_by_id_only = True
    time_is_up(harness)
    reads = [ReadOrder(wallet="main", order_id="order-1"), ReadTrades(wallet="main", after_s=0, trade_id="trade-1")]
    assert lookups(harness) == reads
    assert states(harness) == {"trade-1": "OBSERVED"}
    assert harness.shares()["0xa-no"] == 40 * SHARE
    assert issues(harness, "FILL_OVERDUE") == issues(harness, "FILL_EXPIRED") == []


@pytest.mark.req("R-10", "D-03")
def test_while_the_order_lives_its_figure_waits_another_time_to_live(build: Build) -> None:
    harness = showing(build)
    time_is_up(harness)
    assert issues(harness, "FILL_OVERDUE") == ["the order is live, its trades were not shown"]
    assert harness.shares()["0xa-no"] == 40 * SHARE
    asked = len(lookups(harness))
    harness.runtime.run_for(TTL_MS - 2 * INTERVAL_MS)
    assert len(lookups(harness)) == asked


@pytest.mark.req("R-10", "D-03", "L-13")
@pytest.mark.parametrize("fate", ["over", "unknown to the exchange"])
def test_a_figure_that_no_trade_explains_is_taken_back_visibly_when_the_order_is_over(build: Build, fate: str) -> None:
    harness = showing(build)
    order = harness.venue.orders.pop("order-1")
    if fate == "over":
        harness.venue.fates["order-1"] = replace(order, status=OrderStatus.CANCELED)
    time_is_up(harness)
    assert harness.shares() == {"0xa-yes": 100 * SHARE}
    assert issues(harness, "FILL_EXPIRED") == ["no trade explains it and no balance shows it"]
    harness.runtime.run_for(INTERVAL_MS)
    assert "FILL_EXPIRED" in [row["cause"] for row in harness.settlements()]
    assert harness.queries.orders() == []
    harness.venue.hide_trades = None
    deal = Deal(token_id="0xa-no", size=40 * SHARE, price=300_000)
    settle(harness.venue, deal)
    show(harness, becomes(harness.venue, "trade-1", TradeStatus.CONFIRMED))
    assert states(harness)["trade-1"] == "SETTLED"
    assert harness.shares()["0xa-no"] == 40 * SHARE, "its trade explains it after all"


@pytest.mark.req("R-10", "D-03", "L-30")
@pytest.mark.parametrize("broken", [ReadOrder, ReadTrades])
def test_a_look_up_of_an_order_that_fails_decides_nothing(build: Build, broken: type[Read]) -> None:
    harness = showing(build)
    failing = Failing(harness, broken, "trade_id" if broken is ReadTrades else "order_id")
    harness.runtime.run_for(3 * INTERVAL_MS)
    assert states(harness) == {PROVISIONAL: "PROVISIONAL"}
    assert issues(harness, "FILL_OVERDUE") == []
    failing.on = False
    harness.runtime.run_for(INTERVAL_MS)
    assert issues(harness, "FILL_OVERDUE") == ["the order is live, its trades were not shown"]


@pytest.mark.req("R-10", "D-03")
def test_of_an_order_with_many_trades_the_newest_are_read(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "TRADES_OF_ORDER_MAX", 2)
    harness = showing(build)
    order: OpenOrder = harness.venue.orders["order-1"]
    harness.venue.orders["order-1"] = replace(order, trade_ids=("oldest", "older", "trade-1"))
    time_is_up(harness)
    asked = [read.trade_id for read in lookups(harness) if isinstance(read, ReadTrades)]
    assert sorted(asked) == ["older", "trade-1"]
