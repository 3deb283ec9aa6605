"""What a market makes of the contract's word on its token ids (R-18, R-06)."""

from __future__ import annotations

import pytest

from portfolio.events import MarketDefined
from portfolio.facts import ConditionTokens, TokenIdCheck
from portfolio.images import image_of
from portfolio.outcomes import Alert, IssueAction, IssueRow, Severity
from portfolio.token_ids import NOTED_MAX, contradictions_noted, stated_ids
from tests.unit.portfolio.markets import CONDITION, EVENT, NO, SHARE, YES, Book, chain, leg, meta, question

pytestmark = pytest.mark.req("R-18", "R-06")


def check(*computed: str, condition_id: str = CONDITION, stated: tuple[str, ...] = (YES, NO)) -> TokenIdCheck:
    return TokenIdCheck(condition_id=condition_id, stated=stated, computed=computed)


def told(*checks: TokenIdCheck, book: Book | None = None) -> Book:
    book = book or Book()
    book.tell(MarketDefined(metas=(), token_ids=checks))
    return book


def test_what_is_checked_are_the_ids_by_outcome_and_none_of_protocol_v2() -> None:
    described = meta(version="v1", neg_risk_derived=True, tokens=(YES, NO))
    assert stated_ids(described) == ConditionTokens(condition_id=CONDITION, neg_risk=True, token_ids=(YES, NO))
    assert stated_ids(meta(version="v2")) is None


def test_other_ids_of_the_contract_are_an_issue_that_wants_a_person_and_page_once() -> None:
    book = told(check("one", "two"))
    (issue,) = book.last(IssueRow)
    assert (issue.type, issue.severity, issue.action) == (
        "POSITION_IDS_MISMATCH",
        Severity.WARN,
        IssueAction.REQUIRES_MANUAL,
    )
    assert (issue.subject, issue.before, issue.after) == (
        CONDITION,
        "metadata says yes and no",
        "the contract says one and two",
    )
    assert issue.cause.startswith("metadata is of another market, or was changed; balances stand")
    (alert,) = book.last(Alert)
    assert (alert.code, alert.route) == ("PORTFOLIO_SYNC_POSITION_IDS_MISMATCH", "page")
    (note,) = contradictions_noted([image_of(book.state)])
    assert alert.text == note
    assert all(words in note for words in (f"market {CONDITION}", *issue.before.split(" and "), "two", "do not trade"))
    told(check("one", "two"), book=book)
    assert book.step.rows == (), "it is said once"


def test_ids_of_the_other_outcome_are_told_apart_from_those_of_another_market() -> None:
    (issue,) = told(check(NO, YES)).last(IssueRow)
    assert issue.cause.startswith("metadata gives an outcome the token of another one")


def test_the_books_go_on_where_the_contract_contradicts() -> None:
    book = told(check("one", "two"))
    book.see(leg())
    book.look(chain(1, yes=10 * SHARE))
    assert (book.shares(), book.state.halted) == (10 * SHARE, "")


@pytest.mark.parametrize("answer", [check(YES, NO), check(), check("1", "2", stated=("old", NO))])
def test_agreement_silence_and_an_answer_about_earlier_metadata_change_nothing(answer: TokenIdCheck) -> None:
    book = told(answer)
    assert (book.step.rows, book.state.contradicted, book.state.version) == ((), {}, 1)


def test_a_contradiction_stands_until_corrected_metadata_was_checked() -> None:
    book = told(check("one", "two"))
    told(check(), book=book)
    book.tell(MarketDefined(metas=(meta(tokens=("one", "two")),)))
    assert image_of(book.state).contradicted == (check("one", "two"),)
    told(check("one", "two", stated=("one", "two")), book=book)
    assert image_of(book.state).contradicted == ()
    assert len(book.all(IssueRow)) == len(book.all(Alert)) == 1


def test_questions_of_one_event_have_an_issue_each_and_one_alert_that_counts_them() -> None:
    book = Book(question(0), question(1), question(2), market_id=EVENT)
    wrong = [check("a", "b", condition_id=f"0xc{index}", stated=(f"y{index}", f"n{index}")) for index in (2, 0)]
    told(*wrong, book=book)
    assert [issue.subject for issue in book.last(IssueRow)] == ["0xc0", "0xc2"]
    (alert,) = book.last(Alert)
    assert "condition 0xc0" in alert.text
    assert alert.text.endswith("and 1 more conditions of this market")


def test_a_report_tells_the_first_contradictions_in_full_and_counts_the_others() -> None:
    questions = [question(index) for index in range(NOTED_MAX + 2)]
    book = Book(*questions, market_id=EVENT)
    wrong = [check("a", "b", condition_id=f"0xc{n}", stated=(f"y{n}", f"n{n}")) for n in range(NOTED_MAX + 2)]
    notes = contradictions_noted([image_of(told(*wrong, book=book).state)])
    assert len(notes) == NOTED_MAX + 1
    assert notes[-1] == "the contract contradicts the token ids of 2 more conditions"
