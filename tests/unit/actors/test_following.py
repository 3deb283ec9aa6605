"""The cycle and the chain's logs: which blocks it asks for, what it makes of them, and what it does without (X-01)."""

from __future__ import annotations

from typing import Any

import pytest

from messages.addresses import WATCHER
from messages.reads import ReadBalances, ReadLogs
from portfolio.facts import FailureKind
from tests.support.moves import move
from tests.support.onchain import BOOK, deposited, merged
from tests.support.system import Build, Harness
from tests.unit.actors.worlds import SHARE, Poison, running


def started(build: Build, **options: Any) -> Harness:
    """A system that follows logs, with a hundred of each outcome."""
    harness = build(book=BOOK, **options)
    move(harness.venue, "0xa-no", 100 * SHARE)
    return running(harness)


def begins(harness: Harness) -> list[int]:
    """The blocks from which on logs were asked for, each time up to the head."""
    reads = [read for read in harness.venue.asked if isinstance(read, ReadLogs)]
    assert all(read.to_block is None for read in reads)
    return [read.from_block for read in reads]


def adjustments(harness: Harness) -> list[tuple[str, int, str]]:
    """Cause, shares and evidence of what is no opening."""
    rows = harness.queries.adjustments()
    return [(row["cause"], row["size_micro"], row["evidence"]) for row in rows if row["cause"] != "OPENING"]


@pytest.mark.req("X-01", "L-14")
def test_a_merge_is_booked_in_the_cycle_that_finds_it_with_its_transaction(build: Build) -> None:
    harness = started(build)
    merged(harness.venue, "0xmerge", 40 * SHARE)
    report = harness.cycle()
    block = report.block_number
    assert (report.delta_count, report.pending_count, report.cash_unexplained_micro) == (1, 0, 0)
    evidence = f"transaction 0xmerge, log 11, block {block}"
    assert adjustments(harness) == [("POSITION_MERGED", -40 * SHARE, evidence)] * 2


@pytest.mark.req("X-01", "X-02")
def test_each_cycle_reads_the_logs_since_the_last_one_with_one_request(build: Build) -> None:
    harness = started(build)
    first = harness.metrics.reports[-1].block_number
    assert first is not None
    assert begins(harness) == [first + 1], "the first cycle opens the books; what is behind it is followed from now on"
    second, third = (harness.cycle().block_number for _ in range(2))
    assert (second, third) == (first + 1, first + 2)
    assert begins(harness) == [first + 1, second, third]


@pytest.mark.req("X-01", "R-05")
def test_while_a_difference_waits_its_blocks_are_read_again_by_a_watcher_that_knows_nothing(build: Build) -> None:
    harness = started(build)
    harness.crashes_expected = True
    first = harness.metrics.reports[-1].block_number
    assert first is not None
    move(harness.venue, "0xa-yes", -7 * SHARE)
    for pending, begin in ((1, first + 1), (0, first + 1), (0, first + 3)):
        harness.post.tell(WATCHER, Poison())
        harness.runtime.run_until_idle()
        assert harness.cycle().pending_count == pending
        assert begins(harness)[-1] == begin


@pytest.mark.req("X-01", "D-15")
def test_an_answer_that_stops_short_is_followed_by_the_next_until_the_pinned_block(build: Build) -> None:
    harness = started(build)
    harness.venue.logs_at_once = 3
    harness.venue.block_number += 7
    merged(harness.venue, "0xmerge", 40 * SHARE)
    begin = begins(harness)[0]
    report = harness.cycle()
    assert report.block_number == begin + 7
    assert begins(harness)[1:] == [begin, begin + 3, begin + 6]
    assert [cause for cause, _, _ in adjustments(harness)] == ["POSITION_MERGED"] * 2


@pytest.mark.req("R-05", "X-01", "S-12")
@pytest.mark.parametrize("how", ["refused", "partial"])
def test_without_logs_the_cause_is_inferred_and_the_report_says_so(build: Build, how: str) -> None:
    harness = started(build)
    if how == "refused":
        harness.venue.failing[ReadLogs] = FailureKind.REFUSED
    harness.venue.partial.update({ReadLogs} if how == "partial" else ())
    merged(harness.venue, "0xmerge", 40 * SHARE)
    reports = [harness.cycle(), harness.cycle()]
    assert [report.status.value for report in reports] == ["ok", "ok"]
    assert all(any("causes are inferred" in reason for reason in report.reasons) for report in reports)
    assert [cause for cause, _, _ in adjustments(harness)] == ["POSITION_MERGED"] * 2
    assert all("inferred" in evidence for _, _, evidence in adjustments(harness))


@pytest.mark.req("X-01", "X-14", "S-12")
def test_of_a_cycle_whose_block_was_replaced_the_report_says_so_and_the_next_look_finds_the_merge(build: Build) -> None:
    harness = started(build)
    harness.venue.logs_replaced = True
    merge = merged(harness.venue, "0xmerge", 40 * SHARE)
    report = harness.cycle()
    sentence = f"chain.logs: block {report.block_number} was replaced; causes are inferred"
    assert sentence in report.reasons
    evidence = f"transaction 0xmerge, log 11, block {merge.block_number}"
    assert adjustments(harness) == [("POSITION_MERGED", -40 * SHARE, evidence)] * 2
    harness.venue.logs_replaced = False
    assert (harness.cycle().delta_count, len(adjustments(harness))) == (0, 2)


@pytest.mark.req("X-10", "L-14")
def test_a_deposit_is_carried_at_once_with_its_proof(build: Build) -> None:
    harness = started(build)
    deposited(harness.venue, "0xpaid", 650 * SHARE)
    report = harness.cycle()
    assert (report.cash_unexplained_micro, harness.cycle().cash_unexplained_micro) == (0, 0)
    (issue,) = harness.queries.issues()
    assert (issue["type"], issue["cause"]) == (
        "CASH_MOVED",
        f"DEPOSIT: transaction 0xpaid, log 4, block {report.block_number}",
    )
    assert harness.sink.codes() == []


@pytest.mark.req("X-01", "L-17")
def test_after_a_restart_the_logs_since_the_last_comparison_are_read(build: Build) -> None:
    harness = started(build)
    last = harness.cycle().block_number
    harness.restart()
    assert last is not None
    assert begins(harness)[-1] == last + 1


@pytest.mark.req("R-01", "X-01")
def test_no_logs_are_asked_for_where_the_chain_does_not_answer(build: Build) -> None:
    harness = started(build)
    harness.venue.failing[ReadBalances] = FailureKind.TIMEOUT
    asked = len(begins(harness))
    harness.cycle()
    assert len(begins(harness)) == asked
