"""Marks spare a late entry the fold of all before it; whatever comes, they give what a fold of all gives (D-02)."""

from __future__ import annotations

import pytest

from portfolio.entries import EconomicTime
from portfolio.facts import Side, TradeStatus
from portfolio.position import fold
from portfolio.state import MARK_EVERY, MARKS_MAX
from tests.unit.portfolio.markets import CENT, NO, NS_PER_MS, SHARE, T0, Book, chain, leg, order

CONFIRMED, FAILED = TradeStatus.CONFIRMED, TradeStatus.FAILED
MANY = MARK_EVERY * (MARKS_MAX + 2)


def long_book(count: int = MANY) -> Book:
    """Purchases and sales of YES, one a millisecond, far enough to have dropped the oldest marks."""
    book = Book()
    for number in range(count):
        side = Side.SELL if number % 3 == 2 else Side.BUY
        book.see(
            leg(f"t{number:04}", (1 + number % 5) * SHARE, (20 + number % 60) * CENT, side=side, at_ms=T0 + number)
        )
    return book


def is_fold(book: Book) -> bool:
    """Whether the positions, and every mark on the way to them, are what a fold of the entries gives."""
    entries = tuple(book.state.entries())
    marks = (
        mark.positions == fold(entry for entry in entries if entry.at <= mark.at).by_token()
        for mark in book.state.marks
    )
    return book.state.positions == fold(entries).by_token() and all(marks)


@pytest.mark.req("D-02", "S-25")
def test_a_mark_is_left_behind_every_few_entries_and_only_the_last_are_kept() -> None:
    book = long_book(MARK_EVERY)
    assert (book.state.marks, book.state.unmarked) == ((), MARK_EVERY)
    book = long_book(MARK_EVERY + 1)
    (mark,) = book.state.marks
    assert (mark.at, book.state.unmarked) == (book.fill(f"t{MARK_EVERY - 1:04}").fill.at, 1)
    book = long_book(MANY)
    assert len(book.state.marks) == MARKS_MAX
    assert [mark.at for mark in book.state.marks] == sorted(mark.at for mark in book.state.marks)
    assert is_fold(book)


@pytest.mark.req("D-02")
@pytest.mark.parametrize("back", [0, 1, MARK_EVERY, 2 * MARK_EVERY + 3, MARK_EVERY * MARKS_MAX, MANY + 5])
def test_a_late_entry_is_folded_in_however_many_marks_lie_behind_its_place(back: int) -> None:
    book = long_book()
    book.see(leg("late", 7 * SHARE, price=15 * CENT, at_ms=T0 + MANY - 1 - back))
    assert is_fold(book)
    late = EconomicTime((T0 + MANY - 1 - back) * NS_PER_MS, "late", "o1")
    assert all(mark.at < late for mark in book.state.marks)
    book.see(leg("next", SHARE, at_ms=T0 + MANY))
    assert is_fold(book)


@pytest.mark.req("D-02")
@pytest.mark.parametrize("number", [0, MARK_EVERY - 1, MANY - MARK_EVERY * 2, MANY - 1])
@pytest.mark.parametrize("status", [CONFIRMED, FAILED])
def test_a_fill_before_a_mark_that_settles_or_fails_changes_the_marks_behind_it(
    number: int, status: TradeStatus
) -> None:
    book = long_book()
    known = book.fill(f"t{number:04}").fill
    given = {"side": known.side, "at_ms": T0 + number, "status": status}
    marks = len(book.state.marks)
    book.see(leg(known.trade_id, known.size_micro, known.price_micro, **given))
    assert is_fold(book)
    # Settling moves no shares and no cost, so it needs no fold: the marks stay.
    assert (len(book.state.marks) == marks) or status is FAILED
    book.see(leg("late", SHARE, at_ms=T0 + MANY - MARK_EVERY))
    assert is_fold(book)


@pytest.mark.req("D-02", "D-03")
@pytest.mark.parametrize("at_ms", [T0 + 4, T0 + 4 * MANY])
def test_a_provisional_quantity_may_lie_before_marks_and_the_trade_that_takes_its_place_anywhere(at_ms: int) -> None:
    book = long_book()
    book.show(order("o9", size_matched_micro=30 * SHARE), at_ms=T0 + 5)
    assert is_fold(book)
    book.see(*(leg(f"u{number:04}", SHARE, at_ms=T0 + MANY + number) for number in range(2 * MARK_EVERY)))
    book.see(leg("z", 30 * SHARE, order_id="o9", at_ms=at_ms))
    assert is_fold(book)


@pytest.mark.req("D-02", "X-02")
def test_a_balance_that_settles_fills_before_marks_settles_them_in_the_marks() -> None:
    book = long_book()
    settled = book.shares()
    book.look(chain(50, yes=settled))
    assert book.position().in_flight_micro == 0
    assert is_fold(book)
    book.see(leg("late", SHARE, at_ms=T0 + MANY - MARK_EVERY))
    assert (book.position().settled_micro, is_fold(book)) == (settled, True)


@pytest.mark.req("D-02")
def test_marks_hold_all_tokens_of_the_market() -> None:
    book = long_book(MARK_EVERY - 1)
    book.see(leg("no", SHARE, token_id=NO, at_ms=T0 + MANY), leg("yes", SHARE, at_ms=T0 + MANY + 1))
    book.see(leg("no2", SHARE, token_id=NO, at_ms=T0 + MANY + 2))
    (mark,) = book.state.marks
    assert set(mark.positions) == {"yes", NO}
    assert is_fold(book)
