"""What an operator records by hand: an entry with a name and a reason, never an edit (L-26, X-12)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from portfolio.entries import Carry, Cause, EconomicTime, Trade
from portfolio.events import EntryMarked, TradeRecorded
from portfolio.facts import Side, TradeStatus
from portfolio.images import image_of
from portfolio.outcomes import AdjustmentRow
from portfolio.position import fold
from portfolio.views import CauseHint
from tests.unit.portfolio.markets import (
    CENT,
    CONDITION,
    MINUTE,
    NS_PER_MS,
    SECOND,
    SHARE,
    T0,
    YES,
    Book,
    chain,
    leg,
)

BOUGHT = TradeRecorded(
    entry_id="manual:1",
    token_id=YES,
    side=Side.BUY,
    size_micro=10 * SHARE,
    price_micro=30 * CENT,
    operator="ada",
    reason="bought on the website",
)
SOLD = replace(BOUGHT, entry_id="manual:2", side=Side.SELL, price_micro=70 * CENT, reason="sold on the website")


def holding() -> Book:
    book = Book()
    book.see(leg(status=TradeStatus.CONFIRMED))
    book.look(chain(1, yes=10 * SHARE))
    return book


def inferred(difference: int = 10 * SHARE) -> Book:
    """Holds ten, and inferred a change from two equal balances; its entry is ``c3:0xc0:0``."""
    book = holding()
    for block in (50, 51):
        book.look(chain(block, yes=10 * SHARE + difference))
    assert [entry.entry_id for entry in book.entries()] == ["c3:0xc0:0"]
    return book


def mark(price_micro: int | None = None, **given: Any) -> EntryMarked:
    values: dict[str, Any] = {"entry_id": "c3:0xc0:0", "operator": "ada", "reason": "a trade of mine"}
    return EntryMarked(price_micro=price_micro, **(values | given))


# -- trades that were made elsewhere ------------------------------------------------------------------------------


@pytest.mark.req("L-26", "X-12", "L-15")
def test_a_recorded_purchase_is_an_entry_with_the_operators_name_and_reason() -> None:
    book = holding()
    book.wait(SECOND)
    step = book.tell(BOUGHT)
    assert step.refused == ""
    held = book.position()
    assert (held.shares_micro, held.settled_micro, held.cost_basis_micro) == (20 * SHARE, 20 * SHARE, 7 * SHARE)
    (row,) = book.last(AdjustmentRow)
    assert (row.entry_id, row.cause, row.size_micro, row.cost_micro) == (
        "manual:1",
        Cause.EXTERNAL_BUY,
        10 * SHARE,
        3 * SHARE,
    )
    assert (row.operator, row.reason, row.estimated) == ("ada", "bought on the website", False)
    assert (row.evidence, row.economic_at_ms) == ("recorded by ada", book.now_ms)


@pytest.mark.req("L-26", "X-10")
def test_a_recorded_sale_realises_at_its_price_and_its_cash_is_accounted_for() -> None:
    book = holding()
    before = image_of(book.state).proven_cash_micro
    book.wait(SECOND)
    book.tell(SOLD)
    assert (book.shares(), book.position().realized_pnl_micro) == (0, 3 * SHARE)
    assert image_of(book.state).proven_cash_micro - before == 7 * SHARE
    book.tell(BOUGHT)
    assert image_of(book.state).proven_cash_micro - before == 4 * SHARE


@pytest.mark.req("L-26", "D-12", "L-13")
def test_a_record_takes_the_place_of_the_change_that_was_inferred_and_both_stay_to_be_seen() -> None:
    book = inferred(10 * SHARE)
    place = book.entries()[0].at
    book.tell(BOUGHT)
    (entry,) = book.entries()
    assert isinstance(entry, Trade)
    assert entry.at == EconomicTime(place.at_ns, "~", "manual:1")
    assert (book.shares(), book.position().cost_basis_micro) == (20 * SHARE, 7 * SHARE)
    assert book.state.adjustments["c3:0xc0:0"].superseded
    own, taken_back = book.last(AdjustmentRow)
    assert (own.entry_id, own.size_micro, own.cost_micro) == ("manual:1", 10 * SHARE, 3 * SHARE)
    assert (taken_back.cause, taken_back.size_micro, taken_back.cost_micro) == (
        Cause.RESTATED,
        -10 * SHARE,
        -5 * SHARE,
    )
    assert taken_back.evidence == "entry manual:1, recorded by ada"
    assert book.look(chain(60, yes=20 * SHARE)).pending_count == 0


@pytest.mark.req("L-26", "D-12")
def test_of_several_inferred_changes_that_fit_the_newest_is_taken() -> None:
    book = inferred(10 * SHARE)
    for block in (60, 61):
        book.look(chain(block, yes=30 * SHARE))
    book.tell(BOUGHT)
    assert [entry.entry_id for entry in book.entries()] == ["c3:0xc0:0", "manual:1"]


@pytest.mark.req("L-26", "D-12")
@pytest.mark.parametrize("given", [{"side": Side.SELL}, {"size_micro": 9 * SHARE}, {"token_id": "no"}])
def test_a_record_of_another_change_leaves_the_inferred_one(given: dict[str, Any]) -> None:
    book = inferred(10 * SHARE)
    assert book.tell(replace(BOUGHT, **given)).refused == ""
    assert len(book.entries()) == 2


@pytest.mark.req("L-26", "D-12")
def test_what_an_operator_recorded_is_replaced_by_no_trade_that_comes_later() -> None:
    book = holding()
    book.wait(SECOND)
    book.tell(BOUGHT)
    book.see(leg("t2", order_id="o2", status=TradeStatus.CONFIRMED))
    assert (book.shares(), len(book.entries())) == (30 * SHARE, 1)


@pytest.mark.req("L-26", "L-19")
@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"token_id": "strange"}, "token strange is not one of market 0xc0"),
        ({"size_micro": 0}, "size must be above 0, and price between 0 and 1, both excluded"),
        ({"size_micro": -1}, "size must be above 0, and price between 0 and 1, both excluded"),
        ({"price_micro": 0}, "size must be above 0, and price between 0 and 1, both excluded"),
        ({"price_micro": SHARE}, "size must be above 0, and price between 0 and 1, both excluded"),
    ],
)
def test_a_record_that_cannot_be_right_is_refused_and_changes_nothing(given: dict[str, Any], refused: str) -> None:
    book = holding()
    before = book.state
    step = book.tell(replace(BOUGHT, **given))
    assert (step.refused, step.state is before, step.rows) == (refused, True, ())


@pytest.mark.req("L-26", "L-19")
def test_a_record_is_made_once() -> None:
    book = holding()
    book.tell(BOUGHT)
    before = book.state
    step = book.tell(BOUGHT)
    assert (step.refused, step.state is before) == ("entry manual:1 was recorded before", True)


# -- inferred entries that were trades ----------------------------------------------------------------------------


@pytest.mark.req("L-26", "X-12", "D-02")
def test_an_inferred_purchase_that_is_marked_with_its_price_is_booked_anew_at_its_own_place() -> None:
    book = inferred(10 * SHARE)
    place = book.entries()[0].at
    book.wait(SECOND)
    book.see(leg("t2", order_id="o2", side=Side.SELL, price=80 * CENT, at_ms=book.now_ms))
    book.tell(mark(20 * CENT))
    (entry,) = book.entries()
    assert isinstance(entry, Trade)
    assert (entry.entry_id, entry.at.at_ns, entry.cause, entry.side) == (
        "c3:0xc0:0:external",
        place.at_ns,
        Cause.EXTERNAL_BUY,
        Side.BUY,
    )
    assert (entry.shares_micro, entry.amount_micro, entry.estimated) == (10 * SHARE, 2 * SHARE, False)
    assert (book.shares(), book.position().cost_basis_micro) == (10 * SHARE, 3 * SHARE)
    assert book.position().realized_pnl_micro == 5 * SHARE
    own, restated = book.last(AdjustmentRow)
    assert (own.operator, own.reason, own.evidence) == (
        "ada",
        "a trade of mine",
        "balance at block 51, inferred; marked external by ada",
    )
    assert restated.evidence == "entry c3:0xc0:0, marked by ada"
    assert book.state.positions == fold(book.state.entries()).by_token()


@pytest.mark.req("L-26", "R-20", "X-10")
@pytest.mark.parametrize("event", [SOLD, mark(70 * CENT, entry_id="chain:0xa:3")], ids=["recorded", "marked"])
def test_the_fee_that_a_log_shows_stays_whatever_price_an_operator_records(event: TradeRecorded | EntryMarked) -> None:
    book = holding()
    sale = CauseHint(
        cause=Cause.EXTERNAL_SALE,
        condition_id=CONDITION,
        legs=((YES, -10 * SHARE),),
        cash_micro=5_970_000,
        evidence="transaction 0xa, log 3, block 47",
        logged_as="chain:0xa:3",
        at_ms=T0 + MINUTE,
        fee_micro=30_000,
    )
    for block in (50, 51):
        book.look(chain(block, yes=0), hints=(sale,))
    book.tell(event)
    (entry,) = book.entries()
    assert isinstance(entry, Trade)
    assert (entry.amount_micro, entry.fee_micro, book.position().fees_micro) == (7 * SHARE, 30_000, 30_000)
    assert [row.fee_micro for row in book.last(AdjustmentRow)] == [30_000, -30_000]
    assert image_of(book.state).proven_cash_micro == -4 * SHARE + 7 * SHARE - 30_000


@pytest.mark.req("L-26", "R-13")
def test_an_inferred_sale_that_is_marked_without_a_price_leaves_at_own_cost() -> None:
    book = inferred(-4 * SHARE)
    before = book.position()
    book.tell(mark())
    (entry,) = book.entries()
    assert isinstance(entry, Carry)
    assert (entry.cause, entry.shares_micro, entry.cost_micro) == (Cause.EXTERNAL_SALE, -4 * SHARE, 0)
    assert book.position() == before
    assert [(row.cause, row.size_micro) for row in book.last(AdjustmentRow)] == [
        (Cause.EXTERNAL_SALE, -4 * SHARE),
        (Cause.RESTATED, 4 * SHARE),
    ]


@pytest.mark.req("L-26", "X-10")
def test_an_inferred_sale_that_is_marked_with_its_price_realises_and_brings_its_cash() -> None:
    book = inferred(-4 * SHARE)
    before = image_of(book.state).proven_cash_micro
    book.tell(mark(70 * CENT))
    assert book.position().realized_pnl_micro == 1_200_000
    assert image_of(book.state).proven_cash_micro - before == 2_800_000


@pytest.mark.req("L-26")
def test_an_inferred_purchase_that_is_marked_without_a_price_keeps_the_cost_it_came_in_at() -> None:
    book = inferred(10 * SHARE)
    book.tell(mark())
    (entry,) = book.entries()
    assert isinstance(entry, Carry)
    assert (entry.cause, entry.shares_micro, entry.cost_micro) == (Cause.EXTERNAL_BUY, 10 * SHARE, 5 * SHARE)


@pytest.mark.req("L-26", "L-19")
def test_a_mark_is_refused_for_what_is_no_standing_inferred_entry() -> None:
    book = inferred(10 * SHARE)
    assert book.tell(mark(entry_id="nothing")).refused == "there is no standing adjustment nothing in market 0xc0"
    assert book.tell(mark(0)).refused == "the price must lie between 0 and 1, both excluded"
    assert book.tell(mark(SHARE)).refused == "the price must lie between 0 and 1, both excluded"
    book.tell(mark())
    before = book.state
    assert book.tell(mark()).refused == "there is no standing adjustment c3:0xc0:0 in market 0xc0"
    again = book.tell(mark(entry_id="c3:0xc0:0:external"))
    assert again.refused == (
        "entry c3:0xc0:0:external is no inferred change of one token, so it cannot be marked as external"
    )
    assert book.state is before


@pytest.mark.req("L-26", "R-23")
def test_an_opening_is_not_marked_as_a_trade() -> None:
    book = Book()
    book.look(chain(50, yes=10 * SHARE), opening=True)
    refused = book.tell(mark(entry_id="c1:0xc0:0")).refused
    assert refused == "entry c1:0xc0:0 is no inferred change of one token, so it cannot be marked as external"


@pytest.mark.req("L-26", "D-02")
def test_an_entry_recorded_now_comes_after_the_fills_of_this_instant() -> None:
    book = holding()
    book.tell(SOLD)
    book.see(leg("t2", order_id="o2", price=20 * CENT, at_ms=T0))
    (entry,) = book.entries()
    assert entry.at == EconomicTime(book.now_ms * NS_PER_MS, "~", "manual:2")
    assert book.position().realized_pnl_micro == 4 * SHARE
