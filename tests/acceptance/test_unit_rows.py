"""The unit tests of the source document's acceptance section, each under its name."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from messages.reads import ReadOpenOrders
from portfolio.outcomes import CycleStatus
from service.config import ConfigError, load
from tests.acceptance.worlds import EVENT, SHARE, drift, event_of_three, holding, stored, worth
from tests.support.system import Build

INTERVAL_OF_400 = """
[sync]
sync_interval_s = 400

[[wallets]]
name = "main"
address = "0x1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0b"
"""
CREDENTIALS = {
    "HOME": "/home/nobody",
    "PORTFOLIO_SYNC_MAIN_API_KEY": "key",
    "PORTFOLIO_SYNC_MAIN_API_SECRET": "secret",
    "PORTFOLIO_SYNC_MAIN_API_PASSPHRASE": "phrase",
}


@pytest.mark.req("S-03", "S-05", "S-20")
def test_discrepancy_alert_fires_above_discrepancy_alert_usd(build: Build) -> None:
    """1,000 pUSD in the books, 1,060 outside: the alert says 60, and the books say 1,060 afterwards."""
    harness = holding(build(), 1_000)
    drift(harness, 60)
    report = harness.cycles(2)[-1]
    assert harness.sink.codes() == ["PORTFOLIO_SYNC_DISCREPANCY"]
    assert harness.sink.alerts[0].drift_micro == 60 * SHARE
    assert harness.shares() == {"0xa-yes": worth(1_060)}
    delta = harness.settlements()[-1]
    found = (delta["internal_size_pusd"], delta["clob_size_pusd"], delta["drift_pusd"], delta["action_taken"])
    assert found == (Decimal(1_000), Decimal(1_060), Decimal(60), "internal_store_updated")
    assert (report.discrepancy_count, report.paused_strategies) == (1, ())
    harness.assert_replays()


@pytest.mark.req("S-05")
def test_drift_up_to_discrepancy_alert_usd_is_corrected_without_an_alert(build: Build) -> None:
    """The line itself: 10 pUSD of drift are corrected and logged, and nobody is called."""
    harness = holding(build(), 1_000)
    drift(harness, 10)
    report = harness.cycles(2)[-1]
    assert harness.shares() == {"0xa-yes": worth(1_010)}
    assert (harness.sink.codes(), report.discrepancy_count, report.delta_count) == ([], 0, 1)


@pytest.mark.req("S-05", "S-06", "S-20")
def test_strategy_paused_at_hard_threshold(build: Build) -> None:
    """600 pUSD of drift against the hard 500: a page, the strategy is paused, and the pause is reported."""
    harness = holding(build(), 1_000)
    drift(harness, 600)
    report = harness.cycles(2)[-1]
    assert harness.sink.codes() == [
        "PORTFOLIO_SYNC_DISCREPANCY",
        "PORTFOLIO_SYNC_CRITICAL_DISCREPANCY",
        "PORTFOLIO_SYNC_STRATEGY_PAUSED",
    ]
    assert {alert.code: alert.route for alert in harness.sink.alerts}["PORTFOLIO_SYNC_CRITICAL_DISCREPANCY"] == "page"
    assert report.paused_strategies == ("default",)
    (paused,) = harness.settlements("PORTFOLIO_SYNC_STRATEGY_PAUSED")
    assert (paused["strategy_id"], paused["drift_pusd"], paused["market_id"]) == ("default", Decimal(600), "0xa")
    assert harness.metrics.paused == ["default"]
    assert not harness.may_trade().allowed


@pytest.mark.req("S-05")
def test_drift_of_exactly_the_hard_threshold_does_not_pause(build: Build) -> None:
    """The document pauses above 500 pUSD, not at it."""
    harness = holding(build(), 1_000)
    drift(harness, 500)
    report = harness.cycles(2)[-1]
    assert harness.sink.codes() == ["PORTFOLIO_SYNC_DISCREPANCY"]
    assert report.paused_strategies == ()


@pytest.mark.req("S-04", "S-20", "R-06")
def test_neg_risk_position_aggregated_correctly(build: Build) -> None:
    """YES of 400, 300 and 200 in one event are worth at most 400 together, not 900."""
    harness = event_of_three(build())
    for index, shares in enumerate((400, 300, 200)):
        harness.venue.balances[f"{EVENT}-{index}-yes"] = shares * SHARE
    harness.start()
    (event,) = harness.cycle().neg_risk
    assert (event.market_id, event.size_micro) == (EVENT, 400 * SHARE)
    assert event.guaranteed_if_one_wins_micro == 200 * SHARE
    assert event.independent_size_micro == 900 * SHARE
    assert harness.shares() == {f"{EVENT}-{index}-yes": n * SHARE for index, n in enumerate((400, 300, 200))}


@pytest.mark.req("S-04", "R-06")
def test_neg_risk_drift_is_that_of_the_aggregate(build: Build) -> None:
    """300 more of the second question raise the event from 400 to 600: the drift is the payoff's, judged once."""
    harness = event_of_three(build())
    for index, shares in enumerate((400, 300, 200)):
        harness.venue.balances[f"{EVENT}-{index}-yes"] = shares * SHARE
    harness.start()
    harness.venue.balances[f"{EVENT}-1-yes"] = 600 * SHARE
    report = harness.cycles(2)[-1]
    assert report.drift_max_micro == 300 * SHARE
    assert report.neg_risk[0].size_micro == 600 * SHARE
    assert harness.sink.codes() == ["PORTFOLIO_SYNC_DISCREPANCY"]


@pytest.mark.req("S-10", "S-20", "R-07")
def test_sync_interval_s_above_hard_maximum_rejected(tmp_path: Path) -> None:
    """400 s against the locked 300 s: a config error with the document's code."""
    file = tmp_path / "portfolio-sync.toml"
    file.write_text(INTERVAL_OF_400, encoding="utf-8")
    with pytest.raises(ConfigError, match="PARAMETER_CHANGE_REQUIRES_APPROVAL") as caught:
        load(file, CREDENTIALS)
    assert [problem.key for problem in caught.value.problems] == ["sync.sync_interval_s"]


@pytest.mark.req("S-11", "S-20", "X-09")
@pytest.mark.parametrize("admitted", [True, False], ids=["the reader saw it", "it looks complete"])
def test_no_delta_applied_on_partial_clob_api_response(build: Build, *, admitted: bool) -> None:
    """Three of eight rows are missing, with a real correction due: CLOB_UNAVAILABLE, and nothing at all changes."""
    harness = build()
    harness.venue.add_market("0xa")
    harness.venue.balances["0xa-yes"] = worth(1_000)
    for number in range(8):
        harness.venue.add_order(f"order-{number}", "0xa-no", size=10 * SHARE, price=300_000)
    harness.start()
    drift(harness, 60)
    harness.cycle()
    before = stored(harness)
    harness.venue.hide_orders = {"order-1", "order-4", "order-6"}.__contains__
    harness.venue.partial = {ReadOpenOrders} if admitted else set()
    report = harness.cycle()
    assert (report.status, report.delta_count) == (CycleStatus.CLOB_UNAVAILABLE, 0)
    assert harness.sink.codes() == ["PORTFOLIO_SYNC_CLOB_UNAVAILABLE"]
    assert stored(harness) == before
    harness.venue.hide_orders, harness.venue.partial = None, set()
    assert harness.cycle().status is CycleStatus.OK
    assert harness.shares() == {"0xa-yes": worth(1_060)}
    assert len(harness.queries.orders()) == 8
    assert msgspec.structs.asdict(report)["onchain_reconciled"] is False
