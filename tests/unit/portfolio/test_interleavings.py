"""The tables of docs/explanation/fills-and-orders.md are what the transition does with every order of the messages.

``python -m tests.unit.portfolio.test_interleavings`` writes them anew into the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from portfolio.events import FillSeen, MarketEvent, OrderSeen
from portfolio.facts import OrderStatus, TradeStatus
from portfolio.position import Position
from tests.unit.portfolio.markets import CENT, SECOND, SHARE, T0, YES, Book, leg, order

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "fills-and-orders.md"
TABLE = re.compile(r"<!-- (\w+) -->\n(.*?)<!-- end -->\n", re.DOTALL)
TEN = 10 * SHARE
LIVE, CANCELED = OrderStatus.LIVE, OrderStatus.CANCELED


def shown(matched: int, status: OrderStatus, after_s: int) -> OrderSeen:
    told = order(original_size_micro=TEN, size_matched_micro=matched, status=status)
    return OrderSeen(order=told, at_ms=T0 + after_s * SECOND, feed="stream")


def traded(status: TradeStatus, after_s: int) -> FillSeen:
    told = leg(size=TEN, price=55 * CENT, status=status, updated_at_ms=T0 + after_s * SECOND)
    return FillSeen(leg=told, feed="stream")


MESSAGES: dict[str, MarketEvent] = {
    "U": shown(TEN, LIVE, 0),
    "M": traded(TradeStatus.MATCHED, 0),
    "C": traded(TradeStatus.CONFIRMED, 2),
    "F": traded(TradeStatus.FAILED, 2),
    "X": shown(TEN, CANCELED, 3),
    "x": shown(0, CANCELED, 3),
}


def story(letters: tuple[str, ...]) -> Iterator[Book]:
    """The book after each message; the order was placed before."""
    book = Book()
    book.tell(shown(0, LIVE, -1))
    for letter in letters:
        book.tell(MESSAGES[letter])
        yield book


def cell(book: Book) -> str:
    held, state = book.position(), "open" if book.order().closed_at_ms is None else "closed"
    numbers = (held.shares_micro, held.settled_micro, book.order().waiting_micro)
    return f"{' / '.join(str(number // SHARE) for number in numbers)} {state}"


def table(letters: str) -> str:
    """The table of all orders of these messages."""
    numbers = ("first", "second", "third", "fourth")[: len(letters)]
    lines = [
        f"| messages | {' | '.join(f'after the {number}' for number in numbers)} |",
        "|---" * (len(letters) + 1) + "|",
    ]
    lines += [f"| {' '.join(some)} | {' | '.join(map(cell, story(some)))} |" for some in permutations(letters)]
    return "\n".join(lines) + "\n"


def renewed(page: str) -> str:
    """The page with its tables computed anew."""
    return TABLE.sub(lambda found: f"<!-- {found[1]} -->\n{table(found[1])}<!-- end -->\n", page)


@pytest.mark.req("L-01", "L-05", "L-06", "L-07", "D-02", "D-03")
def test_the_tables_of_the_page_are_what_the_transition_does() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [found[0] for found in TABLE.findall(page)] == ["UMCX", "UMF", "UMx"]
    assert renewed(page) == page, "run python -m tests.unit.portfolio.test_interleavings, and read what changed"


def last(letters: tuple[str, ...]) -> Book:
    return list(story(letters))[-1]


@pytest.mark.req("L-01", "L-06", "L-07", "D-02", "D-03")
@pytest.mark.parametrize("letters", [*permutations("UMCX")], ids="".join)
def test_all_orders_of_a_settled_match_end_in_the_same_books(letters: tuple[str, ...]) -> None:
    book = last(letters)
    bought = Position(
        token_id=YES,
        shares_micro=TEN,
        settled_micro=TEN,
        cost_basis_micro=5_500_000,
        bought_micro=5_500_000,
        cash_flow_settled_micro=-5_500_000,
    )
    assert book.position() == bought
    assert (book.order().status, book.order().closed_at_ms, book.order().waiting_micro) == (CANCELED, T0, 0)
    assert len(book.state.fills) == 1


@pytest.mark.req("R-10", "D-02", "D-03")
@pytest.mark.parametrize("letters", [*permutations("UMF")], ids="".join)
def test_all_orders_of_a_match_that_fails_end_with_nothing(letters: tuple[str, ...]) -> None:
    book = last(letters)
    assert book.position() == Position(token_id=YES)
    assert (book.order().size_matched_micro, book.order().waiting_micro, book.order().closed_at_ms) == (TEN, 0, None)


@pytest.mark.req("L-07", "D-03")
@pytest.mark.parametrize("letters", [*permutations("UMx")], ids="".join)
def test_a_cancellation_loses_no_fill_whichever_message_is_first(letters: tuple[str, ...]) -> None:
    book = last(letters)
    assert (book.shares(), book.position().cost_basis_micro) == (TEN, 5_500_000)
    assert (book.order().status, book.order().closed_at_ms) == (CANCELED, T0)


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
