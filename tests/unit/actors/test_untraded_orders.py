"""Orders that the chain or a balance shows filled, without a trade of ours: whose they are is asked (R-21)."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from actors.coordinator import EXTRA_CYCLE_MS
from messages.reads import ReadOrder, ReadTrades
from portfolio.facts import OrderStatus
from tests.support.moves import Deal, fill_part, trade
from tests.support.onchain import BOOK, filled, sold
from tests.support.system import FOLLOW_MS, INTERVAL_MS, Build, Harness
from tests.unit.actors.worlds import SHARE, following, lookups, show, states

BOUGHT = Deal(token_id="0xa-no", size=7 * SHARE, price=400_000, order_id="order-9", settled=False)
ASKED = [ReadOrder(wallet="main", order_id="order-9"), ReadTrades(wallet="main", after_s=0, trade_id="trade-9")]


def cycles(harness: Harness, count: int) -> None:
    """So many intervals, each with its cycle, and all that a cycle leads to."""
    for _ in range(count):
        harness.runtime.run_for(INTERVAL_MS + EXTRA_CYCLE_MS)


def causes(harness: Harness) -> list[str]:
    """Of all entries in the order of booking; the openings are left out."""
    rows = sorted(harness.queries.adjustments(), key=lambda row: (row["at_ms"], row["cause"]))
    return [row["cause"] for row in rows if row["cause"] != "OPENING"]


def taken(build: Build) -> Harness:
    """An order that was placed and filled while nobody told of it: no list shows it, or its trade; the chain has it."""
    harness = following(build(book=BOOK))
    harness.runtime.run_for(FOLLOW_MS)
    venue = harness.venue
    venue.add_order("order-9", "0xa-no", size=BOUGHT.size, price=BOUGHT.price)
    made = trade(venue, "trade-9", BOUGHT)
    venue.end_order("order-9", OrderStatus.MATCHED, matched_micro=BOUGHT.size)
    venue.fates["order-9"] = replace(venue.fates["order-9"], trade_ids=("trade-9",))
    venue.trades_by_id_only = True
    filled(venue, made)
    venue.asked.clear()
    return harness


@pytest.mark.req("R-21", "L-16", "D-12")
def test_a_fill_of_an_order_that_nobody_told_of_is_found_by_its_order_and_is_ours(build: Build) -> None:
    harness = taken(build)
    cycles(harness, 4)
    assert lookups(harness) == ASKED
    assert (causes(harness), states(harness)["trade-9"]) == (["EXTERNAL_BUY", "RESTATED"], "SETTLED")
    assert harness.shares()["0xa-no"] == harness.venue.balances["0xa-no"]


@pytest.mark.req("R-21", "L-16", "L-30")
def test_while_the_exchange_leaves_out_the_trade_that_it_names_it_is_asked_again(build: Build) -> None:
    harness = taken(build)
    harness.venue.hide_trades = lambda _: True
    cycles(harness, 6)
    assert lookups(harness)[:4] == ASKED + ASKED
    assert causes(harness) == ["EXTERNAL_BUY"], "what is known so far"
    harness.venue.hide_trades = None
    cycles(harness, 1)
    asked = len(lookups(harness))
    cycles(harness, 2)
    assert (states(harness)["trade-9"], len(lookups(harness))) == ("SETTLED", asked)
    assert causes(harness) == ["EXTERNAL_BUY", "RESTATED"]


@pytest.mark.req("R-21", "L-16")
def test_whose_a_strangers_order_is_is_asked_once(build: Build) -> None:
    harness = following(build(book=BOOK))
    harness.runtime.run_for(FOLLOW_MS)
    sold(harness.venue, "0xs", "0xa-yes", 7 * SHARE, 400_000)
    harness.venue.asked.clear()
    cycles(harness, 6)
    assert lookups(harness) == [ReadOrder(wallet="main", order_id="order-of-0xs")]
    assert causes(harness) == ["EXTERNAL_SALE"]


@pytest.mark.req("D-03", "R-10", "L-30")
def test_the_trades_of_a_figure_that_a_balance_has_shown_are_looked_for_at_once(build: Build) -> None:
    harness = following(build())
    made, order = fill_part(harness.venue, "order-1", "trade-1", 40 * SHARE)
    harness.venue.orders["order-1"] = replace(order, trade_ids=("trade-1",))
    harness.venue.trades_by_id_only = True
    show(harness, harness.venue.orders["order-1"])
    cycles(harness, 3)
    reads = [ReadOrder(wallet="main", order_id="order-1"), ReadTrades(wallet="main", after_s=0, trade_id="trade-1")]
    assert lookups(harness) == reads
    assert (states(harness), harness.shares()[made.token_id]) == ({"trade-1": "SETTLED"}, 40 * SHARE)
