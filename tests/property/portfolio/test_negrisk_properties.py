"""The payoff vector against brute force, and against the contracts' own operations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio.negrisk import (
    OutcomeHolding,
    event_drift_micro,
    independent_micro,
    question_count,
    releasable_micro,
    vector,
)

SIDES = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=6)


def held(sides: list[tuple[int, int]]) -> list[OutcomeHolding]:
    return [OutcomeHolding(question_index=index, yes_micro=yes, no_micro=no) for index, (yes, no) in enumerate(sides)]


def paid(sides: list[tuple[int, int]], winner: int | None) -> int:
    """What redeeming every token pays: YES of the winner, NO of all others."""
    return sum(yes if index == winner else no for index, (yes, no) in enumerate(sides))


@pytest.mark.req("S-04")
@given(SIDES)
def test_every_payoff_is_what_redeeming_every_token_pays(sides: list[tuple[int, int]]) -> None:
    made = vector(held(sides), len(sides))
    scenarios = [*range(len(sides)), None]
    assert [payoff.winner for payoff in made.payoffs] == scenarios
    assert [payoff.amount_micro for payoff in made.payoffs] == [paid(sides, winner) for winner in scenarios]


@pytest.mark.req("S-04")
@given(SIDES, st.integers(0, 3), st.integers(-200, 200))
def test_the_extremes_bound_each_other(sides: list[tuple[int, int]], more: int, cost: int) -> None:
    made = vector(held(sides), len(sides) + more)
    assert (
        made.worst_case_micro <= made.guaranteed_if_one_wins_micro <= made.size_micro <= independent_micro(held(sides))
    )
    assert made.max_loss_micro(cost) + made.worst_case_micro == cost


@pytest.mark.req("S-04")
@given(SIDES, st.data())
def test_results_only_drop_scenarios(sides: list[tuple[int, int]], data: st.DataObject) -> None:
    lost = data.draw(st.sets(st.integers(0, len(sides) - 1)))
    whole = {payoff.winner: payoff.amount_micro for payoff in vector(held(sides), len(sides)).payoffs}
    rest = vector(held(sides), len(sides), dict.fromkeys(lost, False)).payoffs
    assert {payoff.winner: payoff.amount_micro for payoff in rest} == {
        winner: amount for winner, amount in whole.items() if winner not in lost
    }
    won = data.draw(st.integers(0, len(sides) - 1))
    only = vector(held(sides), len(sides), {**dict.fromkeys(lost, False), won: True}).payoffs
    assert [(payoff.winner, payoff.amount_micro) for payoff in only] == [(won, whole[won])]


@pytest.mark.req("S-04", "L-15")
@given(SIDES)
def test_merging_and_layered_conversion_release_the_stated_cash_and_keep_the_payoff(
    sides: list[tuple[int, int]],
) -> None:
    cash = 0
    yes, no = [side[0] for side in sides], [side[1] for side in sides]
    for index, (yes_held, no_held) in enumerate(sides):
        pair = min(yes_held, no_held)
        cash, yes[index], no[index] = cash + pair, yes_held - pair, no_held - pair
    while any(no):
        layer = min(amount for amount in no if amount)
        members = [index for index, amount in enumerate(no) if amount]
        cash += (len(members) - 1) * layer
        for index in range(len(sides)):
            if index in members:
                no[index] -= layer
            else:
                yes[index] += layer
    after = list(zip(yes, no, strict=True))
    assert cash == releasable_micro(held(sides))
    for winner in range(len(sides)):
        assert paid(after, winner) + cash == paid(sides, winner)


@pytest.mark.req("S-04")
@given(SIDES, st.data())
def test_event_drift_is_a_distance(sides: list[tuple[int, int]], data: st.DataObject) -> None:
    size = len(sides)
    same_size = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=size, max_size=size)
    one, two, three = (vector(held(side), size) for side in (sides, data.draw(same_size), data.draw(same_size)))
    assert event_drift_micro(one, one) == 0
    assert event_drift_micro(one, two) == event_drift_micro(two, one)
    assert event_drift_micro(one, three) <= event_drift_micro(one, two) + event_drift_micro(two, three)
    differences = [abs(a.amount_micro - b.amount_micro) for a, b in zip(one.payoffs, two.payoffs, strict=True)]
    assert event_drift_micro(one, two) == max(differences)


@given(st.one_of(st.none(), st.integers(0, 10)), st.sets(st.integers(0, 10)))
def test_no_known_question_is_beyond_the_count(chain_count: int | None, indexes: set[int]) -> None:
    count = question_count(chain_count, indexes)
    assert all(index < count for index in indexes)
    assert count >= (chain_count or 0)
