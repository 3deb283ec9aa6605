"""The transition of a market: what it defines, halts, resumes, refuses, and that nothing else moves it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from portfolio.entries import Cause
from portfolio.events import EventRejected, MarketDefined, MarketResumed
from portfolio.facts import Side, TradeStatus
from portfolio.market import transition
from portfolio.outcomes import Alert, IssueAction, IssueRow, MarketRow, Severity, TokenRow
from portfolio.position import Position
from portfolio.rows import cause_of
from portfolio.state import BookedAdjustment, Draft, MarketState, digest
from tests.property.portfolio.ledgers import carry, conversion, merge, redemption, split, trade
from tests.unit.portfolio.markets import (
    CONDITION,
    EVENT,
    NO,
    SHARE,
    T0,
    WALLET,
    YES,
    Book,
    chain,
    leg,
    meta,
    question,
)

CONFIRMED = TradeStatus.CONFIRMED
RESUMED = MarketResumed(operator="ada", reason="looked at it")


@pytest.mark.req("D-01", "R-18")
def test_metadata_become_rows_of_the_condition_and_its_tokens() -> None:
    book = Book()
    assert book.last(MarketRow)[0].condition_id == CONDITION
    assert [(row.token_id, row.outcome, row.contract) for row in book.last(TokenRow)] == [
        (YES, "Yes", "0xctf"),
        (NO, "No", "0xctf"),
    ]
    assert book.state.version == 1


@pytest.mark.req("L-19", "D-16")
def test_metadata_that_are_known_change_nothing() -> None:
    book = Book()
    before = book.state
    assert book.tell(MarketDefined(metas=(meta(),))).state is before
    assert book.step.rows == ()


@pytest.mark.req("R-06")
def test_a_question_that_becomes_known_later_joins_its_event_in_order() -> None:
    book = Book(question(1), market_id=EVENT)
    book.tell(MarketDefined(metas=(question(0), question(1)), question_count=3))
    assert [known.condition_id for known in book.state.metas] == ["0xc0", "0xc1"]
    assert (book.state.question_count, book.state.neg_risk) == (3, True)
    assert [row.condition_id for row in book.last(MarketRow)] == ["0xc0"]


@pytest.mark.req("R-06")
def test_a_question_count_alone_is_taken_in_without_rows() -> None:
    book = Book(question(0), market_id=EVENT)
    book.tell(MarketDefined(metas=(), question_count=5))
    assert (book.state.question_count, book.step.rows) == (5, ())


@pytest.mark.req("R-06")
def test_a_false_neg_risk_flag_is_an_issue_and_the_chain_wins() -> None:
    book = Book(meta(neg_risk_claimed=False, neg_risk_derived=True))
    (issue,) = book.last(IssueRow)
    assert (issue.type, issue.action, issue.before, issue.after) == (
        "NEG_RISK_FLAG_MISMATCH",
        IssueAction.LOGGED,
        "metadata says False",
        "token ids prove True",
    )
    assert book.last(MarketRow)[0].neg_risk is True


@pytest.mark.req("L-20", "D-16")
def test_each_change_raises_the_version_by_one() -> None:
    book = Book()
    book.see(leg("a"), leg("b"))
    assert book.state.version == 3


def tampered(**given: int) -> MarketState:
    """A state whose stored position of YES was altered behind the ledger's back (D-26)."""
    book = Book()
    book.see(leg(status=CONFIRMED))
    book.look(chain(1, yes=10 * SHARE))
    return replace(book.state, positions={YES: replace(book.position(), **given)})


def book_of(state: MarketState) -> Book:
    book = Book()
    book.state = state
    return book


@pytest.mark.req("L-21", "D-26")
def test_a_broken_identity_halts_the_market_at_its_next_change_and_pages() -> None:
    book = book_of(tampered(cost_basis_micro=1))
    book.see(leg("t2", token_id=NO))
    assert book.state.halted == "INV-01 yes: expected 4000000, was 1"
    (issue,) = book.last(IssueRow)
    assert (issue.type, issue.severity, issue.action) == (
        "INVARIANT_BREACH",
        Severity.WARN,
        IssueAction.REQUIRES_MANUAL,
    )
    (alert,) = book.last(Alert)
    assert (alert.code, alert.route, alert.key) == (
        "PORTFOLIO_SYNC_MARKET_HALTED",
        "page",
        f"{CONDITION}:{book.state.version}:PORTFOLIO_SYNC_MARKET_HALTED",
    )
    (row,) = book.last(MarketRow)
    assert (row.halted, row.halt_reason) == (True, book.state.halted)


@pytest.mark.req("L-21", "D-16")
def test_a_halted_market_goes_on_booking_and_is_not_halted_twice() -> None:
    book = book_of(tampered(cost_basis_micro=1))
    book.see(leg("t2", token_id=NO), leg("t3", token_id=NO))
    assert book.shares(NO) == 20 * SHARE
    assert len(book.all(Alert)) == 1


@pytest.mark.req("L-12", "R-24")
def test_settled_shares_below_zero_at_a_pinned_block_halt_the_market() -> None:
    book = book_of(tampered(settled_micro=-5))
    assert book.see(leg("t2", token_id=NO, status=CONFIRMED)).state.halted == ""
    book.look(chain(50, yes=10 * SHARE, no=10 * SHARE))
    assert book.state.halted == "INV-03 yes: expected >= 0, was -5"


