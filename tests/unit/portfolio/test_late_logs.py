"""Logs that could not be read while a balance showed what they tell: what was inferred gives way (D-12, L-14)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from portfolio.entries import Cause
from portfolio.outcomes import AdjustmentRow, IssueRow
from portfolio.tail import ChainFact
from tests.unit.portfolio.chain_facts import ChainBook, balances, fact, filled, holding, moved
from tests.unit.portfolio.markets import MINUTE, NO, SHARE, YES, data_row

SPLIT = fact(Cause.POSITION_SPLIT, -4 * SHARE, {YES: 4 * SHARE, NO: 4 * SHARE})
SENT = moved(Cause.TRANSFER_OUT, 0, no=-4 * SHARE)
CAME = fact(Cause.TRANSFER_IN, 0, {YES: 2 * SHARE}, tx="0xc", block=51)


def kept(*facts: ChainFact) -> tuple[ChainFact, ...]:
    """As they come when a cycle has compared behind them already."""
    return tuple(replace(one, kept=True) for one in facts)


def shown(yes: int, no: int = 10) -> ChainBook:
    """Two cycles without logs have booked what the balances show."""
    book = holding()
    for block in (52, 53):
        book.now_ms += MINUTE
        book.look(balances(block, yes=yes, no=no))
    return book


def names(book: ChainBook) -> list[str]:
    return sorted(entry.entry_id for entry in book.entries())


@pytest.mark.req("D-12", "L-14", "X-01")
@pytest.mark.parametrize("how", [kept, lambda *facts: facts])
def test_an_inferred_change_gives_way_to_its_log(how: Any) -> None:
    book = shown(yes=12)
    (guess,) = book.entries()
    assert guess.estimated
    book.chain(*how(CAME))
    assert (names(book), book.shares()) == ([CAME.hint.logged_as], 12 * SHARE)
    assert book.last(IssueRow) == (), "it was reported when it was inferred"


@pytest.mark.req("D-12", "L-14", "R-21")
def test_so_does_what_stands_for_the_sum_of_several_logs_of_whatever_kind() -> None:
    book = shown(yes=15)
    bought = filled(9 * SHARE, 3_600_000, order_id="0xb", tx="0xd", log=1)
    gone = moved(Cause.TRANSFER_OUT, 0, yes=-6 * SHARE)
    book.chain(*kept(bought, gone, CAME))
    assert names(book) == sorted(one.hint.logged_as for one in (bought, gone, CAME))
    assert (book.shares(), book.state.unasked_orders) == (15 * SHARE, ("0xb",))


@pytest.mark.req("D-12", "L-14")
def test_legs_that_hang_together_give_way_together_and_one_may_have_left_no_trace() -> None:
    book = shown(yes=14)
    book.chain(*kept(SPLIT, SENT))
    assert names(book) == sorted(one.hint.logged_as for one in (SPLIT, SENT))
    assert (book.shares(), book.shares(NO)) == (14 * SHARE, 10 * SHARE)
    assert book.position().cost_basis_micro == 4_000_000 + 2_000_000, "a split's cost, not a mark"


@pytest.mark.req("D-12", "L-14")
def test_of_what_no_entry_stands_for_yet_the_first_logs_are_taken_and_the_rest_is_the_cycles() -> None:
    book = shown(yes=12)
    later = fact(Cause.TRANSFER_IN, 0, {YES: SHARE}, tx="0xe", block=54)
    book.chain(*kept(CAME, later))
    assert (names(book), book.shares()) == ([CAME.hint.logged_as], 12 * SHARE)
    book.look(balances(55, yes=13), hints=(later.hint,))
    assert book.shares() == 13 * SHARE


@pytest.mark.req("D-12", "L-14")
def test_logs_that_say_something_else_leave_what_was_inferred() -> None:
    book = shown(yes=13)
    before = book.entries()
    book.chain(*kept(CAME))
    assert (book.entries(), book.shares()) == (before, 13 * SHARE)


@pytest.mark.req("R-23", "D-12")
def test_an_opening_is_no_inference_and_neither_is_what_is_older_than_the_log() -> None:
    book = holding()
    book.chain(*kept(fact(Cause.TRANSFER_IN, 0, {YES: 10 * SHARE})))
    assert names(book) == []
    book = shown(yes=12)
    entries = book.entries()
    book.chain(*kept(fact(Cause.TRANSFER_IN, 0, {YES: 2 * SHARE}, block=70)))
    assert book.entries() == entries


@pytest.mark.req("D-12", "D-13", "R-01")
def test_what_the_data_api_rounded_is_the_logs_to_the_unit_afterwards() -> None:
    book = holding()
    for _ in range(2):
        book.now_ms += MINUTE
        book.look(stand_in=(data_row(YES, 12 * SHARE + 60),))
    book.chain(*kept(CAME))
    assert (names(book), book.shares()) == ([CAME.hint.logged_as], 12 * SHARE)


@pytest.mark.req("X-01", "X-14")
def test_what_took_an_inferences_place_is_undone_with_its_block() -> None:
    book = shown(yes=12)
    book.chain(*kept(CAME))
    book.drop(CAME)
    assert (book.entries(), book.shares()) == ((), 10 * SHARE)


@pytest.mark.req("D-12", "L-14")
def test_of_very_many_only_all_are_held_against_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portfolio.late_logs.PAIRS_MAX", 1)
    more = fact(Cause.TRANSFER_IN, 0, {YES: SHARE}, tx="0xe", block=51, log=9)
    for yes, expected in ((13, [True, True]), (12, [False])):
        book = shown(yes=yes)
        book.chain(*kept(CAME, more))
        assert book.shares() == yes * SHARE
        assert [name.startswith("chain:") for name in names(book)] == expected


@pytest.mark.req("X-14", "X-01", "L-14")
def test_what_was_undone_and_is_back_waits_for_a_comparison_however_final_its_block_is() -> None:
    """Its block was dropped and came back while nothing was compared; until when logs are needed was told wrongly."""
    book = holding()
    book.chain(CAME)
    book.look(balances(52, yes=12))
    book.drop(CAME)
    book.chain(*kept(CAME))
    book.chain(final=60)
    book.chain(*kept(CAME), final=60)
    assert [held.booked_as for held in book.state.tail] == [""]
    book.look(balances(61, yes=12))
    assert ([entry.entry_id for entry in book.entries()], book.shares()) == ([f"{CAME.hint.logged_as}#2"], 12 * SHARE)


@pytest.mark.req("X-01", "R-31")
def test_what_a_comparison_finds_in_the_books_is_held_no_longer() -> None:
    book = holding()
    book.chain(*kept(SPLIT))
    for block, left in ((49, 1), (53, 0)):
        book.look(balances(block))
        assert len(book.state.tail) == left


@pytest.mark.req("D-12", "L-14")
def test_one_log_explains_what_two_comparisons_found_a_part_of_each() -> None:
    """The other leg's market was not known to the first one."""
    book = shown(yes=10, no=14)
    book.look(balances(54, yes=14, no=14))
    book.chain(*kept(SPLIT))
    assert len(names(book)) == 1, "half of it"
    book.look(balances(55, yes=14, no=14))
    assert (names(book), book.state.pending) == ([SPLIT.hint.logged_as], {})
    assert (book.shares(), book.shares(NO), book.position().cost_basis_micro) == (14 * SHARE, 14 * SHARE, 6_000_000)


