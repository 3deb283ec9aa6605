"""What the user stream shows: booked at once, in whatever order it comes, then at most one cycle a second follows."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from msgspec.structs import replace

from actors.coordinator import EXTRA_CYCLE_MS
from messages.reads import ReadOpenOrders
from portfolio.facts import OpenOrder, OrderChange, OrderMessage, OrderStatus, Side, Trade, TradeStatus
from portfolio.provisional import PROVISIONAL
from tests.support.moves import FOREIGN_KEY, Deal, becomes, fill_part, trade
from tests.support.system import INTERVAL_MS, Build, Harness
from tests.unit.actors.worlds import INGEST, SHARE, following, seen_first, show, states, want

DEAL = Deal(token_id="0xa-yes", size=10 * SHARE, price=500_000)


def starts(harness: Harness) -> list[int]:
    """When each cycle began."""
    return [report.synced_at_ms for report in harness.metrics.reports]


def stored_order(harness: Harness, order_id: str = "order-1") -> dict[str, Any]:
    """An order's row, closed or not."""
    (row,) = [row for row in harness.queries.orders(include_closed=True) if row["order_id"] == order_id]
    return row


def cancelled(harness: Harness, order: OpenOrder, because: str = "") -> OrderMessage:
    """The stream's word that an order is over, and the same in the world."""
    if order.order_id in harness.venue.orders:
        harness.venue.end_order(order.order_id, OrderStatus.CANCELED, matched_micro=order.size_matched_micro)
    ended = replace(order, status=OrderStatus.CANCELED, ended_because=because)
    return OrderMessage(order=ended, change=OrderChange.CANCELLATION, at_ms=harness.clock.now_ms())


# -- at once, and one cycle -----------------------------------------------------------------------------------------


@pytest.mark.req("L-01", "R-34", "D-18")
def test_a_fill_that_the_stream_shows_is_booked_between_two_cycles(build: Build) -> None:
    harness = following(build())
    before = starts(harness)
    show(harness, trade(harness.venue, "trade-1", DEAL))
    assert seen_first(harness) == {"trade-1": "stream"}
    assert harness.shares() == {"0xa-yes": 110 * SHARE}
    assert starts(harness) == before
    assert harness.board.stream["main"].last_event_at_ms == harness.clock.now_ms()
    harness.runtime.run_for(EXTRA_CYCLE_MS)
    assert starts(harness) == [*before, before[-1] + EXTRA_CYCLE_MS]
    assert harness.metrics.reports[-1].delta_count == 0


@pytest.mark.req("R-34")
def test_a_fill_after_a_quiet_second_brings_its_cycle_at_once(build: Build) -> None:
    harness = following(build())
    harness.runtime.run_for(2 * EXTRA_CYCLE_MS)
    before = starts(harness)
    show(harness, trade(harness.venue, "trade-1", DEAL))
    harness.runtime.run_for(0)
    assert starts(harness) == [*before, harness.clock.now_ms()]


@pytest.mark.req("R-34", "S-01")
def test_a_burst_of_fills_brings_one_cycle(build: Build) -> None:
    """Two hundred fills, each in a frame of its own, the whole burst in one moment."""
    harness = following(build())
    before = len(starts(harness))
    for number in range(200):
        harness.stream.show(trade(harness.venue, f"trade-{number}", replace_deal(number)))
    harness.runtime.run_for(INTERVAL_MS - EXTRA_CYCLE_MS)
    assert len(starts(harness)) == before + 1
    assert len(harness.queries.fills()) == 200
    assert set(seen_first(harness).values()) == {"stream"}


