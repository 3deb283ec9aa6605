"""A fault that no other test of a whole market caught: the Data API closing a position (found by ``make mutants``)."""

from __future__ import annotations

import pytest

from portfolio.facts import DataPosition, TradeStatus
from tests.unit.portfolio.markets import MINUTE, SHARE, YES, Book, chain, data_row, leg


@pytest.mark.req("R-01", "D-13", "R-15")
@pytest.mark.parametrize("rows", [(), (data_row(YES, 0),), (data_row(YES, 100),)])
def test_the_stand_in_does_not_close_what_the_chain_has_proven(rows: tuple[DataPosition, ...]) -> None:
    """Nothing of the position is in flight, so a zero of the Data API could not pass for lag either."""
    book = Book()
    book.see(leg(status=TradeStatus.CONFIRMED))
    book.look(chain(50, yes=10 * SHARE, no=0))
    proven = book.state
    for _ in range(3):
        book.wait(MINUTE)
        book.look(stand_in=rows)
    assert book.state is proven
    assert book.shares() == 10 * SHARE
