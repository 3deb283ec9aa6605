"""The chain between two cycles: booked as it is seen, reported by the next one, undone where blocks drop (X-01)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from actors.coordinator import EXTRA_CYCLE_MS
from messages.reads import ReadMarkets, ReadOpenOrders
from portfolio.chain import ChainTransaction
from portfolio.facts import FailureKind, Trade, TradeStatus
from tests.support.moves import Deal, move, trade
from tests.support.onchain import BOOK, again, converted, filled, merged, redeemed, reorganise, sold, split, transferred
from tests.support.system import FOLLOW_MS, Build, Harness
from tests.support.venue import Venue
from tests.unit.actors.worlds import SHARE, following, issues, running, show

BIG = 1_100 * SHARE
"""Shares worth 550 pUSD at the mark of 0.50: above the line of a pause."""


def started(build: Build, shares: int = 5_000 * SHARE) -> Harness:
    """A system that follows the chain, with many of each outcome."""
    harness = build(book=BOOK)
    move(harness.venue, "0xa-yes", shares - 100 * SHARE)
    move(harness.venue, "0xa-no", shares)
    running(harness)
    harness.runtime.run_for(FOLLOW_MS)
    return harness


def look(harness: Harness) -> None:
    """The watcher's next look at the head; no cycle begins."""
    cycles = len(harness.metrics.reports)
    harness.runtime.run_for(FOLLOW_MS)
    harness.runtime.run_until_idle()
    assert len(harness.metrics.reports) - cycles <= 1


def adjustments(harness: Harness) -> list[dict[str, Any]]:
    """What is no opening, oldest first."""
    rows = (dict(row) for row in harness.queries.adjustments() if row["cause"] != "OPENING")
    return sorted(rows, key=lambda row: (row["entry_id"], row["token_id"]))


def shares(harness: Harness, token_id: str = "0xa-yes") -> int:
    """What is stored of a token."""
    return harness.shares().get(token_id, 0)


def reports(harness: Harness) -> list[tuple[str, str, float]]:
    """Cause, evidence and drift of the reports on positions, the opening left out."""
    rows = (row for row in harness.settlements() if row["subject"] == "position" and row["cause"] != "OPENING")
    return [(row["cause"], row["evidence"], row["drift_pusd"]) for row in rows]


# -- changes of others -------------------------------------------------------------------------------------------------


@pytest.mark.req("X-01", "R-22", "R-34", "L-14")
@pytest.mark.parametrize(
    ("change", "cause", "pauses"),
    [
        (lambda venue: merged(venue, "0xt", BIG), "POSITION_MERGED", False),
        (lambda venue: split(venue, "0xt", BIG), "POSITION_SPLIT", False),
        (lambda venue: redeemed(venue, "0xt", "0xa-yes", BIG), "REDEEMED", False),
        (lambda venue: transferred(venue, "0xt", "0xa-yes", BIG), "TRANSFER_IN", True),
        (lambda venue: transferred(venue, "0xt", "0xa-yes", -BIG), "TRANSFER_OUT", True),
    ],
)
def test_a_change_seen_between_two_cycles_brings_a_cycle_that_reports_it_and_pauses_where_it_must(
    build: Build, change: Callable[[Venue], ChainTransaction], cause: str, pauses: bool
) -> None:
    harness = started(build)
    cycles = len(harness.metrics.reports)
    made = change(harness.venue)
    harness.runtime.run_for(FOLLOW_MS + EXTRA_CYCLE_MS)
    assert len(harness.metrics.reports) == cycles + 1, "one look, and one cycle within a second"
    assert {row["cause"] for row in adjustments(harness)} == {cause}
    ((told, evidence, drift),) = reports(harness)
    assert (told, drift >= 500) == (cause, True)
    assert evidence.startswith("transaction 0xt, log ")
    assert evidence.endswith(f", block {made.block_number}")
    assert ("PORTFOLIO_SYNC_STRATEGY_PAUSED" in harness.sink.codes()) is pauses
    assert "PORTFOLIO_SYNC_DISCREPANCY" in harness.sink.codes()
    assert harness.metrics.reports[-1].cash_unexplained_micro == 0
    harness.cycle()
    assert len(reports(harness)) == 1


