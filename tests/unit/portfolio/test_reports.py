"""Reports in the document's form."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from portfolio.outcomes import (
    CycleStatus,
    DeltaType,
    NegRiskAggregate,
    OperationsReport,
    SettlementReport,
    Subject,
)
from portfolio.reports import render_operations, render_settlement
from tests.unit.portfolio.markets import CONDITION, SHARE, T0

SETTLEMENT = SettlementReport(
    wallet="main",
    bot_id="gov.portfolio_sync",
    event_type="POSITION_DELTA",
    market_id=CONDITION,
    delta_type=DeltaType.ADDED,
    internal_size_micro=0,
    clob_size_micro=1,
    drift_micro=1,
    neg_risk=True,
    action_taken="internal_store_updated",
    synced_at_ms=T0,
    subject=Subject.POSITION,
    cause="OPENING",
    evidence="balance at block 5",
    onchain_reconciled=True,
    cycle_id="c1",
)

OPERATIONS = OperationsReport(
    wallet="main",
    bot_id="gov.portfolio_sync",
    cycle_id="c1",
    event_type="SYNC_CYCLE_COMPLETE",
    status=CycleStatus.OK,
    total_positions=12,
    synced_count=11,
    discrepancy_count=1,
    delta_count=2,
    deltas_by_type=((DeltaType.ADDED, 1), (DeltaType.UPDATED, 1)),
    pending_count=3,
    drift_max_micro=50 * SHARE,
    neg_risk_positions=2,
    neg_risk=(
        NegRiskAggregate(
            market_id="0xe0",
            size_micro=400 * SHARE,
            independent_size_micro=900 * SHARE,
            guaranteed_if_one_wins_micro=200 * SHARE,
            worst_case_micro=0,
            releasable_micro=0,
            event_drift_micro=30 * SHARE,
            flag_mismatch=True,
        ),
    ),
    paused_strategies=("s1",),
    onchain_balance_micro=52_341 * SHARE,
    cash_unexplained_micro=-500_000,
    onchain_reconciled=True,
    block_number=7,
    reasons=("PORTFOLIO_SYNC_DISCREPANCY",),
    sync_duration_ms=420,
    synced_at_ms=T0,
)


@pytest.mark.req("R-25", "D-24")
def test_a_settlement_report_carries_the_fields_beyond_the_example() -> None:
    rendered = render_settlement(SETTLEMENT)
    assert {name: rendered[name] for name in ("subject", "wallet", "cause", "evidence", "onchain_reconciled")} == {
        "subject": "position",
        "wallet": "main",
        "cause": "OPENING",
        "evidence": "balance at block 5",
        "onchain_reconciled": True,
    }
    assert rendered["cycle_id"] == "c1"


@pytest.mark.req("R-25", "S-06")
def test_a_strategy_stands_in_the_report_only_where_one_is_concerned() -> None:
    assert "strategy_id" not in render_settlement(SETTLEMENT)
    assert render_settlement(replace(SETTLEMENT, strategy_id="s1"))["strategy_id"] == "s1"


@pytest.mark.req("D-24")
def test_amounts_are_exact_decimals() -> None:
    rendered = render_settlement(replace(SETTLEMENT, internal_size_micro=9_007_199_254_740_993))
    assert (rendered["clob_size_pusd"], rendered["internal_size_pusd"]) == (
        Decimal("0.000001"),
        Decimal("9007199254.740993"),
    )


@pytest.mark.req("S-08", "S-09", "R-09")
def test_an_operations_report_has_the_documents_fields() -> None:
    rendered = render_operations(OPERATIONS)
    document = {
        "bot_id": "gov.portfolio_sync",
        "event_type": "SYNC_CYCLE_COMPLETE",
        "total_positions": 12,
        "synced_count": 11,
        "discrepancy_count": 1,
        "drift_pusd_max": Decimal("50.0"),
        "negRisk_positions": 2,
        "paused_strategies": ["s1"],
        "sync_duration_ms": 420,
        "synced_at_ms": T0,
    }
    assert {name: rendered[name] for name in document} == document
    assert (rendered["report_kind"], rendered["retained_until"]) == ("OperationsReport", "2026-05-09")
    assert rendered["report_id"] == f"operations_portfoliosync_{T0}"


@pytest.mark.req("R-25", "R-08", "R-01")
def test_an_operations_report_carries_the_fields_beyond_the_document() -> None:
    rendered = render_operations(OPERATIONS)
    assert (rendered["onchain_balance"], rendered["cash_unexplained"]) == (Decimal("52341.0"), Decimal("-0.5"))
    assert (rendered["delta_count"], rendered["deltas_by_type"], rendered["pending_count"]) == (
        2,
        {"ADDED": 1, "UPDATED": 1},
        3,
    )
    assert (rendered["status"], rendered["reasons"], rendered["block_number"]) == (
        "ok",
        ["PORTFOLIO_SYNC_DISCREPANCY"],
        7,
    )
    assert (rendered["wallet"], rendered["cycle_id"], rendered["onchain_reconciled"]) == ("main", "c1", True)


@pytest.mark.req("R-06", "D-24")
def test_an_event_stands_in_the_operations_report_with_both_totals() -> None:
    assert render_operations(OPERATIONS)["negRisk_events"] == [
        {
            "market_id": "0xe0",
            "size_pusd": Decimal("400.0"),
            "independent_size_pusd": Decimal("900.0"),
            "guaranteed_if_one_wins_pusd": Decimal("200.0"),
            "worst_case_pusd": Decimal("0.0"),
            "releasable_pusd": Decimal("0.0"),
            "event_drift_pusd": Decimal("30.0"),
            "flag_mismatch": True,
        }
    ]


@pytest.mark.req("R-01", "S-12")
def test_what_was_not_read_is_unknown_and_not_zero() -> None:
    skipped = replace(
        OPERATIONS, status=CycleStatus.RPC_UNAVAILABLE, onchain_balance_micro=None, cash_unexplained_micro=None
    )
    rendered = render_operations(replace(skipped, block_number=None))
    assert (rendered["onchain_balance"], rendered["cash_unexplained"], rendered["block_number"]) == (None, None, None)
