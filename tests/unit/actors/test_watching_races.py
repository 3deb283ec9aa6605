"""Reorganisations, crashes, late answers while the chain is followed: nothing is lost, nothing counts twice (X-01)."""

from __future__ import annotations

import pytest

from messages.addresses import WATCHER
from messages.following import BlockPassed, LogsOverdue
from messages.reads import ReadBalances, ReadLogs, ReadMarkets, ReadOpenOrders
from portfolio.facts import FailureKind
from tests.support.moves import move
from tests.support.onchain import BOOK, again, deposited, merged, reorganise, transferred
from tests.support.system import FOLLOW_MS, INTERVAL_MS, Build, Harness
from tests.unit.actors.worlds import COORDINATOR, MARKET, SHARE, Poison, issues, running

WAIT_MS = 5_000
"""How long a cycle waits for the watcher."""


def started(build: Build) -> Harness:
    """A system that follows the chain."""
    harness = build(book=BOOK)
    move(harness.venue, "0xa-no", 100 * SHARE)
    running(harness)
    harness.runtime.run_for(FOLLOW_MS)
    return harness


def look(harness: Harness) -> None:
    """The watcher's next look, and the cycle that it may bring."""
    harness.runtime.run_for(FOLLOW_MS)


def crash(harness: Harness, *addresses: str) -> None:
    """These actors die and come back; nothing else happens."""
    harness.crashes_expected = True
    for address in addresses:
        harness.post.tell(address, Poison())  # type: ignore[arg-type]
        harness.runtime.run_until_idle()


def entries(harness: Harness) -> dict[str, int]:
    """Signed shares by cause, the opening left out."""
    found: dict[str, int] = {}
    for row in harness.queries.adjustments():
        if row["cause"] != "OPENING":
            found[row["cause"]] = found.get(row["cause"], 0) + row["size_micro"]
    return found


def agrees(harness: Harness) -> bool:
    """Whether the books are the chain's, and the next cycles find nothing to correct."""
    clean = [(report.delta_count, report.pending_count, report.cash_unexplained_micro) for report in harness.cycles(2)]
    held = {token_id: shares for token_id, shares in harness.venue.balances.items() if shares}
    return (harness.shares(), clean) == (held, [(0, 0, 0)] * 2)


# -- reorganisations ---------------------------------------------------------------------------------------------------


@pytest.mark.req("X-01", "X-14", "D-02", "R-25")
def test_an_entry_whose_block_is_dropped_for_good_is_taken_back_once_and_stated(build: Build) -> None:
    harness = started(build)
    block = transferred(harness.venue, "0xt", "0xa-yes", -7 * SHARE).block_number
    look(harness)
    reorganise(harness.venue, block)
    cycles = len(harness.metrics.reports)
    look(harness)
    assert len(harness.metrics.reports) == cycles + 1, "one that looks at what is left"
    assert entries(harness) == {"TRANSFER_OUT": -7 * SHARE, "REORGANISED": 7 * SHARE}
    assert len(issues(harness, "CHAIN_REORGANISED")) == 1
    harness.cycles(2)
    causes = [row["cause"] for row in harness.settlements() if row["subject"] == "position"]
    assert causes == ["OPENING", "TRANSFER_OUT", "REORGANISED"]
    assert agrees(harness)


@pytest.mark.req("X-01", "X-14")
def test_a_change_that_comes_again_in_another_block_counts_once(build: Build) -> None:
    harness = started(build)
    merge = merged(harness.venue, "0xm", 40 * SHARE)
    transferred(harness.venue, "0xt", "0xa-yes", -7 * SHARE)
    look(harness)
    for one in reversed(reorganise(harness.venue, merge.block_number)):
        again(harness.venue, one)
    look(harness)
    look(harness)
    found = entries(harness)
    assert (found["TRANSFER_OUT"], found["POSITION_MERGED"], found["REORGANISED"]) == (
        -14 * SHARE,
        -160 * SHARE,
        87 * SHARE,
    )
    assert agrees(harness)


