"""The operator's backfill: trades from before the cursor are found, booked once, and counted when durable (L-17)."""

from __future__ import annotations

import msgspec
import pytest

from messages.control import Backfill, BackfillDone
from messages.reads import ReadMarkets, ReadTrades
from portfolio.facts import FailureKind, Side
from tests.support.moves import FOREIGN_KEY, Deal, trade
from tests.support.system import INTERVAL_MS, Build, Harness
from tests.unit.actors.worlds import INGEST, MARKET, SHARE, Poison, cursor_s, now_s, running, seen_first, states

AGE_MS = 300_000
OLD = Deal(token_id="0xa-no", size=10 * SHARE, price=400_000)
OTHER = Deal(token_id="0xb-no", size=10 * SHARE, price=400_000)


def missed(build: Build) -> Harness:
    """Two trades were never shown, and the cursor is far past them; their shares were taken for drift."""
    harness = running(build(), "0xa", "0xb")
    trade(harness.venue, "old-a", OLD)
    trade(harness.venue, "old-b", OTHER)
    harness.venue.hide_trades = lambda name: name.startswith("old")
    harness.runtime.run_for(AGE_MS)
    trade(harness.venue, "new", Deal(token_id="0xa-yes", size=SHARE, price=500_000))
    harness.runtime.run_for(2 * INTERVAL_MS)
    harness.venue.hide_trades = None
    harness.runtime.run_for(2 * INTERVAL_MS)
    assert seen_first(harness) == {"new": "poll"}
    return harness


def backfill(harness: Harness, name: str = "b", *, since_s: int = 0, condition_id: str = "") -> BackfillDone:
    """Ask for a backfill and wait for its counts."""
    command = Backfill(request_id=name, since_s=since_s, condition_id=condition_id)
    assert harness.ask(command, INGEST) == (True, "")
    return msgspec.json.decode(harness.answers.given[name][2], type=BackfillDone)


@pytest.mark.req("L-01", "L-17", "D-12")
def test_trades_from_before_the_cursor_are_found_and_take_the_place_of_what_was_taken_for_drift(build: Build) -> None:
    harness = missed(build)
    before = cursor_s(harness)
    done = backfill(harness)
    assert done == BackfillDone(trades=3, pages=1, legs=3, new_legs=2, unresolved=())
    assert seen_first(harness) == {"old-a": "backfill", "old-b": "backfill", "new": "poll"}
    assert cursor_s(harness) == before
    rows = {row["token_id"]: row for row in harness.queries.positions()}
    assert (rows["0xa-no"]["shares_micro"], rows["0xa-no"]["cost_basis_micro"]) == (10 * SHARE, 4 * SHARE)
    harness.runtime.run_for(INTERVAL_MS)
    assert harness.shares() == harness.venue.balances
    assert harness.cycle().delta_count == 0


@pytest.mark.req("L-17", "D-18", "D-21")
def test_the_answer_comes_when_what_was_found_is_on_disk_and_not_before(build: Build) -> None:
    harness = missed(build)
    harness.post.tell(INGEST, Backfill(request_id="b", since_s=0))
    while "b" not in harness.answers.given:
        assert harness.runtime.step()
    assert set(states(harness)) == {"old-a", "old-b", "new"}


@pytest.mark.req("L-17")
def test_only_the_market_and_the_time_that_are_asked_for_are_read(build: Build) -> None:
    harness = missed(build)
    done = backfill(harness, condition_id="0xb")
    assert (done.trades, done.new_legs) == (1, 1)
    assert set(states(harness)) == {"old-b", "new"}
    assert harness.venue.asked[-1] == ReadTrades(wallet="main", after_s=0, condition_id="0xb")
    done = backfill(harness, "later", since_s=now_s(harness) - 200)
    assert (done.trades, done.new_legs) == (1, 0)
    assert harness.venue.asked[-1] == ReadTrades(wallet="main", after_s=now_s(harness) - 200)


@pytest.mark.req("L-17", "D-21")
def test_the_backfill_of_one_market_moves_no_cursor_past_the_trades_of_another(build: Build) -> None:
    harness = running(build(), "0xa", "0xb")
    trade(harness.venue, "of another", OTHER)
    harness.runtime.run_for(INTERVAL_MS - 1)
    trade(harness.venue, "of this one", OLD)
    assert backfill(harness, condition_id="0xa").new_legs == 1
    assert (set(states(harness)), cursor_s(harness)) == ({"of this one"}, 0)
    harness.cycle()
    assert set(states(harness)) == {"of this one", "of another"}
    assert cursor_s(harness) > 0


