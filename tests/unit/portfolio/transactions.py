"""Transactions as the contracts write them: every log of every call in its order, and what it should be labelled.

A match settles in one of two ways: from wallet to wallet where all makers want the other side of the taker's token,
else through the exchange, which mints or merges what is left over.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from portfolio.chain import ChangeKind, OrderFilled
from portfolio.facts import Side
from tests.unit.portfolio.transaction_calls import Calls
from tests.unit.portfolio.transaction_logs import EXCHANGE, FACTORY, FEES, NEG_ADAPTER, Market


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A filled order: what it got of shares for ``cash`` without the fee."""

    user: str
    side: Side
    token: str
    shares: int = 0
    cash: int = 0
    fee: int = 0


class Tx(Calls):
    """One transaction, whatever is in it."""

    def match(self, market: Market, taker: Order, *makers: Order, surplus: int = 0) -> None:
        """The taker's order against the makers'; the taker's own amounts follow from theirs.

        ``surplus`` is what the taker brings beyond what the makers need: it comes back in the same transaction.
        """
        shares = sum(maker.shares for maker in makers)
        cash = sum(maker.cash if maker.side is not taker.side else maker.shares - maker.cash for maker in makers)
        taker = msgspec.structs.replace(taker, shares=shares, cash=cash)
        if all(maker.side is not taker.side for maker in makers):
            self._match_directly(taker, makers)
        else:
            self._match_through(market, taker, makers, surplus)
        for order in (*makers, taker):
            sign = 1 if order.side is Side.BUY else -1
            paid = [("pusd", -sign * order.cash - order.fee)]
            self.expect(order.user, ChangeKind.FILL, market.name, [(order.token, sign * order.shares)], paid)

    def filled(self, order: Order, taker: str, surplus: int = 0) -> None:
        given, got = (order.cash, order.shares) if order.side is Side.BUY else (order.shares, order.cash)
        self.emit(
            OrderFilled,
            EXCHANGE,
            order_id=f"order-{self.index}",
            maker=order.user,
            taker=taker,
            side=order.side,
            token_id=order.token,
            maker_amount_micro=given + surplus,
            taker_amount_micro=got,
            fee_micro=order.fee,
        )

    def _match_directly(self, taker: Order, makers: Sequence[Order]) -> None:
        """Everybody wants the other side of the same token: it goes from wallet to wallet."""
        fees = taker.fee + sum(maker.fee for maker in makers)
        for maker in makers:
            if taker.side is Side.BUY:
                self.tokens(maker.user, taker.user, (maker.token, maker.shares))
                self.cash("pusd", taker.user, maker.user, maker.cash - maker.fee)
            else:
                self.tokens(taker.user, maker.user, (maker.token, maker.shares))
                self.cash("pusd", maker.user, EXCHANGE, maker.cash + maker.fee)
            self.filled(maker, taker.user)
        if taker.side is Side.SELL:
            self.cash("pusd", EXCHANGE, taker.user, taker.cash - taker.fee)
        self.filled(taker, EXCHANGE)
        if fees:
            self.cash("pusd", taker.user if taker.side is Side.BUY else EXCHANGE, FEES, fees)

    def _match_through(self, market: Market, taker: Order, makers: Sequence[Order], surplus: int) -> None:
        """Some want the other token: all goes through the exchange, which splits or merges what is left over."""
        self._bring(taker, surplus)
        for maker in makers:
            self._bring(maker, 0)
        pairs = sum(maker.shares for maker in makers if maker.side is taker.side)
        adapter = FACTORY if market.index is None else NEG_ADAPTER
        (self.split_by if taker.side is Side.BUY else self.merge_by)(EXCHANGE, market, pairs, adapter)
        for maker in makers:
            self._give(maker)
            self.filled(maker, taker.user)
        fees = sum(maker.fee for maker in makers) + (taker.fee if taker.side is Side.BUY else 0)
        if fees:
            self.cash("pusd", EXCHANGE, FEES, fees)
        self._give(taker)
        if surplus and taker.side is Side.BUY:
            self.cash("pusd", EXCHANGE, taker.user, surplus)
        elif surplus:
            self.tokens(EXCHANGE, taker.user, (taker.token, surplus))
        self.filled(taker, EXCHANGE, surplus)
        if taker.fee and taker.side is Side.SELL:
            self.cash("pusd", EXCHANGE, FEES, taker.fee)

    def _bring(self, order: Order, surplus: int) -> None:
        if order.side is Side.BUY:
            self.cash("pusd", order.user, EXCHANGE, order.cash + order.fee + surplus)
        else:
            self.tokens(order.user, EXCHANGE, (order.token, order.shares + surplus))

    def _give(self, order: Order) -> None:
        if order.side is Side.BUY:
            self.tokens(EXCHANGE, order.user, (order.token, order.shares))
        else:
            self.cash("pusd", EXCHANGE, order.user, order.cash - order.fee)
