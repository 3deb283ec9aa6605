"""Many facts of the chain in one event: what they are one by one, at the price of one fold (X-01)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from portfolio.entries import Cause, FillState
from portfolio.events import ChainDropped, ChainSeen
from portfolio.facts import TradeStatus
from portfolio.outcomes import IssueRow
from portfolio.position import fold
from portfolio.state import MarketState
from portfolio.tail import ChainFact, DroppedBlock
from portfolio.views import CauseHint
from tests.unit.portfolio.markets import CENT, CONDITION, NO, SECOND, SHARE, T0, YES, Book, leg

COUNT = 40


def fact(number: int, legs: Sequence[tuple[str, int]], *, order_id: str = "", cash: int = 0) -> ChainFact:
    """The ``number``-th transaction, in a block of its own."""
    cause = Cause.EXTERNAL_BUY if order_id else Cause.POSITION_SPLIT
    hint = CauseHint(
        cause=cause,
        condition_id=CONDITION,
        legs=tuple(legs),
        cash_micro=cash,
        evidence=f"transaction 0x{number}, log 1, block {number}",
        logged_as=f"chain:0x{number}:1",
        at_ms=T0 + number * SECOND,
    )
    return ChainFact(
        hint=hint, order_id=order_id, transaction_hash=f"0x{number}", block_number=number, block_hash=f"0xb{number}"
    )


def facts() -> list[ChainFact]:
    """Fills of own orders, every third a unit dearer than the exchange said, and a split after each fourth."""
    found = []
    for number in range(1, COUNT + 1):
        if number % 4 == 0:
            found.append(fact(number, [(YES, SHARE), (NO, SHARE)], cash=-SHARE))
        else:
            dearer = int(number % 3 == 0)
            found.append(fact(number, [(YES, SHARE)], order_id=f"o{number}", cash=-400_000 - dearer))
    return found


def traded() -> Book:
    """All those fills, in flight."""
    market = Book()
    for number in range(1, COUNT + 1):
        if number % 4:
            terms = {"order_id": f"o{number}", "transaction_hash": f"0x{number}", "at_ms": T0 + number * SECOND}
            market.see(leg(f"t{number}", SHARE, 40 * CENT, status=TradeStatus.MINED, **terms))
    return market


def told(market: Book, *parts: Iterable[ChainFact]) -> tuple[MarketState, list[Any]]:
    rows: list[Any] = []
    for part in parts:
        rows += market.tell(ChainSeen(facts=tuple(part), final_block=0)).rows
    return market.state, rows


@pytest.fixture
def folds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The entries of each fold."""
    counted: list[int] = []

    def counting(entries: Any, start: Any = None) -> Any:
        counted.append(len(entries))
        return fold(entries, start)

    monkeypatch.setattr("portfolio.state.fold", counting)
    monkeypatch.setattr(Book, "without_rows", False)
    return counted


@pytest.mark.req("X-01", "L-19")
def test_many_facts_at_once_are_what_they_are_one_by_one() -> None:
    together, at_once = told(traded(), facts())
    apart, one_by_one = told(traded(), *([one] for one in facts()))
    assert together.positions == apart.positions
    assert {key: booked.fill for key, booked in together.fills.items()} == {
        key: booked.fill for key, booked in apart.fills.items()
    }
    assert all(booked.fill.state is FillState.SETTLED and booked.logged for booked in together.fills.values())
    assert together.adjustments.keys() == apart.adjustments.keys()
    assert [(held.fact, held.booked_as) for held in together.tail] == [
        (held.fact, held.booked_as) for held in apart.tail
    ]
    assert together.noted == apart.noted
    assert [row for row in at_once if isinstance(row, IssueRow)] == [
        row for row in one_by_one if isinstance(row, IssueRow)
    ]


@pytest.mark.req("X-01", "S-25")
def test_many_facts_at_once_are_folded_once(folds: list[int]) -> None:
    market = traded()
    folds.clear()
    told(market, facts())
    assert len(folds) == 1


@pytest.mark.req("X-14", "S-25")
def test_many_dropped_blocks_are_undone_with_one_fold_and_leave_the_books_as_they_were(folds: list[int]) -> None:
    market = traded()
    before = market.state
    told(market, facts())
    folds.clear()
    blocks = tuple(DroppedBlock(block_number=one.block_number, block_hash=one.block_hash) for one in facts())
    market.tell(ChainDropped(blocks=blocks))
    assert len(folds) == 1
    held = {token: place for token, place in market.state.positions.items() if place.shares_micro}
    assert held == before.positions
    assert market.state.tail == ()
