"""A market's orders against a complete list: what is new, what rose, what left, and what a list cannot prove."""

from __future__ import annotations

import pytest

from portfolio.cycle import Frame, plan
from portfolio.facts import Balances, CollateralBalance, OpenOrder, OrderStatus, Payout, TokenBalance, TradeStatus
from portfolio.images import image_of
from portfolio.judging import ViewResult
from portfolio.outcomes import DeltaType, IssueAction, IssueRow, OrderRow, SettlementReport, Severity
from portfolio.readings import Readings
from portfolio.views import MarketImage, ViewPolicy
from portfolio.wallet import WalletState
from tests.unit.portfolio.markets import (
    CENT,
    CONDITION,
    FOREIGN_KEY,
    MINUTE,
    OWN_KEY,
    SECOND,
    SHARE,
    T0,
    Book,
    balances_at,
    fate,
    leg,
    listed,
    order,
)

ALERT_ONLY = ViewPolicy(adopt_unknown_orders=False)


def book_with(*orders: OpenOrder) -> Book:
    book = Book()
    book.look(orders=listed(*(orders or (order(),))))
    return book


def told(book: Book, *orders: OpenOrder) -> ViewResult:
    return book.look(orders=listed(*orders))


@pytest.mark.req("R-04", "L-06")
def test_an_order_placed_since_the_last_list_is_an_ordinary_addition_without_drift() -> None:
    book = Book()
    result = told(book, order())
    assert (result.deltas, result.drift_micro, result.regressions) == ((DeltaType.ADDED,), 0, 0)
    (row,) = book.last(OrderRow)
    assert (row.order_id, row.first_seen_at_ms, row.closed_at_ms) == ("o1", T0, None)
    assert book.last(IssueRow) == ()


@pytest.mark.req("R-04")
def test_every_order_of_the_first_list_is_ordinary() -> None:
    book = Book()
    old = order(created_at_ms=0, owner=FOREIGN_KEY)
    result = book.look(orders=listed(old, previous=None))
    assert (result.drift_micro, book.last(IssueRow)) == (0, ())


@pytest.mark.req("R-04", "L-27")
@pytest.mark.parametrize(
    ("shown", "cause"),
    [
        (order(owner=FOREIGN_KEY), "placed by a key that is not configured"),
        (order(created_at_ms=T0 - MINUTE - SECOND), "created before the last complete list"),
    ],
)
def test_an_unknown_order_is_adopted_with_an_issue_and_counts_as_drift(shown: OpenOrder, cause: str) -> None:
    book = Book()
    result = told(book, shown)
    assert (result.drift_micro, result.deltas) == (60 * SHARE, (DeltaType.ADDED,))
    (issue,) = book.last(IssueRow)
    assert (issue.type, issue.action, issue.subject, issue.cause) == (
        "ORDER_UNKNOWN",
        IssueAction.CORRECTED,
        "o1",
        cause,
    )
    assert (issue.before, issue.after) == ("0.0", "BUY 100000000 micro at 600000 micro")
    assert book.order().status is OrderStatus.LIVE


@pytest.mark.req("R-04")
def test_an_order_created_in_the_second_of_the_last_list_is_ordinary() -> None:
    book = Book()
    assert told(book, order(created_at_ms=T0 - MINUTE)).drift_micro == 0


@pytest.mark.req("R-04", "L-27")
def test_under_the_alert_policy_an_unknown_order_is_reported_once_and_not_tracked() -> None:
    book = Book()
    foreign = order(owner=FOREIGN_KEY)
    for _ in range(2):
        result = book.look(orders=listed(foreign), policy=ALERT_ONLY)
        assert (result.drift_micro, result.deltas) == (0, ())
    (issue,) = book.all(IssueRow)
    assert issue.action is IssueAction.REQUIRES_MANUAL
    assert (book.state.orders, book.state.ignored_orders) == ({}, ("o1",))
    assert book.step.rows == ()


@pytest.mark.req("R-04")
def test_under_the_alert_policy_an_ordinary_order_is_tracked() -> None:
    book = Book()
    book.look(orders=listed(order()), policy=ALERT_ONLY)
    assert "o1" in book.state.orders


@pytest.mark.req("L-19", "D-16")
def test_a_list_that_shows_what_is_known_changes_nothing() -> None:
    book = book_with()
    before = book.state
    result = told(book, order())
    assert book.state is before
    assert (book.step.rows, result.deltas) == ((), ())


@pytest.mark.req("L-05")
def test_a_matched_size_that_falls_is_counted_and_changes_nothing() -> None:
    book = book_with(order(size_matched_micro=50 * SHARE))
    before = book.state
    assert told(book, order(size_matched_micro=40 * SHARE)).regressions == 1
    assert book.state is before