@pytest.mark.req("D-12", "D-13", "R-01", "R-21")
def test_a_log_that_waits_for_its_trade_explains_what_the_data_api_shows_instead_of_the_chain() -> None:
    book = holding()
    bought = filled(order_id="0xb")
    book.chain(bought)
    for _ in range(2):
        book.now_ms += MINUTE
        book.look(stand_in=(data_row(YES, 13 * SHARE),))
    assert (names(book), book.shares()) == ([bought.hint.logged_as], 13 * SHARE)
    assert book.state.unasked_orders == ("0xb",)


@pytest.mark.req("D-12", "L-13")
def test_what_a_balance_showed_to_the_unit_is_no_other_figure_that_is_near_it() -> None:
    book = shown(yes=12)
    book.chain(*kept(fact(Cause.TRANSFER_IN, 0, {YES: 2 * SHARE - 46}, tx="0xd", block=51)))
    assert book.shares() == 12 * SHARE
    book.chain(fact(Cause.TRANSFER_IN, 0, {YES: 2 * SHARE - 46}, tx="0xe", block=51, log=9))
    assert book.shares() == 14 * SHARE - 46


@pytest.mark.req("D-02", "L-14")
def test_what_the_log_changes_of_earlier_numbers_is_stated_with_the_log_as_its_evidence() -> None:
    book = shown(yes=10, no=14)
    book.look(balances(54, yes=14, no=14))
    book.chain(*kept(SPLIT))
    book.look(balances(55, yes=14, no=14))
    stated = [row for row in book.all(AdjustmentRow) if row.cause is Cause.RESTATED]
    assert stated
    assert {row.evidence for row in stated} == {SPLIT.hint.evidence}