@pytest.mark.req("L-17", "L-19")
def test_a_backfill_that_is_repeated_finds_nothing_new_and_changes_nothing(build: Build) -> None:
    harness = missed(build)
    backfill(harness)
    harness.runtime.run_for(INTERVAL_MS)
    before = len(harness.journal())
    again = backfill(harness, "again")
    assert (again.legs, again.new_legs) == (3, 0)
    harness.restart()
    backfill(harness, "after a restart")
    assert [entry.kind for entry in harness.journal()[before:]] == ["cycle_closed"]


@pytest.mark.req("L-17", "R-21")
def test_trades_of_others_count_as_trades_and_not_as_legs(build: Build) -> None:
    harness = running(build())
    made = trade(harness.venue, "stranger", Deal(token_id="0xa-yes", size=SHARE, price=500_000, settled=False))
    harness.venue.trades = [msgspec.structs.replace(made, maker_address="0x00", owner="key-of-a-stranger")]
    foreign = Deal(token_id="0xa-no", size=SHARE, price=500_000, owner=FOREIGN_KEY)
    trade(harness.venue, "by another key", foreign)
    done = backfill(harness)
    assert (done.trades, done.legs, done.new_legs) == (2, 1, 1)
    (row,) = harness.queries.fills()
    assert (row["trade_id"], row["external"]) == ("by another key", True)


@pytest.mark.req("L-17", "S-11")
@pytest.mark.parametrize("how", ["failed", "partial"])
def test_a_backfill_that_could_not_read_says_so_and_books_nothing(build: Build, how: str) -> None:
    harness = missed(build)
    if how == "failed":
        harness.venue.failing = {ReadTrades: FailureKind.THROTTLED}
        sentence = "clob.trades throttled: scripted"
    else:
        harness.venue.partial = {ReadTrades}
        sentence = "trades are PARTIAL: scripted"
    assert harness.ask(Backfill(request_id="b", since_s=0), INGEST) == (False, sentence)
    assert set(states(harness)) == {"new"}


@pytest.mark.req("L-17", "D-21")
@pytest.mark.parametrize("how", ["the source lacks it", "the source is down"])
def test_conditions_without_metadata_are_named_and_their_trades_come_later(build: Build, how: str) -> None:
    harness = running(build())
    if how == "the source is down":
        harness.venue.add_market("0xnew")
        harness.venue.failing = {ReadMarkets: FailureKind.UNREACHABLE}
    trade(harness.venue, "new", Deal(token_id="0xnew-yes", size=SHARE, price=500_000))
    trade(harness.venue, "known", OLD)
    done = backfill(harness)
    assert (done.trades, done.legs, done.new_legs, done.unresolved) == (2, 2, 1, ("0xnew",))
    assert set(states(harness)) == {"known"}
    harness.venue.failing = {}
    harness.venue.add_market("0xnew")
    assert backfill(harness, "again").unresolved == ()
    assert set(states(harness)) == {"known", "new"}


@pytest.mark.req("L-12", "D-21")
def test_a_backfill_during_which_a_market_was_restarted_is_not_confirmed(build: Build) -> None:
    harness = missed(build)
    harness.crashes_expected = True
    harness.post.tell(MARKET, Poison())
    ok, detail = harness.ask(Backfill(request_id="b", since_s=0), INGEST)
    assert (ok, "ask again" in detail) == (False, True)
    backfill(harness, "again")
    assert set(states(harness)) == {"old-a", "old-b", "new"}


@pytest.mark.req("D-18")
def test_a_backfill_that_the_disk_refused_is_never_confirmed(build: Build) -> None:
    harness = missed(build)
    harness.lose_disk()
    harness.post.tell(INGEST, Backfill(request_id="b", since_s=0))
    harness.runtime.run_until_idle()
    assert (harness.answers.given, len(harness.escalated)) == ({}, 1)


@pytest.mark.req("L-17", "R-23")
def test_history_from_before_the_opening_is_recognised_as_such(build: Build) -> None:
    """What was bought and sold before the first cycle is in its balance: it is kept, and counts for nothing."""
    harness = build()
    harness.venue.add_market("0xa")
    for number, side in enumerate((Side.BUY, Side.BUY, Side.SELL)):
        deal = Deal(token_id="0xa-yes", size=SHARE, price=500_000, side=side, age_ms=AGE_MS)
        trade(harness.venue, f"trade-{number}", deal)
    harness.venue.hide_trades = lambda _: True
    harness.start()
    harness.venue.hide_trades = None
    harness.clock.advance_to(harness.clock.now_ms() + AGE_MS)
    assert backfill(harness).new_legs == 3
    assert set(states(harness).values()) == {"SUPERSEDED"}
    assert harness.shares() == {"0xa-yes": SHARE}
    assert harness.cycle().delta_count == 0
