"""What an order's figure shows beyond its trades counts at once, and each trade takes the place of as much of it."""

from __future__ import annotations

from itertools import permutations

import pytest
from msgspec.structs import replace

from portfolio.entries import Cause, FillState
from portfolio.facts import OrderStatus, Role, Side, TradeStatus
from portfolio.images import image_of
from portfolio.outcomes import AdjustmentRow, FillRow
from portfolio.position import fold
from portfolio.provisional import PROVISIONAL, provisional_fills
from portfolio.views import DUST_MICRO
from tests.unit.portfolio.chain_facts import holding, merged
from tests.unit.portfolio.markets import (
    CENT,
    MINUTE,
    SECOND,
    SHARE,
    T0,
    Book,
    chain,
    fate,
    leg,
    listed,
    order,
)

CONFIRMED, FAILED = TradeStatus.CONFIRMED, TradeStatus.FAILED
LIMIT = 60 * CENT


def showing(matched: int = 10 * SHARE) -> Book:
    """A book whose order o1 (a purchase at 0.60) shows so many shares matched, and no trade was seen."""
    book = Book()
    book.show(order(size_matched_micro=matched))
    return book


def notice(book: Book) -> FillRow:
    """The last notice of a provisional quantity."""
    return [row for row in book.all(FillRow) if row.trade_id == PROVISIONAL][-1]


@pytest.mark.req("D-03", "R-11", "L-01")
def test_what_an_order_shows_beyond_its_trades_is_booked_at_its_limit_price_in_flight() -> None:
    book = showing(10 * SHARE)
    held = book.position()
    assert (held.shares_micro, held.settled_micro, held.cost_basis_micro) == (10 * SHARE, 0, 6 * SHARE)
    (row,) = book.last(FillRow)
    assert (row.trade_id, row.order_id, row.state) == (PROVISIONAL, "o1", FillState.PROVISIONAL)
    assert (row.price_micro, row.size_micro, row.amount_micro, row.fee_micro) == (LIMIT, 10 * SHARE, 6 * SHARE, 0)
    (booked,) = book.last(AdjustmentRow)
    assert (booked.cause, booked.size_micro, booked.cost_micro) == (Cause.RESTATED, 10 * SHARE, 6 * SHARE)
    assert booked.evidence == "order o1 shows 10.0 matched, its trades were not all seen"
    assert image_of(book.state).provisional


@pytest.mark.req("D-03")
@pytest.mark.parametrize(
    ("kind", "role"), [("GTC", Role.MAKER), ("GTD", Role.MAKER), ("FOK", Role.TAKER), ("FAK", Role.TAKER)]
)
def test_a_provisional_fill_has_the_role_of_its_kind_of_order(kind: str, role: Role) -> None:
    book = Book()
    book.show(order(order_type=kind, size_matched_micro=SHARE))
    assert notice(book).role is role


@pytest.mark.req("D-03")
def test_a_provisional_sale_realises_at_the_limit_price() -> None:
    book = Book()
    book.see(leg(order_id="o2", price=40 * CENT))
    book.show(order(side=Side.SELL, size_matched_micro=10 * SHARE))
    assert (book.shares(), book.position().realized_pnl_micro) == (0, 2 * SHARE)


@pytest.mark.req("D-03", "R-11", "L-01")
def test_the_trade_takes_the_place_of_the_provisional_quantity_at_its_own_price() -> None:
    book = showing(10 * SHARE)
    book.see(leg(price=55 * CENT))
    held = book.position()
    assert (held.shares_micro, held.cost_basis_micro) == (10 * SHARE, 5_500_000)
    row = notice(book)
    assert (row.size_micro, row.amount_micro, row.state, row.settled_by) == (
        0,
        0,
        FillState.SUPERSEDED,
        "the order's trades",
    )
    (restated,) = book.last(AdjustmentRow)
    assert (restated.size_micro, restated.cost_micro) == (-10 * SHARE, -6 * SHARE)
    assert not image_of(book.state).provisional


@pytest.mark.req("D-03", "L-10", "L-13")
def test_a_trade_at_the_limit_price_changes_no_position_and_its_rows_still_add_up() -> None:
    """The fill's row brings ten shares, so a row of its own takes the provisional ten back."""
    book = showing(10 * SHARE)
    before = book.position()
    book.see(leg(price=LIMIT))
    assert book.position() == before
    (restated,) = book.last(AdjustmentRow)
    assert (restated.size_micro, restated.cost_micro) == (-10 * SHARE, -6 * SHARE)