@pytest.mark.req("R-34", "S-01")
def test_fills_without_a_pause_bring_a_cycle_each_second_and_no_more(build: Build) -> None:
    harness = following(build())
    before = len(starts(harness))
    for number in range(50):
        show(harness, trade(harness.venue, f"trade-{number}", replace_deal(number)))
        harness.runtime.run_for(EXTRA_CYCLE_MS // 10)
    extra = starts(harness)[before - 1 :]
    assert len(extra) == 1 + 5
    assert {later - earlier for earlier, later in itertools.pairwise(extra)} == {EXTRA_CYCLE_MS}


@pytest.mark.req("R-34", "S-01")
def test_fills_during_a_cycle_are_booked_at_once_and_share_the_next_one(build: Build) -> None:
    harness = following(build())
    harness.runtime.run_for(EXTRA_CYCLE_MS)
    harness.venue.held.add(ReadOpenOrders)
    want(harness, "")
    before, began = len(starts(harness)), harness.clock.now_ms()
    for number in range(5):
        show(harness, trade(harness.venue, f"trade-{number}", DEAL))
    assert len(harness.queries.fills()) == 5
    harness.runtime.run_for(EXTRA_CYCLE_MS // 2)
    harness.venue.release()
    harness.runtime.run_until_idle()
    assert starts(harness)[before:] == [began]
    harness.runtime.run_for(INTERVAL_MS // 2)
    assert starts(harness)[before:] == [began, began + EXTRA_CYCLE_MS]


def replace_deal(number: int) -> Deal:
    """Deals of different sizes."""
    return Deal(token_id="0xa-yes", size=(1 + number % 7) * SHARE, price=500_000)


# -- orders and trades, in any order --------------------------------------------------------------------------------


@pytest.mark.req("L-07", "D-03", "R-11")
def test_an_order_that_shows_a_match_before_its_trade_is_booked_once(build: Build) -> None:
    harness = following(build())
    made, order = fill_part(harness.venue, "order-1", "trade-1", 40 * SHARE)
    show(harness, order)
    assert harness.shares() == {"0xa-yes": 100 * SHARE, "0xa-no": 40 * SHARE}
    assert states(harness) == {PROVISIONAL: "PROVISIONAL"}
    show(harness, made)
    assert harness.shares() == {"0xa-yes": 100 * SHARE, "0xa-no": 40 * SHARE}
    assert states(harness) == {"trade-1": "SETTLED"}
    assert harness.cycle().delta_count == 0


@pytest.mark.req("L-07", "L-05", "D-03")
def test_an_order_that_shows_a_match_behind_its_trade_adds_nothing(build: Build) -> None:
    harness = following(build())
    made, order = fill_part(harness.venue, "order-1", "trade-1", 40 * SHARE)
    show(harness, made)
    show(harness, order)
    assert harness.shares() == {"0xa-yes": 100 * SHARE, "0xa-no": 40 * SHARE}
    assert states(harness) == {"trade-1": "SETTLED"}
    assert stored_order(harness)["size_matched_micro"] == 40 * SHARE


@pytest.mark.req("L-06", "L-07")
def test_a_cancelled_order_stays_open_until_its_last_fill_came(build: Build) -> None:
    harness = following(build())
    show(harness, fill_part(harness.venue, "order-1", "trade-1", 20 * SHARE)[0])
    last, order = fill_part(harness.venue, "order-1", "trade-2", 30 * SHARE)
    show(harness, cancelled(harness, order))
    row = stored_order(harness)
    assert (row["status"], row["size_matched_micro"], row["closed_at_ms"]) == ("CANCELED", 50 * SHARE, None)
    show(harness, last)
    assert stored_order(harness)["closed_at_ms"] == harness.clock.now_ms()
    assert harness.shares() == {"0xa-yes": 100 * SHARE, "0xa-no": 50 * SHARE}
    assert states(harness) == {"trade-1": "SETTLED", "trade-2": "SETTLED"}
    assert harness.cycle().delta_count == 0


@pytest.mark.req("L-06")
@pytest.mark.parametrize(
    ("kind", "because"),
    [("GTD", ""), ("FOK", "FOK_NOT_FILLED"), ("GTC", "MARKET_RESOLVED")],
    ids=["it expired", "it was killed", "its market was resolved"],
)
def test_an_order_ends_by_message_between_two_cycles(build: Build, kind: str, because: str) -> None:
    """The list lacks it from now on, and no cycle asks for its fate: its end is known."""
    harness = following(build())
    placed = replace(harness.venue.add_order("order-2", "0xa-no", size=SHARE, price=300_000), order_type=kind)
    harness.venue.orders["order-2"] = placed
    show(harness, OrderMessage(order=placed, change=OrderChange.PLACEMENT, at_ms=harness.clock.now_ms()))
    assert stored_order(harness, "order-2")["closed_at_ms"] is None
    show(harness, cancelled(harness, placed, because))
    row = stored_order(harness, "order-2")
    assert (row["status"], row["order_type"], row["ended_because"]) == ("CANCELED", kind, because)
    assert row["closed_at_ms"] == harness.clock.now_ms()
    assert harness.cycle().delta_count == 0
    assert not [read for read in harness.venue.asked if getattr(read, "order_id", "") == "order-2"]


@pytest.mark.req("R-04", "R-21", "L-27")
def test_an_order_of_another_key_is_left_to_the_cycle_and_counted(build: Build) -> None:
    harness = following(build())
    foreign = replace(harness.venue.add_order("foreign", "0xa-no", size=10 * SHARE, price=300_000), owner=FOREIGN_KEY)
    harness.venue.orders["foreign"] = foreign
    show(harness, foreign)
    assert harness.metrics.counts["foreign_order_message"] == 1
    assert [row["order_id"] for row in harness.queries.orders()] == ["order-1"]
    harness.cycle()
    assert stored_order(harness, "foreign")["owner"] == FOREIGN_KEY
    (issue,) = [row for row in harness.queries.issues() if row["type"] == "ORDER_UNKNOWN"]
    assert issue["cause"] == "placed by a key that is not configured"


@pytest.mark.req("L-01", "L-05", "L-19", "L-30", "D-02", "D-03")
@pytest.mark.parametrize("seed", range(6))
def test_messages_doubled_reordered_and_lost_leave_the_books_equal_to_the_exchange(build: Build, seed: int) -> None:
    """What the stream says wrong a cycle finds over REST; nothing is booked twice, and nothing is taken for drift."""
    harness = following(build(seed=seed), "0xa", "0xb")
    choose = random.Random(seed)
    for number in range(20):
        said = happening(harness, number, choose)
        twisted = [event for event in said for _ in range(choose.choice((0, 1, 1, 2)))]
        choose.shuffle(twisted)
        for event in twisted:
            harness.stream.show(event)
            if choose.random() < 0.5:
                harness.runtime.run_for(choose.randrange(500))
    harness.runtime.run_for(INTERVAL_MS)
    harness.cycles(2)
    assert harness.shares() == {token: shares for token, shares in harness.venue.balances.items() if shares}
    assert set(states(harness)) == {made.trade_id for made in harness.venue.trades}
    assert set(states(harness).values()) == {"SETTLED"}
    assert {row["cause"] for row in harness.queries.adjustments()} <= {"OPENING", "RESTATED"}
    live = {order.order_id: order.size_matched_micro for order in harness.venue.orders.values()}
    assert {row["order_id"]: row["size_matched_micro"] for row in harness.queries.orders()} == live
    assert harness.sink.codes() == []


def happening(harness: Harness, number: int, choose: random.Random) -> list[Trade | OpenOrder | OrderMessage]:
    """An order is placed, filled in two trades, each confirmed later, and perhaps cancelled: all that is said of it."""
    token_id = choose.choice(("0xa-yes", "0xa-no", "0xb-yes", "0xb-no"))
    order = harness.venue.add_order(f"order-{number}-x", token_id, size=10 * SHARE, price=400_000)
    said: list[Trade | OpenOrder | OrderMessage] = [order]
    for part in range(2):
        harness.runtime.run_for(choose.randrange(200))
        made, order = fill_part(harness.venue, order.order_id, f"trade-{number}-{part}", choose.randrange(1, 5) * SHARE)
        earlier = [replace(made, status=status) for status in (TradeStatus.MATCHED, TradeStatus.MINED)]
        said += [*earlier, made, order]
    if choose.random() < 0.5:
        said.append(cancelled(harness, order))
    return said


@pytest.mark.req("L-03", "L-05", "L-19")
def test_a_status_that_comes_behind_a_later_one_changes_nothing(build: Build) -> None:
    harness = following(build())
    made = trade(harness.venue, "trade-1", DEAL)
    show(harness, made)
    before = len(harness.journal())
    for status in (TradeStatus.MINED, TradeStatus.MATCHED, TradeStatus.CONFIRMED):
        show(harness, replace(made, status=status))
    assert len(harness.journal()) == before
    assert harness.metrics.counts["late_trade_message"] == 2


@pytest.mark.req("L-03", "R-10")
def test_a_trade_that_fails_is_taken_back_at_once(build: Build) -> None:
    harness = following(build())
    deal = Deal(token_id="0xa-yes", size=SHARE, price=500_000, status=TradeStatus.MATCHED, settled=False)
    show(harness, trade(harness.venue, "trade-1", deal))
    assert harness.shares() == {"0xa-yes": 101 * SHARE}
    show(harness, becomes(harness.venue, "trade-1", TradeStatus.FAILED))
    assert (harness.shares(), states(harness)) == ({"0xa-yes": 100 * SHARE}, {"trade-1": "FAILED"})
    harness.runtime.run_for(EXTRA_CYCLE_MS)
    assert harness.settlements()[-1]["cause"] == "FILL_FAILED"


@pytest.mark.req("D-02", "R-24")
def test_a_sale_that_is_shown_before_its_purchase_closes_the_gate_until_the_purchase_comes(build: Build) -> None:
    harness = following(build())
    bought = trade(harness.venue, "trade-1", Deal(token_id="0xa-no", size=SHARE, price=400_000))
    sold = trade(harness.venue, "trade-2", Deal(token_id="0xa-no", size=SHARE, price=600_000, side=Side.SELL))
    show(harness, sold)
    assert harness.shares()["0xa-no"] == -SHARE
    show(harness, bought)
    assert "0xa-no" not in harness.shares()
    (row,) = [row for row in harness.queries.positions(include_zero=True) if row["token_id"] == "0xa-no"]
    assert row["realized_pnl_micro"] == SHARE // 5


# -- what is not believed ---------------------------------------------------------------------------------------------


@pytest.mark.req("R-16", "L-05")
def test_a_row_that_cannot_be_read_is_counted_and_found_by_the_next_cycle(build: Build) -> None:
    harness = following(build())
    trade(harness.venue, "trade-1", DEAL)
    harness.stream.reject("trade trade-1: size is negative")
    harness.runtime.run_until_idle()
    assert harness.metrics.counts["stream_row_rejected"] == 1
    assert harness.queries.fills() == []
    harness.cycle()
    assert seen_first(harness) == {"trade-1": "poll"}


@pytest.mark.req("D-18", "S-23")
def test_who_looks_at_the_board_sees_whether_the_stream_is_there(build: Build) -> None:
    harness = following(build())
    shown = harness.board.stream["main"]
    assert (shown.connected, shown.since_ms, shown.reason) == (True, harness.clock.now_ms() - EXTRA_CYCLE_MS, "")
    harness.stream.cut("the socket was closed")
    harness.runtime.run_until_idle()
    shown = harness.board.stream["main"]
    assert (shown.connected, shown.reason) == (False, "the socket was closed")
    assert harness.metrics.counts["stream_closed"] == 1


@pytest.mark.req("D-18")
def test_the_stream_is_closed_when_the_ingest_stops(build: Build) -> None:
    harness = following(build())
    ref = harness.post.ref(INGEST)
    assert ref is not None
    ref.stop(block=False)
    harness.runtime.run_until_idle()
    assert not harness.stream.connected
