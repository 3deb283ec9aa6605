"""50 positions and 50 orders; answers that are good but for the rows they lack. The strongest peer closes 25, or all.

Whatever the answer lacks, nothing is closed and nothing is invented at any moment, while one real closure in the same
run goes through. Stored rows are looked at after every cycle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from messages.reads import ReadBalances, ReadOrder
from portfolio.facts import FailureKind, OrderStatus
from portfolio.outcomes import CycleStatus
from tests.acceptance.worlds import SHARE
from tests.support.moves import Deal, move, trade
from tests.support.system import Build, Harness

COUNT = 50
GONE = 7
"""The market whose order and position really end within the run."""

Missing = Callable[[str], bool]


def half(identifier: str) -> bool:
    """Every second row is missing; the market that really ends is among those shown, by chance of its number."""
    return int(identifier.partition("-")[0].removeprefix("0x")) % 2 == 0


def everything(identifier: str) -> bool:
    """The answer is empty."""
    return bool(identifier)


SHRUNKEN = pytest.mark.parametrize("missing", [half, everything], ids=["half", "empty"])


def portfolio(build: Build) -> Harness:
    """50 markets, each with a position and a resting order."""
    harness = build()
    for number in range(COUNT):
        name = f"0x{number:02}"
        harness.venue.add_market(name)
        move(harness.venue, f"{name}-yes", 100 * SHARE)
        harness.venue.add_order(f"{number:02}-order", f"{name}-no", size=100 * SHARE, price=300_000)
    return harness.start()


def closed(harness: Harness) -> tuple[set[str], set[str]]:
    """Orders and positions that the stored rows call ended."""
    orders = {row["order_id"] for row in harness.queries.orders(include_closed=True) if row["closed_at_ms"] is not None}
    rows = harness.queries.positions(include_zero=True)
    return orders, {row["token_id"] for row in rows if row["token_id"].endswith("-yes") and row["shares_micro"] == 0}


def untouched(harness: Harness) -> dict[str, Any]:
    """All that a false closure or an invention would change, but for the market that really ends."""
    return {
        "positions": {token: held for token, held in harness.shares().items() if not token.startswith(f"0x{GONE:02}")},
        "orders": {row["order_id"] for row in harness.queries.orders()} - {f"{GONE:02}-order"},
        "adjustments": [row for row in harness.queries.adjustments() if row["market_id"] != f"0x{GONE:02}"],
        "deltas": [row for row in harness.settlements() if row["market_id"] != f"0x{GONE:02}"],
    }


def end_one(harness: Harness) -> None:
    """One order is cancelled and one position leaves, for real."""
    harness.venue.end_order(f"{GONE:02}-order", OrderStatus.CANCELED)
    move(harness.venue, f"0x{GONE:02}-yes", -100 * SHARE)


def assert_only_the_real_one_ends(harness: Harness, before: dict[str, Any]) -> None:
    """Nothing else has changed so far, and nobody was alerted of more."""
    assert untouched(harness) == before
    orders, positions = closed(harness)
    assert orders <= {f"{GONE:02}-order"}
    assert positions <= {f"0x{GONE:02}-yes"}


def assert_the_real_one_ended(harness: Harness) -> None:
    """Both of the market are closed, once."""
    assert closed(harness) == ({f"{GONE:02}-order"}, {f"0x{GONE:02}-yes"})
    removed = [row["subject"] for row in harness.settlements() if row["delta_type"] == "REMOVED"]
    assert sorted(removed) == ["open_orders", "position"]
    assert len(harness.queries.orders()) == len(harness.shares()) == COUNT - 1
    harness.assert_replays()


@pytest.mark.req("L-08", "X-09", "D-14")
@SHRUNKEN
def test_a_shrunken_list_of_open_orders_closes_nothing(build: Build, missing: Missing) -> None:
    """The list is read again, each missing order is looked up, one that is live proves the list short: no change."""
    harness = portfolio(build)
    before = untouched(harness)
    end_one(harness)
    harness.venue.hide_orders = missing
    for _ in range(3):
        report = harness.cycle()
        assert_only_the_real_one_ends(harness, before)
        assert (report.status, report.delta_count) == (CycleStatus.CLOB_UNAVAILABLE, 0)
    harness.venue.hide_orders = None
    for _ in range(3):
        harness.cycle()
        assert_only_the_real_one_ends(harness, before)
    assert_the_real_one_ended(harness)


@pytest.mark.req("L-08", "X-09", "D-14")
@SHRUNKEN
@pytest.mark.parametrize("kind", [FailureKind.TIMEOUT, FailureKind.THROTTLED])
def test_a_shrunken_list_whose_look_ups_fail_closes_nothing(build: Build, missing: Missing, kind: FailureKind) -> None:
    """Without an answer to the look-up the fate is unknown, and unknown is not gone."""
    harness = portfolio(build)
    before = untouched(harness)
    end_one(harness)
    harness.venue.hide_orders = missing
    harness.venue.failing[ReadOrder] = kind
    for _ in range(3):
        assert harness.cycle().status is CycleStatus.CLOB_UNAVAILABLE
        assert_only_the_real_one_ends(harness, before)
    harness.venue.failing.clear()
    harness.venue.hide_orders = None
    harness.cycles(2)
    assert_the_real_one_ended(harness)


@pytest.mark.req("L-08", "D-14")
def test_a_list_that_is_whole_at_the_second_reading_loses_no_cycle(build: Build) -> None:
    """A page set that shrank once only: the second full reading has all rows, and the cycle completes with it."""
    harness = portfolio(build)
    before = untouched(harness)
    end_one(harness)
    readings = iter([half, None])
    current: list[Missing | None] = []

    def once(order_id: str) -> bool:
        return current[-1] is not None and half(order_id)

    harness.venue.hide_orders = once
    original = harness.venue.request

    def request(read: Any, reply: Any, correlation: str) -> None:
        if correlation.endswith("|orders"):
            current.append(next(readings, None))
        original(read, reply, correlation)

    harness.venue.request = request  # type: ignore[method-assign]  # the second answer differs from the first
    report = harness.cycle()
    assert report.status is CycleStatus.OK
    assert "the list was read again" in " ".join(report.reasons)
    assert_only_the_real_one_ends(harness, before)
    harness.cycle()
    assert_the_real_one_ended(harness)


@pytest.mark.req("L-08", "L-16", "X-09", "R-15")
@SHRUNKEN
def test_a_shrunken_answer_of_the_data_api_closes_nothing(build: Build, missing: Missing) -> None:
    """The chain is the truth for positions: rows that the Data API lacks prove nothing; the real closure goes on."""
    harness = portfolio(build)
    before = untouched(harness)
    end_one(harness)
    harness.venue.hide_positions = missing
    for _ in range(3):
        assert harness.cycle().status is CycleStatus.OK
        assert_only_the_real_one_ends(harness, before)
    assert_the_real_one_ended(harness)
    harness.venue.hide_positions = None
    harness.cycles(2)
    assert_the_real_one_ended(harness)


@pytest.mark.req("L-08", "R-01", "D-13")
@SHRUNKEN
def test_a_shrunken_answer_of_the_data_api_without_the_chain_closes_nothing(build: Build, missing: Missing) -> None:
    """As the chain's stand-in it may add and update, never close; the real closure waits for the chain."""
    harness = portfolio(build)
    before = untouched(harness)
    end_one(harness)
    harness.venue.failing[ReadBalances] = FailureKind.UNREACHABLE
    harness.venue.hide_positions = missing
    for _ in range(3):
        assert harness.cycle().status is CycleStatus.RPC_UNAVAILABLE
        assert_only_the_real_one_ends(harness, before)
    harness.venue.failing.clear()
    harness.venue.hide_positions = None
    for _ in range(3):
        harness.cycle()
        assert_only_the_real_one_ends(harness, before)
    assert_the_real_one_ended(harness)


