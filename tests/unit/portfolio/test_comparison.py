"""Whether a balance agrees with a book: fills settled and in flight, at one pinned block."""

from __future__ import annotations

import pytest

from portfolio.comparison import (
    SUBSET_SUMS_MAX,
    TokenExam,
    examine,
    examine_market,
    order_value,
    orders_agree,
    stand_in_difference,
)
from portfolio.facts import OrderStatus
from portfolio.images import image_of
from portfolio.views import OrderImage, TokenImage, UnprovenFill
from tests.unit.portfolio.markets import CENT, MINUTE, SECOND, SHARE, T0, YES, Book, chain, leg, order

WINDOW = 30 * SECOND


def unproven(name: str, shares: int, *, confirmed: bool = False, at_ms: int = T0) -> UnprovenFill:
    return UnprovenFill(
        trade_id=name, order_id="o", shares_micro=shares, cash_micro=-shares, confirmed=confirmed, matched_at_ms=at_ms
    )


def token(proven: int, *fills: UnprovenFill) -> TokenImage:
    return TokenImage(
        token_id=YES,
        condition_id="0xc0",
        contract="0xctf",
        outcome_index=0,
        question_index=None,
        shares_micro=proven + sum(fill.shares_micro for fill in fills),
        settled_micro=proven + sum(fill.shares_micro for fill in fills if fill.confirmed),
        proven_micro=proven,
        cost_basis_micro=0,
        unproven=fills,
        pending=False,
    )


def exam(held: TokenImage, balance: int, block_time_ms: int = T0) -> TokenExam:
    return examine(held, balance, block_time_ms, WINDOW)


@pytest.mark.req("X-02", "L-04")
@pytest.mark.parametrize("balance", [9_999_999, 10_000_001])
def test_one_base_unit_is_a_difference(balance: int) -> None:
    assert exam(token(10_000_000), balance).difference_micro == balance - 10_000_000


@pytest.mark.req("R-05", "L-16")
def test_a_fill_in_flight_may_be_in_the_balance_or_not() -> None:
    held = token(5, unproven("t1", 7))
    without, within = exam(held, 5), exam(held, 12)
    assert (without.difference_micro, without.explained, without.waiting) == (0, (), True)
    assert (within.difference_micro, within.explained, within.waiting) == (0, (("t1", "o"),), False)
    assert within.explained_cash_micro == -7


@pytest.mark.req("X-02")
def test_a_balance_is_explained_by_those_fills_in_flight_that_add_up_to_it() -> None:
    found = exam(token(0, unproven("a", 5), unproven("b", 7, at_ms=T0 + 1), unproven("c", 11, at_ms=T0 + 2)), 18)
    assert found.explained == (("b", "o"), ("c", "o"))
    assert found.waiting


@pytest.mark.req("X-02")
def test_the_oldest_fills_explain_a_balance_first_and_confirmed_ones_before_others() -> None:
    fills = (
        unproven("late", 5, at_ms=T0 + 9),
        unproven("early", 5),
        unproven("sure", 5, confirmed=True, at_ms=T0 + 99),
    )
    assert exam(token(0, *fills), 5).explained == (("sure", "o"),)
    assert exam(token(0, *fills), 10).explained == (("sure", "o"), ("early", "o"))


@pytest.mark.req("X-02")
def test_a_purchase_and_a_sale_in_flight_that_cancel_out_prove_nothing() -> None:
    assert exam(token(3, unproven("buy", 5), unproven("sell", -5, at_ms=T0 + 1)), 3).explained == ()


@pytest.mark.req("R-05")
def test_a_fill_confirmed_lately_may_be_missing_from_the_block() -> None:
    found = exam(token(0, unproven("t", 5, confirmed=True)), 0, T0 + WINDOW - 1)
    assert (found.difference_micro, found.waiting) == (0, True)


@pytest.mark.req("R-05")
def test_a_confirmed_fill_older_than_the_window_and_not_in_the_balance_is_a_difference() -> None:
    found = exam(token(0, unproven("t", 5, confirmed=True)), 0, T0 + WINDOW)
    assert (found.difference_micro, found.waiting, found.explained) == (-5, False, ())


@pytest.mark.req("R-05")
def test_an_unexplained_balance_is_measured_against_what_is_settled_and_waits_for_fills_in_flight() -> None:
    found = exam(token(10, unproven("t", 5, confirmed=True), unproven("u", 7)), 18)
    assert (found.difference_micro, found.waiting, found.explained) == (3, True, ())


@pytest.mark.req("X-02")
def test_the_search_for_an_explanation_is_bounded_and_gives_up_as_unexplained() -> None:
    fills = tuple(unproven(f"t{power:02}", 1 << power, at_ms=T0 + power) for power in range(14))
    reachable, beyond = (1 << 11) + 1, (1 << 13) + 1
    assert reachable < SUBSET_SUMS_MAX < beyond
    assert exam(token(0, *fills), reachable).difference_micro == 0
    assert exam(token(0, *fills), beyond).difference_micro == beyond


def test_a_token_without_a_balance_is_not_examined() -> None:
    book = Book()
    assert [found.token_id for found in examine_market(image_of(book.state), chain(1, no=0), WINDOW)] == ["no"]
    assert examine_market(image_of(book.state), chain(1), WINDOW) == ()


@pytest.mark.req("R-01", "D-13")
@pytest.mark.parametrize(("size", "expected"), [(10_000_100, 0), (9_999_900, 0), (10_000_101, 101), (9_999_899, -101)])
def test_the_stand_in_agrees_within_its_rounding(size: int, expected: int) -> None:
    assert stand_in_difference(token(10_000_000), size) == expected


@pytest.mark.req("R-01", "D-13", "R-15")
@pytest.mark.parametrize("size", [0, 100])
def test_the_stand_in_never_closes(size: int) -> None:
    assert stand_in_difference(token(10_000_000), size) == 0


@pytest.mark.req("L-16")
@pytest.mark.parametrize("size", [10, 15, 22, 17])
def test_the_stand_in_agrees_with_what_is_settled_held_or_on_its_way(size: int) -> None:
    held = token(10 * SHARE, unproven("a", 5 * SHARE), unproven("b", 7 * SHARE, confirmed=True))
    assert stand_in_difference(held, size * SHARE) == 0


def test_orders_agree_only_when_ids_matched_sizes_and_states_are_the_same() -> None:
    held = OrderImage(
        order_id="o1",
        condition_id="0xc0",
        price_micro=60 * CENT,
        remaining_micro=100 * SHARE,
        size_matched_micro=0,
        status=OrderStatus.LIVE,
    )
    assert orders_agree((held,), (order(),))
    assert orders_agree((), ())
    assert not orders_agree((held,), ())
    assert not orders_agree((held,), (order(size_matched_micro=1),))
    assert not orders_agree((held,), (order(status=OrderStatus.DELAYED),))


@pytest.mark.req("R-03")
def test_an_order_is_worth_its_remainder_at_its_limit() -> None:
    assert order_value(50 * SHARE, 60 * CENT) == 30 * SHARE


@pytest.mark.req("R-05")
def test_a_book_is_examined_with_its_fills_in_flight() -> None:
    book = Book()
    book.see(leg("t1", 10 * SHARE), leg("t2", 4 * SHARE, at_ms=T0 + MINUTE))
    (found,) = examine_market(image_of(book.state), chain(1, yes=10 * SHARE), WINDOW)
    assert (found.explained, found.waiting) == ((("t1", "o1"),), True)
