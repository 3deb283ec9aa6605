"""The published captures of the user channel, from bytes to books: what we bought, sold, paid and hold by each."""

from __future__ import annotations

from pathlib import Path

import pytest

from polymarket.payloads import parse_user_frame
from portfolio.entries import FillState
from portfolio.events import FillSeen, MarketDefined, OrderSeen
from portfolio.facts import OrderMessage, OrderStatus, Role, Side, TradeMessage
from portfolio.market import transition
from portfolio.state import BookedFill, MarketState
from portfolio.trades import TradeLeg, own_legs
from tests.unit.portfolio.markets import meta

DATA = Path(__file__).parents[1] / "data"
YES = "21742633143463906290569050155826241533067272736897614950488156847949938836455"
NO = "48331043336612883890938759509493159234755048973500640148014422747788308965732"
CONDITION = "0xdd22472e552920b8438158ea7238bfadfa4f736aa4cee91a6b86c39ead110917"
US = "0xa3D82Ed56F4c68d2328Fb8c29e568Ba2cAF7d7c8"
"""The wallet that the captures were taken for; the same addresses stand in all of them."""

NO_MAKER = "0xFfd192468b7a05b38c37C82d09fA941289FaEB23"
TAKER = "0x64B7a036c378f9CF8163A5480437CD12Ae14b6A1"
OUR_KEY = "3e2c94ca-8124-c4c1-c7ea-be1ea21b71fe"


def frame(name: str) -> OrderMessage | TradeMessage:
    """The one event of a captured frame."""
    parsed = parse_user_frame((DATA / name).read_bytes())
    assert (parsed.rejected, parsed.unknown) == ((), 0)
    (event,) = parsed.events
    return event


def legs(name: str, address: str = US) -> tuple[TradeLeg, ...]:
    event = frame(name)
    assert isinstance(event, TradeMessage)
    return own_legs(event.trade, address, {OUR_KEY})


def told(*events: FillSeen | OrderSeen) -> MarketState:
    """A market of the captures' condition after the events."""
    state = MarketState(wallet="main", market_id=CONDITION)
    for event in (MarketDefined(metas=(meta(CONDITION, (YES, NO)),)), *events):
        state = transition(state, event, 1_725_868_900_000).state
    return state


def filled(name: str, address: str = US) -> tuple[MarketState, BookedFill]:
    state = told(*(FillSeen(leg=leg, feed="stream") for leg in legs(name, address)))
    (booked,) = state.fills.values()
    return state, booked


@pytest.mark.req("L-01", "R-11", "R-21")
def test_one_of_five_makers_of_yes_sold_its_own_five_shares_and_no_more() -> None:
    """The taker bought 1,096.87 YES of six makers; our part is five shares, and the side is not said."""
    state, booked = filled("nautilus_ws/user_trade1.json")
    fill = booked.fill
    assert (fill.side, fill.role, fill.token_id, fill.external) == (Side.SELL, Role.MAKER, YES, False)
    assert (fill.size_micro, fill.price_micro, fill.amount_micro) == (5_000_000, 518_000, 2_590_000)
    assert (fill.state, fill.transaction_hash) == (
        FillState.OBSERVED,
        "0x876310b8e67cacf110abdd4106438968c55f2cce795c13c3c7a0896fc4af730d",
    )
    assert (state.position(YES).shares_micro, state.position(YES).settled_micro) == (-5_000_000, 0)


@pytest.mark.req("L-01", "R-11")
def test_the_maker_of_no_bought_no_at_its_own_price_in_the_same_match() -> None:
    """A mint: its side is the taker's, its token the other one; the two prices make a dollar."""
    state, booked = filled("nautilus_ws/user_trade1.json", NO_MAKER)
    fill = booked.fill
    assert (fill.side, fill.token_id, fill.external) == (Side.BUY, NO, True)
    assert (fill.size_micro, fill.price_micro, fill.amount_micro) == (10_000_000, 482_000, 4_820_000)
    assert (state.position(NO).shares_micro, state.position(NO).cost_basis_micro) == (10_000_000, 4_820_000)
    assert state.position(YES).shares_micro == 0


@pytest.mark.req("L-01", "R-11")
def test_the_taker_bought_what_all_six_makers_gave_and_paid_what_each_asked() -> None:
    _, booked = filled("nautilus_ws/user_trade1.json", TAKER)
    fill = booked.fill
    assert (fill.side, fill.role, fill.token_id) == (Side.BUY, Role.TAKER, YES)
    assert (fill.size_micro, fill.amount_micro) == (1_096_870_000, 568_178_660)


@pytest.mark.req("L-01", "R-11")
def test_a_stranger_to_the_trade_has_no_part_in_it() -> None:
    assert legs("nautilus_ws/user_trade1.json", "0x0000000000000000000000000000000000000001") == ()


