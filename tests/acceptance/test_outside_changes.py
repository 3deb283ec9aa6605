"""What happens to the wallet without the service: each change is an entry with cause and evidence (L-13…L-15)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from portfolio.events import GateConfigured
from portfolio.facts import Side
from portfolio.views import ViewPolicy
from tests.acceptance.worlds import EVENT, SHARE, event_of_three, holding, worth
from tests.support.moves import FOREIGN_KEY, Deal, convert, fill_order, merge, move, redeem, settle, split, trade
from tests.support.system import INTERVAL_MS, Build, Harness


def wallet(build: Build) -> Harness:
    """Both outcomes of one market and one of another, running."""
    harness = build()
    harness.venue.add_market("0xa")
    harness.venue.add_market("0xb")
    for token_id in ("0xa-yes", "0xa-no", "0xb-yes"):
        move(harness.venue, token_id, 1_000 * SHARE)
    return harness.start()


def causes(harness: Harness) -> list[tuple[str, str, int]]:
    """What was booked after the openings: (cause, token, shares), oldest first."""
    rows = [row for row in reversed(harness.queries.adjustments()) if row["cause"] != "OPENING"]
    return [(row["cause"], row["token_id"], row["size_micro"]) for row in rows]


def assert_conserved(harness: Harness) -> None:
    """Every balance and every pUSD is accounted for, and the journal tells the same."""
    held = {token: shares for token, shares in harness.venue.balances.items() if shares}
    assert harness.shares() == held
    assert harness.cycle().cash_unexplained_micro == 0
    harness.assert_replays()


@pytest.mark.req("L-14", "L-15", "R-21", "R-22")
def test_a_trade_by_another_key_is_an_external_purchase_with_its_trade_as_evidence(build: Build) -> None:
    """Booked at once at its own price, reported by the next cycle, and counted as drift."""
    harness = wallet(build)
    trade(harness.venue, "trade-7", Deal(token_id="0xa-yes", size=200 * SHARE, price=450_000, owner=FOREIGN_KEY))
    report = harness.cycle()
    delta = harness.settlements()[-1]
    assert (delta["cause"], delta["drift_pusd"]) == ("EXTERNAL_BUY", Decimal(100))
    assert delta["evidence"] == "trade trade-7, transaction 0xhash-of-trade-7"
    assert (report.delta_count, report.discrepancy_count) == (1, 1)
    assert harness.sink.codes() == ["PORTFOLIO_SYNC_DISCREPANCY"]
    (fill,) = harness.queries.fills()
    assert (fill["external"], fill["owner"], fill["amount_micro"]) == (True, FOREIGN_KEY, 90 * SHARE)
    assert_conserved(harness)


@pytest.mark.req("L-14", "R-22", "S-05")
def test_a_sale_by_another_key_above_500_pusd_pauses(build: Build) -> None:
    harness = wallet(build)
    move(harness.venue, "0xa-yes", 1_000 * SHARE)
    harness.cycles(2)
    deal = Deal(token_id="0xa-yes", size=1_200 * SHARE, price=450_000, owner=FOREIGN_KEY, side=Side.SELL)
    trade(harness.venue, "trade-7", deal)
    report = harness.cycle()
    assert harness.settlements()[-1]["cause"] == "EXTERNAL_SALE"
    assert report.paused_strategies == ("default",)
    assert harness.settlements("PORTFOLIO_SYNC_STRATEGY_PAUSED")[0]["evidence"].startswith("trade trade-7")
    assert_conserved(harness)


@pytest.mark.req("L-14", "L-16", "D-12")
def test_a_foreign_trade_whose_balance_comes_first_replaces_what_was_inferred(build: Build) -> None:
    """The chain is ahead of the trade list: first an inferred purchase, then the trade itself, never both."""
    harness = wallet(build)
    deal = Deal(token_id="0xa-yes", size=20 * SHARE, price=450_000, owner=FOREIGN_KEY, settled=False)
    settle(harness.venue, deal)
    harness.cycles(2)
    assert causes(harness) == [("EXTERNAL_BUY", "0xa-yes", 20 * SHARE)]
    trade(
        harness.venue,
        "trade-7",
        Deal(token_id="0xa-yes", size=20 * SHARE, price=450_000, owner=FOREIGN_KEY, settled=False, age_ms=10_000),
    )
    harness.cycles(2)
    assert len(harness.queries.fills()) == 1
    assert_conserved(harness)


@pytest.mark.req("L-14", "L-15", "R-13", "R-22")
@pytest.mark.parametrize(
    ("happen", "expected"),
    [
        (
            lambda venue: merge(venue, "0xa", 600 * SHARE),
            [("POSITION_MERGED", "0xa-no", -600 * SHARE), ("POSITION_MERGED", "0xa-yes", -600 * SHARE)],
        ),
        (
            lambda venue: split(venue, "0xa", 600 * SHARE),
            [("POSITION_SPLIT", "0xa-no", 600 * SHARE), ("POSITION_SPLIT", "0xa-yes", 600 * SHARE)],
        ),
        (
            lambda venue: redeem(venue, "0xb-yes", yes=True),
            [("REDEEMED", "0xb-yes", -1_000 * SHARE)],
        ),
    ],
    ids=["merge", "split", "redemption"],
)
def test_structural_changes_are_told_by_cash_reported_and_never_paused_on(
    build: Build, happen: Any, expected: list[tuple[str, str, int]]
) -> None:
    """600 pUSD and more of drift each, and yet no strategy did anything that must be stopped."""
    harness = wallet(build)
    happen(harness.venue)
    report = harness.cycles(2)[-1]
    assert sorted(causes(harness)) == expected
    assert report.paused_strategies == ()
    assert "PORTFOLIO_SYNC_CRITICAL_DISCREPANCY" not in harness.sink.codes()
    assert "inferred from balances and cash at block" in harness.settlements()[-1]["evidence"]
    assert all(row["estimated"] for row in harness.queries.adjustments())
    assert_conserved(harness)


@pytest.mark.req("L-14", "R-13")
def test_a_losing_position_is_redeemed_at_nothing(build: Build) -> None:
    harness = wallet(build)
    redeem(harness.venue, "0xb-yes", yes=False)
    harness.cycles(2)
    assert causes(harness) == [("REDEEMED", "0xb-yes", -1_000 * SHARE)]
    (row,) = [row for row in harness.queries.positions(include_zero=True) if row["token_id"] == "0xb-yes"]
    assert (row["cost_basis_micro"], row["realized_pnl_micro"]) == (0, -500 * SHARE)
    assert_conserved(harness)


@pytest.mark.req("L-14", "R-06", "R-13")
def test_a_conversion_is_one_entry_over_the_event(build: Build) -> None:
    """NO of two questions become YES of the third and the collateral of one: no drift in what the event can pay."""
    harness = event_of_three(build())
    for index in range(3):
        move(harness.venue, f"{EVENT}-{index}-no", 700 * SHARE)
    harness.start()
    convert(harness.venue, (f"{EVENT}-0", f"{EVENT}-1"), (f"{EVENT}-2",), 700 * SHARE)
    report = harness.cycles(2)[-1]
    assert {cause for cause, _, _ in causes(harness)} == {"CONVERTED"}
    assert len(causes(harness)) == 3
    assert report.paused_strategies == ()
    assert_conserved(harness)


@pytest.mark.req("L-14", "R-13")
@pytest.mark.parametrize(("shares", "cause"), [(100, "TRANSFER_IN"), (-100, "TRANSFER_OUT")])
def test_shares_that_move_without_cash_are_a_transfer(build: Build, shares: int, cause: str) -> None:
    harness = wallet(build)
    move(harness.venue, "0xa-yes", shares * SHARE)
    harness.cycles(2)
    assert causes(harness) == [(cause, "0xa-yes", shares * SHARE)]
    assert_conserved(harness)


@pytest.mark.req("L-14", "L-15")
@pytest.mark.parametrize(("shares", "cause"), [(100, "EXTERNAL_BUY"), (-100, "EXTERNAL_SALE")])
def test_one_token_against_cash_at_a_possible_price_is_a_trade(build: Build, shares: int, cause: str) -> None:
    harness = wallet(build)
    move(harness.venue, "0xa-yes", shares * SHARE)
    harness.venue.cash_micro -= shares * SHARE * 2 // 5
    harness.cycles(2)
    assert causes(harness) == [(cause, "0xa-yes", shares * SHARE)]
    assert_conserved(harness)


@pytest.mark.req("L-14", "X-10")
def test_what_cash_does_not_confirm_stays_unexplained_and_says_so(build: Build) -> None:
    """Two tokens move and cash fits neither: no story is made up."""
    harness = wallet(build)
    move(harness.venue, "0xa-yes", 100 * SHARE)
    move(harness.venue, "0xb-yes", -70 * SHARE)
    harness.venue.cash_micro -= 13 * SHARE
    harness.cycles(2)
    assert sorted(causes(harness)) == [
        ("UNTRACKED_INCREASE", "0xa-yes", 100 * SHARE),
        ("UNTRACKED_REDUCTION", "0xb-yes", -70 * SHARE),
    ]
    harness.cycles(3)
    assert "CASH_UNEXPLAINED" in {issue["type"] for issue in harness.queries.issues()}
    assert_conserved(harness)


@pytest.mark.req("X-10", "R-26")
@pytest.mark.parametrize(
    ("pusd", "routes"), [(5, []), (-60, ["warn"]), (600, ["page"])], ids=["small", "withdrawal", "large deposit"]
)
def test_cash_alone_is_recorded_after_two_looks_and_alerted_by_its_size(
    build: Build, pusd: int, routes: list[str]
) -> None:
    harness = wallet(build)
    harness.venue.cash_micro += pusd * SHARE
    assert harness.cycle().cash_unexplained_micro == pusd * SHARE
    harness.cycle()
    assert harness.cycle().cash_unexplained_micro == 0
    (issue,) = [issue for issue in harness.queries.issues() if issue["type"] == "CASH_UNEXPLAINED"]
    assert issue["subject"] == "collateral"
    assert [alert.route for alert in harness.sink.alerts] == routes
    assert causes(harness) == []
    assert_conserved(harness)


@pytest.mark.req("R-23")
def test_first_start_opens_what_is_there_without_alert_or_pause(build: Build) -> None:
    """Thousands of pUSD at the Data API's entry cost, marked estimated, ADDED, and nobody is called."""
    harness = build()
    harness.venue.prices["0xa-yes"] = 620_000
    holding(harness, 5_000)
    (row,) = harness.queries.adjustments()
    assert (row["cause"], row["estimated"], row["cost_micro"]) == ("OPENING", True, worth(5_000) * 62 // 100)
    (delta,) = harness.settlements()
    assert (delta["delta_type"], delta["drift_pusd"], delta["internal_size_pusd"]) == ("ADDED", 0, 0)
    assert (harness.sink.codes(), harness.metrics.reports[0].paused_strategies) == ([], ())


@pytest.mark.req("R-23", "L-17")
def test_first_start_takes_history_that_explains_the_balance_exactly(build: Build) -> None:
    harness = build()
    harness.venue.add_market("0xa")
    for number, price in enumerate((400_000, 600_000)):
        trade(
            harness.venue, f"trade-{number}", Deal(token_id="0xa-yes", size=100 * SHARE, price=price, age_ms=9_000_000)
        )
    harness.start()
    assert harness.queries.adjustments() == []
    (row,) = harness.queries.positions()
    assert (row["shares_micro"], row["cost_basis_micro"]) == (200 * SHARE, 100 * SHARE)
    assert harness.cycle().cash_unexplained_micro == 0


@pytest.mark.req("R-23", "L-09")
def test_first_start_sets_history_aside_that_does_not_explain_the_balance(build: Build) -> None:
    """One of two purchases is in the list: the whole balance is opened, the fills stay as rows that do not count."""
    harness = build()
    harness.venue.add_market("0xa")
    trade(harness.venue, "trade-1", Deal(token_id="0xa-yes", size=100 * SHARE, price=400_000, age_ms=9_000_000))
    move(harness.venue, "0xa-yes", 50 * SHARE)
    harness.start()
    assert harness.shares() == {"0xa-yes": 150 * SHARE}
    assert [row["state"] for row in harness.queries.fills()] == ["SUPERSEDED"]
    opened = {row["cause"]: row["size_micro"] for row in harness.queries.adjustments()}
    assert opened == {"OPENING": 150 * SHARE, "RESTATED": -100 * SHARE}
    harness.cycles(2)
    assert harness.sink.codes() == []
    assert_conserved(harness)


@pytest.mark.req("R-23", "S-14", "D-11")
def test_a_first_start_that_is_cut_short_opens_the_rest_and_nothing_twice(build: Build) -> None:
    """The openings are durable, the cycle is not, and meanwhile a balance moves: it is still held once."""
    harness = build()
    harness.venue.add_market("0xa")
    move(harness.venue, "0xa-yes", 100 * SHARE)
    harness.start(run=False)
    while not harness.settlements():
        harness.runtime.step()
    move(harness.venue, "0xa-yes", 50 * SHARE)
    harness.restart()
    harness.cycles(2)
    assert harness.shares() == {"0xa-yes": 150 * SHARE}
    assert_conserved(harness)


@pytest.mark.req("L-06", "L-27", "R-04")
def test_an_order_younger_than_the_last_list_is_ordinary(build: Build) -> None:
    harness = wallet(build)
    harness.clock.advance_to(harness.clock.now_ms() + 2_000)
    harness.venue.add_order("order-1", "0xa-yes", size=2_000 * SHARE, price=500_000)
    report = harness.cycle()
    delta = harness.settlements()[-1]
    assert (delta["delta_type"], delta["subject"], delta["drift_pusd"]) == ("ADDED", "open_orders", 0)
    assert (report.discrepancy_count, harness.sink.codes(), harness.queries.issues()) == (0, [], [])


@pytest.mark.req("L-06", "L-27", "R-04", "R-21")
@pytest.mark.parametrize("adopt", [True, False], ids=["adopt", "alert"])
@pytest.mark.parametrize("why", ["old", "foreign"])
def test_an_unknown_order_is_handled_by_policy(build: Build, why: str, *, adopt: bool) -> None:
    """Absent from the last list though older than it, or placed by another key: an issue, adopted or only alerted."""
    harness = build(policy=ViewPolicy(settle_window_ms=INTERVAL_MS, adopt_unknown_orders=adopt))
    holding(harness, 1_000)
    harness.cycles(3)
    created_ms = harness.clock.now_ms() - (60_000 if why == "old" else -2_000)
    order = harness.venue.add_order("order-1", "0xa-no", size=100 * SHARE, price=300_000, created_at_ms=created_ms)
    if why == "foreign":
        harness.venue.orders["order-1"] = msgspec.structs.replace(order, owner=FOREIGN_KEY)
    harness.cycles(2)
    (issue,) = harness.queries.issues()
    assert (issue["type"], issue["action"]) == ("ORDER_UNKNOWN", "CORRECTED" if adopt else "REQUIRES_MANUAL")
    assert [row["order_id"] for row in harness.queries.orders()] == (["order-1"] if adopt else [])
    assert harness.cycle().delta_count == 0
    harness.assert_replays()


@pytest.mark.req("L-06", "R-25", "S-03")
def test_an_order_that_filled_whole_is_not_reported_as_added(build: Build) -> None:
    """Own fills make no SettlementReport; the end of the order is in its row."""
    harness = wallet(build)
    harness.venue.add_order("order-1", "0xa-yes", size=10 * SHARE, price=500_000)
    harness.cycle()
    before = len(harness.settlements())
    fill_order(harness.venue, "order-1", "trade-1")
    harness.cycle()
    assert harness.settlements()[before:] == []


@pytest.mark.req("L-06")
def test_an_order_that_the_exchange_no_longer_knows_is_gone_with_an_issue(build: Build) -> None:
    """It left the list and its look-up finds nothing: closed, never deleted, the value counted as drift."""
    harness = build()
    harness.venue.add_order("order-1", "0xa-no", size=2_000 * SHARE, price=300_000)
    holding(harness, 1_000)
    harness.venue.orders.clear()
    report = harness.cycle()
    (row,) = harness.queries.orders(include_closed=True)
    assert (row["status"], row["closed_at_ms"] is not None) == ("GONE", True)
    assert [issue["type"] for issue in harness.queries.issues()] == ["ORDER_GONE"]
    assert (report.drift_max_micro, report.paused_strategies) == (600 * SHARE, ("default",))
    harness.cycle()
    harness.assert_replays()


@pytest.mark.req("S-04", "S-05", "R-06", "D-24")
def test_critical_drift_of_an_event_pauses_every_strategy_with_a_leg(build: Build) -> None:
    """Two strategies hold one question each, a third none: the event drifts in one question, both are paused."""
    legs = (("alpha", (f"{EVENT}-0",)), ("beta", (f"{EVENT}-1",)), ("gamma", ("0xother",)))
    gate = GateConfigured(auto_pause=True, operator="", reason="", strategies=legs)
    harness = event_of_three(build(gate=gate))
    for index in range(3):
        move(harness.venue, f"{EVENT}-{index}-yes", 1_000 * SHARE)
    harness.start()
    move(harness.venue, f"{EVENT}-0-yes", 600 * SHARE)
    report = harness.cycles(2)[-1]
    assert report.paused_strategies == ("alpha", "beta")
    paused = harness.settlements("PORTFOLIO_SYNC_STRATEGY_PAUSED")
    assert sorted((row["strategy_id"], row["market_id"]) for row in paused) == [
        ("alpha", f"{EVENT}-0"),
        ("beta", f"{EVENT}-1"),
    ]


@pytest.mark.req("S-04", "S-05", "R-06", "D-24")
def test_a_strategy_that_claims_the_whole_event_has_a_report_of_its_own(build: Build) -> None:
    """One claims the event by its id, one a single question of it: two pauses, two reports, no key twice."""
    legs = (("alpha", (EVENT,)), ("beta", (f"{EVENT}-0",)))
    gate = GateConfigured(auto_pause=True, operator="", reason="", strategies=legs)
    harness = event_of_three(build(gate=gate))
    move(harness.venue, f"{EVENT}-0-yes", 1_000 * SHARE)
    harness.start()
    move(harness.venue, f"{EVENT}-0-yes", 600 * SHARE)
    report = harness.cycles(2)[-1]
    assert report.paused_strategies == ("alpha", "beta")
    assert len(harness.settlements("PORTFOLIO_SYNC_STRATEGY_PAUSED")) == 2
    assert harness.escalated == []