@pytest.mark.req("D-03")
def test_several_trades_take_its_place_one_by_one() -> None:
    book = showing(10 * SHARE)
    costs = []
    for trade, size in (("t1", 4), ("t2", 5), ("t3", 1)):
        book.see(leg(trade, size * SHARE, price=50 * CENT))
        costs.append((book.order().waiting_micro, book.shares(), book.position().cost_basis_micro))
    assert costs == [
        (6 * SHARE, 10 * SHARE, 5_600_000),
        (1 * SHARE, 10 * SHARE, 5_100_000),
        (0, 10 * SHARE, 5 * SHARE),
    ]
    assert [row.size_micro for row in book.all(FillRow) if row.trade_id == PROVISIONAL] == [
        10 * SHARE,
        6 * SHARE,
        SHARE,
        0,
    ]


@pytest.mark.req("D-03")
def test_a_trade_larger_than_what_was_shown_leaves_nothing_provisional() -> None:
    book = showing(10 * SHARE)
    book.see(leg(size=12 * SHARE))
    assert (book.shares(), book.order().waiting_micro) == (12 * SHARE, 0)
    book.show(order(size_matched_micro=12 * SHARE))
    assert book.shares() == 12 * SHARE


@pytest.mark.req("D-03", "R-10")
def test_a_failed_trade_takes_the_place_too_and_counts_for_nothing() -> None:
    book = showing(10 * SHARE)
    book.see(leg(size=10 * SHARE, status=FAILED))
    assert (book.shares(), book.order().waiting_micro, book.order().size_matched_micro) == (0, 0, 10 * SHARE)


@pytest.mark.req("D-03", "L-05")
def test_a_figure_that_comes_behind_its_trades_books_nothing() -> None:
    book = Book()
    book.see(leg(size=10 * SHARE))
    book.show(order(size_matched_micro=10 * SHARE))
    assert (book.shares(), book.last(FillRow), book.last(AdjustmentRow)) == (10 * SHARE, (), ())


@pytest.mark.req("D-03", "L-16")
def test_a_trade_of_another_order_takes_nothing_from_it() -> None:
    book = showing(10 * SHARE)
    book.see(leg(order_id="o2"))
    assert (book.shares(), book.order().waiting_micro) == (20 * SHARE, 10 * SHARE)


@pytest.mark.req("D-02", "D-03")
def test_whichever_message_first_showed_the_figure_it_is_dated_by_the_earliest() -> None:
    """A sale between the two times tells the difference: it is at a profit only if the purchase came first."""
    sale = leg("s", order_id="o2", side=Side.SELL, price=70 * CENT, at_ms=T0 + SECOND)
    ends = []
    for times in permutations((T0, T0 + 2 * SECOND)):
        book = Book()
        book.see(sale)
        for at_ms in times:
            book.show(order(size_matched_micro=10 * SHARE), at_ms=at_ms)
        ends.append((book.position(), book.order()))
        assert book.state.positions == fold(book.state.entries()).by_token()
    assert ends[0] == ends[1]
    assert ends[0][0].realized_pnl_micro == SHARE


# -- dust ---------------------------------------------------------------------------------------------------------


@pytest.mark.req("L-03", "L-04")
@pytest.mark.parametrize(
    ("matched", "booked", "given_up", "waiting"),
    [
        (0, 0, 0, 0),
        (DUST_MICRO - 1, 0, 0, DUST_MICRO - 1),
        (SHARE, SHARE - DUST_MICRO + 1, 0, 0),
        (SHARE, SHARE - DUST_MICRO, 0, DUST_MICRO),
        (SHARE, SHARE + 1, 0, 0),
        (5 * SHARE, 0, 5 * SHARE, 0),
        (5 * SHARE, 0, 2 * SHARE, 3 * SHARE),
        (5 * SHARE, SHARE, 4 * SHARE - 1, 0),
        (5 * SHARE, SHARE, 5 * SHARE, 0),
    ],
)
def test_less_than_dust_beside_a_trade_is_rounding_and_no_fill(
    matched: int, booked: int, given_up: int, waiting: int
) -> None:
    shown = showing(SHARE).order()
    shown = replace(shown, size_matched_micro=matched, booked_micro=booked, given_up_micro=given_up)
    assert shown.waiting_micro == waiting


@pytest.mark.req("L-03", "L-06")
def test_an_order_closes_although_its_trades_stay_behind_its_figure_by_dust() -> None:
    book = Book()
    book.show(order(status=OrderStatus.MATCHED, original_size_micro=5 * SHARE, size_matched_micro=5 * SHARE))
    book.see(leg(size=5 * SHARE - DUST_MICRO + 1))
    assert (book.order().closed_at_ms, book.shares()) == (T0, 5 * SHARE - DUST_MICRO + 1)


# -- what a balance has shown -------------------------------------------------------------------------------------


