"""What facts say of themselves."""

from __future__ import annotations

import pytest

from portfolio.facts import Balances, CollateralBalance, OrderStatus, Source
from tests.unit.portfolio.markets import CONDITION, EVENT, meta, order, question


def test_a_source_names_its_witness() -> None:
    assert {source.witness for source in Source} == {"clob", "data", "gamma", "chain"}
    assert Source.CHAIN_BALANCES.witness == "chain"


@pytest.mark.req("D-01")
def test_a_question_belongs_to_its_event_and_any_other_condition_to_itself() -> None:
    assert question(0).market_id == EVENT
    assert meta().market_id == CONDITION
    assert meta(neg_risk_derived=True).market_id == CONDITION


@pytest.mark.req("R-06")
@pytest.mark.parametrize(
    ("claimed", "derived", "expected"),
    [(True, False, False), (False, True, True), (True, None, True), (None, None, False)],
)
def test_the_chain_derived_flag_wins_over_the_claimed_one(
    claimed: bool | None, derived: bool | None, expected: bool
) -> None:
    assert meta(neg_risk_claimed=claimed, neg_risk_derived=derived).neg_risk is expected


@pytest.mark.req("X-10", "R-19")
def test_cash_is_all_buckets_of_collateral_together() -> None:
    buckets = tuple(CollateralBalance(name=name, amount_micro=5) for name in ("pusd", "usdc_e", "wcol"))
    assert Balances(block_number=1, block_hash="", block_time_ms=0, collateral=buckets, tokens=()).cash_micro == 15


def test_an_order_matched_beyond_its_size_has_nothing_left() -> None:
    assert order(original_size_micro=5, size_matched_micro=3).remaining_micro == 2
    assert order(original_size_micro=5, size_matched_micro=6).remaining_micro == 0


def test_only_orders_that_can_be_filled_are_live() -> None:
    assert {status for status in OrderStatus if status.live} == {
        OrderStatus.LIVE,
        OrderStatus.DELAYED,
        OrderStatus.UNMATCHED,
    }
