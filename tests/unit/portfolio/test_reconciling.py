"""A market against one view: what is applied at once, what waits for a second look, and what is only said."""

from __future__ import annotations

import pytest

from portfolio.entries import Carry, Cause, FillState
from portfolio.facts import DataPosition, Side, TradeStatus
from portfolio.outcomes import DeltaType, FillRow, IssueAction, IssueRow, PositionRow, Severity
from portfolio.reconciling import cost_hint, delta_type
from portfolio.views import ViewPolicy
from tests.unit.portfolio.markets import MINUTE, NO, SECOND, SHARE, T0, YES, Book, chain, data_row, leg

CONFIRMED = TradeStatus.CONFIRMED


@pytest.mark.req("L-19", "D-16")
def test_a_view_that_agrees_changes_nothing_and_says_nothing() -> None:
    book = Book()
    before = book.state
    result = book.look(chain(50, yes=0, no=0))
    assert book.state is before
    assert (book.step.rows, result.drift_micro, result.pending_count) == ((), 0, 0)


@pytest.mark.req("L-19")
def test_a_view_that_brings_nothing_changes_nothing() -> None:
    book = Book()
    before = book.state
    book.look()
    assert book.state is before


@pytest.mark.req("R-05", "D-12", "L-16")
def test_a_difference_waits_for_a_second_look_at_a_later_block() -> None:
    book = Book()
    result = book.look(chain(50, yes=10 * SHARE))
    assert (book.shares(), result.drift_micro) == (0, 0)
    assert (result.pending_count, result.pending_micro) == (1, 5 * SHARE)
    (issue,) = book.last(IssueRow)
    assert (issue.type, issue.severity, issue.action) == ("DIFFERENCE_PENDING", Severity.INFO, IssueAction.LOGGED)
    assert (issue.before, issue.after) == ("0.0", "10.0")
    result = book.look(chain(51, yes=10 * SHARE))
    assert (book.shares(), result.drift_micro, result.pending_count) == (10 * SHARE, 5 * SHARE, 0)
    assert book.state.pending == {}


@pytest.mark.req("R-05", "L-19")
def test_the_same_block_seen_again_is_no_second_look() -> None:
    book = Book()
    book.look(chain(50, yes=10 * SHARE))
    waiting = book.state
    for block in (50, 49):
        book.look(chain(block, yes=10 * SHARE))
        assert book.state is waiting


@pytest.mark.req("L-19")
@pytest.mark.parametrize("stand_in", [False, True])
def test_one_view_taken_twice_is_one_look(stand_in: bool) -> None:
    book = Book()
    for block in (50, 51):
        view = {"stand_in": (data_row(YES, 10 * SHARE),)} if stand_in else {"chain": chain(block, yes=10 * SHARE)}
        book.look(cycle_id="c1", **view)
    assert book.shares() == 0
    assert len(book.all(IssueRow)) == 1


@pytest.mark.req("R-05")
def test_a_difference_that_changes_between_the_looks_starts_anew() -> None:
    book = Book()
    for block, balance in ((50, 10), (51, 11)):
        book.look(chain(block, yes=balance * SHARE))
        assert book.shares() == 0
    book.look(chain(52, yes=11 * SHARE))
    assert book.shares() == 11 * SHARE


@pytest.mark.req("R-05", "L-16")
def test_a_difference_that_vanishes_is_forgotten() -> None:
    book = Book()
    for block, balance in ((50, 10), (51, 0), (52, 10)):
        book.look(chain(block, yes=balance * SHARE))
    assert book.shares() == 0
    assert list(book.state.pending) == [YES]


@pytest.mark.req("R-05", "L-16")
def test_while_fills_are_under_way_a_difference_waits_for_the_settling_window() -> None:
    book = Book()
    book.see(leg(size=5 * SHARE))
    book.look(chain(50, yes=3 * SHARE))
    book.look(chain(51, yes=3 * SHARE))
    assert book.shares() == 5 * SHARE
    book.wait(ViewPolicy().settle_window_ms - 2 * SECOND - 1)
    book.look(chain(52, at_ms=T0, yes=3 * SHARE))
    assert book.shares() == 5 * SHARE
    book.wait(1)
    book.look(chain(53, at_ms=T0, yes=3 * SHARE))
    held = book.position()
    assert (held.settled_micro, held.in_flight_micro) == (3 * SHARE, 5 * SHARE)


@pytest.mark.req("R-05", "X-02", "D-12")
def test_a_difference_stays_the_same_one_while_a_fill_settles_beside_it() -> None:
    book = Book()
    book.see(leg(size=5 * SHARE))
    book.look(chain(50, yes=3 * SHARE))
    book.look(chain(51, yes=8 * SHARE))
    held = book.position()
    assert (held.settled_micro, held.in_flight_micro) == (8 * SHARE, 0)
    assert book.fill().fill.settled_by == "balance at block 51"
    (entry,) = book.entries()
    assert isinstance(entry, Carry)
    assert entry.shares_micro == 3 * SHARE


