"""The failure-injection recipes of the source document, each under its name: injected, expected, recovered."""

from __future__ import annotations

import msgspec
import pytest

from messages.control import ResumeStrategy
from messages.reads import ReadBalances, ReadOpenOrders
from portfolio.facts import FailureKind
from portfolio.outcomes import CycleStatus
from tests.acceptance.worlds import EVENT, SHARE, drift, event_of_three, holding, stored, worth
from tests.support.system import INTERVAL_MS, Build


@pytest.mark.req("S-11", "S-20")
def test_clob_api_unavailable(build: Build) -> None:
    """The CLOB cannot be reached: said so, nothing changes, tried again at the next interval, then a full cycle."""
    harness = holding(build(), 1_000)
    drift(harness, 60)
    harness.cycle()
    before = stored(harness)
    harness.venue.failing[ReadOpenOrders] = FailureKind.UNREACHABLE
    report = harness.cycle()
    assert (report.status, report.event_type) == (CycleStatus.CLOB_UNAVAILABLE, "PORTFOLIO_SYNC_CLOB_UNAVAILABLE")
    assert harness.sink.codes() == ["PORTFOLIO_SYNC_CLOB_UNAVAILABLE"]
    assert stored(harness) == before
    assert "the CLOB is unavailable" in harness.may_trade().reasons
    harness.runtime.run_for(INTERVAL_MS)
    assert harness.metrics.reports[-1].status is CycleStatus.CLOB_UNAVAILABLE
    assert harness.metrics.reports[-1].cycle_id != report.cycle_id
    harness.venue.failing.clear()
    harness.runtime.run_for(INTERVAL_MS)
    assert [report.status.value for report in harness.metrics.reports[-2:]] == ["clob_unavailable", "ok"]
    assert harness.shares() == {"0xa-yes": worth(1_060)}
    assert harness.may_trade().allowed


@pytest.mark.req("S-11", "R-26")
def test_clob_api_unavailable_while_critical_drift_is_known(build: Build) -> None:
    """A skipped cycle still pages when drift above 500 pUSD is known and waits for its second look."""
    harness = holding(build(), 1_000)
    drift(harness, 600)
    harness.cycle()
    harness.venue.failing[ReadOpenOrders] = FailureKind.UNREACHABLE
    harness.cycle()
    assert harness.sink.codes() == ["PORTFOLIO_SYNC_CLOB_UNAVAILABLE", "PORTFOLIO_SYNC_CRITICAL_DISCREPANCY"]
    assert harness.shares() == {"0xa-yes": worth(1_000)}


@pytest.mark.req("S-05", "S-06", "S-19", "S-20", "D-26")
def test_critical_drift(build: Build) -> None:
    """The books show 600 pUSD more than there is: page and pause; an operator resumes after verification.

    Injected through the world, by a balance that leaves without a trade: the books are never edited (D-26).
    """
    harness = holding(build(), 1_000)
    drift(harness, -600)
    harness.cycles(2)
    assert "PORTFOLIO_SYNC_CRITICAL_DISCREPANCY" in harness.sink.codes()
    assert "PORTFOLIO_SYNC_STRATEGY_PAUSED" in harness.sink.codes()
    assert harness.queries.strategies()[0]["paused"]
    assert harness.cycles(3)[-1].paused_strategies == ("default",), "nothing resumes by itself"
    command = ResumeStrategy(request_id="1", strategy_id="default", operator="Ada", reason="a transfer of ours")
    assert harness.ask(command) == (True, "strategy default was resumed")
    assert harness.cycle().paused_strategies == ()
    assert harness.may_trade().allowed
    harness.assert_replays()


@pytest.mark.req("S-04", "S-20", "R-06")
def test_neg_risk_misconfigured(build: Build) -> None:
    """The metadata denies the flag and nothing else proves it: three binary positions, each reconciled on its own.

    Once the metadata is right and read again, each is reported with the flag; what was opened as a book of its own
    stays one, so nothing is counted less than before.
    """
    harness = event_of_three(build())
    right = dict(harness.venue.metas)
    for index, shares in enumerate((400, 300, 200)):
        condition_id = f"{EVENT}-{index}"
        harness.venue.balances[f"{condition_id}-yes"] = shares * SHARE
        wrong = msgspec.structs.replace(right[condition_id], neg_risk_claimed=False, neg_risk_derived=None)
        harness.venue.metas[condition_id] = wrong
    harness.start()
    report = harness.cycle()
    assert (report.total_positions, report.neg_risk_positions, report.neg_risk) == (3, 0, ())
    assert sum(harness.shares().values()) == 900 * SHARE
    harness.venue.metas.update(right)
    harness.cycle()
    report = harness.cycle()
    assert report.neg_risk_positions == 3
    assert sum(event.size_micro for event in report.neg_risk) == 900 * SHARE
    assert "PORTFOLIO_SYNC_NEGRISK_AGGREGATE" in report.reasons
    assert all(row["neg_risk"] for row in harness.queries.markets())