@pytest.mark.req("D-03", "X-02", "R-05")
def test_a_balance_proves_what_no_trade_has_shown_yet_and_the_trade_is_then_settled() -> None:
    book = showing(10 * SHARE)
    assert book.look(chain(1, yes=10 * SHARE)).pending_count == 0
    assert (book.position().settled_micro, book.order().proven_micro) == (10 * SHARE, 10 * SHARE)
    assert notice(book).state is FillState.SETTLED
    image = image_of(book.state)
    assert (image.proven_cash_micro, image.tokens[0].unproven, image.provisional) == (-6 * SHARE, (), True)
    book.see(leg(size=10 * SHARE, price=50 * CENT))
    fill = book.fill()
    assert (fill.fill.state, fill.proven) == (FillState.SETTLED, True)
    assert fill.fill.settled_by == "a balance that showed it before its trade was seen"
    assert (book.position().settled_micro, book.position().cost_basis_micro) == (10 * SHARE, 5 * SHARE)
    assert book.order().proven_micro == 0
    assert book.look(chain(2, yes=10 * SHARE)).pending_count == 0


@pytest.mark.req("D-03", "X-02")
def test_what_matched_after_the_balance_is_in_flight_beside_what_it_proved() -> None:
    book = showing(4 * SHARE)
    book.look(chain(1, yes=4 * SHARE))
    book.show(order(size_matched_micro=10 * SHARE))
    parts = provisional_fills(book.order())
    assert [(fill.size_micro, fill.state) for fill in parts] == [
        (4 * SHARE, FillState.SETTLED),
        (6 * SHARE, FillState.PROVISIONAL),
    ]
    assert (notice(book).size_micro, notice(book).amount_micro) == (10 * SHARE, 6 * SHARE)
    book.see(leg("t1", 4 * SHARE))
    assert (book.fill("t1").fill.state, book.order().proven_micro) == (FillState.SETTLED, 0)
    book.see(leg("t2", 6 * SHARE))
    assert (book.fill("t2").fill.state, book.fill("t2").proven) == (FillState.OBSERVED, False)
    assert (book.shares(), book.position().settled_micro) == (10 * SHARE, 4 * SHARE)


@pytest.mark.req("D-03", "R-10")
def test_a_failed_trade_was_in_no_balance_and_leaves_what_the_balance_proved() -> None:
    book = showing(5 * SHARE)
    book.look(chain(1, yes=5 * SHARE))
    book.show(order(size_matched_micro=10 * SHARE))
    book.see(leg("t1", 5 * SHARE, status=FAILED))
    assert not book.fill("t1").proven
    assert (book.shares(), book.position().settled_micro) == (5 * SHARE, 5 * SHARE)
    book.see(leg("t2", 5 * SHARE))
    assert book.fill("t2").fill.state is FillState.SETTLED


@pytest.mark.req("X-02", "D-20")
def test_one_balance_settles_a_fill_and_a_provisional_quantity_together() -> None:
    book = Book()
    book.see(leg("t1", 5 * SHARE, order_id="o2", at_ms=T0 - SECOND))
    book.show(order(size_matched_micro=10 * SHARE))
    book.look(chain(1, yes=15 * SHARE))
    assert (book.position().settled_micro, book.fill("t1", "o2").fill.state) == (15 * SHARE, FillState.SETTLED)
    assert book.state.positions == fold(book.state.entries()).by_token()


@pytest.mark.req("X-02")
def test_a_trade_whose_terms_grow_leaves_no_more_proven_than_still_waits() -> None:
    book = showing(10 * SHARE)
    book.see(leg("t1", SHARE))
    book.look(chain(1, yes=10 * SHARE))
    book.see(leg("t1", 6 * SHARE, status=TradeStatus.MINED))
    assert (book.order().waiting_micro, book.order().proven_micro) == (4 * SHARE, 4 * SHARE)
    book.show(order(size_matched_micro=20 * SHARE))
    assert book.order().proven_micro == 4 * SHARE


# -- what was inferred before -------------------------------------------------------------------------------------


def inferred(shares: int = 10 * SHARE) -> Book:
    """A book that inferred an increase from two equal balances."""
    book = Book()
    for block in (50, 51):
        book.look(chain(block, yes=shares))
    return book


@pytest.mark.req("D-12", "D-03")
def test_an_inferred_change_that_turns_out_to_be_a_provisional_quantity_gives_way_to_it() -> None:
    book = inferred(10 * SHARE)
    book.show(order(size_matched_micro=10 * SHARE))
    assert book.entries() == ()
    held = book.position()
    assert (held.shares_micro, held.settled_micro, held.cost_basis_micro) == (10 * SHARE, 10 * SHARE, 6 * SHARE)
    assert book.state.positions == fold(book.state.entries()).by_token()
    book.see(leg(price=50 * CENT))
    assert (book.fill().fill.state, book.shares(), book.position().cost_basis_micro) == (
        FillState.SETTLED,
        10 * SHARE,
        5 * SHARE,
    )


