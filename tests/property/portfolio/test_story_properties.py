"""Whatever a market is told, in whichever order, its story adds up to its positions, and its lines are its rows."""

from __future__ import annotations

import pytest
from hypothesis import given

from portfolio.market import transition
from portfolio.outcomes import AdjustmentRow, FillRow, Outcome
from portfolio.story import NOTHING, Teller
from tests.property.portfolio.accounts import Told, stories
from tests.unit.portfolio.markets import CONDITION, WALLET


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
