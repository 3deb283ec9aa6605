"""What a story tells of blocks: which may still be dropped, what a reorganisation took back, and what came again."""

from __future__ import annotations

from typing import Any

import pytest

from portfolio.entries import Cause
from portfolio.events import ChainDropped, ChainSeen
from portfolio.facts import TradeStatus
from portfolio.finality import Finality
from portfolio.story_lines import Kind, Line, Proof, taken_back
from portfolio.tail import ChainFact, DroppedBlock
from portfolio.views import CauseHint
from tests.unit.portfolio.markets import CONDITION, NO, SECOND, SHARE, T0, YES, leg
from tests.unit.portfolio.test_story import Heard, amounts, holding

SEEN, FINAL, DROPPED = Finality.SEEN, Finality.FINAL, Finality.DROPPED


def fact(cause: Cause, place: tuple[int, int, str], cash: int, order_id: str = "", **legs: int) -> ChainFact:
    """``place`` is block, log and fork: the hash of a block has the last; a transaction is named after its cause."""
    block, log, fork = place
    transaction = f"0x{cause.value.lower()}"
    hint = CauseHint(
        cause=cause,
        condition_id=CONDITION,
        legs=tuple(legs.items()),
        cash_micro=cash,
        evidence=f"transaction {transaction}, log {log}, block {block}",
        logged_as=f"chain:{transaction}:{log}",
        at_ms=T0 + block * SECOND,
    )
    return ChainFact(
        hint=hint,
        order_id=order_id,
        transaction_hash=transaction,
        block_number=block,
        block_hash=f"0x{fork}{block}",
    )


def merge(block: int, fork: str = "a") -> ChainFact:
    return fact(Cause.POSITION_MERGED, (block, 3, fork), 4 * SHARE, yes=-4 * SHARE, no=-4 * SHARE)


def bought(block: int, fork: str = "a") -> ChainFact:
    """The purchase of order o1, as its log shows it."""
    return fact(Cause.EXTERNAL_BUY, (block, 9, fork), -3_900_000, "o1", yes=10 * SHARE)


def see(book: Heard, *facts: ChainFact, final_block: int = 0) -> None:
    book.wait(SECOND)
    book.tell(ChainSeen(facts=facts, final_block=final_block))


def drop(book: Heard, *facts: ChainFact) -> None:
    book.wait(SECOND)
    blocks = tuple(DroppedBlock(block_number=each.block_number, block_hash=each.block_hash) for each in facts)
    book.tell(ChainDropped(blocks=blocks))


def told(book: Heard, final_block: int = 0, **wanted: Any) -> list[Line]:
    """Lines with all of that, where blocks up to ``final_block`` are final."""
    lines = book.teller.story(final_block).lines
    return [line for line in lines if all(getattr(line, name) == it for name, it in wanted.items())]


@pytest.mark.req("X-04", "X-14", "R-31")
def test_a_change_may_be_undone_until_its_block_is_final() -> None:
    book = holding()
    see(book, merge(60))
    assert [line.finality for line in told(book, 59, cause="POSITION_MERGED")] == [SEEN, SEEN]
    assert [line.finality for line in told(book, 60, cause="POSITION_MERGED")] == [FINAL, FINAL]


@pytest.mark.req("X-04", "X-14", "R-31")
def test_what_the_books_no_longer_undo_is_final_whatever_is_known_of_the_chain() -> None:
    book = holding()
    see(book, merge(60))
    see(book, fact(Cause.EXTERNAL_SALE, (70, 5, "a"), SHARE, yes=-SHARE), final_block=65)
    assert {line.finality for line in told(book, cause="POSITION_MERGED")} == {FINAL}
    assert {line.finality for line in told(book, cause="EXTERNAL_SALE")} == {SEEN}