@pytest.mark.req("X-01", "R-22", "L-14")
def test_a_conversion_seen_between_two_cycles_is_reported_and_not_paused_on(build: Build) -> None:
    harness = build(book=BOOK)
    for index in range(2):
        harness.venue.add_market(f"0xev-{index}", neg_risk_id="0xev", index=index)
        move(harness.venue, f"0xev-{index}-no", 5_000 * SHARE)
    harness.venue.question_counts["0xev"] = 2
    harness.start()
    harness.runtime.run_for(FOLLOW_MS)
    converted(harness.venue, "0xc", "0xev", BIG)
    harness.runtime.run_for(FOLLOW_MS + EXTRA_CYCLE_MS)
    found = {(row["cause"], row["token_id"], row["size_micro"]) for row in adjustments(harness)}
    assert found == {("CONVERTED", "0xev-0-no", -BIG), ("CONVERTED", "0xev-1-yes", BIG)}
    assert {cause for cause, _, _ in reports(harness)} == {"CONVERTED"}
    assert "PORTFOLIO_SYNC_STRATEGY_PAUSED" not in harness.sink.codes()
    assert harness.cycle().delta_count == 0


@pytest.mark.req("X-01", "R-22")
def test_what_is_seen_is_booked_though_no_cycle_can_be_and_reported_by_the_first_that_can(build: Build) -> None:
    harness = started(build)
    harness.venue.failing[ReadOpenOrders] = FailureKind.TIMEOUT
    transferred(harness.venue, "0xt", "0xa-yes", -BIG)
    look(harness)
    assert (shares(harness), reports(harness)) == (harness.venue.balances["0xa-yes"], [])
    harness.venue.failing.clear()
    harness.cycle()
    assert [cause for cause, _, _ in reports(harness)] == ["TRANSFER_OUT"]
    assert "PORTFOLIO_SYNC_STRATEGY_PAUSED" in harness.sink.codes()


@pytest.mark.req("X-01", "L-14")
def test_two_changes_that_cancel_each_other_between_two_cycles_leave_two_entries(build: Build) -> None:
    harness = started(build)
    held = shares(harness)
    cycles = len(harness.metrics.reports)
    transferred(harness.venue, "0xout", "0xa-yes", -7 * SHARE)
    transferred(harness.venue, "0xin", "0xa-yes", 7 * SHARE)
    look(harness)
    found = {(row["cause"], row["size_micro"]) for row in adjustments(harness)}
    assert found == {("TRANSFER_OUT", -7 * SHARE), ("TRANSFER_IN", 7 * SHARE)}
    assert (shares(harness), len(harness.metrics.reports)) == (held, cycles + 1)
    ((cause, evidence, drift),) = reports(harness)
    assert (cause, drift) == ("TRANSFER_OUT+TRANSFER_IN", 7.0)
    assert "0xout" in evidence
    assert "0xin" in evidence


@pytest.mark.req("X-01", "R-21", "L-16")
def test_a_sale_by_an_order_that_is_not_ours_waits_for_its_trade_and_is_booked_by_the_second_look(build: Build) -> None:
    harness = started(build)
    sale = sold(harness.venue, "0xs", "0xa-no", 7 * SHARE, 400_000)
    look(harness)
    assert adjustments(harness) == []
    assert [harness.cycle().pending_count, harness.cycle().pending_count] == [1, 0]
    (row,) = adjustments(harness)
    assert (row["cause"], row["size_micro"], row["proceeds_micro"]) == ("EXTERNAL_SALE", -7 * SHARE, 2_800_000)
    assert row["evidence"] == f"transaction 0xs, log 3, block {sale.block_number}"
    assert harness.cycle().cash_unexplained_micro == 0


