"""How large a drift was, who hears of it, and what stands in the reports."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from portfolio.entries import Cause
from portfolio.facts import Payout, Side, TradeStatus
from portfolio.judging import ViewResult, holdings_of
from portfolio.negrisk import OutcomeHolding
from portfolio.outcomes import Alert, DeltaType, IssueRow, SettlementReport
from portfolio.thresholds import DriftLevel
from portfolio.views import CauseHint, ViewPolicy
from tests.unit.portfolio.markets import (
    CENT,
    CONDITION,
    EVENT,
    FOREIGN_KEY,
    MINUTE,
    NO,
    SHARE,
    T0,
    YES,
    Book,
    chain,
    data_row,
    fate,
    leg,
    listed,
    order,
    prices,
    question,
)

CONFIRMED = TradeStatus.CONFIRMED
POLICY = ViewPolicy()
DOLLAR = prices(yes=SHARE, no=SHARE)


def corrected(shares: int, policy: ViewPolicy = POLICY) -> tuple[Book, ViewResult]:
    """A market in which YES at 1.00 turned out to be ``shares`` more than nothing."""
    book = Book()
    result = book.look_twice({"yes": shares}, prices=DOLLAR, policy=policy)
    return book, result


def codes(book: Book) -> list[tuple[str, str]]:
    return [(alert.code, alert.route) for alert in book.last(Alert)]


@pytest.mark.req("S-05", "R-26")
@pytest.mark.parametrize(
    ("shares", "level", "expected"),
    [
        (10 * SHARE, DriftLevel.INFO, []),
        (10 * SHARE + 1, DriftLevel.DISCREPANCY, [("PORTFOLIO_SYNC_DISCREPANCY", "warn")]),
        (500 * SHARE, DriftLevel.DISCREPANCY, [("PORTFOLIO_SYNC_DISCREPANCY", "warn")]),
        (
            500 * SHARE + 1,
            DriftLevel.CRITICAL,
            [("PORTFOLIO_SYNC_DISCREPANCY", "warn"), ("PORTFOLIO_SYNC_CRITICAL_DISCREPANCY", "page")],
        ),
    ],
)
def test_alerts_begin_above_ten_and_pages_above_five_hundred(
    shares: int, level: DriftLevel, expected: list[tuple[str, str]]
) -> None:
    book, result = corrected(shares)
    assert (result.level, result.drift_micro) == (level, shares)
    assert codes(book) == expected


@pytest.mark.req("S-05", "S-10")
def test_the_alert_line_is_the_configured_one() -> None:
    book, result = corrected(20 * SHARE, policy=ViewPolicy(discrepancy_alert_micro=20 * SHARE))
    assert (result.level, codes(book)) == (DriftLevel.INFO, [])


@pytest.mark.req("S-05", "D-18")
def test_an_alert_names_its_market_its_drift_and_its_cause_under_a_key_of_its_own() -> None:
    book, _ = corrected(20 * SHARE)
    (alert,) = book.last(Alert)
    assert (alert.key, alert.market_id) == ("c2:0xc0:PORTFOLIO_SYNC_DISCREPANCY", CONDITION)
    assert alert.text == (
        "Will it rain?: 20.0 pUSD of drift was corrected; cause UNTRACKED_INCREASE; balance at block 51, inferred"
    )


def test_an_alert_of_open_orders_says_so() -> None:
    book = Book()
    book.look(orders=listed(order(owner=FOREIGN_KEY)))
    (alert,) = book.last(Alert)
    assert alert.text.startswith("Will it rain?: 60.0 pUSD of drift was corrected; cause open orders differ; ")


def test_an_alert_of_a_market_without_metadata_names_its_id() -> None:
    book = Book()
    book.state = replace(book.state, metas=())
    book.look(orders=listed(order(owner=FOREIGN_KEY)))
    (alert,) = book.last(Alert)
    assert alert.text.startswith(f"{CONDITION}: ")
    (report,) = book.last(SettlementReport)
    assert report.neg_risk is False


@pytest.mark.req("R-03")
def test_opposite_errors_do_not_cancel_out() -> None:
    book = Book()
    book.see(leg("y", status=CONFIRMED), leg("n", token_id=NO, status=CONFIRMED))
    book.look(chain(40, yes=10 * SHARE, no=10 * SHARE))
    result = book.look_twice({"yes": 4 * SHARE, "no": 16 * SHARE})
    assert result.drift_micro == 6 * SHARE
    (report,) = book.last(SettlementReport)
    assert (report.internal_size_micro, report.clob_size_micro) == (10 * SHARE, 10 * SHARE)
    assert (report.drift_micro, report.delta_type) == (6 * SHARE, DeltaType.UPDATED)
    assert report.cause == "UNTRACKED_INCREASE+UNTRACKED_REDUCTION"


@pytest.mark.req("R-03")
def test_a_token_without_a_price_counts_as_a_dollar() -> None:
    book = Book()
    result = book.look_twice({"yes": 4 * SHARE}, prices=())
    assert result.drift_micro == 4 * SHARE
    assert book.last(SettlementReport)[0].clob_size_micro == 4 * SHARE


@pytest.mark.req("S-08", "S-03")
@pytest.mark.parametrize(
    ("held", "balance", "expected"),
    [(0, 5, DeltaType.ADDED), (5, 0, DeltaType.REMOVED), (5, 6, DeltaType.UPDATED)],
)
def test_a_correction_is_one_report_with_both_sizes(held: int, balance: int, expected: DeltaType) -> None:
    book = Book()
    if held:
        book.see(leg(size=held * SHARE, status=CONFIRMED))
        book.look(chain(40, yes=held * SHARE))
    result = book.look_twice({"yes": balance * SHARE}, prices=DOLLAR)
    (report,) = book.last(SettlementReport)
    assert len(book.all(SettlementReport)) == 1
    assert (report.event_type, report.delta_type) == ("POSITION_DELTA", expected)
    assert (report.internal_size_micro, report.clob_size_micro) == (held * SHARE, balance * SHARE)
    assert (result.internal_size_micro, result.clob_size_micro) == (held * SHARE, balance * SHARE)
    assert (report.market_id, report.subject.value, report.onchain_reconciled) == (CONDITION, "position", True)
    assert (report.action_taken, report.cycle_id) == ("internal_store_updated", f"c{book.cycles}")


@pytest.mark.req("S-12", "R-01")
def test_a_correction_by_the_stand_in_says_that_the_chain_did_not_confirm_it() -> None:
    book = Book()
    for _ in range(2):
        book.look(stand_in=(data_row(YES, 5 * SHARE),))
    (report,) = book.last(SettlementReport)
    assert report.onchain_reconciled is False


@pytest.mark.req("S-08", "D-24")
def test_positions_and_orders_of_one_condition_are_reported_apart_and_the_larger_drift_counts() -> None:
    book = Book()
    book.look(chain(50, yes=20 * SHARE))
    result = book.look(chain(51, yes=20 * SHARE), orders=listed(order(owner=FOREIGN_KEY)))
    assert [report.subject.value for report in book.last(SettlementReport)] == ["position", "open_orders"]
    assert (result.drift_micro, result.pausing_drift_micro) == (60 * SHARE, 60 * SHARE)
    assert (result.internal_size_micro, result.clob_size_micro) == (0, 60 * SHARE)
    assert result.condition_ids == (CONDITION,)


@pytest.mark.req("S-08", "R-25")
def test_own_fills_are_no_reports() -> None:
    book = Book()
    book.see(leg(status=CONFIRMED))
    book.look(chain(50, yes=10 * SHARE))
    assert book.all(SettlementReport) == ()


@pytest.mark.req("R-25", "R-10", "S-08")
def test_the_reversal_of_a_fill_is_reported_without_drift() -> None:
    book = Book()
    book.see(leg(), leg(status=TradeStatus.FAILED))
    result = book.look(chain(50, yes=0))
    (report,) = book.last(SettlementReport)
    assert (report.cause, report.delta_type, report.drift_micro) == ("FILL_FAILED", DeltaType.REMOVED, 0)
    assert (result.drift_micro, codes(book)) == (0, [])


@pytest.mark.req("R-23")
def test_openings_are_reported_as_added_without_drift_or_alert() -> None:
    book = Book()
    result = book.look(chain(50, yes=5_000 * SHARE), opening=True)
    (report,) = book.last(SettlementReport)
    assert (report.delta_type, report.drift_micro, report.cause) == (DeltaType.ADDED, 0, "OPENING")
    assert (result.drift_micro, result.pausing_drift_micro, codes(book)) == (0, 0, [])


@pytest.mark.req("R-22")
def test_a_merge_is_reported_and_alerted_but_not_paused_on() -> None:
    book = Book()
    size = 2_000 * SHARE
    book.see(leg("y", size, status=CONFIRMED), leg("n", size, token_id=NO, status=CONFIRMED))
    book.look(chain(40, yes=size, no=size))
    merged = CauseHint(
        cause=Cause.POSITION_MERGED,
        condition_id=CONDITION,
        legs=((YES, -size), (NO, -size)),
        cash_micro=size,
        evidence="inferred",
    )
    result = book.look_twice({"yes": 0, "no": 0}, hints=(merged,))
    assert (result.drift_micro, result.pausing_drift_micro) == (size, 0)
    assert codes(book) == [("PORTFOLIO_SYNC_DISCREPANCY", "warn")]


@pytest.mark.req("R-22", "R-21")
def test_an_external_trade_counts_as_drift_and_pauses() -> None:
    book = Book()
    book.see(leg(size=2_000 * SHARE, external=True, status=CONFIRMED))
    result = book.look(chain(50, yes=2_000 * SHARE))
    assert result.pausing_drift_micro == 1_000 * SHARE
    assert [code for code, _ in codes(book)] == ["PORTFOLIO_SYNC_DISCREPANCY", "PORTFOLIO_SYNC_CRITICAL_DISCREPANCY"]
    (report,) = book.last(SettlementReport)
    assert (report.cause, report.internal_size_micro, report.drift_micro) == ("EXTERNAL_BUY", 0, 1_000 * SHARE)


@pytest.mark.req("L-16", "R-26")
def test_drift_that_waits_for_its_second_look_is_known_but_not_alerted() -> None:
    book = Book()
    result = book.look(chain(50, yes=2_000 * SHARE))
    assert (result.pending_micro, result.drift_micro, codes(book)) == (1_000 * SHARE, 0, [])


def event() -> Book:
    """YES of 400, 300 and 200 in an event of three questions (R-06)."""
    book = Book(question(0), question(1), question(2), market_id=EVENT)
    for index, shares in enumerate((400, 300, 200)):
        token, condition = f"y{index}", f"0xc{index}"
        book.see(leg(token, shares * SHARE, condition_id=condition, token_id=token, status=CONFIRMED))
    book.look(chain(40, y0=400 * SHARE, y1=300 * SHARE, y2=200 * SHARE))
    return book


@pytest.mark.req("R-06", "S-04")
def test_event_drift_is_the_largest_difference_of_the_payoffs_and_not_their_sum() -> None:
    book = event()
    result = book.look_twice({"y0": 410 * SHARE, "y1": 320 * SHARE, "y2": 230 * SHARE})
    assert (result.drift_micro, result.event_drift_micro, result.neg_risk) == (30 * SHARE, 30 * SHARE, True)
    reports = book.last(SettlementReport)
    assert [(report.market_id, report.drift_micro, report.neg_risk) for report in reports] == [
        ("0xc0", 10 * SHARE, True),
        ("0xc1", 20 * SHARE, True),
        ("0xc2", 30 * SHARE, True),
    ]
    assert result.condition_ids == ("0xc0", "0xc1", "0xc2")


@pytest.mark.req("R-06", "D-24")
def test_the_drift_of_an_event_concerns_every_leg_that_is_held() -> None:
    book = event()
    result = book.look_twice({"y0": 1_000 * SHARE, "y1": 0, "y2": 200 * SHARE})
    assert [report.market_id for report in book.last(SettlementReport)] == ["0xc0", "0xc1"]
    assert result.condition_ids == ("0xc0", "0xc1", "0xc2")
    result = event().look_twice({"y0": 400 * SHARE, "y1": 300 * SHARE, "y2": 200 * SHARE})
    assert result.condition_ids == ()


@pytest.mark.req("R-06")
def test_tokens_that_differ_without_moving_a_payoff_are_corrected_reported_and_listed_as_issues() -> None:
    book = Book(question(0), question(1), market_id=EVENT)
    size = 600 * SHARE
    for token, condition in (("y0", "0xc0"), ("n0", "0xc0")):
        book.see(leg(token, size, token_id=token, condition_id=condition, status=CONFIRMED))
    book.look(chain(40, y0=size, n0=size))
    result = book.look_twice({"y0": 0, "n0": 0, "y1": size, "n1": size})
    assert (result.event_drift_micro, result.drift_micro, codes(book)) == (0, 0, [])
    assert len(book.last(SettlementReport)) == 2
    assert [issue.subject for issue in book.last(IssueRow)] == ["y0", "n0", "y1", "n1"]


@pytest.mark.req("R-06", "R-22")
def test_a_structural_change_of_an_event_is_not_paused_on() -> None:
    book = event()
    size = 1_000 * SHARE
    split = CauseHint(
        cause=Cause.POSITION_SPLIT,
        condition_id="0xc0",
        legs=(("y0", size), ("n0", size)),
        cash_micro=-size,
        evidence="inferred",
    )
    balances = {"y0": size + 400 * SHARE, "n0": size, "y1": 300 * SHARE, "y2": 200 * SHARE}
    result = book.look_twice(balances, hints=(split,))
    assert (result.event_drift_micro, result.pausing_drift_micro) == (size, 0)
    assert codes(book) == [("PORTFOLIO_SYNC_DISCREPANCY", "warn")]


@pytest.mark.req("R-06")
@pytest.mark.parametrize(("numerators", "expected"), [((0, 1), 10), ((1, 0), 600)])
def test_a_decided_question_is_no_scenario_any_more_and_a_winner_is_the_only_one(
    numerators: tuple[int, int], expected: int
) -> None:
    book = event()
    decided = (Payout(condition_id="0xc0", numerators=numerators, denominator=1),)
    result = book.look_twice({"y0": 1_000 * SHARE, "y1": 310 * SHARE, "y2": 200 * SHARE}, payouts=decided)
    assert result.event_drift_micro == expected * SHARE


@pytest.mark.req("R-06")
def test_holdings_are_told_per_question() -> None:
    assert holdings_of(event().state)[1] == OutcomeHolding(question_index=1, yes_micro=300 * SHARE, no_micro=0)


@pytest.mark.req("R-03", "S-08")
def test_a_position_that_changed_its_side_keeps_its_report_readable() -> None:
    book = Book()
    book.see(leg(status=CONFIRMED), leg("s", side=Side.SELL, at_ms=T0 + MINUTE, status=CONFIRMED, external=True))
    result = book.look(chain(50, yes=0))
    (report,) = book.last(SettlementReport)
    assert (report.delta_type, report.cause, report.evidence) == (DeltaType.REMOVED, "EXTERNAL_SALE", "trade s")
    assert result.evidence == "trade s"


@pytest.mark.req("S-03")
def test_an_order_that_vanished_is_removed_in_its_report() -> None:
    book = Book()
    book.look(orders=listed(order()))
    result = book.look(orders=listed(fates=(fate("o1", None),)), prices=prices(yes=40 * CENT))
    assert (result.deltas, result.internal_size_micro, result.clob_size_micro) == ((DeltaType.REMOVED,), 60 * SHARE, 0)