@pytest.mark.req("S-04", "S-20", "R-06")
def test_neg_risk_misconfigured_but_proven_by_the_token_ids(build: Build) -> None:
    """The metadata says no, the token ids say yes: they win, it is an issue, and both totals are in the report."""
    harness = event_of_three(build())
    for index, shares in enumerate((400, 300, 200)):
        condition_id = f"{EVENT}-{index}"
        harness.venue.balances[f"{condition_id}-yes"] = shares * SHARE
        meta = msgspec.structs.replace(harness.venue.metas[condition_id], neg_risk_claimed=False)
        harness.venue.metas[condition_id] = meta
    harness.start()
    (event,) = harness.cycle().neg_risk
    assert (event.size_micro, event.independent_size_micro, event.flag_mismatch) == (400 * SHARE, 900 * SHARE, True)
    assert [issue["type"] for issue in harness.queries.issues()] == ["NEG_RISK_FLAG_MISMATCH"] * 3


@pytest.mark.req("S-12", "S-20", "R-01")
def test_onchain_rpc_failure(build: Build) -> None:
    """No chain: the operations report says so; what CLOB and Data API show is applied; then the check is back."""
    harness = holding(build(), 1_000)
    harness.venue.failing[ReadBalances] = FailureKind.UNREACHABLE
    harness.venue.add_order("order-1", "0xa-no", size=100 * SHARE, price=300_000)
    drift(harness, 60)
    first, second = harness.cycles(2)
    assert (first.status, first.event_type) == (CycleStatus.RPC_UNAVAILABLE, "PORTFOLIO_SYNC_RPC_UNAVAILABLE")
    assert (first.onchain_reconciled, first.onchain_balance_micro) == (False, None)
    assert first.delta_count == 1, "the order is there"
    assert [order["order_id"] for order in harness.queries.orders()] == ["order-1"]
    assert second.delta_count == 1, "the position is, after its second look"
    assert harness.shares() == {"0xa-yes": worth(1_060)}
    assert harness.settlements()[-1]["onchain_reconciled"] is False
    harness.venue.failing.clear()
    report = harness.cycle()
    assert (report.status, report.onchain_reconciled, report.delta_count) == (CycleStatus.OK, True, 0)
    assert report.onchain_balance_micro == harness.venue.cash_micro


@pytest.mark.req("S-12", "R-01")
def test_onchain_rpc_failure_closes_nothing(build: Build) -> None:
    """Without the chain a position that the Data API no longer shows stays: removal needs the chain."""
    harness = holding(build(), 1_000)
    harness.venue.failing[ReadBalances] = FailureKind.UNREACHABLE
    harness.venue.balances.clear()
    harness.cycles(3)
    assert harness.shares() == {"0xa-yes": worth(1_000)}
    harness.venue.failing.clear()
    harness.cycles(2)
    assert harness.shares() == {}


@pytest.mark.req("S-12", "R-01", "L-16")
def test_onchain_rpc_failure_with_a_data_api_that_is_behind_changes_no_position(build: Build) -> None:
    """What the Data API says of a block before the last one that the chain was compared at is history, not news."""
    harness = holding(build(), 1_000)
    harness.venue.failing[ReadBalances] = FailureKind.UNREACHABLE
    harness.venue.data_blocks_behind = 1
    drift(harness, 60)
    for report in harness.cycles(3):
        assert (report.status, report.delta_count) == (CycleStatus.RPC_UNAVAILABLE, 0)
    harness.venue.data_blocks_behind = 0
    harness.cycles(2)
    assert harness.shares() == {"0xa-yes": worth(1_060)}


@pytest.mark.req("S-12", "R-01")
def test_onchain_rpc_failure_under_the_policy_skip(build: Build) -> None:
    """With ``rpc_unavailable_policy = "skip"`` the pseudocode holds: the cycle changes nothing."""
    harness = holding(build(apply_without_rpc=False), 1_000)
    harness.venue.failing[ReadBalances] = FailureKind.UNREACHABLE
    harness.venue.add_order("order-1", "0xa-no", size=100 * SHARE, price=300_000)
    before = stored(harness)
    report = harness.cycle()
    assert (report.status, report.delta_count) == (CycleStatus.RPC_UNAVAILABLE, 0)
    assert stored(harness) == before
    assert not harness.may_trade().allowed


@pytest.mark.req("S-11", "S-15", "S-20")
def test_sync_loop_stall(build: Build) -> None:
    """The CLOB needs 10 s, the time-out is 5 s: CLOB_UNAVAILABLE, cycle skipped; when it is quick again all is done."""
    harness = holding(build(), 1_000)
    harness.venue.add_order("order-1", "0xa-no", size=100 * SHARE, price=300_000)
    harness.venue.delays_ms[ReadOpenOrders] = 10_000
    before = stored(harness)
    harness.cycle()
    harness.runtime.run_for(6_000)
    report = harness.metrics.reports[-1]
    assert (report.status, report.delta_count) == (CycleStatus.CLOB_UNAVAILABLE, 0)
    assert 5_000 <= report.sync_duration_ms < 6_000
    assert "timeout" in report.reasons[0]
    assert stored(harness) == before
    harness.venue.delays_ms.clear()
    harness.runtime.run_for(INTERVAL_MS)
    report = harness.metrics.reports[-1]
    assert (report.status, report.delta_count) == (CycleStatus.OK, 1)
    assert report.sync_duration_ms < 5_000