@pytest.mark.req("X-04", "X-14", "R-10")
def test_a_trade_in_no_block_has_no_finality() -> None:
    book = holding(transaction_hash="0xbought")
    book.see(leg("f", 2 * SHARE, transaction_hash="0xsent"), leg("g", SHARE))
    assert {line.finality for line in told(book, trade_id="f")} == {None}
    book.see(leg("f", 2 * SHARE, status=TradeStatus.FAILED, transaction_hash="0xreverted"))
    assert {line.finality for line in told(book, trade_id="f")} == {None}
    assert {line.finality for line in told(book, trade_id="g")} == {None}
    assert {line.finality for line in told(book, transaction_hash="0xbought")} == {FINAL}, "a balance has shown it"


@pytest.mark.req("X-04", "X-01", "R-31", "D-02")
def test_a_merge_of_a_dropped_block_is_taken_back_with_its_transaction_and_comes_again() -> None:
    book = holding()
    first, again = merge(60), merge(61, fork="b")
    see(book, first)
    drop(book, first)

    for line in told(book, kind=Kind.RESTATEMENT):
        assert (line.cause, line.proof, line.transaction_hash) == ("REORGANISED", Proof.BOOKS, "0xposition_merged")
        assert (line.log_index, line.block_number, line.finality) == (3, 60, DROPPED)
        assert line.evidence == "block 60 (0xa60) was dropped by the chain"
        assert (line.shares_micro, line.shares_after_micro) == (4 * SHARE, 10 * SHARE)
    assert [line.token_id for line in told(book, kind=Kind.RESTATEMENT)] == [NO, YES]
    assert {(line.superseded, line.finality) for line in told(book, cause="POSITION_MERGED")} == {(True, DROPPED)}

    see(book, again)
    merged = told(book, 60, cause="POSITION_MERGED", token_id=YES)
    assert [(line.superseded, line.block_number, line.finality) for line in merged] == [
        (True, 60, DROPPED),
        (False, 61, SEEN),
    ]
    assert len({line.entry_id for line in merged}) == 2
    assert book.story().totals[YES].shares_micro == 6 * SHARE


@pytest.mark.req("X-04", "X-01", "R-31")
def test_a_transaction_that_comes_back_under_its_number_is_no_dropped_one() -> None:
    book = holding()
    first, again = merge(60), merge(60, fork="b")
    see(book, first)
    drop(book, first)
    see(book, again)
    assert [line.finality for line in told(book, cause="POSITION_MERGED", token_id=YES)] == [DROPPED, SEEN]
    assert told(book, 60, cause="POSITION_MERGED", token_id=YES)[1].finality is FINAL


@pytest.mark.req("X-04", "X-01", "R-31", "R-11")
def test_a_fill_of_a_dropped_block_is_in_flight_again_until_another_has_it() -> None:
    book = Heard()
    book.see(leg())
    first, again = bought(60), bought(62, fork="b")
    see(book, first)
    drop(book, first)

    fill, settled, paid, unsettled, back = book.teller.story().lines
    assert (fill.kind, settled.kind, paid.kind) == (Kind.FILL, Kind.SETTLED, Kind.RESTATEMENT)
    assert (fill.finality, settled.finality) == (None, DROPPED)
    assert (unsettled.kind, unsettled.cause, unsettled.proof) == (Kind.UNSETTLED, "OBSERVED", Proof.EXCHANGE)
    assert (unsettled.transaction_hash, unsettled.log_index, unsettled.block_number) == ("0xexternal_buy", 9, 60)
    assert unsettled.evidence == "block 60 (0xa60) was dropped by the chain"
    assert (unsettled.finality, back.finality, back.cause) == (DROPPED, DROPPED, "REORGANISED")
    assert amounts(unsettled) == (0, 0, 0, 0)
    assert (paid.cost_micro, back.cost_micro) == (-100_000, 100_000)
    assert book.story().totals[YES].cost_basis_micro == 4 * SHARE

    see(book, again)
    settled_again = told(book, 61, kind=Kind.SETTLED)
    assert [(line.block_number, line.finality) for line in settled_again] == [(60, DROPPED), (62, SEEN)]
    assert told(book, 61, kind=Kind.FILL)[0].block_number == 62
    assert [line.finality for line in told(book, 62, kind=Kind.FILL)] == [FINAL]


