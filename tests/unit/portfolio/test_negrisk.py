"""Neg-risk events by the ruling's and the reference's numbers (R-06)."""

from __future__ import annotations

import pytest

from portfolio.negrisk import (
    OutcomeHolding,
    Payoff,
    event_drift_micro,
    independent_micro,
    question_count,
    releasable_micro,
    vector,
)
from portfolio.units import MICRO


def held(yes: list[int], no: list[int]) -> list[OutcomeHolding]:
    return [
        OutcomeHolding(question_index=index, yes_micro=sides[0], no_micro=sides[1])
        for index, sides in enumerate(zip(yes, no, strict=True))
    ]


@pytest.mark.req("S-04", "S-20")
def test_three_yes_of_one_event_are_not_summed() -> None:
    holdings = held([400 * MICRO, 300 * MICRO, 200 * MICRO], [0, 0, 0])
    made = vector(holdings, 3)
    assert made.size_micro == 400 * MICRO
    assert made.guaranteed_if_one_wins_micro == 200 * MICRO
    assert made.worst_case_micro == 0
    assert independent_micro(holdings) == 900 * MICRO


@pytest.mark.req("S-04")
def test_the_numeric_example_of_the_reference() -> None:
    holdings = held([10, 0, 0], [0, 4, 6])
    made = vector(holdings, 3)
    assert made.payoffs == (Payoff(0, 20), Payoff(1, 6), Payoff(2, 4), Payoff(None, 10))
    assert made.worst_case_micro == 4
    assert made.max_loss_micro(9) == 5
    assert releasable_micro(holdings) == 4


@pytest.mark.req("S-04")
def test_no_on_three_outcomes_is_never_worth_less_than_two() -> None:
    made = vector(held([0, 0, 0], [1, 1, 1]), 3)
    assert (made.size_micro, made.worst_case_micro, made.guaranteed_if_one_wins_micro) == (3, 2, 2)


@pytest.mark.req("S-04")
def test_questions_without_holdings_are_scenarios_too() -> None:
    assert vector(held([5], [0]), 1).guaranteed_if_one_wins_micro == 5
    assert vector(held([5], [0]), 2).guaranteed_if_one_wins_micro == 0


@pytest.mark.req("S-04")
def test_a_scenario_decided_against_is_dropped_and_its_no_stays() -> None:
    made = vector(held([10, 3, 0], [0, 0, 6]), 3, {2: False})
    assert made.payoffs == (Payoff(0, 16), Payoff(1, 9), Payoff(None, 6))


@pytest.mark.req("S-04")
def test_once_one_has_won_only_that_scenario_remains() -> None:
    made = vector(held([10, 3, 0], [0, 0, 6]), 3, {1: True, 2: False})
    assert made.payoffs == (Payoff(1, 9),)
    assert made.size_micro == made.worst_case_micro == made.guaranteed_if_one_wins_micro == 9


@pytest.mark.req("S-04")
def test_when_no_question_can_win_only_none_remains() -> None:
    made = vector(held([10], [4]), 1, {0: False})
    assert made.payoffs == (Payoff(None, 4),)
    assert made.guaranteed_if_one_wins_micro == 4


@pytest.mark.req("S-04")
@pytest.mark.parametrize(
    ("count", "indexes", "result"), [(5, [0, 1], 5), (None, [0, 3], 4), (2, [6], 7), (None, [], 0)]
)
def test_the_question_count_never_leaves_a_question_out(count: int | None, indexes: list[int], result: int) -> None:
    assert question_count(count, indexes) == result


def test_several_rows_of_one_question_add_up() -> None:
    rows = [*held([1], [2]), *held([3], [4])]
    assert vector(rows, 1).payoffs == vector(held([4], [6]), 1).payoffs
    assert independent_micro(rows) == 6


def test_an_empty_event_has_one_scenario_and_nothing_to_release() -> None:
    assert vector([], 0).payoffs == (Payoff(None, 0),)
    assert releasable_micro([]) == 0
    assert independent_micro([]) == 0


@pytest.mark.req("S-04")
def test_event_drift_is_the_largest_difference_of_any_scenario() -> None:
    internal, external = vector(held([10, 0, 0], [0, 4, 6]), 3), vector(held([10, 0, 0], [0, 4, 0]), 3)
    # Without the six NO of question 2 every scenario but its own loses 6.
    assert event_drift_micro(internal, external) == 6
    # All three NO are the same in every scenario as two merged sets: token differences with no event drift.
    assert (
        event_drift_micro(vector(held([1, 1], [0, 0]), 2, {0: True}), vector(held([1, 0], [0, 0]), 2, {0: True})) == 0
    )


def test_vectors_of_different_events_are_not_compared() -> None:
    with pytest.raises(ValueError, match="equal scenarios"):
        event_drift_micro(vector([], 2), vector([], 3))