@pytest.mark.req("L-12", "R-24")
def test_settled_shares_of_a_token_that_was_not_read_are_not_judged() -> None:
    book = book_of(tampered(settled_micro=-5))
    book.see(leg("t2", token_id=NO, status=CONFIRMED))
    book.look(chain(50, no=10 * SHARE))
    assert not book.state.halted


@pytest.mark.req("R-24", "L-12")
def test_a_sale_whose_purchase_was_not_seen_is_pending_and_then_corrected_but_never_a_breach() -> None:
    book = Book()
    book.see(leg("s", side=Side.SELL, status=CONFIRMED))
    for block in (1, 60, 61):
        book.look(chain(block, yes=0))
        assert not book.state.halted
    assert (book.shares(), book.position().settled_micro) == (0, 0)


@pytest.mark.req("R-29")
def test_a_market_is_resumed_by_name_once_its_invariant_holds() -> None:
    broken = book_of(tampered(cost_basis_micro=1))
    broken.see(leg("t2", token_id=NO))
    halted = broken.state
    refused = transition(halted, RESUMED, T0)
    assert refused.refused == "INV-01 still fails for yes: expected 4000000, was 1"
    assert (refused.state is halted, refused.rows) == (True, ())
    sound = {**halted.positions, YES: replace(halted.positions[YES], cost_basis_micro=4_000_000)}
    book = book_of(replace(halted, positions=sound))
    step = book.tell(RESUMED)
    assert (step.refused, step.state.halted) == ("", "")
    (alert,) = book.last(Alert)
    assert (alert.code, alert.text) == ("PORTFOLIO_SYNC_MARKET_RESUMED", "resumed by ada: looked at it")
    assert book.last(MarketRow)[0].halted is False


@pytest.mark.req("R-29", "L-12")
def test_resuming_judges_settled_shares_too() -> None:
    halted = replace(tampered(settled_micro=-5), halted="INV-03")
    assert transition(halted, RESUMED, T0).refused == "INV-03 still fails for yes: expected >= 0, was -5"


@pytest.mark.req("R-29")
def test_a_market_that_runs_is_not_resumed() -> None:
    book = Book()
    assert book.tell(RESUMED).refused == f"market {CONDITION} is not halted"


@pytest.mark.req("D-19")
def test_a_message_that_raised_halts_the_market_and_leaves_its_books() -> None:
    book = Book()
    book.see(leg())
    before = book.state
    book.tell(EventRejected(kind="external_view", detail="IndexError: payout"))
    assert book.state.halted == "external_view could not be processed: IndexError: payout"
    assert (book.state.positions, book.state.version) == (before.positions, before.version + 1)
    assert [row.type for row in book.last(IssueRow)] == ["REJECTED_MESSAGE"]
    assert [row.code for row in book.last(Alert)] == ["PORTFOLIO_SYNC_MARKET_HALTED"]


@pytest.mark.req("L-14")
def test_every_kind_of_adjustment_has_its_cause() -> None:
    kinds = (
        split(1, 1),
        merge(1, 1),
        redemption(1, 1, 1),
        conversion(1, 1, (0,)),
        trade(1, Side.BUY, 1, 1),
        carry(1, 1, 1),
    )
    assert [cause_of(entry) for entry in kinds] == [
        Cause.POSITION_SPLIT,
        Cause.POSITION_MERGED,
        Cause.REDEEMED,
        Cause.CONVERTED,
        Cause.EXTERNAL_BUY,
        Cause.TRANSFER_IN,
    ]


@pytest.mark.req("D-20")
def test_a_digest_depends_on_content_and_not_on_the_order_of_insertion() -> None:
    one = MarketState(wallet=WALLET, market_id="m", positions={key: Position(token_id=key) for key in ("a", "b")})
    two = replace(one, positions={key: Position(token_id=key) for key in ("b", "a")})
    assert digest(one) == digest(two)
    assert digest(one) != digest(replace(one, halted="yes"))


@pytest.mark.req("D-02")
def test_a_draft_folds_anew_when_it_does_not_know_what_came_last() -> None:
    """A state that was put together by hand has no newest entry; nothing may be applied on top of it unseen."""
    first, second = carry(1, 5, 5), carry(2, 5, 5)
    booked = BookedAdjustment(entry=first, effects=(), cash_micro=0, superseded=False, booked_at_ms=0)
    draft = Draft(MarketState(wallet=WALLET, market_id="m", adjustments={first.entry_id: booked}), T0)
    draft.put_adjustment(replace(booked, entry=second))
    (effect,) = draft.append(second)
    assert (effect.shares_micro, draft.state.position(YES).shares_micro) == (5, 10)
    assert draft.state.newest_at == second.at


@pytest.mark.req("D-02", "D-20")
def test_what_came_last_is_forgotten_when_it_ceases_to_count() -> None:
    book = Book()
    book.see(leg("a"), leg("b", at_ms=T0 + 1), leg("b", at_ms=T0 + 1, status=TradeStatus.FAILED))
    assert book.state.newest_at == book.fill("a").fill.at
    book.see(leg("a", status=TradeStatus.FAILED))
    assert book.state.newest_at is None
