"""A confirmed difference becomes an entry: of the cause that cash confirms, an opening, or one said to be untracked."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from portfolio.adjusting import Confirmed, apply_confirmed
from portfolio.entries import Carry, Cause, Conversion, FillState, Merge, Redemption, Split, Trade
from portfolio.facts import DataPosition, Side, TradeStatus
from portfolio.outcomes import AdjustmentRow, FillRow
from portfolio.settling import settle
from portfolio.state import Draft
from portfolio.views import CauseHint, ExternalView, ViewPolicy
from tests.unit.portfolio.markets import (
    CENT,
    CONDITION,
    EVENT,
    NO,
    SHARE,
    YES,
    Book,
    chain,
    data_row,
    leg,
    prices,
    question,
)

EVIDENCE = "inferred from balances and cash at block 51"


def hint(cause: Cause, cash: int, condition_id: str = CONDITION, **legs: int) -> CauseHint:
    return CauseHint(
        cause=cause, condition_id=condition_id, legs=tuple(legs.items()), cash_micro=cash, evidence=EVIDENCE
    )


def looked_twice(book: Book, *hints: CauseHint, **balances: int) -> Book:
    book.look_twice(balances, hints=hints)
    return book


def holding(yes: int = 10 * SHARE, no: int = 0) -> Book:
    """A book whose balances are proven; both tokens cost 0.40."""
    book = Book()
    if yes:
        book.see(leg("y", yes, status=TradeStatus.CONFIRMED))
    if no:
        book.see(leg("n", no, token_id=NO, status=TradeStatus.CONFIRMED))
    book.look(chain(40, yes=yes, no=no))
    return book


@pytest.mark.req("L-14", "L-15", "R-13")
def test_a_hinted_merge_pays_a_dollar_a_pair() -> None:
    book = looked_twice(
        holding(10 * SHARE, 10 * SHARE),
        hint(Cause.POSITION_MERGED, 4 * SHARE, yes=-4 * SHARE, no=-4 * SHARE),
        yes=6 * SHARE,
        no=6 * SHARE,
    )
    (entry,) = book.entries()
    assert isinstance(entry, Merge)
    assert (entry.yes_token_id, entry.no_token_id, entry.shares_micro) == (YES, NO, 4 * SHARE)
    assert (entry.evidence, entry.estimated, entry.entry_id) == (EVIDENCE, True, "c3:0xc0:0")
    assert book.position().realized_pnl_micro + book.position(NO).realized_pnl_micro == 800_000
    rows = book.last(AdjustmentRow)
    assert [(row.token_id, row.cause, row.size_micro) for row in rows] == [
        (YES, Cause.POSITION_MERGED, -4 * SHARE),
        (NO, Cause.POSITION_MERGED, -4 * SHARE),
    ]


@pytest.mark.req("L-14", "R-13")
def test_a_hinted_split_costs_half_a_dollar_each() -> None:
    book = looked_twice(
        Book(), hint(Cause.POSITION_SPLIT, -4 * SHARE, yes=4 * SHARE, no=4 * SHARE), yes=4 * SHARE, no=4 * SHARE
    )
    (entry,) = book.entries()
    assert isinstance(entry, Split)
    assert (book.position().cost_basis_micro, book.position(NO).cost_basis_micro) == (2 * SHARE, 2 * SHARE)


@pytest.mark.req("L-14", "R-13")
def test_a_hinted_redemption_is_a_sale_at_the_payout_received() -> None:
    book = looked_twice(holding(), hint(Cause.REDEEMED, 10 * SHARE, yes=-10 * SHARE), yes=0)
    (entry,) = book.entries()
    assert isinstance(entry, Redemption)
    assert (entry.shares_micro, entry.proceeds_micro) == (10 * SHARE, 10 * SHARE)
    assert book.position().realized_pnl_micro == 6 * SHARE
    assert book.all(AdjustmentRow)[-1].cause is Cause.REDEEMED


@pytest.mark.req("L-15", "R-13")
@pytest.mark.parametrize(("shares", "cash", "side"), [(4, -2, Side.BUY), (-4, 3, Side.SELL)])
def test_a_hinted_external_trade_is_booked_at_its_cash(shares: int, cash: int, side: Side) -> None:
    cause = Cause.EXTERNAL_BUY if side is Side.BUY else Cause.EXTERNAL_SALE
    book = looked_twice(holding(), hint(cause, cash * SHARE, yes=shares * SHARE), yes=(10 + shares) * SHARE)
    (entry,) = book.entries()
    assert isinstance(entry, Trade)
    assert (entry.cause, entry.side, entry.shares_micro, entry.amount_micro) == (
        cause,
        side,
        4 * SHARE,
        abs(cash) * SHARE,
    )


@pytest.mark.req("L-15", "L-11", "X-10", "R-20")
@pytest.mark.parametrize(
    ("shares", "cash", "fee", "amount"),
    [(4, -2_000_000, 30_000, 1_970_000), (-4, 3_000_000, 30_000, 3_030_000), (-4, -10_000, 30_000, 20_000)],
    ids=["a purchase pays it on top", "from a sale it is taken", "it may be more than the sale brought"],
)
def test_the_fee_of_a_hinted_external_trade_is_no_part_of_its_price(
    shares: int, cash: int, fee: int, amount: int
) -> None:
    cause = Cause.EXTERNAL_BUY if shares > 0 else Cause.EXTERNAL_SALE
    told = replace(hint(cause, cash, yes=shares * SHARE), fee_micro=fee)
    before = holding().position()
    book = looked_twice(holding(), told, yes=(10 + shares) * SHARE)
    (entry,) = book.entries()
    assert isinstance(entry, Trade)
    assert (entry.amount_micro, entry.fee_micro) == (amount, fee)
    (booked,) = book.state.adjustments.values()
    assert booked.cash_micro == cash
    position = book.position()
    assert position.cash_flow_settled_micro - before.cash_flow_settled_micro == cash
    assert (position.fees_micro, position.bought_micro + position.proceeds_micro) == (fee, 4 * SHARE + amount)
    assert [row.fee_micro for row in book.last(AdjustmentRow)] == [fee]


@pytest.mark.req("R-13", "L-14")
@pytest.mark.parametrize(("shares", "cause", "cost"), [(4, Cause.TRANSFER_IN, 2 * SHARE), (-4, Cause.TRANSFER_OUT, 0)])
def test_a_hinted_transfer_comes_in_at_the_mark_and_leaves_at_cost(shares: int, cause: Cause, cost: int) -> None:
    book = looked_twice(holding(), hint(cause, 0, yes=shares * SHARE), yes=(10 + shares) * SHARE)
    (entry,) = book.entries()
    assert isinstance(entry, Carry)
    assert (entry.cause, entry.shares_micro, entry.cost_micro, entry.estimated) == (cause, shares * SHARE, cost, True)
    assert book.position().realized_pnl_micro == 0


@pytest.mark.req("L-14", "R-13")
def test_a_hinted_conversion_is_one_entry_of_the_event_with_its_legs_in_question_order() -> None:
    book = Book(question(0), question(1), question(2), market_id=EVENT)
    for index in (0, 1):
        given = {"condition_id": f"0xc{index}", "token_id": f"n{index}", "status": TradeStatus.CONFIRMED}
        book.see(leg(f"t{index}", 4 * SHARE, price=90 * CENT, **given))
    book.look(chain(40, n0=4 * SHARE, n1=4 * SHARE))
    converted = hint(Cause.CONVERTED, 4 * SHARE, "0xc0", n1=-4 * SHARE, n0=-4 * SHARE, y2=4 * SHARE)
    looked_twice(book, converted, n0=0, n1=0, y2=4 * SHARE)
    (entry,) = book.entries()
    assert isinstance(entry, Conversion)
    assert (entry.no_token_ids, entry.yes_token_ids) == (("n0", "n1"), ("y2",))
    assert (entry.shares_micro, entry.collateral_micro, entry.neg_risk_market_id) == (4 * SHARE, 4 * SHARE, EVENT)
    assert book.position("y2").cost_basis_micro == 3_200_000
    assert {row.cause for row in book.last(AdjustmentRow)} == {Cause.CONVERTED}


@pytest.mark.req("R-13")
def test_a_conversion_of_tokens_without_metadata_keeps_the_order_of_their_ids() -> None:
    book = Book()
    draft = Draft(book.state, book.now_ms)
    confirmed = [
        Confirmed(token_id=token, condition_id="", difference_micro=shares, evidence="e", at_ms=0)
        for token, shares in (("b", -1), ("a", -1), ("z", 1))
    ]
    told = (hint(Cause.CONVERTED, 1, "", b=-1, a=-1, z=1),)
    view = ExternalView(cycle_id="c", base_version=0, synced_at_ms=0, policy=ViewPolicy(), hints=told)
    applied = apply_confirmed(draft, view, confirmed, told)
    assert [effect.token_id for effect in draft.effects] == ["a", "b", "z"]
    assert [done.condition_id for done in applied] == ["", "", ""]


@pytest.mark.req("L-14", "L-15")
def test_a_merge_and_a_sale_of_the_rest_hold_together() -> None:
    book = looked_twice(
        holding(10 * SHARE, 10 * SHARE),
        hint(Cause.POSITION_MERGED, 4 * SHARE, yes=-4 * SHARE, no=-4 * SHARE),
        hint(Cause.EXTERNAL_SALE, SHARE, yes=-2 * SHARE),
        yes=4 * SHARE,
        no=6 * SHARE,
    )
    assert [type(entry) for entry in book.entries()] == [Merge, Trade]
    assert [entry.entry_id for entry in book.entries()] == ["c3:0xc0:0", "c3:0xc0:1"]
    assert (book.shares(), book.shares(NO)) == (4 * SHARE, 6 * SHARE)


@pytest.mark.req("L-14")
@pytest.mark.parametrize(
    "wrong",
    [
        hint(Cause.EXTERNAL_SALE, SHARE, yes=-3 * SHARE),
        hint(Cause.POSITION_MERGED, 4 * SHARE, yes=-4 * SHARE, no=-4 * SHARE),
    ],
)
def test_a_hint_that_does_not_match_exactly_what_is_found_is_not_used(wrong: CauseHint) -> None:
    book = looked_twice(holding(), wrong, yes=6 * SHARE)
    (entry,) = book.entries()
    assert isinstance(entry, Carry)
    assert entry.cause is Cause.UNTRACKED_REDUCTION


MERGED = hint(Cause.POSITION_MERGED, 4 * SHARE, yes=-4 * SHARE, no=-4 * SHARE)


@pytest.mark.req("L-14", "R-05")
def test_the_cause_is_what_the_cash_said_at_the_first_look() -> None:
    book = holding(10 * SHARE, 10 * SHARE)
    book.look(chain(50, yes=6 * SHARE, no=6 * SHARE), hints=(MERGED,))
    book.look(chain(51, yes=6 * SHARE, no=6 * SHARE))
    assert [type(entry) for entry in book.entries()] == [Merge]


@pytest.mark.req("L-14", "R-05")
def test_cash_that_moved_after_the_first_look_names_no_cause() -> None:
    book = holding(10 * SHARE, 10 * SHARE)
    book.look(chain(50, yes=6 * SHARE, no=6 * SHARE))
    book.look(chain(51, yes=6 * SHARE, no=6 * SHARE), hints=(MERGED,))
    assert [type(entry) for entry in book.entries()] == [Carry, Carry]


@pytest.mark.req("L-14", "R-05")
def test_a_leg_waits_for_the_other_leg_of_its_cause() -> None:
    """And is applied without the cause once the other leg turns out to be something else."""
    book = holding(10 * SHARE, 10 * SHARE)
    book.look(chain(50, yes=6 * SHARE, no=6 * SHARE), hints=(MERGED,))
    book.look(chain(51, yes=6 * SHARE, no=5 * SHARE))
    assert book.entries() == ()
    book.look(chain(52, yes=6 * SHARE, no=5 * SHARE))
    assert [type(entry) for entry in book.entries()] == [Carry, Carry]
    assert (book.shares(), book.shares(NO)) == (6 * SHARE, 5 * SHARE)


@pytest.mark.req("L-14")
def test_a_cause_that_holds_is_used_beside_one_that_does_not() -> None:
    book = Book(question(0), question(1), market_id=EVENT)
    tokens = ("y0", "n0", "y1")
    for token in tokens:
        book.see(leg(token, condition_id=f"0xc{token[1]}", token_id=token, status=TradeStatus.CONFIRMED))
    book.look(chain(40, y0=10 * SHARE, n0=10 * SHARE, y1=10 * SHARE))
    merged = hint(Cause.POSITION_MERGED, SHARE, "0xc0", y0=-SHARE, n0=-SHARE)
    wrong = hint(Cause.EXTERNAL_SALE, SHARE, "0xc1", y1=-3 * SHARE)
    looked_twice(book, wrong, merged, y0=9 * SHARE, n0=9 * SHARE, y1=8 * SHARE)
    assert [type(entry) for entry in book.entries()] == [Merge, Carry]


@pytest.mark.req("R-13", "L-14")
def test_an_unexplained_reduction_leaves_at_own_cost_and_an_increase_comes_in_at_the_mark() -> None:
    book = looked_twice(holding(10 * SHARE), yes=6 * SHARE, no=2 * SHARE)
    down, up = book.entries()
    assert isinstance(down, Carry)
    assert isinstance(up, Carry)
    assert (down.cause, down.shares_micro, down.cost_micro) == (Cause.UNTRACKED_REDUCTION, -4 * SHARE, 0)
    assert (up.cause, up.shares_micro, up.cost_micro) == (Cause.UNTRACKED_INCREASE, 2 * SHARE, SHARE)
    assert down.evidence == "balance at block 51, inferred"
    assert down.at < up.at
    assert (book.position().realized_pnl_micro, book.position().cost_basis_micro) == (0, 2_400_000)


@pytest.mark.req("R-13")
def test_an_increase_without_a_price_comes_in_at_nothing_rather_than_at_a_guess() -> None:
    book = Book()
    for block in (50, 51):
        book.look(chain(block, yes=SHARE), prices=())
    assert book.position().cost_basis_micro == 0


@pytest.mark.req("R-23")
def test_an_opening_takes_the_whole_balance_at_the_data_apis_entry_cost() -> None:
    book = Book()
    book.look(chain(50, yes=10 * SHARE), opening=True, entry_costs=(data_row(YES, 20 * SHARE, 7 * SHARE),))
    (entry,) = book.entries()
    assert isinstance(entry, Carry)
    assert (entry.cause, entry.shares_micro, entry.cost_micro) == (Cause.OPENING, 10 * SHARE, 3_500_000)
    assert (entry.estimated, entry.evidence) == (
        True,
        "balance at block 50, inferred; cost from the Data API's entry cost",
    )


@pytest.mark.req("R-23")
@pytest.mark.parametrize("rows", [(), (data_row(YES, 0, SHARE),), (data_row(NO, SHARE, SHARE),)])
def test_an_opening_without_an_entry_cost_is_carried_at_the_mark(rows: tuple[DataPosition, ...]) -> None:
    book = Book()
    book.look(chain(50, yes=10 * SHARE), opening=True, entry_costs=rows)
    (entry,) = book.entries()
    assert isinstance(entry, Carry)
    assert (entry.cost_micro, entry.evidence) == (5 * SHARE, "balance at block 50, inferred; cost at the mark")


@pytest.mark.req("R-23", "L-17")
def test_history_that_explains_the_balance_exactly_needs_no_opening() -> None:
    book = Book()
    book.see(leg(status=TradeStatus.CONFIRMED))
    book.look(chain(50, yes=10 * SHARE), opening=True)
    assert book.entries() == ()
    assert book.position().cost_basis_micro == 4 * SHARE


@pytest.mark.req("R-23", "L-13")
def test_history_that_does_not_explain_the_balance_is_set_aside_and_stays_visible() -> None:
    book = Book()
    book.see(leg(status=TradeStatus.CONFIRMED), leg("t2", 3 * SHARE))
    book.look(chain(50, yes=8 * SHARE), opening=True)
    assert (book.shares(), book.position().settled_micro) == (11 * SHARE, 8 * SHARE)
    assert book.fill("t1").fill.state is FillState.SUPERSEDED
    assert [row.trade_id for row in book.last(FillRow)] == ["t1"]
    rows = {row.cause: row.size_micro for row in book.last(AdjustmentRow)}
    assert rows == {Cause.OPENING: 8 * SHARE, Cause.RESTATED: -10 * SHARE}


@pytest.mark.req("R-23")
def test_a_history_whose_shares_are_all_gone_opens_at_nothing_and_is_no_drift() -> None:
    """What was bought was redeemed before the first cycle; a redemption is no trade."""
    book = Book()
    book.see(leg(size=2_000 * SHARE, status=TradeStatus.CONFIRMED))
    result = book.look(chain(50, yes=0), opening=True)
    assert (book.shares(), result.drift_micro, result.causes) == (0, 0, ("OPENING",))
    book.see(leg("t0", status=TradeStatus.CONFIRMED))
    assert book.shares() == 0


@pytest.mark.req("X-02")
def test_after_a_correction_no_confirmed_fill_of_its_token_is_open() -> None:
    book = Book()
    book.see(leg("a", 5 * SHARE, status=TradeStatus.CONFIRMED), leg("b", 3 * SHARE))
    book.see(leg("c", SHARE, token_id=NO, status=TradeStatus.CONFIRMED))
    for block in (50, 51, 70):
        book.look(chain(block, yes=7 * SHARE))
    assert (book.fill("a").proven, book.fill("b").proven, book.fill("c").proven) == (True, False, False)


@pytest.mark.req("X-02")
def test_settling_a_fill_that_is_proven_or_unknown_changes_nothing() -> None:
    book = holding()
    draft = Draft(book.state, book.now_ms)
    settle(draft, [("y", "o1"), ("nobody", "o1")], "again")
    assert draft.state is book.state
    assert draft.rows == []


@pytest.mark.req("L-19")
def test_a_mark_is_not_an_entry_cost_of_another_token() -> None:
    book = Book()
    for block in (50, 51):
        book.look(chain(block, yes=SHARE, no=SHARE), prices=prices(yes=30 * CENT, no=70 * CENT))
    assert (book.position().cost_basis_micro, book.position(NO).cost_basis_micro) == (300_000, 700_000)