@pytest.mark.req("X-01", "X-14")
def test_what_a_new_block_has_at_a_lower_number_is_found_too(build: Build) -> None:
    """Two blocks are replaced, of which only the last was looked at."""
    harness = started(build)
    harness.venue.head_number = harness.venue.head + 2
    look(harness)
    low = harness.venue.head - 1
    reorganise(harness.venue, low)
    transferred(harness.venue, "0xt", "0xa-yes", -7 * SHARE, low)
    look(harness)
    assert entries(harness) == {"TRANSFER_OUT": -7 * SHARE}
    (row,) = (row for row in harness.queries.adjustments() if row["cause"] == "TRANSFER_OUT")
    assert row["evidence"].endswith(f"block {low}")
    assert agrees(harness)


@pytest.mark.req("X-01", "X-14", "L-17")
@pytest.mark.parametrize("crashed", [(WATCHER,), (COORDINATOR,), (WATCHER, COORDINATOR), (MARKET,), ()])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_reorganisation_around_a_crash_is_undone(build: Build, crashed: tuple[str, ...], when: str) -> None:
    """``()`` stands for the whole process."""
    harness = started(build)
    block = transferred(harness.venue, "0xt", "0xa-yes", -7 * SHARE).block_number
    look(harness)
    if when == "before":
        reorganise(harness.venue, block)
    if crashed:
        crash(harness, *crashed)
    else:
        harness.restart()
    if when == "after":
        harness.cycle()
        reorganise(harness.venue, block)
        look(harness)
    harness.cycle()
    assert entries(harness) == {"TRANSFER_OUT": -7 * SHARE, "REORGANISED": 7 * SHARE}
    assert agrees(harness)


@pytest.mark.req("X-01", "X-14", "L-17")
@pytest.mark.parametrize("crashed", [(WATCHER,), (COORDINATOR,), (WATCHER, COORDINATOR), ()])
def test_what_took_the_place_of_a_dropped_block_during_a_crash_is_found_with_its_proof(
    build: Build, crashed: tuple[str, ...]
) -> None:
    harness = started(build)
    transfer = transferred(harness.venue, "0xt", "0xa-yes", -7 * SHARE)
    look(harness)
    harness.cycle()
    lost = reorganise(harness.venue, transfer.block_number)
    again(harness.venue, lost[0])
    block = harness.venue.head
    if crashed:
        crash(harness, *crashed)
    else:
        harness.restart()
    harness.cycles(2)
    assert entries(harness) == {"TRANSFER_OUT": -14 * SHARE, "REORGANISED": 7 * SHARE}
    proofs = {row["evidence"] for row in harness.queries.adjustments() if row["cause"] == "TRANSFER_OUT"}
    assert f"transaction 0xt, log 10, block {block}" in proofs
    assert agrees(harness)


@pytest.mark.req("X-10", "X-14")
def test_a_deposit_that_comes_again_in_another_block_is_carried_once(build: Build) -> None:
    harness = started(build)
    deposit = deposited(harness.venue, "0xd", 650 * SHARE)
    harness.cycle()
    lost = reorganise(harness.venue, deposit.block_number)
    again(harness.venue, lost[0], deposit.block_number + 1)
    assert [report.cash_unexplained_micro for report in harness.cycles(3)] == [0] * 3
    (moved,) = (row for row in harness.queries.issues() if row["type"] == "CASH_MOVED")
    assert moved["cause"].startswith("DEPOSIT: ")


@pytest.mark.req("X-01", "X-14")
def test_a_change_in_the_block_of_a_cycle_that_was_replaced_meanwhile_keeps_its_proof(build: Build) -> None:
    """The cycle compared a block that is no more; what took its place is not behind the next one's."""
    harness = started(build)
    harness.venue.held.add(ReadLogs)
    harness.cycle()
    first = harness.venue.head
    reorganise(harness.venue, first)
    transferred(harness.venue, "0xt", "0xa-yes", -7 * SHARE, first)
    harness.venue.release()
    harness.runtime.run_until_idle()
    harness.cycles(2)
    (row,) = (row for row in harness.queries.adjustments() if row["cause"] == "TRANSFER_OUT")
    assert row["evidence"] == f"transaction 0xt, log 10, block {first}"
    assert agrees(harness)


