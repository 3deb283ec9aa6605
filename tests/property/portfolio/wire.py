"""What the naive exchange says of itself: order and trade messages, as the stream and as REST show them."""

from __future__ import annotations

from portfolio.events import FillSeen, MarketEvent, OrderSeen
from portfolio.facts import MakerLeg, OpenOrder, OrderStatus, Side, Trade, TradeStatus
from portfolio.trades import own_legs
from tests.property.portfolio import exchange
from tests.unit.portfolio.markets import CONDITION, OWN_KEY

FUNDER = "0xFunder"
STRANGER = "0xstranger"


def order_seen(order: exchange.Order, at_ms: int, feed: str) -> OrderSeen:
    """The order as it stands; the exchange's second is all that a list shows of when it was made."""
    shown = OpenOrder(
        order_id=order.order_id,
        condition_id=CONDITION,
        token_id=order.token,
        side=Side(order.side),
        price_micro=order.price,
        original_size_micro=order.size,
        size_matched_micro=order.matched,
        status=OrderStatus(order.status),
        created_at_ms=order.created_ms,
        owner=OWN_KEY,
        maker_address=FUNDER,
        order_type=order.kind,
        ended_because=order.because,
    )
    return OrderSeen(order=shown, at_ms=at_ms, feed=feed)


def fills_seen(trade: exchange.Trade, feed: str) -> list[MarketEvent]:
    """Our legs of the trade as it stands; the stream shows whole seconds only."""
    second = exchange.SECOND_NS
    matched_ns = trade.matched_ns // second * second if feed == "stream" else trade.matched_ns
    shown = Trade(
        trade_id=trade.trade_id,
        taker_order_id=trade.taker.order_id if trade.taker is not None else "strange",
        condition_id=CONDITION,
        token_id=trade.token,
        side=Side(trade.side),
        size_micro=trade.size,
        price_micro=trade.taker.price if trade.taker is not None else 500_000,
        status=TradeStatus(trade.status),
        matched_at_ns=matched_ns,
        updated_at_ms=trade.updated_ms,
        owner=OWN_KEY if trade.taker is not None else STRANGER,
        maker_address=FUNDER if trade.taker is not None else STRANGER,
        transaction_hash=trade.hash or None,
        trader_side=None,
        bucket_index=0,
        legs=tuple(_leg(level, number) for number, level in enumerate(trade.levels)),
    )
    return [FillSeen(leg=leg, feed=feed) for leg in own_legs(shown, FUNDER, {OWN_KEY})]


def _leg(level: exchange.Level, number: int) -> MakerLeg:
    ours = level.order is not None
    return MakerLeg(
        order_id=level.order.order_id if level.order is not None else f"strange-{number}",
        owner=OWN_KEY if ours else STRANGER,
        maker_address=FUNDER if ours else STRANGER,
        token_id=level.token,
        price_micro=level.price,
        size_micro=level.size,
        side=Side(level.side) if number % 2 else None,
    )
