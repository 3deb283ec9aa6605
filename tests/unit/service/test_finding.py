"""Markets and outcomes by the names that people have for them; what is not one thing is said with what there is."""

from __future__ import annotations

from typing import Any

import pytest

from service import finding
from service.finding import NotFound
from storage.queries import Selection

EVENT, STANDARD = "0xevent", "0xstandard"


def condition(condition_id: str, market_id: str, slug: str) -> dict[str, Any]:
    return {"wallet": "main", "condition_id": condition_id, "market_id": market_id, "slug": slug, "title": slug.title()}


class Books:
    """An event of ten questions and a standard market; each question has two tokens."""

    def __init__(self) -> None:
        self.conditions = [condition(f"0xq{number}", EVENT, f"candidate-{number}") for number in range(10)]
        self.conditions.append(condition(STANDARD, STANDARD, "Rain-Zurich"))
        self.held: list[dict[str, Any]] = []

    def markets(self, selection: Selection) -> list[dict[str, Any]]:
        return [row for row in self.conditions if selection.market in {None, row["condition_id"]}]

    def tokens(self, selection: Selection) -> list[dict[str, Any]]:
        (row,) = self.markets(selection)
        number = 2 * self.conditions.index(row)
        return [
            {**row, "token_id": str(100 + number + index), "outcome": outcome, "outcome_index": index}
            for index, outcome in ((1, "No"), (0, "Yes"))
        ]

    def positions(self, _selection: Selection, *, include_zero: bool) -> list[dict[str, Any]]:
        assert include_zero
        return self.held


def token(market: str, outcome: str) -> finding.Place:
    return finding.token(Books(), "main", market, outcome)  # type: ignore[arg-type]


@pytest.mark.req("L-26")
@pytest.mark.parametrize("market", [STANDARD, "0XSTANDARD", "rain-zurich", " RAIN-ZURICH "])
@pytest.mark.parametrize("outcome", ["yes", "YES", " Yes", "120"])
def test_a_token_has_many_names(market: str, outcome: str) -> None:
    place = token(market, outcome)
    assert (place.token_id, place.outcome, place.market_id, place.title) == ("120", "Yes", STANDARD, "Rain-Zurich")


@pytest.mark.req("L-26", "D-01")
def test_in_an_event_the_question_or_the_token_is_named() -> None:
    assert token("candidate-3", "no").token_id == "107"
    by_token = token(EVENT, "107")
    assert (by_token.condition_id, by_token.market_id, by_token.title) == ("0xq3", EVENT, "Candidate-3")
    with pytest.raises(NotFound, match=r"has 10 questions; .*: candidate-0, .*, candidate-7 and 2 more$"):
        token(EVENT, "YES")


@pytest.mark.req("L-26")
@pytest.mark.parametrize(
    ("market", "outcome", "why"),
    [
        ("rain-zuerich", "yes", r"knows no market 'rain-zuerich' \(did you mean rain-zurich\?\)"),
        ("0xother", "yes", "knows no market '0xother'; name one by"),
        ("rain-zurich", "Maybe", "has no outcome 'Maybe'; it has Yes, No"),
        ("rain-zurich", "999", "has no outcome '999'"),
    ],
)
def test_what_there_is_not_is_said_with_what_there_is(market: str, outcome: str, why: str) -> None:
    with pytest.raises(NotFound, match=why):
        token(market, outcome)


@pytest.mark.req("X-15")
def test_a_token_that_was_never_held_is_held_with_zeros() -> None:
    books, place = Books(), token("rain-zurich", "yes")
    assert set(finding.position(books, place).values()) == {0}  # type: ignore[arg-type]
    books.held = [{"token_id": name, **dict.fromkeys(finding.HELD, 7), "version": 1} for name in ("121", "120")]
    assert finding.position(books, place) == dict.fromkeys(finding.HELD, 7)  # type: ignore[arg-type]
