"""What a market shows of itself."""

from __future__ import annotations

import pytest

from portfolio.facts import OrderStatus, Side, TradeStatus
from portfolio.images import flag_mismatch, image_of, live_orders
from portfolio.views import UnprovenFill
from tests.unit.portfolio.markets import (
    EVENT,
    NO,
    SHARE,
    T0,
    YES,
    Book,
    chain,
    fate,
    leg,
    listed,
    meta,
    order,
    question,
)

CONFIRMED = TradeStatus.CONFIRMED


@pytest.mark.req("S-02", "X-15")
def test_an_image_tells_proven_settled_and_held_apart() -> None:
    book = Book()
    book.see(leg("a", 10 * SHARE, status=CONFIRMED))
    book.look(chain(1, yes=10 * SHARE))
    book.see(leg("b", 5 * SHARE, at_ms=T0 + 9), leg("c", 2 * SHARE, at_ms=T0 + 3, side=Side.SELL, status=CONFIRMED))
    yes, no = image_of(book.state).tokens
    assert (yes.proven_micro, yes.settled_micro, yes.shares_micro) == (10 * SHARE, 8 * SHARE, 13 * SHARE)
    assert [(fill.trade_id, fill.shares_micro, fill.confirmed) for fill in yes.unproven] == [
        ("c", -2 * SHARE, True),
        ("b", 5 * SHARE, False),
    ]
    assert yes.unproven[0] == UnprovenFill(
        trade_id="c",
        order_id="o1",
        shares_micro=-2 * SHARE,
        cash_micro=800_000,
        confirmed=True,
        matched_at_ms=T0 + 3,
    )
    assert (no.token_id, no.outcome_index, no.shares_micro, no.unproven) == (NO, 1, 0, ())


@pytest.mark.req("X-10")
def test_proven_cash_counts_proven_fills_and_adjustments_that_stand() -> None:
    book = Book()
    book.see(leg("a", status=CONFIRMED), leg("failed"), leg("failed", status=TradeStatus.FAILED))
    assert image_of(book.state).proven_cash_micro == 0
    book.look(chain(1, yes=10 * SHARE))
    assert image_of(book.state).proven_cash_micro == -4 * SHARE


def test_an_image_says_what_is_pending_noted_or_halted() -> None:
    book = Book()
    image = image_of(book.state)
    assert (image.noted, image.halted, [token.pending for token in image.tokens]) == (False, False, [False, False])
    book.see(leg(external=True))
    book.look(chain(50, no=SHARE))
    assert [token.pending for token in image_of(book.state).tokens] == [False, True]
    book.see(leg("t2", external=True))
    assert image_of(book.state).noted


@pytest.mark.req("L-06")
def test_only_orders_that_can_still_be_filled_are_shown() -> None:
    book = Book()
    book.look(orders=listed(order("b"), order("a"), order("c"), order("d")))
    ended = {
        "c": order("c", status=OrderStatus.CANCELED),
        "d": order("d", status=OrderStatus.MATCHED, size_matched_micro=1),
    }
    fates = tuple(fate(order_id, found) for order_id, found in ended.items())
    book.look(orders=listed(order("b"), order("a"), fates=fates))
    assert [(shown.order_id, shown.remaining_micro) for shown in live_orders(book.state)] == [
        ("a", 100 * SHARE),
        ("b", 100 * SHARE),
    ]


@pytest.mark.req("R-06")
@pytest.mark.parametrize(
    ("claimed", "derived", "mismatch"),
    [(True, False, True), (False, True, True), (True, True, False), (None, True, False), (True, None, False)],
)
def test_a_flag_mismatch_needs_both_witnesses(claimed: bool | None, derived: bool | None, mismatch: bool) -> None:
    shown = meta(neg_risk_claimed=claimed, neg_risk_derived=derived)
    assert flag_mismatch(shown) is mismatch
    assert image_of(Book(shown).state).flag_mismatch is mismatch


@pytest.mark.req("R-06", "D-01")
def test_an_event_shows_every_token_with_its_question() -> None:
    image = image_of(Book(question(0), question(1), market_id=EVENT).state)
    assert (image.neg_risk, image.question_count) == (True, 2)
    assert [(token.token_id, token.question_index) for token in image.tokens] == [
        ("y0", 0),
        ("n0", 0),
        ("y1", 1),
        ("n1", 1),
    ]
    assert YES not in {token.token_id for token in image.tokens}
