"""The exchange: takes orders, matches them by price and time, and remembers orders and trades.

A BUY of one outcome also meets a BUY of the other (the shares are minted), a SELL a SELL (they are merged). Matching
is immediate; settlement on the chain is the world's business.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from polymarket.sandbox import addresses
from polymarket.sandbox.amounts import ONE, notional, taker_fee
from polymarket.sandbox.chain import COIN, Chain
from polymarket.sandbox.feed import CANCELLATION, PLACEMENT, Feed
from polymarket.sandbox.markets import Directory, Market
from polymarket.sandbox.names import Names
from polymarket.sandbox.resting import RestingOrders
from polymarket.sandbox.trading import (
    BUY,
    CANCELED,
    CANCELED_EXPIRED,
    CANCELED_NOT_BACKED,
    CANCELED_RESOLVED,
    FAK,
    FOK,
    KILLED,
    MATCHED,
    SELL,
    Leg,
    Order,
    OrderRefusedError,
    OrderTerms,
    Party,
    Settlement,
    Trade,
    taker_price,
)

_NS_PER_MS = 1_000_000
_MS_PER_S = 1000


class Exchange:
    """Order books of all markets, and every order and trade there ever was.

    ``limited`` are the addresses whose balance is checked; everybody else is funded by the world when a match settles.
    ``feed`` is told what happens.
    """

    def __init__(self, chain: Chain, directory: Directory, names: Names, limited: frozenset[str], feed: Feed) -> None:
        self.orders: dict[str, Order] = {}
        self.trades: dict[str, Trade] = {}
        self._chain = chain
        self._directory = directory
        self._names = names
        self._limited = limited
        self._feed = feed
        self.unsettled: dict[str, Trade] = {}
        self._resting = RestingOrders()
        self._trades_of: dict[str, list[Trade]] = {}
        self._sequence = 0

    def resting(self, token: str, side: str) -> list[Order]:
        """Live orders of a token and side, the oldest first."""
        return self._resting.of_token(token, side)

    def live_orders(self, address: str) -> list[Order]:
        """Live orders of everybody who trades for that address, the oldest first."""
        return self._resting.of_address(address)

    def trades_of(self, address: str, after_s: int = 0) -> list[Trade]:
        """Every trade that the address has a part in, matched in a later second than that one; the oldest first."""
        trades = self._trades_of.get(address, [])
        return trades[bisect_right(trades, after_s, key=lambda trade: trade.matched_s) :]

    def place(
        self,
        party: Party,
        terms: OrderTerms,
        now_ms: int,
        order_id: str = "",
        settlement: Settlement | None = None,
    ) -> tuple[Order, Trade | None]:
        """Take an order and match it. Raises :class:`OrderRefusedError` with the exchange's text."""
        market = self._market(terms.token)
        self._check(party, terms, market)
        order = self.record(party, terms, now_ms, order_id)
        makers = list(self._takeable(order, market))
        if terms.order_type == FOK and sum(size for _, size in makers) < terms.size:
            self._end(order, KILLED)  # of a killed order the user channel tells nothing but its end
            return order, None
        trade = self.match(order, makers, now_ms, settlement=settlement) if makers else None
        self._introduce(order)
        if order.live and terms.order_type == FAK:
            self._end(order, CANCELED)
        elif order.live:
            self._resting.add(order)
        return order, trade

    def record(self, party: Party, terms: OrderTerms, now_ms: int, order_id: str = "") -> Order:
        """An order that is known but not in the book (yet)."""
        market = self._market(terms.token)
        self._sequence += 1
        order = Order(
            order_id=order_id or self._names.hash32("order"),
            party=party,
            condition_id=market.condition_id,
            outcome=market.outcome_of(terms.token),
            terms=terms,
            created_ms=now_ms,
            sequence=self._sequence,
        )
        if order.order_id in self.orders:
            raise OrderRefusedError("order already exists; change its salt or timestamp")
        self.orders[order.order_id] = order
        return order

    def match(
        self,
        taker: Order,
        makers: Sequence[tuple[Order, int]],
        now_ms: int,
        *,
        listed: bool = True,
        settlement: Settlement | None = None,
    ) -> Trade:
        """One trade of the taker with these makers and sizes, in this order."""
        self._sequence += 1
        market = self._market(taker.terms.token)
        trade = _trade(taker, tuple(_leg(maker, size) for maker, size in makers), market, (now_ms, self._sequence))
        trade.trade_id, trade.listed, trade.settlement = self._names.uuid("trade"), listed, settlement or Settlement()
        if trade.settlement.retries or trade.settlement.hash_at_match:
            trade.transaction_hash = self._names.hash32("transaction")
        self.trades[trade.trade_id] = trade
        self.unsettled[trade.trade_id] = trade
        for address in trade.parties:
            self._trades_of.setdefault(address, []).append(trade)
        filled = [(taker, trade.size), *makers]
        for order, size in filled:
            if listed:
                self._introduce(order)
            self._fill(order, size, trade.trade_id)
        self._feed.match(trade, [order for order, _ in filled])
        return trade

    def cancel(self, order_id: str, status: str = CANCELED) -> Order:
        """Take an order out of the book. Raises :class:`OrderRefusedError` where it is not live."""
        order = self.orders.get(order_id)
        if order is None or not order.live:
            raise OrderRefusedError("order can't be found - already canceled or matched")
        self._end(order, status)
        return order

    def cancel_where(self, wanted: Callable[[Order], bool], status: str) -> list[Order]:
        """Cancel every live order that is wanted."""
        return [self.cancel(order.order_id, status) for order in self._resting.where(wanted)]

    def expire(self, now_ms: int) -> None:
        """Cancel what is past its expiration."""
        self.cancel_where(lambda order: 0 < order.terms.expires_s * _MS_PER_S <= now_ms, CANCELED_EXPIRED)

    def close_market(self, condition_id: str) -> None:
        """Cancel every order of a resolved market."""
        self.cancel_where(lambda order: order.condition_id == condition_id, CANCELED_RESOLVED)

    def available(self, address: str, market: Market, token: str) -> int:
        """Shares that can be sold: the balance less what unsettled matches still take from it."""
        balance = self._chain.balance(market.token_contract, address, int(token))
        return balance - sum(_sales(self.unsettled.values(), address, token))

    def backed(self, order: Order) -> bool:
        """Whether the maker could deliver what is still open of an order."""
        if order.party.address not in self._limited:
            return True
        if order.terms.side == SELL:
            market = self._market(order.terms.token)
            return self.available(order.party.address, market, order.terms.token) >= order.remaining
        cash = self._chain.balance(addresses.PUSD, order.party.address, COIN)
        return cash >= notional(order.remaining, order.terms.price)

    def _market(self, token: str) -> Market:
        market = self._directory.by_token.get(token)
        if market is None:
            raise OrderRefusedError("invalid token id; use one of a market that the exchange lists")
        return market

    def _check(self, party: Party, terms: OrderTerms, market: Market) -> None:
        _check_terms(terms, market)
        order = Order(order_id="", party=party, condition_id="", outcome="", terms=terms, created_ms=0, sequence=0)
        if not self.backed(order):
            raise OrderRefusedError("not enough balance / allowance")
        if terms.post_only and any(True for _ in self._crossing(order, market)):
            raise OrderRefusedError("invalid post-only order: order crosses book")

    def _takeable(self, taker: Order, market: Market) -> Iterator[tuple[Order, int]]:
        """Makers that the taker meets and what it takes from each; makers who cannot deliver lose their order."""
        wanted = taker.terms.size
        for maker in self._crossing(taker, market):
            if wanted == 0:
                return
            if not self.backed(maker):
                self.cancel(maker.order_id, CANCELED_NOT_BACKED)
                continue
            size = min(wanted, maker.remaining)
            wanted -= size
            yield maker, size

    def _crossing(self, taker: Order, market: Market) -> list[Order]:
        """Resting orders of others that the taker's price meets, the best for the taker first."""
        terms = taker.terms
        other = market.opposite(terms.token)
        own_side, sign = (SELL, 1) if terms.side == BUY else (BUY, -1)
        priced = [(order.terms.price, order) for order in self.resting(terms.token, own_side)]
        priced += [(ONE - order.terms.price, order) for order in self.resting(other, terms.side)]
        met = [(sign * price, order.sequence, order) for price, order in priced if sign * price <= sign * terms.price]
        return [
            order for *_, order in sorted(met, key=lambda row: row[:2]) if order.party.address != taker.party.address
        ]

    def _fill(self, order: Order, size: int, trade_id: str) -> None:
        """A taker that may not rest is over with its match: its last update says so, and no cancellation follows."""
        order.matched += size
        order.trade_ids.append(trade_id)
        if order.remaining == 0 and order.live:
            order.status = MATCHED
        elif order.live and order.terms.order_type == FAK:
            order.status = CANCELED
        if not order.live:
            self._resting.remove(order)

    def _introduce(self, order: Order) -> None:
        """Tell of an order's placement, once."""
        if not order.introduced:
            order.introduced = True
            self._feed.order(PLACEMENT, order)

    def _end(self, order: Order, status: str) -> None:
        order.status = status
        self._resting.remove(order)
        self._feed.order(CANCELLATION, order)