@pytest.mark.req("L-01", "R-11")
def test_as_the_taker_five_shares_were_bought_for_what_the_maker_asked() -> None:
    state, booked = filled("nautilus_ws/user_trade2.json")
    fill = booked.fill
    assert (fill.side, fill.role, fill.size_micro, fill.amount_micro) == (Side.BUY, Role.TAKER, 5_000_000, 2_600_000)
    assert (fill.state, fill.order_id[:6]) == (FillState.OBSERVED, "0x5b60")
    held = state.position(YES)
    assert (held.shares_micro, held.settled_micro, held.cost_basis_micro) == (5_000_000, 0, 2_600_000)


@pytest.mark.req("L-01", "L-03", "R-11")
def test_a_confirmed_trade_says_its_side_and_is_settled() -> None:
    """The capture was edited by hand: its top level names one token and another's price. Only our own leg counts."""
    state, booked = filled("nautilus_ws/user_trade3.json")
    fill = booked.fill
    assert (fill.side, fill.role, fill.price_micro, fill.amount_micro) == (Side.BUY, Role.MAKER, 513_000, 2_565_000)
    assert fill.state is FillState.SETTLED
    assert (state.position(YES).shares_micro, state.position(YES).settled_micro) == (5_000_000, 5_000_000)


@pytest.mark.req("L-06", "R-04")
def test_a_placement_is_a_live_order_of_five_shares() -> None:
    event = frame("nautilus_ws/order_placement.json")
    assert isinstance(event, OrderMessage)
    state = told(OrderSeen(order=event.order, at_ms=event.at_ms, feed="stream"))
    (order,) = state.orders.values()
    assert (order.side, order.token_id, order.status, order.closed_at_ms) == (Side.BUY, YES, OrderStatus.LIVE, None)
    assert (order.price_micro, order.original_size_micro, order.remaining_micro) == (513_000, 5_000_000, 5_000_000)
    assert (order.owner, order.waiting_micro, event.at_ms) == (OUR_KEY, 0, 1_725_842_520_990)


@pytest.mark.req("L-03", "L-07", "D-03")
def test_the_documented_order_that_was_cancelled_half_filled_waits_for_its_trade() -> None:
    """The documentation's samples do not belong together: the trade is of ten, the cancelled order shows five."""
    placed = frame("docs_user_channel/order_placement.json")
    ended = frame("docs_user_channel/order_cancellation.json")
    assert isinstance(placed, OrderMessage)
    assert isinstance(ended, OrderMessage)
    for messages in ((placed, ended), (ended, placed)):
        state = told(*(OrderSeen(order=one.order, at_ms=one.at_ms, feed="stream") for one in messages))
        (order,) = state.orders.values()
        assert (order.status, order.size_matched_micro, order.waiting_micro) == (
            OrderStatus.CANCELED,
            5_000_000,
            5_000_000,
        )
        assert order.closed_at_ms is None
        for name in ("trade_matched", "trade_confirmed"):
            for leg in legs(f"docs_user_channel/{name}.json", "0x5678..."):
                state = transition(state, FillSeen(leg=leg, feed="stream"), 0).state
        (order,) = state.orders.values()
        assert (order.closed_at_ms, order.waiting_micro) == (0, 0)
        assert state.position(order.token_id).settled_micro == -10_000_000


@pytest.mark.req("L-06", "L-27", "R-16")
def test_a_killed_order_says_nothing_where_it_means_zero() -> None:
    event = frame("nautilus_handmade/ws_user_order_fok_killed.json")
    assert isinstance(event, OrderMessage)
    state = told(OrderSeen(order=event.order, at_ms=event.at_ms, feed="stream"))
    (order,) = state.orders.values()
    assert (order.status, order.size_matched_micro, order.closed_at_ms) == (OrderStatus.CANCELED, 0, 1_725_868_900_000)
    assert order.ended_because == "order couldn't be fully filled. FOK orders are fully filled or killed."


@pytest.mark.req("L-05", "L-06", "L-07", "D-02", "D-03")
def test_the_handmade_messages_of_one_order_end_alike_in_any_order() -> None:
    """Placed, 25 matched, 100 matched; a trade of 25 explains a part of it."""
    names = ("order_placement", "order_update", "order_matched", "trade")
    events: list[FillSeen | OrderSeen] = []
    for name in names:
        event = frame(f"nautilus_handmade/ws_user_{name}.json")
        if isinstance(event, OrderMessage):
            events.append(OrderSeen(order=event.order, at_ms=event.at_ms, feed="stream"))
        else:
            found = own_legs(event.trade, "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266", ())
            events.extend(FillSeen(leg=leg, feed="stream") for leg in found)
    ends = [told(*events[at:], *events[:at]) for at in range(len(events))]
    for end in ends:
        (order,) = end.orders.values()
        assert (order.status, order.size_matched_micro, order.waiting_micro) == (
            OrderStatus.MATCHED,
            100_000_000,
            75_000_000,
        )
        held = end.position(order.token_id)
        assert (held.shares_micro, held.settled_micro, held.cost_basis_micro) == (100_000_000, 25_000_000, 50_000_000)
    assert all(end.positions == ends[0].positions for end in ends)
