"""Whatever else a market may be told beside fills and views: orders, look-ups, and what an operator writes down."""

from __future__ import annotations

from hypothesis import strategies as st

from portfolio.events import EntryMarked, FillChecked, MarketEvent, OrderChecked, OrderSeen, TradeRecorded
from portfolio.facts import OpenOrder, OrderStatus, Receipt, ReceiptStatus, Side, TradeStatus
from tests.unit.portfolio.markets import MINUTE, NO, SECOND, SHARE, T0, YES, order

TRADE_IDS = st.integers(0, 6).map(lambda number: f"t{number}")
ORDER_IDS = st.sampled_from(("o1", "o2", "o3"))
TOKENS = {"o1": YES, "o2": NO, "o3": YES}
SIDES = {"o1": Side.BUY, "o2": Side.BUY, "o3": Side.SELL}
STATUSES = [status for status in OrderStatus if status is not OrderStatus.GONE]
TIMES = st.integers(0, 20).map(lambda seconds: T0 + seconds * SECOND)
SIZES = st.one_of(st.integers(0, 20), st.integers(0, 5_000_000_000))


@st.composite
def shown_orders(draw: st.DrawFn) -> OpenOrder:
    order_id = draw(ORDER_IDS)
    return order(
        order_id,
        token_id=TOKENS[order_id],
        side=SIDES[order_id],
        price_micro=draw(st.integers(1, 999_999)) if draw(st.booleans()) else 600_000,
        original_size_micro=5_000 * SHARE,
        size_matched_micro=draw(SIZES),
        status=draw(st.sampled_from(STATUSES)),
        created_at_ms=draw(TIMES),
    )


@st.composite
def checks(draw: st.DrawFn) -> MarketEvent:
    found = draw(st.one_of(st.none(), shown_orders()))
    if draw(st.booleans()):
        order_id = draw(ORDER_IDS) if found is None else found.order_id
        return OrderChecked(order_id=order_id, order=found, ttl_ms=15 * MINUTE)
    receipts = st.builds(Receipt, transaction_hash=st.just("0xh"), status=st.sampled_from(ReceiptStatus))
    return FillChecked(
        trade_id=draw(TRADE_IDS),
        order_id=draw(ORDER_IDS),
        status=draw(st.one_of(st.none(), st.sampled_from(TradeStatus))),
        receipt=draw(st.one_of(st.none(), receipts)),
        chain_asked=draw(st.booleans()),
        ttl_ms=15 * MINUTE,
    )


def recorded(number: int) -> st.SearchStrategy[MarketEvent]:
    """A trade that an operator records, or an entry of an earlier view that he calls external."""
    trades = st.builds(
        TradeRecorded,
        entry_id=st.sampled_from((f"m{number}", "m0")),
        token_id=st.sampled_from((YES, NO, "strange")),
        side=st.sampled_from(Side),
        size_micro=SIZES,
        price_micro=st.integers(0, SHARE),
        operator=st.just("ada"),
        reason=st.just("r"),
    )
    marks = st.builds(
        EntryMarked,
        entry_id=st.builds("c{}:0xc0:{}".format, st.integers(0, number), st.integers(0, 1)),
        price_micro=st.one_of(st.none(), st.integers(0, SHARE)),
        operator=st.just("ada"),
        reason=st.just("r"),
    )
    return st.one_of(trades, marks)


def happenings(number: int) -> st.SearchStrategy[MarketEvent]:
    """Something else that the market is told, as the ``number``-th event of its story."""
    seen = st.builds(OrderSeen, order=shown_orders(), at_ms=TIMES, feed=st.just("stream"))
    return st.one_of(seen, checks(), recorded(number))