def counter_terms(order: Order, market: Market, *, cross: bool) -> OrderTerms:
    """Terms of an order that exactly takes ``order``: on the same token, or (``cross``) on the other outcome."""
    terms = order.terms
    if cross:
        return replace(terms, token=market.opposite(terms.token), price=ONE - terms.price)
    return replace(terms, side=SELL if terms.side == BUY else BUY)


def _sales(trades: Iterable[Trade], address: str, token: str) -> Iterator[int]:
    for trade in trades:
        if (trade.taker.address, trade.token, trade.side) == (address, token, SELL):
            yield trade.size
        for leg in trade.legs:
            if (leg.party.address, leg.token, leg.side) == (address, token, SELL):
                yield leg.size


def _check_terms(terms: OrderTerms, market: Market) -> None:
    if market.closed:
        raise OrderRefusedError("market is closed; it takes no orders")
    if terms.side not in {BUY, SELL}:
        raise OrderRefusedError(f"invalid side {terms.side[:10]!r}; expected BUY or SELL")
    if terms.price % market.tick or not market.tick <= terms.price <= ONE - market.tick:
        raise OrderRefusedError(f"order {terms.token[:12]} is invalid. Price breaks minimum tick size rule")
    if terms.size < market.minimum_size:
        raise OrderRefusedError(f"order {terms.token[:12]} is invalid. Size lower than the minimum")