@pytest.mark.req("L-05", "L-06")
@pytest.mark.parametrize("booked", [0, 5 * SHARE])
def test_a_list_does_not_bring_an_ended_order_back_to_life(booked: int) -> None:
    """Whether it is closed already or still waits for its last fill."""
    book = book_with()
    ended = order(status=OrderStatus.CANCELED, size_matched_micro=booked)
    book.look(orders=listed(fates=(fate("o1", ended),)))
    before = book.state
    assert told(book, order(size_matched_micro=booked)).regressions == 1
    assert book.state is before


@pytest.mark.req("L-05", "R-03")
def test_a_matched_size_that_rises_before_its_trade_is_seen_is_drift() -> None:
    book = book_with()
    result = told(book, order(size_matched_micro=50 * SHARE))
    assert (result.drift_micro, result.deltas) == (30 * SHARE, (DeltaType.UPDATED,))
    (issue,) = book.last(IssueRow)
    assert (issue.type, issue.cause) == ("ORDER_DRIFT", "matched on the exchange before its trade was seen")
    assert issue.before == "BUY 100000000 micro at 600000 micro, LIVE"
    assert book.order().size_matched_micro == 50 * SHARE


@pytest.mark.req("L-05", "L-16")
def test_a_matched_size_that_catches_up_with_booked_fills_is_no_drift() -> None:
    book = book_with()
    book.see(leg(size=50 * SHARE))
    result = told(book, order(size_matched_micro=50 * SHARE))
    assert (result.drift_micro, result.deltas) == (0, ())
    (row,) = book.last(OrderRow)
    assert row.size_matched_micro == 50 * SHARE


@pytest.mark.req("L-05", "R-03")
def test_a_matched_size_is_drift_only_for_what_no_booked_fill_explains() -> None:
    book = book_with()
    book.see(leg(size=20 * SHARE))
    assert told(book, order(size_matched_micro=50 * SHARE)).drift_micro == 18 * SHARE


def test_a_changed_state_alone_is_written_without_a_delta() -> None:
    book = book_with(order(status=OrderStatus.DELAYED))
    result = told(book, order(status=OrderStatus.LIVE))
    assert result.deltas == ()
    (row,) = book.last(OrderRow)
    assert row.status is OrderStatus.LIVE


@pytest.mark.req("L-06", "L-08")
def test_an_order_that_a_list_lacks_stays_open_without_a_fate() -> None:
    book = book_with()
    before = book.state
    assert told(book).deltas == ()
    assert book.state is before


@pytest.mark.req("L-06", "L-08")
def test_a_fate_that_says_live_proves_that_the_list_was_short() -> None:
    book = book_with()
    before = book.state
    book.look(orders=listed(fates=(fate("o1", order()),)))
    assert book.state is before


@pytest.mark.req("L-06")
@pytest.mark.parametrize("status", [OrderStatus.CANCELED, OrderStatus.INVALID])
def test_an_order_that_ended_without_a_fill_is_closed_without_drift(status: OrderStatus) -> None:
    book = book_with()
    result = book.look(orders=listed(fates=(fate("o1", order(status=status)),)))
    assert (result.deltas, result.drift_micro) == ((DeltaType.REMOVED,), 0)
    assert (book.order().status, book.order().closed_at_ms) == (status, T0)


@pytest.mark.req("L-06", "L-07")
def test_an_order_that_ended_stays_open_until_its_fills_are_booked() -> None:
    book = book_with()
    matched = order(status=OrderStatus.MATCHED, size_matched_micro=100 * SHARE)
    result = book.look(orders=listed(fates=(fate("o1", matched),)))
    assert (result.drift_micro, book.order().closed_at_ms) == (60 * SHARE, None)
    before = book.state
    book.look(orders=listed(fates=(fate("o1", matched),)))
    assert book.state is before
    book.see(leg(size=100 * SHARE))
    assert book.order().closed_at_ms == T0


@pytest.mark.req("L-06", "D-03")
def test_an_order_whose_fill_failed_closes_all_the_same() -> None:
    book = book_with()
    book.see(leg(size=100 * SHARE), leg(size=100 * SHARE, status=TradeStatus.FAILED))
    matched = order(status=OrderStatus.MATCHED, size_matched_micro=100 * SHARE)
    result = book.look(orders=listed(fates=(fate("o1", matched),)))
    assert (result.drift_micro, book.order().closed_at_ms) == (0, T0)


@pytest.mark.req("L-05")
def test_a_fate_does_not_lower_the_matched_size() -> None:
    book = book_with(order(size_matched_micro=50 * SHARE))
    book.see(leg(size=50 * SHARE))
    book.look(orders=listed(fates=(fate("o1", order(status=OrderStatus.CANCELED)),)))
    assert book.order().size_matched_micro == 50 * SHARE


@pytest.mark.req("L-06", "L-27")
def test_an_order_that_the_exchange_does_not_know_is_gone_with_an_issue() -> None:
    book = book_with()
    result = book.look(orders=listed(fates=(fate("o1", None),)))
    assert (result.deltas, result.drift_micro) == ((DeltaType.REMOVED,), 60 * SHARE)
    assert (book.order().status, book.order().closed_at_ms) == (OrderStatus.GONE, T0)
    (issue,) = book.last(IssueRow)
    assert (issue.type, issue.after) == ("ORDER_GONE", "unknown to the exchange")


