"""What happens in the scripted world, in one call: trades, splits, merges, redemptions, conversions, transfers, cash.

Each moves balances and collateral as the chain would, all at once; the venue keeps no accounts of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from portfolio.facts import OpenOrder, OrderStatus, Payout, Side, Trade, TradeStatus
from portfolio.units import mul_price
from tests.support.venue import FUNDER, OWN_KEY, Venue

FOREIGN_KEY = "key-foreign"
NS_PER_MS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Deal:
    """A trade to make: ``size`` and ``price`` in micro; ``owner`` is the API key that placed our order."""

    token_id: str
    size: int
    price: int
    side: Side = Side.BUY
    owner: str = OWN_KEY
    status: TradeStatus = TradeStatus.CONFIRMED
    order_id: str = ""
    settled: bool = True
    age_ms: int = 0


def trade(venue: Venue, trade_id: str, deal: Deal) -> Trade:
    """A trade of ours as taker, without fee. ``settled``: balances and cash have moved already."""
    matched_ms = venue.clock.now_ms() - deal.age_ms
    made = Trade(
        trade_id=trade_id,
        taker_order_id=deal.order_id or f"order-of-{trade_id}",
        condition_id=deal.token_id.rpartition("-")[0],
        token_id=deal.token_id,
        side=deal.side,
        size_micro=deal.size,
        price_micro=deal.price,
        status=deal.status,
        matched_at_ns=matched_ms * NS_PER_MS,
        updated_at_ms=matched_ms,
        owner=deal.owner,
        maker_address=FUNDER,
        transaction_hash=f"0xhash-of-{trade_id}",
        trader_side=None,
        bucket_index=0,
        legs=(),
    )
    venue.trades.append(made)
    if deal.settled:
        settle(venue, deal)
    return made


def settle(venue: Venue, deal: Deal) -> None:
    """The chain shows the trade."""
    sign = 1 if deal.side is Side.BUY else -1
    move(venue, deal.token_id, sign * deal.size)
    venue.cash_micro -= sign * mul_price(deal.size, deal.price)


def move(venue: Venue, token_id: str, shares: int) -> None:
    """Shares come (positive) or go, without cash: a transfer."""
    venue.balances[token_id] = venue.balances.get(token_id, 0) + shares


def merge(venue: Venue, condition_id: str, shares: int) -> None:
    """Equal shares of both outcomes become collateral."""
    split(venue, condition_id, -shares)


def split(venue: Venue, condition_id: str, shares: int) -> None:
    """Collateral becomes equal shares of both outcomes."""
    move(venue, f"{condition_id}-yes", shares)
    move(venue, f"{condition_id}-no", shares)
    venue.cash_micro -= shares


def redeem(venue: Venue, token_id: str, *, yes: bool) -> None:
    """The condition of the token is decided, and all its shares are paid out."""
    condition_id, _, outcome = token_id.rpartition("-")
    venue.payouts[condition_id] = Payout(condition_id=condition_id, numerators=(int(yes), int(not yes)), denominator=1)
    shares = venue.balances.pop(token_id)
    venue.cash_micro += shares if yes == (outcome == "yes") else 0


def convert(venue: Venue, given: tuple[str, ...], taken: tuple[str, ...], shares: int) -> None:
    """NO of the conditions ``given`` become YES of the conditions ``taken`` and collateral, without fee."""
    for condition_id in given:
        move(venue, f"{condition_id}-no", -shares)
    for condition_id in taken:
        move(venue, f"{condition_id}-yes", shares)
    venue.cash_micro += (len(given) - 1) * shares


def fill_order(venue: Venue, order_id: str, trade_id: str) -> None:
    """A live order of ours is filled whole: its trade is there, and it leaves the list as MATCHED."""
    order = venue.orders[order_id]
    trade(
        venue,
        trade_id,
        Deal(token_id=order.token_id, size=order.original_size_micro, price=order.price_micro, order_id=order_id),
    )
    venue.end_order(order_id, OrderStatus.MATCHED, matched_micro=order.original_size_micro)


def fill_part(venue: Venue, order_id: str, trade_id: str, size: int) -> tuple[Trade, OpenOrder]:
    """So much more of a live order of ours is filled; its trade, and the order as it stands then."""
    order = venue.orders[order_id]
    matched = order.size_matched_micro + size
    venue.orders[order_id] = msgspec.structs.replace(order, size_matched_micro=matched)
    deal = Deal(token_id=order.token_id, size=size, price=order.price_micro, order_id=order_id)
    return trade(venue, trade_id, deal), venue.orders[order_id]


def becomes(venue: Venue, trade_id: str, status: TradeStatus) -> Trade:
    """The exchange shows another status of a trade from now on."""
    (made,) = [made for made in venue.trades if made.trade_id == trade_id]
    # As of the newest block, which has it if the exchange says so.
    told_ms = venue.clock.now_ms() - venue.block_age_ms
    changed = msgspec.structs.replace(made, status=status, updated_at_ms=max(told_ms, made.updated_at_ms))
    venue.trades[venue.trades.index(made)] = changed
    return changed