def _trade(taker: Order, legs: tuple[Leg, ...], market: Market, at: tuple[int, int]) -> Trade:
    """A match without its id; ``at`` is the time in ms and the sequence number, which orders those of one ms."""
    now_ms, sequence = at
    return Trade(
        trade_id="",
        taker_order_id=taker.order_id,
        taker=taker.party,
        condition_id=market.condition_id,
        token=taker.terms.token,
        outcome=taker.outcome,
        side=taker.terms.side,
        price=taker.terms.price,
        size=sum(leg.size for leg in legs),
        legs=legs,
        matched_ns=now_ms * _NS_PER_MS + sequence % _NS_PER_MS,
        updated_ms=now_ms,
        sequence=sequence,
        taker_fee=_fee(legs, taker.terms.token, market),
    )


def _leg(maker: Order, size: int) -> Leg:
    return Leg(
        order_id=maker.order_id,
        party=maker.party,
        token=maker.terms.token,
        outcome=maker.outcome,
        side=maker.terms.side,
        price=maker.terms.price,
        size=size,
    )


def _fee(legs: Sequence[Leg], token: str, market: Market) -> int:
    """The taker's fee, computed for each maker level (R-20)."""
    return sum(taker_fee(leg.size, taker_price(leg, token), market.fee_rate, market.fee_exponent) for leg in legs)