# -- waiting -----------------------------------------------------------------------------------------------------------


@pytest.mark.req("X-01", "D-11", "S-15", "R-05")
def test_a_cycle_waits_for_the_watcher_so_long_and_says_that_it_went_on_without(build: Build) -> None:
    harness = started(build)
    merged(harness.venue, "0xm", 40 * SHARE)
    harness.venue.held.add(ReadLogs)
    cycles = len(harness.metrics.reports)
    harness.cycle()
    harness.runtime.run_for(WAIT_MS - 1)
    assert len(harness.metrics.reports) == cycles
    harness.runtime.run_for(1)
    (report,) = harness.metrics.reports[cycles:]
    sentence = f"chain.logs: they were not followed up to the cycle's block within {WAIT_MS} ms; causes are inferred"
    assert (report.status.value, sentence in report.reasons) == ("ok", True)
    harness.venue.release()
    harness.runtime.run_until_idle()
    harness.cycles(2)
    assert entries(harness) == {"POSITION_MERGED": -80 * SHARE}
    assert agrees(harness)


@pytest.mark.req("X-01", "D-11")
def test_late_words_of_an_earlier_cycle_move_no_other_one(build: Build) -> None:
    harness = started(build)
    harness.venue.held.add(ReadOpenOrders)
    harness.cycle()
    running_cycle = harness.actor(COORDINATOR)._cycle
    stage = running_cycle.stage
    for late in (BlockPassed(wallet="main", cycle_id="main-1", certificate=None), LogsOverdue(cycle_id="main-1")):
        harness.post.tell(COORDINATOR, late)
    harness.runtime.run_until_idle()
    assert (running_cycle.stage, running_cycle.notes) == (stage, [])
    harness.venue.release()
    harness.runtime.run_until_idle()
    assert harness.metrics.reports[-1].reasons == ()


@pytest.mark.req("X-01", "D-11", "S-01")
def test_a_cycle_whose_deadline_passes_while_it_waits_is_not_taken_up_again_by_the_watchers_word(build: Build) -> None:
    harness = started(build)
    harness.venue.held.update({ReadLogs, ReadOpenOrders})
    harness.cycle()
    harness.runtime.run_for(INTERVAL_MS)
    cycles = len(harness.metrics.reports)
    assert harness.metrics.reports[-1].status.value == "stale"
    harness.venue.release()
    harness.runtime.run_until_idle()
    assert len(harness.metrics.reports) <= cycles + 1
    assert agrees(harness)


@pytest.mark.req("X-01", "R-01")
def test_the_chain_is_followed_between_cycles_that_cannot_read_balances(build: Build) -> None:
    harness = started(build)
    harness.venue.failing[ReadBalances] = FailureKind.TIMEOUT
    transferred(harness.venue, "0xt", "0xa-yes", -7 * SHARE)
    look(harness)
    assert entries(harness) == {"TRANSFER_OUT": -7 * SHARE}


@pytest.mark.req("X-01", "D-01", "R-13")
def test_metadata_that_could_not_be_read_is_asked_for_again_and_the_proof_is_kept(build: Build) -> None:
    harness = started(build)
    harness.venue.add_market("0xnew")
    harness.venue.hide_positions = lambda token_id: token_id == "0xnew-yes"
    harness.venue.failing[ReadMarkets] = FailureKind.TIMEOUT
    transferred(harness.venue, "0xt", "0xnew-yes", 7 * SHARE)
    look(harness)
    harness.venue.failing.clear()
    harness.runtime.run_for(2 * INTERVAL_MS)
    assert entries(harness) == {"TRANSFER_IN": 7 * SHARE}
    assert agrees(harness)