@pytest.mark.req("X-04", "X-01", "R-31")
def test_a_fill_that_moves_to_another_block_at_once_stands_on_that_one() -> None:
    """Its block was dropped, and the one that took its place is seen first."""
    book = Heard()
    book.see(leg())
    see(book, bought(60))
    see(book, bought(61, fork="b"))
    lines = [(line.kind, line.block_number, line.finality) for line in told(book, 60)]
    assert lines == [
        (Kind.FILL, 61, SEEN),
        (Kind.SETTLED, 60, DROPPED),
        (Kind.RESTATEMENT, 60, DROPPED),
        (Kind.UNSETTLED, 60, DROPPED),
        (Kind.SETTLED, 61, SEEN),
    ]
    assert book.story().totals[YES].cost_basis_micro == 3_900_000


@pytest.mark.req("X-04", "X-01", "R-31")
def test_a_fill_that_the_exchange_has_confirmed_stays_settled_and_is_told_with_both_of_its_blocks() -> None:
    book = Heard()
    book.see(leg())
    first, again = bought(60), bought(62, fork="b")
    see(book, first)
    book.see(leg(status=TradeStatus.CONFIRMED, updated_at_ms=T0 + SECOND))
    drop(book, first)
    see(book, again)

    lines = [line for line in told(book, 61) if line.kind is not Kind.RESTATEMENT]
    assert [(line.kind, line.cause, line.block_number, line.finality) for line in lines] == [
        (Kind.FILL, "OBSERVED", 62, SEEN),
        (Kind.SETTLED, "SETTLED", 60, DROPPED),
        (Kind.UNSETTLED, "SETTLED", 60, DROPPED),
        (Kind.SETTLED, "SETTLED", 62, SEEN),
    ]
    assert lines[2].evidence == "block 60 (0xa60) was dropped by the chain; it stays settled by the exchange's word"
    assert book.story().totals[YES].shares_micro == 10 * SHARE


@pytest.mark.req("X-04", "X-01", "R-31")
def test_where_a_block_with_a_fill_and_a_merge_is_dropped_the_merge_is_what_is_taken_back() -> None:
    book = holding()
    book.see(leg("late", order_id="o7", at_ms=T0 + 59 * SECOND))
    fill = fact(Cause.EXTERNAL_BUY, (60, 9, "a"), -4 * SHARE, "o7", yes=10 * SHARE)
    see(book, merge(60), fill)
    drop(book, merge(60), fill)
    assert {line.transaction_hash for line in told(book, cause="REORGANISED")} == {"0xposition_merged"}
    assert [line.transaction_hash for line in told(book, kind=Kind.UNSETTLED)] == ["0xexternal_buy"]


@pytest.mark.req("X-04", "X-01", "R-31")
def test_a_merge_that_moves_to_another_block_at_once_is_told_as_taken_back_and_booked_again() -> None:
    book = holding()
    see(book, merge(60))
    see(book, merge(61, fork="b"))
    lines = [(line.cause, line.block_number, line.finality) for line in told(book, 60, token_id=YES)]
    assert sorted(lines[1:], key=str) == [
        ("POSITION_MERGED", 60, DROPPED),
        ("POSITION_MERGED", 61, SEEN),
        ("REORGANISED", 60, DROPPED),
    ]
    assert book.story().totals[YES].shares_micro == 6 * SHARE


@pytest.mark.req("X-04", "X-14")
def test_what_was_undone_keeps_its_words_where_its_log_is_not_known() -> None:
    line = Line(
        seq=1,
        booked_at_ms=2,
        happened_at_ms=2,
        kind=Kind.RESTATEMENT,
        cause="REORGANISED",
        evidence="block 5 (0xb5) was dropped by the chain",
    )
    assert taken_back(line, None) == line