@pytest.mark.req("R-05", "X-02")
def test_a_balance_settles_the_fills_that_explain_it() -> None:
    book = Book()
    book.see(leg("a", 5 * SHARE), leg("b", 3 * SHARE, at_ms=T0 + 1))
    result = book.look(chain(1, yes=5 * SHARE))
    assert (result.drift_micro, result.pending_count) == (0, 0)
    first, second = book.fill("a"), book.fill("b")
    assert (first.fill.state, first.fill.settled_by, first.proven) == (FillState.SETTLED, "balance at block 1", True)
    assert (second.fill.state, second.proven) == (FillState.OBSERVED, False)
    assert [row.trade_id for row in book.last(FillRow)] == ["a"]
    (position,) = book.last(PositionRow)
    assert (position.settled_micro, position.in_flight_micro) == (5 * SHARE, 3 * SHARE)


@pytest.mark.req("X-02")
def test_a_confirmed_fill_that_the_balance_shows_is_proven_without_a_row() -> None:
    book = Book()
    book.see(leg(status=CONFIRMED))
    book.look(chain(1, yes=10 * SHARE))
    assert book.fill().proven
    assert book.last(FillRow) == ()


@pytest.mark.req("L-13", "R-05")
def test_a_confirmed_fill_that_never_reaches_the_balance_is_corrected_after_two_looks() -> None:
    book = Book()
    book.see(leg(status=CONFIRMED))
    book.look(chain(1, yes=0))
    assert book.state.pending == {}
    for block in (60, 61):
        book.look(chain(block, yes=0))
    (entry,) = book.entries()
    assert isinstance(entry, Carry)
    assert (entry.cause, book.shares()) == (Cause.UNTRACKED_REDUCTION, 0)


@pytest.mark.req("L-13", "L-22", "R-32")
@pytest.mark.parametrize(("balance", "severity"), [(9_999, Severity.INFO), (10_000, Severity.WARN)])
def test_a_correction_is_an_issue_with_its_cause_and_values(balance: int, severity: Severity) -> None:
    book = Book()
    for block in (50, 51):
        book.look(chain(block, yes=balance))
    (issue,) = book.last(IssueRow)
    assert (issue.type, issue.severity, issue.action) == ("POSITION_DRIFT", severity, IssueAction.CORRECTED)
    assert (issue.subject, issue.cause, issue.cycle_id) == (YES, "UNTRACKED_INCREASE", "c2")
    assert (issue.before, issue.after) == ("0.0", "0.009999" if balance == 9_999 else "0.01")


@pytest.mark.req("R-23")
def test_an_opening_is_applied_at_the_first_look_and_is_no_issue() -> None:
    book = Book()
    result = book.look(chain(50, yes=10 * SHARE), opening=True)
    assert (book.shares(), result.drift_micro, result.causes) == (10 * SHARE, 0, ("OPENING",))
    assert book.last(IssueRow) == ()


@pytest.mark.req("R-23", "L-12")
def test_an_opening_takes_the_balance_as_it_is_whatever_was_seen_before_it() -> None:
    book = Book()
    book.look(chain(0, yes=SHARE))
    book.see(leg(size=2 * SHARE, side=Side.SELL, status=CONFIRMED))
    book.look(chain(0, yes=SHARE), opening=True)
    assert (book.shares(), book.position().settled_micro, book.state.pending) == (SHARE, SHARE, {})
    assert not book.state.halted


@pytest.mark.req("R-23", "D-11")
def test_a_token_opens_once_even_when_the_first_cycle_was_cut_short() -> None:
    book = Book()
    book.look(chain(50, yes=10 * SHARE), opening=True)
    book.look(chain(51, yes=12 * SHARE, no=SHARE), opening=True)
    assert (book.shares(), book.shares(NO), list(book.state.pending)) == (10 * SHARE, SHARE, [YES])
    result = book.look(chain(52, yes=12 * SHARE, no=SHARE), opening=True)
    assert (book.shares(), result.causes) == (12 * SHARE, ("UNTRACKED_INCREASE",))


@pytest.mark.req("S-12", "R-01", "D-13")
def test_the_stand_in_adds_and_updates_after_two_looks() -> None:
    book = Book()
    for size in (10, 10, 12, 12):
        book.look(stand_in=(data_row(YES, size * SHARE),))
    assert book.shares() == 12 * SHARE
    assert [entry.evidence for entry in book.entries()] == [
        "the Data API's position while the chain could not be read, inferred"
    ] * 2


@pytest.mark.req("R-01", "D-13", "R-15")
@pytest.mark.parametrize("rows", [(), (data_row(YES, 0),), (data_row(YES, 100),)])
def test_the_stand_in_never_closes_a_position(rows: tuple[DataPosition, ...]) -> None:
    book = Book()
    book.see(leg(status=CONFIRMED))
    before = book.state
    for _ in range(3):
        book.wait(MINUTE)
        book.look(stand_in=rows)
    assert book.state is before


