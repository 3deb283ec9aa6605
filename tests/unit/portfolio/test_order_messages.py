"""Messages about an order, in any order: its figure only rises, its end stands, late ones are counted (L-05, L-06)."""

from __future__ import annotations

from itertools import permutations

import pytest
from msgspec.structs import replace

from portfolio.entries import FillState
from portfolio.events import OrderSeen
from portfolio.facts import OpenOrder, OrderStatus, TradeStatus
from portfolio.images import live_orders
from portfolio.outcomes import FillRow, OrderRow
from portfolio.views import OrderState
from tests.unit.portfolio.markets import SECOND, SHARE, T0, Book, fate, leg, listed, order

LIVE, MATCHED, CANCELED = OrderStatus.LIVE, OrderStatus.MATCHED, OrderStatus.CANCELED
KILLED = "order couldn't be fully filled. FOK orders are fully filled or killed."


def heard(*messages: tuple[OpenOrder, int]) -> Book:
    book = Book()
    for shown, at_ms in messages:
        book.show(shown, at_ms=at_ms)
    return book


@pytest.mark.req("R-04", "L-06")
def test_a_placement_is_followed_without_a_cycle() -> None:
    book = heard((order(), T0))
    (row,) = book.last(OrderRow)
    assert (row.order_id, row.status, row.first_seen_at_ms, row.closed_at_ms) == ("o1", LIVE, T0, None)
    assert [shown.order_id for shown in live_orders(book.state)] == ["o1"]


@pytest.mark.req("L-05", "L-06", "D-02")
def test_messages_of_an_order_end_alike_in_any_order() -> None:
    messages = (
        (order(status=OrderStatus.DELAYED, created_at_ms=T0 - 500), T0),
        (order(size_matched_micro=4 * SHARE), T0 + 1 * SECOND),
        (order(size_matched_micro=9 * SHARE), T0 + 2 * SECOND),
        (order(size_matched_micro=9 * SHARE, status=CANCELED), T0 + 3 * SECOND),
    )
    ends = [heard(*some).order() for some in permutations(messages)]
    assert all(end == ends[0] for end in ends)
    assert (ends[0].size_matched_micro, ends[0].status, ends[0].created_at_ms) == (9 * SHARE, CANCELED, T0 - SECOND)
    assert ends[0].matched_at_ns == (T0 + 2 * SECOND) * 1_000_000


@pytest.mark.req("L-05", "D-02")
def test_of_two_reasons_for_one_end_the_same_one_stands_in_any_order() -> None:
    messages = ((order(status=CANCELED), T0), (order(status=CANCELED, ended_because="MARKET_RESOLVED"), T0 + 1))
    for some in permutations(messages):
        assert heard(*some).order().ended_because == "MARKET_RESOLVED"


@pytest.mark.req("L-05")
@pytest.mark.parametrize(
    ("known", "late", "counted"),
    [
        (order(size_matched_micro=9 * SHARE), order(size_matched_micro=4 * SHARE), "late_order_message"),
        (order(status=CANCELED), order(), "late_order_message"),
        (order(size_matched_micro=SHARE), order(size_matched_micro=SHARE), "repeated_order_message"),
        (order(status=CANCELED), order(status=CANCELED), "repeated_order_message"),
    ],
)
def test_a_late_or_repeated_message_changes_nothing_and_is_counted(
    known: OpenOrder, late: OpenOrder, counted: str
) -> None:
    book = heard((known, T0))
    before = book.state
    step = book.show(late, at_ms=T0 + SECOND)
    assert (step.state is before, step.rows, step.counted) == (True, (), (counted,))


@pytest.mark.req("L-06", "L-27")
def test_a_killed_order_is_closed_at_once_without_a_fill() -> None:
    book = heard((order(order_type="FOK", status=CANCELED, ended_because=KILLED), T0))
    ended = book.order()
    assert (ended.closed_at_ms, ended.ended_because, ended.waiting_micro) == (T0, KILLED, 0)
    assert (book.shares(), book.all(FillRow)) == (0, ())


