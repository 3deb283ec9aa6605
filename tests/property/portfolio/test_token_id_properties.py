"""Whatever the contract says of token ids and in which order: its last word on the present metadata stands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio.events import MarketDefined
from portfolio.facts import TokenIdCheck
from portfolio.market import transition
from portfolio.outcomes import IssueRow
from portfolio.state import MarketState, digest
from tests.unit.portfolio.markets import EVENT, WALLET, question

QUESTIONS = (0, 1)
PAIRS = st.sampled_from([(), ("y0", "n0"), ("n0", "y0"), ("y1", "n1"), ("other", "ids")])


@st.composite
def checks(draw: st.DrawFn) -> TokenIdCheck:
    """About a question of the event or one that it does not have, and of its present ids or of other ones."""
    return TokenIdCheck(
        condition_id=f"0xc{draw(st.integers(0, 2))}",
        stated=draw(st.sampled_from([("y0", "n0"), ("y1", "n1"), ("old", "ids")])),
        computed=draw(PAIRS),
    )


@pytest.mark.req("R-18", "L-19", "D-16")
@given(st.lists(st.lists(checks(), max_size=3), max_size=8))
def test_the_last_answer_of_each_condition_stands_and_only_news_are_issues(told: list[list[TokenIdCheck]]) -> None:
    start = transition(
        MarketState(wallet=WALLET, market_id=EVENT), MarketDefined(metas=tuple(map(question, QUESTIONS))), 0
    ).state
    events = [MarketDefined(metas=(), token_ids=tuple(batch)) for batch in told]
    state, standing = start, dict[str, TokenIdCheck]()
    for event in events:
        before = dict(standing)
        for check in event.token_ids:
            if check.computed and check.stated == (f"y{check.condition_id[-1]}", f"n{check.condition_id[-1]}"):
                known = check.condition_id in {"0xc0", "0xc1"}
                standing.pop(check.condition_id, None)
                standing |= {check.condition_id: check} if known and check.stated != check.computed else {}
        step = transition(state, event, 0)
        news = {name for name, check in standing.items() if before.get(name) != check}
        assert {row.subject for row in step.rows if isinstance(row, IssueRow)} == news
        assert step.state.version == state.version + (standing != before)
        state = step.state
        assert state.contradicted == standing
    again = start
    for event in events:
        again = transition(again, event, 0).state
    assert digest(again) == digest(state)
