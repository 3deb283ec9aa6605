"""Exposure: what may be lost, per condition, per neg-risk event and per strategy."""

from __future__ import annotations

from typing import Any

import pytest

from service.exposure import exposure

SHARE = 1_000_000
EVENT = "0xevent"


class FakeQueries:
    """Rows as the tables have them, only with what exposure reads."""

    def __init__(self) -> None:
        self.held: list[dict[str, Any]] = []
        self.resting: list[dict[str, Any]] = []
        self.known_tokens: list[dict[str, Any]] = []
        self.known_markets: list[dict[str, Any]] = []

    def hold(self, place: str, index: int, shares: int, cost: int, question: int | None = None) -> None:
        """``place`` is the market and the condition, with a slash between."""
        market, condition = place.split("/")
        token = f"{condition}-{index}"
        self.known_tokens.append({"token_id": token, "outcome_index": index})
        self.known_markets.append({"wallet": "main", "condition_id": condition, "question_index": question})
        self.held.append(
            {
                "wallet": "main",
                "market_id": market,
                "condition_id": condition,
                "token_id": token,
                "shares_micro": shares * SHARE,
                "cost_basis_micro": cost * SHARE,
                "neg_risk": question is not None,
            }
        )

    def rest(self, condition: str, side: str, price_micro: int, size: int, matched: int) -> None:
        self.resting.append(
            {
                "wallet": "main",
                "market_id": condition,
                "condition_id": condition,
                "side": side,
                "price_micro": price_micro,
                "original_size_micro": size * SHARE,
                "size_matched_micro": matched * SHARE,
            }
        )

    def positions(self) -> list[dict[str, Any]]:
        return self.held

    def orders(self) -> list[dict[str, Any]]:
        return self.resting

    def tokens(self) -> list[dict[str, Any]]:
        return self.known_tokens

    def markets(self) -> list[dict[str, Any]]:
        return self.known_markets


def told(queries: FakeQueries, *strategies: tuple[str, tuple[str, ...]]) -> dict[str, Any]:
    return exposure(queries, (*strategies, ("default", ())))  # type: ignore[arg-type]


@pytest.mark.req("S-23")
def test_of_a_binary_market_the_smaller_side_is_certain() -> None:
    queries = FakeQueries()
    queries.hold("0xa/0xa", 0, 100, 60)
    queries.hold("0xa/0xa", 1, 40, 10)
    market = told(queries)["markets"][0]
    assert market["size_micro"] == 100 * SHARE
    assert market["worst_case_micro"] == 40 * SHARE
    assert market["max_loss_micro"] == 30 * SHARE


@pytest.mark.req("S-23", "R-06", "S-04")
def test_a_neg_risk_event_is_one_and_not_the_sum_of_its_questions() -> None:
    queries = FakeQueries()
    for question, shares in enumerate((400, 300, 200)):
        queries.hold(f"{EVENT}/0xq{question}", 0, shares, 90, question)
    document = told(queries, ("maker", (EVENT,)))
    event = document["events"][0]
    assert (event["market_id"], event["size_micro"], event["max_loss_micro"]) == (EVENT, 400 * SHARE, 270 * SHARE)
    assert len(document["markets"]) == 3
    assert document["strategies"][1]["max_loss_micro"] == 270 * SHARE


@pytest.mark.req("R-06")
def test_no_shares_of_several_questions_are_certain_but_for_one() -> None:
    queries = FakeQueries()
    for question in range(3):
        queries.hold(f"{EVENT}/0xq{question}", 1, 100, 80, question)
    event = told(queries)["events"][0]
    assert (event["worst_case_micro"], event["size_micro"]) == (200 * SHARE, 300 * SHARE)


@pytest.mark.req("S-23")
def test_resting_orders_count_by_what_they_can_still_do() -> None:
    queries = FakeQueries()
    queries.rest("0xa", "BUY", 250_000, 100, 60)
    queries.rest("0xa", "SELL", 900_000, 30, 10)
    market = told(queries)["markets"][0]
    assert (market["open_buy_micro"], market["open_sell_shares_micro"]) == (10 * SHARE, 20 * SHARE)
    assert market["cost_basis_micro"] == 0


@pytest.mark.req("D-25")
def test_a_market_counts_for_its_strategies_and_else_for_the_default() -> None:
    queries = FakeQueries()
    queries.hold("0xa/0xA1", 0, 10, 5)
    queries.hold("0xb/0xb", 0, 10, 7)
    by_strategy = {row["strategy_id"]: row["cost_basis_micro"] for row in told(queries, ("m", ("0xa1",)))["strategies"]}
    assert by_strategy == {"default": 7 * SHARE, "m": 5 * SHARE}