@pytest.mark.req("L-13", "L-06")
def test_an_order_that_was_given_up_as_gone_comes_back_when_it_is_listed() -> None:
    book = book_with()
    book.look(orders=listed(fates=(fate("o1", None),)))
    result = told(book, order())
    assert (result.deltas, result.drift_micro) == ((DeltaType.ADDED,), 60 * SHARE)
    assert (book.order().status, book.order().closed_at_ms) == (OrderStatus.LIVE, None)
    (issue,) = book.last(IssueRow)
    assert (issue.type, issue.cause) == ("ORDER_DRIFT", "was given up as gone and is listed again")
    assert told(book, order()).deltas == ()


@pytest.mark.req("L-07")
def test_an_order_first_listed_after_its_fill_knows_the_fill() -> None:
    book = Book()
    book.see(leg(size=30 * SHARE), leg("t2", SHARE, order_id="other"))
    result = told(book, order(size_matched_micro=30 * SHARE))
    assert (result.drift_micro, book.order().booked_micro) == (0, 30 * SHARE)


@pytest.mark.req("S-08", "R-03", "D-24")
def test_all_changes_of_a_conditions_orders_are_one_report() -> None:
    book = book_with(order("o1"), order("o2", price_micro=50 * CENT))
    view = listed(order("o1", size_matched_micro=50 * SHARE), order("o3"), fates=(fate("o2", None),))
    book.look(orders=view)
    (report,) = book.last(SettlementReport)
    assert (report.subject.value, report.delta_type) == ("open_orders", DeltaType.UPDATED)
    assert (report.internal_size_micro, report.clob_size_micro) == (110 * SHARE, 90 * SHARE)
    assert report.drift_micro == 30 * SHARE + 50 * SHARE
    assert report.cause == "ORDER_GONE+ORDER_MATCHED+ORDER_PLACED"
    assert report.evidence == "orders o1, o3, o2"


@pytest.mark.req("L-29")
def test_more_than_five_hundred_orders_are_all_taken() -> None:
    book = Book()
    told(book, *(order(f"o{number}") for number in range(600)))
    assert len(book.state.orders) == 600
    assert len(book.last(OrderRow)) == 600


def test_a_view_without_an_order_list_leaves_orders_alone() -> None:
    book = book_with()
    before = book.state
    book.look(orders=None)
    assert book.state is before


@pytest.mark.req("L-27")
def test_an_order_that_lives_on_in_a_decided_market_is_said_once_and_stays_open() -> None:
    book = book_with()
    decided = (Payout(condition_id=CONDITION, numerators=(1, 0), denominator=1),)
    book.look(balances_at(5, {}, decided), orders=listed(order()))
    (issue,) = book.last(IssueRow)
    assert (issue.type, issue.subject, issue.severity) == ("ORDER_IN_RESOLVED_MARKET", "o1", Severity.WARN)
    assert book.order().closed_at_ms is None
    book.look(balances_at(6, {}, decided), orders=listed(order()))
    assert len([row for row in book.all(IssueRow) if row.type == "ORDER_IN_RESOLVED_MARKET"]) == 1
    ended = order(status=OrderStatus.CANCELED, ended_because="MARKET_RESOLVED")
    book.look(balances_at(7, {}, decided), orders=listed(fates=(fate("o1", ended),)))
    assert (book.order().closed_at_ms, book.order().ended_because) == (book.now_ms, "MARKET_RESOLVED")


def differs_by_decision(image: MarketImage, decided: tuple[Payout, ...]) -> bool:
    """Whether a cycle has a view for the market, where everything but the decision agrees."""
    balances = Balances(
        block_number=9,
        block_hash="0x9",
        block_time_ms=T0,
        collateral=(CollateralBalance(name="pusd", amount_micro=0),),
        tokens=tuple(TokenBalance(token_id=token.token_id, amount_micro=0) for token in image.tokens),
        payouts=decided,
    )
    readings = Readings(balances=balances, positions=(), orders=(order(),), orders_read_at_ms=T0, fates=())
    frame = Frame(cycle_id="c", synced_at_ms=T0, policy=ViewPolicy(), own_keys=(OWN_KEY,))
    return bool(plan([image], readings, frame, WalletState(wallet=image.wallet)).views)


@pytest.mark.req("L-27")
def test_a_plan_hands_a_decided_market_its_view_while_an_order_there_is_not_said() -> None:
    book = book_with()
    decided = (Payout(condition_id=CONDITION, numerators=(1, 0), denominator=1),)
    image = image_of(book.state)
    assert differs_by_decision(image, decided)
    book.look(balances_at(5, {}, decided), orders=listed(order()))
    assert not differs_by_decision(image_of(book.state), decided)