@pytest.mark.req("D-12")
@pytest.mark.parametrize(("matched", "created_at_ms"), [(9 * SHARE, T0 - SECOND), (10 * SHARE, T0 + 10 * MINUTE)])
def test_an_inferred_change_of_another_size_or_before_the_order_was_made_stays(
    matched: int, created_at_ms: int
) -> None:
    book = inferred(10 * SHARE)
    book.show(order(size_matched_micro=matched, created_at_ms=created_at_ms))
    assert len(book.entries()) == 1


@pytest.mark.req("D-12", "D-03")
def test_a_trade_that_a_balance_has_shown_takes_its_own_place_and_not_another_changes() -> None:
    """Ten came from elsewhere, ten more by the order: its trade explains the second ten."""
    book = inferred(10 * SHARE)
    book.show(order(created_at_ms=T0 + 10 * MINUTE, size_matched_micro=10 * SHARE), at_ms=T0 + 10 * MINUTE)
    book.look(chain(400, yes=20 * SHARE))
    book.see(leg(at_ms=T0 + SECOND))
    assert (book.shares(), len(book.entries()), book.order().waiting_micro) == (20 * SHARE, 1, 0)


# -- what was given up, and history before the books were opened --------------------------------------------------


OPENED = order(original_size_micro=2_000 * SHARE)


def opened(history: int = 10 * SHARE) -> Book:
    """Books opened with an order that had been matched before; its trades lie before what can be read (R-23)."""
    book = Book()
    shown = listed(replace(OPENED, size_matched_micro=history), previous=None)
    book.look(chain(1, yes=history), opening=True, orders=shown)
    book.wait(MINUTE)
    return book


@pytest.mark.req("R-23", "D-03")
def test_what_was_matched_before_the_books_were_opened_is_part_of_the_opening() -> None:
    book = opened(10 * SHARE)
    assert (book.shares(), book.order().waiting_micro) == (10 * SHARE, 0)
    assert [row for row in book.all(FillRow) if row.trade_id == PROVISIONAL] == []
    book.show(order(size_matched_micro=14 * SHARE))
    assert (book.shares(), book.order().waiting_micro) == (14 * SHARE, 4 * SHARE)


@pytest.mark.req("R-23", "D-03")
@pytest.mark.parametrize("trade_first", [True, False])
def test_a_trade_after_the_opening_is_not_taken_for_history_whichever_message_is_first(trade_first: bool) -> None:
    book = opened(10 * SHARE)
    figure, trade = order(size_matched_micro=14 * SHARE), leg(size=4 * SHARE, at_ms=book.now_ms)
    if trade_first:
        book.see(trade)
        book.show(figure)
    else:
        book.show(figure)
        book.see(trade)
    assert (book.shares(), book.order().waiting_micro, book.order().given_up_micro) == (14 * SHARE, 0, 10 * SHARE)


@pytest.mark.req("R-23")
def test_a_trade_of_history_that_is_shown_late_takes_nothing_from_what_waits() -> None:
    book = opened(10 * SHARE)
    book.show(order(size_matched_micro=14 * SHARE))
    book.see(leg("old", 10 * SHARE, at_ms=T0 - MINUTE, status=CONFIRMED))
    assert (book.shares(), book.order().waiting_micro, book.order().given_up_micro) == (14 * SHARE, 4 * SHARE, 0)
    assert book.fill("old").fill.state is FillState.SUPERSEDED


@pytest.mark.req("R-03", "R-23")
def test_history_that_was_matched_before_the_opening_is_no_drift_when_the_order_goes_on_or_ends() -> None:
    book = opened(1_000 * SHARE)
    grown = replace(OPENED, size_matched_micro=1_005 * SHARE)
    assert book.look(orders=listed(grown, read_at_ms=book.now_ms)).drift_micro == 3 * SHARE
    ended = replace(grown, status=OrderStatus.CANCELED)
    assert book.look(orders=listed(fates=(fate("o1", ended),), read_at_ms=book.now_ms)).drift_micro == 0
    assert (book.order().status, book.order().waiting_micro) == (OrderStatus.CANCELED, 5 * SHARE)
    book.see(leg(size=5 * SHARE, at_ms=book.now_ms))
    assert (book.order().closed_at_ms, book.shares()) == (book.now_ms, 1_005 * SHARE)


@pytest.mark.req("D-02", "D-03", "L-14")
def test_a_late_figure_is_the_evidence_for_what_it_changes_of_both_outcomes() -> None:
    """A pair was merged after the match: what its shares had cost changes with it."""
    book = holding()
    book.chain(merged())
    book.show(order("o9", price_micro=90 * CENT, size_matched_micro=4 * SHARE), at_ms=T0 + SECOND)
    stated = book.last(AdjustmentRow)
    assert len({row.token_id for row in stated}) == 2
    assert {row.evidence for row in stated} == {"order o9 shows 4.0 matched, its trades were not all seen"}
