"""Aggregates of a cycle's plan that the actor system's tests reach seldom."""

from __future__ import annotations

import pytest

from portfolio.cycle import Frame, plan
from portfolio.facts import Balances, CollateralBalance, Payout, TokenBalance
from portfolio.readings import Readings
from portfolio.views import MarketImage, TokenImage, ViewPolicy
from portfolio.wallet import WalletState

SHARE = 1_000_000


def token(question: int, outcome: int, shares: int) -> TokenImage:
    return TokenImage(
        token_id=f"{question}-{outcome}",
        condition_id=f"0x{question}",
        contract="0xc",
        outcome_index=outcome,
        question_index=question,
        shares_micro=shares,
        settled_micro=shares,
        proven_micro=shares,
        cost_basis_micro=0,
        unproven=(),
        pending=False,
    )


@pytest.mark.req("S-04", "R-06")
def test_a_question_that_was_decided_is_dropped_from_the_events_scenarios() -> None:
    image = MarketImage(
        wallet="main",
        market_id="0xevent",
        version=1,
        neg_risk=True,
        flag_mismatch=False,
        question_count=2,
        tokens=(token(0, 0, 4 * SHARE), token(0, 1, 0), token(1, 0, SHARE), token(1, 1, 0)),
        orders=(),
        proven_cash_micro=0,
        noted=False,
        halted=False,
    )
    balances = Balances(
        block_number=9,
        block_hash="0x9",
        block_time_ms=0,
        collateral=(CollateralBalance(name="pusd", amount_micro=0),),
        tokens=tuple(TokenBalance(token_id=each.token_id, amount_micro=each.shares_micro) for each in image.tokens),
        payouts=(Payout(condition_id="0x0", numerators=(0, 1), denominator=1),),
    )
    readings = Readings(balances=balances, positions=(), orders=(), orders_read_at_ms=0, fates=())
    frame = Frame(cycle_id="main-1", synced_at_ms=1, policy=ViewPolicy(), own_keys=())
    assert plan([image], readings, frame, WalletState(wallet="main")).decided == {"0xevent": {0: False}}
