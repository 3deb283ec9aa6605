"""What an order's cumulative figure shows beyond its trades: provisional fills (D-03, R-11).

An order update and the trades that explain it arrive in either order. Per order there is one figure, ``venue matched``,
that only rises, and the sum of all trades ever seen; the difference is booked at the limit price until the trades come,
and each trade takes the place of as much of it. So whichever feed is first books, and the other is recognised.
"""

from __future__ import annotations

from msgspec.structs import replace

from portfolio.entries import EconomicTime, Fill, FillState
from portfolio.facts import OpenOrder, OrderStatus, Role
from portfolio.units import mul_price
from portfolio.views import OrderState

PROVISIONAL = "provisional"
"""In the place of the trade id, which is not known yet."""

ORDER_RANK = {
    OrderStatus.DELAYED: 0,
    OrderStatus.UNMATCHED: 1,
    OrderStatus.LIVE: 2,
    OrderStatus.GONE: 3,
    OrderStatus.MATCHED: 4,
    OrderStatus.CANCELED: 5,
    OrderStatus.INVALID: 6,
}
"""A status only moves to a higher rank: a live order may end, an ended one does not live again."""

_TAKERS = frozenset({"FOK", "FAK"})

WITHIN_THE_MS_NS = 999_999
"""A message's time is whole milliseconds, a trade's may be finer: it was before the message if it is in that one."""


def provisional_fills(order: OrderState) -> tuple[Fill, ...]:
    """The order's provisional quantity as entries: what a balance has shown already, then what is in flight."""
    waiting = order.waiting_micro
    if waiting == 0:
        return ()
    proven = min(order.proven_micro, waiting)
    parts = ((proven, FillState.SETTLED), (waiting - proven, FillState.PROVISIONAL))
    return tuple(_fill(order, size, state) for size, state in parts if size)


def _fill(order: OrderState, size_micro: int, state: FillState) -> Fill:
    return Fill(
        entry_id=f"{PROVISIONAL}:{order.order_id}:{state.value}",
        at=EconomicTime(order.matched_at_ns, "", order.order_id),
        trade_id=PROVISIONAL,
        order_id=order.order_id,
        condition_id=order.condition_id,
        token_id=order.token_id,
        side=order.side,
        role=Role.TAKER if order.order_type in _TAKERS else Role.MAKER,
        price_micro=order.price_micro,
        size_micro=size_micro,
        amount_micro=mul_price(size_micro, order.price_micro),
        fee_micro=0,
        state=state,
        owner=order.owner,
        external=False,
        transaction_hash=None,
        settled_by="a balance that shows it" if state is FillState.SETTLED else "",
    )


def with_trade(order: OrderState, fill: Fill) -> tuple[OrderState, bool]:
    """The order after a trade of its was first seen, and whether a balance has shown that trade already.

    A trade as old as what was given up explains that. Any other takes the place of provisional quantity, of the part
    that a balance has shown before the rest: what matched first settles first, and what failed was in no balance.
    """
    explained = min(order.given_up_micro, fill.size_micro) if fill.at.at_ns <= order.given_up_at_ns else 0
    proven = fill.state.effective and explained == 0 and 0 < fill.size_micro <= order.proven_micro
    left = order.proven_micro - fill.size_micro if proven else order.proven_micro
    order = replace(order, given_up_micro=order.given_up_micro - explained, proven_micro=left)
    return with_booked(order, fill.size_micro), proven


def with_booked(order: OrderState, more_micro: int) -> OrderState:
    """The order with the sum of its trades changed: no more of it stays proven than still waits."""
    order = replace(order, booked_micro=order.booked_micro + more_micro)
    return replace(order, proven_micro=min(order.proven_micro, order.waiting_micro))


def given_up(order: OrderState) -> OrderState:
    """The order without what waits for its trades and no balance has shown; a trade may still explain it (R-10)."""
    lost = order.waiting_micro - order.proven_micro
    last_ns = order.matched_at_ns + WITHIN_THE_MS_NS
    return replace(order, given_up_micro=order.given_up_micro + lost, given_up_at_ns=last_ns)


def merged(known: OrderState, shown: OpenOrder, at_ns: int) -> OrderState:
    """What is known of an order with what a message or a list shows of it; the same in any order of messages (L-05).

    The figure only rises, an end is not taken back, and what the figure first rose to is dated by the earliest message.
    An order that was given up as gone had no known end: any word of the exchange counts for more (L-13).
    """
    matched = max(known.size_matched_micro, shown.size_matched_micro)
    matched_at_ns = _matched_at(known, shown, at_ns)
    told = (ORDER_RANK[shown.status], shown.ended_because)
    news = known.status is OrderStatus.GONE or told > (ORDER_RANK[known.status], known.ended_because)
    status, because = (shown.status, shown.ended_because) if news else (known.status, known.ended_because)
    return replace(
        known,
        size_matched_micro=matched,
        matched_at_ns=matched_at_ns,
        status=status,
        ended_because=because,
        created_at_ms=min(known.created_at_ms, shown.created_at_ms),
    )


def _matched_at(known: OrderState, shown: OpenOrder, at_ns: int) -> int:
    if shown.size_matched_micro > known.size_matched_micro:
        return at_ns
    if shown.size_matched_micro < known.size_matched_micro or known.size_matched_micro == 0:
        return known.matched_at_ns
    return min(known.matched_at_ns, at_ns)


def adopted(shown: OpenOrder, at_ns: int, booked_micro: int, now_ms: int) -> OrderState:
    """The state of an order that is first seen; ``booked_micro`` sums its trades seen before it."""
    return OrderState(
        order_id=shown.order_id,
        condition_id=shown.condition_id,
        token_id=shown.token_id,
        side=shown.side,
        price_micro=shown.price_micro,
        original_size_micro=shown.original_size_micro,
        size_matched_micro=shown.size_matched_micro,
        booked_micro=booked_micro,
        status=shown.status,
        owner=shown.owner,
        order_type=shown.order_type,
        created_at_ms=shown.created_at_ms,
        first_seen_at_ms=now_ms,
        ended_because=shown.ended_because,
        matched_at_ns=at_ns if shown.size_matched_micro else 0,
    )


def ended(order: OrderState, now_ms: int) -> OrderState:
    """The order, closed if it is over and nothing that it was matched by is awaited any more (L-06)."""
    if order.status.live or order.waiting_micro:
        return replace(order, closed_at_ms=None)
    return order if order.closed_at_ms is not None else replace(order, closed_at_ms=now_ms)
