"""Whatever a market is told, in whichever order, its story adds up to its positions, and its lines are its rows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio.entries import Cause
from portfolio.facts import TradeStatus
from portfolio.finality import Finality
from portfolio.market import transition
from portfolio.outcomes import AdjustmentRow, FillRow, Outcome
from portfolio.story import NOTHING, Teller
from portfolio.story_lines import Kind
from portfolio.tail import ChainFact
from tests.property.portfolio.accounts import Told, stories
from tests.unit.portfolio.markets import CONDITION, NO, SHARE, WALLET, leg
from tests.unit.portfolio.test_story import Heard
from tests.unit.portfolio.test_story_chain import drop, fact, see, told


@pytest.mark.req("X-04", "L-10", "L-13", "D-02")
@given(stories())
def test_a_story_adds_up_after_every_entry(story: list[Told]) -> None:
    teller = Teller(WALLET, CONDITION)
    rows: list[Outcome] = []
    for seq, (event, now_ms) in enumerate(story, start=1):
        step = transition(teller.state, event, now_ms)
        rows += step.rows
        teller.hear(step, seq, now_ms)
    told = teller.story()
    assert told.parted == {}
    for token_id, held in teller.state.positions.items():
        sums = told.totals.get(token_id, NOTHING)
        assert (sums.shares_micro, sums.cost_basis_micro) == (held.shares_micro, held.cost_basis_micro)
        assert (sums.realized_pnl_micro, sums.fees_micro) == (held.realized_pnl_micro, held.fees_micro)
    moved = [row for row in rows if isinstance(row, AdjustmentRow)]
    assert list(told.adjustments.values()) == moved
    assert [(line.entry_id, line.token_id) for line in told.lines if line.entry_id] == list(told.adjustments)
    for row in rows:
        if isinstance(row, FillRow):
            assert any(line.trade_id == row.trade_id for line in told.lines)


def of_block(number: int, fork: str) -> tuple[ChainFact, ...]:
    """What the chain shows in that block of that fork, always the same: an own fill, a merge or a sale elsewhere."""
    shown = (
        fact(Cause.EXTERNAL_BUY, (number, 9, fork), -3_900_000, "o1", yes=10 * SHARE),
        fact(Cause.POSITION_MERGED, (number, 3, fork), 4 * SHARE, yes=-4 * SHARE, no=-4 * SHARE),
        fact(Cause.TRANSFER_OUT, (number, 5, fork), 0, yes=-2 * SHARE),
    )
    return (shown[number % 3],)


BLOCKS = st.tuples(st.integers(60, 65), st.sampled_from("ab"))
HAPPENINGS = st.one_of(
    st.tuples(st.just("see"), BLOCKS),
    st.tuples(st.just("drop"), BLOCKS),
    st.tuples(st.just("final"), BLOCKS),
    st.tuples(st.just("tell"), st.sampled_from([TradeStatus.MINED, TradeStatus.CONFIRMED, TradeStatus.FAILED])),
)


def happen(book: Heard, kind: str, what: tuple[int, str] | TradeStatus) -> None:
    if isinstance(what, TradeStatus):
        book.see(leg(status=what, updated_at_ms=book.now_ms))
    elif kind == "drop":
        drop(book, *of_block(*what))
    else:
        see(book, *of_block(*what), final_block=what[0] if kind == "final" else 0)


@pytest.mark.req("X-04", "X-01", "X-14", "R-31", "L-10")
@given(st.lists(HAPPENINGS, max_size=14))
def test_a_story_adds_up_whatever_the_chain_drops_and_shows_again(
    happenings: list[tuple[str, tuple[int, str] | TradeStatus]],
) -> None:
    book = Heard()
    book.see(leg(), leg("n", 20 * SHARE, token_id=NO, order_id="o2"), leg("m", 20 * SHARE, order_id="o3"))
    for kind, what in happenings:
        happen(book, kind, what)
    book.story()
    standing = {held.booked_as for held in book.state.tail}
    for line in told(book, kind=Kind.ADJUSTMENT):
        assert (line.finality is Finality.DROPPED) == line.superseded
        assert (line.finality is Finality.SEEN) == (line.entry_id in standing)
    for line in told(book, cause="REORGANISED"):
        assert "was dropped by the chain" in line.evidence