@pytest.mark.req("X-01", "R-13", "D-01")
def test_of_a_token_of_no_known_market_the_metadata_is_asked_for_and_the_next_cycle_books_it_with_its_proof(
    build: Build,
) -> None:
    harness = started(build)
    harness.venue.add_market("0xnew")
    harness.venue.hide_positions = lambda token_id: token_id == "0xnew-yes"
    came = transferred(harness.venue, "0xt", "0xnew-yes", 7 * SHARE)
    look(harness)
    assert [read.token_ids for read in asked(harness) if read.token_ids] == [("0xnew-yes",)]
    harness.runtime.run_for(EXTRA_CYCLE_MS)
    (row,) = adjustments(harness)
    assert (row["cause"], row["size_micro"]) == ("TRANSFER_IN", 7 * SHARE)
    assert row["evidence"] == f"transaction 0xt, log 10, block {came.block_number}"
    assert shares(harness, "0xnew-yes") == 7 * SHARE


def asked(harness: Harness) -> list[ReadMarkets]:
    """Questions about metadata."""
    return [read for read in harness.venue.asked if isinstance(read, ReadMarkets)]


# -- own fills ---------------------------------------------------------------------------------------------------------

FILL = Deal(token_id="0xa-yes", size=3 * SHARE, price=500_000, status=TradeStatus.MATCHED, settled=False)


def fills(harness: Harness) -> list[tuple[str, str]]:
    """State of each fill, and what settled it."""
    return [(row["state"], row["settled_by"]) for row in harness.queries.fills()]


def in_flight(build: Build) -> tuple[Harness, Trade]:
    """A system that has seen a trade of ours by the stream, and the cycle that this brought."""
    harness = build(book=BOOK)
    move(harness.venue, "0xa-no", 100 * SHARE)
    following(harness)
    harness.runtime.run_for(FOLLOW_MS)
    made = trade(harness.venue, "trade-1", FILL)
    show(harness, made)
    harness.runtime.run_for(EXTRA_CYCLE_MS)
    assert [state for state, _ in fills(harness)] == ["OBSERVED"]
    return harness, made


@pytest.mark.req("X-01", "X-02", "L-03")
def test_an_own_fill_is_settled_by_its_log_before_the_next_cycle(build: Build) -> None:
    harness, made = in_flight(build)
    cycles = len(harness.metrics.reports)
    block = filled(harness.venue, made).block_number
    look(harness)
    assert fills(harness) == [("SETTLED", f"transaction {made.transaction_hash}, log 3, block {block}")]
    assert len(harness.metrics.reports) == cycles
    assert (harness.cycle().delta_count, adjustments(harness)) == (0, [])


@pytest.mark.req("X-01", "X-02", "L-16")
def test_a_log_that_is_seen_before_its_trade_settles_it_when_it_comes(build: Build) -> None:
    harness = build(book=BOOK)
    following(harness)
    harness.runtime.run_for(FOLLOW_MS)
    made = trade(harness.venue, "trade-1", FILL)
    harness.venue.hide_trades = lambda _: True
    block = filled(harness.venue, made).block_number
    look(harness)
    assert fills(harness) == []
    harness.venue.hide_trades = None
    show(harness, made)
    assert fills(harness) == [("SETTLED", f"transaction {made.transaction_hash}, log 3, block {block}")]
    assert [(report.delta_count, report.pending_count) for report in harness.cycles(2)] == [(0, 0)] * 2
    assert adjustments(harness) == []


@pytest.mark.req("X-01", "X-14")
def test_a_fill_whose_block_is_dropped_is_in_flight_again_and_settles_in_the_new_one(build: Build) -> None:
    harness, made = in_flight(build)
    first = filled(harness.venue, made).block_number
    look(harness)
    (lost,) = reorganise(harness.venue, first)
    look(harness)
    assert [state for state, _ in fills(harness)] == ["OBSERVED"]
    assert len(issues(harness, "CHAIN_REORGANISED")) == 1
    again(harness.venue, lost)
    look(harness)
    harness.cycle()
    assert fills(harness) == [("SETTLED", f"transaction {made.transaction_hash}, log 3, block {harness.venue.head}")]
    assert shares(harness) == harness.venue.balances["0xa-yes"]
    assert (adjustments(harness), harness.cycle().delta_count) == ([], 0)