@pytest.mark.req("L-06", "L-07")
def test_a_full_order_that_is_called_cancelled_keeps_its_fills_and_waits_for_their_trades() -> None:
    """A message of CANCELED with 5 of 5 matched was seen on the wire."""
    five = order(original_size_micro=5 * SHARE, size_matched_micro=5 * SHARE, status=CANCELED)
    book = heard((five, T0))
    assert (book.shares(), book.order().closed_at_ms) == (5 * SHARE, None)
    book.see(leg(size=5 * SHARE))
    assert (book.shares(), book.order().status, book.order().closed_at_ms) == (5 * SHARE, CANCELED, T0)


@pytest.mark.req("L-06", "L-07")
def test_a_cancellation_with_a_part_matched_closes_the_order_when_that_part_is_booked() -> None:
    book = heard((order(), T0))
    book.see(leg("t1", 3 * SHARE))
    book.show(order(size_matched_micro=8 * SHARE, status=CANCELED))
    assert (book.shares(), book.order().closed_at_ms, live_orders(book.state)) == (8 * SHARE, None, ())
    book.wait(SECOND)
    book.see(leg("t2", 5 * SHARE))
    assert (book.shares(), book.order().closed_at_ms) == (8 * SHARE, T0 + SECOND)


@pytest.mark.req("L-05", "L-07")
def test_a_closed_order_opens_again_for_a_figure_that_its_trades_do_not_explain() -> None:
    """The cancellation came before the update that it had overtaken."""
    book = heard((order(status=CANCELED), T0))
    assert book.order().closed_at_ms == T0
    book.show(order(size_matched_micro=2 * SHARE))
    assert (book.order().status, book.order().closed_at_ms, book.shares()) == (CANCELED, None, 2 * SHARE)
    book.see(leg(size=2 * SHARE))
    assert (book.order().closed_at_ms, book.shares()) == (T0, 2 * SHARE)


@pytest.mark.req("L-06", "L-13")
@pytest.mark.parametrize("status", [LIVE, MATCHED, CANCELED])
def test_any_word_of_the_exchange_counts_for_more_than_having_given_an_order_up_as_gone(status: OrderStatus) -> None:
    book = heard((order(), T0))
    book.look(orders=listed(fates=(fate("o1", None),)))
    assert book.order().status is OrderStatus.GONE
    book.show(order(status=status, size_matched_micro=0))
    assert book.order().status is status
    assert (book.order().closed_at_ms is None) == status.live


@pytest.mark.req("L-07")
def test_an_order_first_heard_of_after_its_trades_knows_them() -> None:
    book = Book()
    book.see(leg("t1", 3 * SHARE), leg("t2", 4 * SHARE, status=TradeStatus.FAILED), leg("t3", SHARE, order_id="o2"))
    book.show(order(size_matched_micro=9 * SHARE))
    assert (book.order().booked_micro, book.order().waiting_micro) == (7 * SHARE, 2 * SHARE)
    assert book.shares() == 3 * SHARE + 2 * SHARE + SHARE


@pytest.mark.req("R-03", "D-03")
def test_a_list_that_shows_what_a_message_showed_before_finds_no_drift() -> None:
    book = heard((order(size_matched_micro=50 * SHARE), T0))
    assert book.look(orders=listed(order(size_matched_micro=50 * SHARE))).drift_micro == 0
    result = book.look(orders=listed(order(size_matched_micro=60 * SHARE)))
    assert result.drift_micro == 6 * SHARE
    ended = order(size_matched_micro=60 * SHARE, status=CANCELED)
    assert book.look(orders=listed(fates=(fate("o1", ended),))).drift_micro == 0


@pytest.mark.req("L-19", "L-20")
def test_an_order_message_is_a_pure_function_of_what_is_known() -> None:
    one, two = heard((order(size_matched_micro=SHARE), T0)), heard((order(size_matched_micro=SHARE), T0))
    again = OrderSeen(order=replace(order(), size_matched_micro=2 * SHARE), at_ms=T0, feed="stream")
    assert one.tell(again) == two.tell(again)
    assert isinstance(one.order(), OrderState)
    assert one.all(FillRow)[-1].state is FillState.PROVISIONAL