def our_trades(harness: Harness) -> None:
    """A trade of ours in every market."""
    for number in range(COUNT):
        deal = Deal(token_id=f"0x{number:02}-yes", size=10 * SHARE, price=500_000, order_id=f"{number:02}-taken")
        trade(harness.venue, f"{number:02}-trade", deal)


def assert_every_trade_is_booked_once(harness: Harness) -> None:
    """As a settled fill, and the shares are there once."""
    fills = harness.queries.fills()
    assert sorted(row["trade_id"] for row in fills) == [f"{number:02}-trade" for number in range(COUNT)]
    assert all(row["state"] == "SETTLED" for row in fills)
    assert set(harness.shares().values()) == {110 * SHARE}
    assert harness.sink.codes() == []
    harness.assert_replays()


@pytest.mark.req("L-08", "L-01", "L-16", "D-12")
@SHRUNKEN
@pytest.mark.parametrize("first", ["seen before", "never seen"])
def test_a_shrunken_answer_of_trades_loses_and_invents_nothing(build: Build, missing: Missing, first: str) -> None:
    """50 trades of ours, half of them or all not listed for a cycle: each is booked once, as what it is.

    Those seen before stay booked; those never seen wait as a difference for their second look, and come in time. An
    order that really ends in the same cycle is closed.
    """
    harness = portfolio(build)
    adjustments, deltas = harness.queries.adjustments(), harness.settlements()
    our_trades(harness)
    if first == "seen before":
        harness.cycle()
    harness.venue.hide_trades = missing
    harness.venue.end_order(f"{GONE:02}-order", OrderStatus.CANCELED)
    for _ in range(4):
        harness.cycle()
        harness.venue.hide_trades = None
        assert harness.queries.adjustments() == adjustments
        new = [row for row in harness.settlements() if row not in deltas]
        assert [(row["market_id"], row["subject"]) for row in new] == [(f"0x{GONE:02}", "open_orders")]
    assert_every_trade_is_booked_once(harness)
    assert closed(harness)[0] == {f"{GONE:02}-order"}


@pytest.mark.req("L-08", "L-01", "D-12")
@SHRUNKEN
def test_trades_that_stay_hidden_replace_what_was_inferred_in_their_place(build: Build, missing: Missing) -> None:
    """Hidden for longer than two looks, their shares are booked as unexplained; the trades then take their place."""
    harness = portfolio(build)
    our_trades(harness)
    harness.venue.hide_trades = missing
    harness.cycles(3)
    assert set(harness.shares().values()) == {110 * SHARE}
    harness.venue.hide_trades = None
    harness.cycles(3)
    assert_every_trade_is_booked_once(harness)
    held = [row for row in harness.queries.positions() if row["shares_micro"]]
    assert {row["cost_basis_micro"] for row in held} == {55 * SHARE}
