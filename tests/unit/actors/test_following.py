"""The cycle and the chain's logs: which blocks it asks for, what it makes of them, and what it does without (X-01)."""

from __future__ import annotations

from typing import Any

import pytest

from messages.reads import ReadBalances, ReadLogs
from portfolio.chain import ChainTransaction, CollateralTransfer, PositionsMerged, TokenTransfer
from portfolio.facts import FailureKind
from portfolio.labelling_book import NOBODY, TokenBook
from tests.support.system import Build, Harness
from tests.support.venue import CONTRACT, FUNDER
from tests.unit.actors.worlds import SHARE, running

ADAPTER, PUSD = "0xad", "0xc0"
BOOK = TokenBook(protocol=frozenset({ADAPTER, PUSD, CONTRACT}))


def merged(harness: Harness, shares: int, *, log: int = 1) -> None:
    """The wallet merges in 0xa within the block that the next cycle pins."""
    _moved(harness, "0xa-yes", -shares)
    _moved(harness, "0xa-no", -shares)
    harness.venue.cash_micro += shares
    gone: dict[str, Any] = {"contract": CONTRACT, "operator": ADAPTER, "sender": FUNDER.lower(), "receiver": ADAPTER}
    harness.venue.transactions.append(
        ChainTransaction(
            transaction_hash=f"0xmerge{log}",
            block_number=harness.venue.block_number + 1,
            block_hash="0xb",
            block_time_ms=harness.clock.now_ms(),
            logs=(
                TokenTransfer(log_index=log, token_id="0xa-yes", shares_micro=shares, **gone),
                TokenTransfer(log_index=log, part=1, token_id="0xa-no", shares_micro=shares, **gone),
                PositionsMerged(
                    log_index=log + 1,
                    contract=CONTRACT,
                    stakeholder=ADAPTER,
                    condition_id="0xa",
                    amount_micro=shares,
                ),
                _paid(log + 2, ADAPTER, FUNDER.lower(), shares),
            ),
            complete=True,
        )
    )


def _moved(harness: Harness, token_id: str, shares: int) -> None:
    harness.venue.balances[token_id] = harness.venue.balances.get(token_id, 0) + shares


def _paid(log_index: int, sender: str, receiver: str, amount: int) -> CollateralTransfer:
    return CollateralTransfer(
        log_index=log_index, contract=PUSD, bucket="pusd", sender=sender, receiver=receiver, amount_micro=amount
    )


def started(build: Build, **options: Any) -> Harness:
    """A system that follows logs, with a hundred of each outcome."""
    harness = build(book=BOOK, **options)
    _moved(harness, "0xa-no", 100 * SHARE)
    return running(harness)


def ranges(harness: Harness) -> list[tuple[int, int | None]]:
    """The blocks that were asked for."""
    return [(read.from_block, read.to_block) for read in harness.venue.asked if isinstance(read, ReadLogs)]


def adjustments(harness: Harness) -> list[tuple[str, int, str]]:
    """Cause, shares and evidence of what is no opening."""
    rows = harness.queries.adjustments()
    return [(row["cause"], row["size_micro"], row["evidence"]) for row in rows if row["cause"] != "OPENING"]


@pytest.mark.req("X-01", "L-14")
def test_a_merge_is_booked_in_the_cycle_that_finds_it_with_its_transaction(build: Build) -> None:
    harness = started(build)
    merged(harness, 40 * SHARE)
    report = harness.cycle()
    block = report.block_number
    assert (report.delta_count, report.pending_count, report.cash_unexplained_micro) == (1, 0, 0)
    evidence = f"transaction 0xmerge1, log 2, block {block}"
    assert adjustments(harness) == [("POSITION_MERGED", -40 * SHARE, evidence)] * 2


@pytest.mark.req("X-01", "X-02")
def test_each_cycle_reads_the_logs_since_the_last_one_with_one_request(build: Build) -> None:
    harness = started(build)
    first = harness.metrics.reports[-1].block_number
    assert first is not None
    assert ranges(harness) == [], "the first cycle opens the books; there is nothing before it"
    second, third = (harness.cycle().block_number for _ in range(2))
    assert second is not None
    assert ranges(harness) == [(first + 1, second), (second + 1, third)]


@pytest.mark.req("X-01", "R-05")
def test_while_a_difference_waits_its_blocks_are_read_again(build: Build) -> None:
    harness = started(build)
    first = harness.metrics.reports[-1].block_number
    _moved(harness, "0xa-yes", -7 * SHARE)
    for pending in (1, 0):
        assert harness.cycle().pending_count == pending
    harness.cycle()
    assert first is not None
    assert [begin for begin, _ in ranges(harness)] == [first + 1, first + 1, first + 3]


@pytest.mark.req("X-01", "D-15")
def test_an_answer_that_stops_short_is_followed_by_the_next_until_the_pinned_block(build: Build) -> None:
    harness = started(build)
    harness.venue.logs_at_once = 3
    harness.venue.block_number += 7
    merged(harness, 40 * SHARE)
    report = harness.cycle()
    begin, last = ranges(harness)[0][0], report.block_number
    assert ranges(harness) == [(begin, last), (begin + 3, last), (begin + 6, last)]
    assert [cause for cause, _, _ in adjustments(harness)] == ["POSITION_MERGED"] * 2


@pytest.mark.req("R-05", "X-01", "S-12")
@pytest.mark.parametrize("how", ["refused", "partial", "replaced"])
def test_without_logs_the_cause_is_inferred_and_the_report_says_so(build: Build, how: str) -> None:
    harness = started(build)
    if how == "refused":
        harness.venue.failing[ReadLogs] = FailureKind.REFUSED
    harness.venue.logs_replaced = how == "replaced"
    harness.venue.partial.update({ReadLogs} if how == "partial" else ())
    merged(harness, 40 * SHARE)
    reports = [harness.cycle(), harness.cycle()]
    assert [report.status.value for report in reports] == ["ok", "ok"]
    assert all(any("causes are inferred" in reason for reason in report.reasons) for report in reports)
    assert [cause for cause, _, _ in adjustments(harness)] == ["POSITION_MERGED"] * 2
    assert all("inferred" in evidence for _, _, evidence in adjustments(harness))


@pytest.mark.req("X-10", "L-14")
def test_a_deposit_is_carried_at_once_with_its_proof(build: Build) -> None:
    harness = started(build)
    harness.venue.cash_micro += 650 * SHARE
    harness.venue.transactions.append(
        ChainTransaction(
            transaction_hash="0xpaid",
            block_number=harness.venue.block_number + 1,
            block_hash="0xb",
            block_time_ms=harness.clock.now_ms(),
            logs=(_paid(4, NOBODY, FUNDER.lower(), 650 * SHARE),),
            complete=True,
        )
    )
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
    assert ranges(harness)[-1][0] == last + 1


@pytest.mark.req("R-01", "X-01")
def test_no_logs_are_asked_for_where_the_chain_does_not_answer(build: Build) -> None:
    harness = started(build)
    harness.venue.failing[ReadBalances] = FailureKind.TIMEOUT
    asked = len(ranges(harness))
    harness.cycle()
    assert len(ranges(harness)) == asked