@pytest.mark.req("R-01", "D-13")
def test_the_stand_ins_rounding_is_no_difference_and_ends_a_pending_one() -> None:
    book = Book()
    book.see(leg(status=CONFIRMED))
    book.look(stand_in=(data_row(YES, 11 * SHARE),))
    assert list(book.state.pending) == [YES]
    book.look(stand_in=(data_row(YES, 10 * SHARE + 100),))
    assert book.state.pending == {}


@pytest.mark.req("R-01", "R-23")
def test_the_stand_in_opens_nothing_and_knows_no_foreign_tokens() -> None:
    book = Book()
    before = book.state
    for _ in range(2):
        book.look(opening=True, stand_in=(data_row(YES, 10 * SHARE),))
        book.look(stand_in=(data_row("of another market", 10 * SHARE),))
    assert book.state is before


@pytest.mark.req("R-01", "R-05")
def test_the_stand_in_waits_while_fills_are_under_way() -> None:
    book = Book()
    book.see(leg(size=5 * SHARE))
    for _ in range(2):
        book.look(stand_in=(data_row(YES, 12 * SHARE),))
    assert book.shares() == 5 * SHARE
    book.wait(MINUTE)
    book.look(stand_in=(data_row(YES, 12 * SHARE),))
    assert book.position().settled_micro == 12 * SHARE
    assert not book.fill().proven


@pytest.mark.req("R-05", "R-01")
def test_a_second_look_may_be_the_other_witnesss() -> None:
    book = Book()
    book.look(stand_in=(data_row(YES, 10 * SHARE),))
    book.look(chain(50, yes=10 * SHARE))
    assert book.shares() == 10 * SHARE


@pytest.mark.req("R-03", "L-09")
def test_another_average_cost_is_a_hint_said_once_and_never_applied() -> None:
    book = Book()
    book.see(leg(status=CONFIRMED))
    rows = (data_row(YES, 10 * SHARE, 5 * SHARE),)
    book.look(chain(50, yes=10 * SHARE), entry_costs=rows)
    (issue,) = book.last(IssueRow)
    assert (issue.type, issue.severity, issue.before, issue.after) == ("COST_HINT", Severity.WARN, "0.4", "0.5")
    assert book.position().cost_basis_micro == 4 * SHARE
    before = book.state
    book.look(chain(51, yes=10 * SHARE), entry_costs=rows)
    assert book.state is before
    book.look(chain(52, yes=10 * SHARE), entry_costs=(data_row(YES, 10 * SHARE, 6 * SHARE),))
    assert len(book.all(IssueRow)) == 2


@pytest.mark.req("R-03")
@pytest.mark.parametrize(
    ("own", "size", "cost", "expected"),
    [
        (None, 10, 10, None),
        (400_000, 0, 10, None),
        (400_000, 10 * SHARE, 4_200_000, None),
        (400_000, 10 * SHARE, 4_200_010, (400_000, 420_001)),
        (100_000, 10 * SHARE, 1_100_000, None),
        (100_000, 10 * SHARE, 1_100_010, (100_000, 110_001)),
    ],
)
def test_averages_differ_above_a_cent_and_five_percent(
    own: int | None, size: int, cost: int, expected: tuple[int, int] | None
) -> None:
    assert cost_hint(own, size, cost) == expected


@pytest.mark.req("S-03")
@pytest.mark.parametrize(
    ("before", "after", "expected"), [(0, 5, DeltaType.ADDED), (5, 0, DeltaType.REMOVED), (5, 6, DeltaType.UPDATED)]
)
def test_a_delta_is_added_removed_or_updated(before: int, after: int, expected: DeltaType) -> None:
    assert delta_type(before, after) is expected


@pytest.mark.req("R-22")
def test_what_was_noted_between_cycles_is_told_once_by_the_next_view() -> None:
    book = Book()
    book.see(leg(external=True, status=CONFIRMED))
    result = book.look(chain(50, yes=10 * SHARE))
    assert (result.causes, result.drift_micro) == (("EXTERNAL_BUY",), 5 * SHARE)
    assert book.state.noted == ()
    assert book.look(chain(51, yes=10 * SHARE)).causes == ()


@pytest.mark.req("R-23", "R-22")
def test_trades_of_other_keys_before_the_first_cycle_are_history_and_no_drift() -> None:
    book = Book()
    book.see(leg(size=2_000 * SHARE, external=True, status=CONFIRMED))
    result = book.look(chain(50, yes=2_000 * SHARE), opening=True)
    assert (result.causes, result.drift_micro, book.state.noted) == ((), 0, ())
    assert book.look(chain(51, yes=2_000 * SHARE)).drift_micro == 0


@pytest.mark.req("L-29")
def test_dust_is_compared_and_kept() -> None:
    book = Book()
    book.see(leg(size=SHARE, status=CONFIRMED), leg("t2", SHARE - 1, side=Side.SELL, at_ms=T0 + 1, status=CONFIRMED))
    book.look(chain(50, yes=1, no=0))
    assert (book.shares(), book.state.pending) == (1, {})
    assert book.shares(NO) == 0
