"""Matches of orders, in the roles a wallet can have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from eth_typing import ChecksumAddress

from tests.evm.stage.chain import Chain
from tests.evm.stage.market import Market

ONE = 1_000_000


class Side(IntEnum):
    """As in the exchange's log."""

    BUY = 0
    SELL = 1

    @property
    def other(self) -> Side:
        """The opposite."""
        return Side(1 - self)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a match fills of one order. ``making`` and ``taking`` are pUSD and shares, by its side; micro."""

    order_hash: str
    maker: ChecksumAddress
    side: Side
    token: int
    making: int
    taking: int
    fee: int = 0


@dataclass(frozen=True, kw_only=True)
class Terms:
    """A fill as the wallet sees it: so many shares of an outcome (0 YES, 1 NO) at a price per share; all micro.

    ``across``: the other order is for the other outcome, on the same side. Buying, the exchange then splits pUSD for
    both (MINT); selling, it merges (MERGE). ``order_hash`` is the wallet's; one that nobody has seen if left empty.
    """

    market: Market
    side: Side
    shares: int
    outcome: int = 0
    price: int = ONE // 2
    fee: int = 0
    across: bool = False
    order_hash: str = ""

    @property
    def cash(self) -> int:
        """Shares times price, floored."""
        return self.shares * self.price // ONE

    def order(self, chain: Chain, maker: ChecksumAddress) -> Order:
        """The wallet's."""
        making, taking = _given_and_wanted(self.side, self.cash, self.shares)
        return Order(
            order_hash=self.order_hash or chain.fresh_hash(),
            maker=maker,
            side=self.side,
            token=self.market.tokens[self.outcome],
            making=making,
            taking=taking,
            fee=self.fee,
        )

    def counterparty(self, chain: Chain, maker: ChecksumAddress) -> Order:
        """Of whoever takes the other side."""
        side = self.side if self.across else self.side.other
        cash = self.shares - self.cash if self.across else self.cash
        making, taking = _given_and_wanted(side, cash, self.shares)
        return Order(
            order_hash=chain.fresh_hash(),
            maker=maker,
            side=side,
            token=self.market.tokens[1 - self.outcome if self.across else self.outcome],
            making=making,
            taking=taking,
        )


def _given_and_wanted(side: Side, cash: int, shares: int) -> tuple[int, int]:
    return (cash, shares) if side is Side.BUY else (shares, cash)


def match(chain: Chain, market: Market, taker: Order, makers: Sequence[Order]) -> str:
    """Fill one taker order against maker orders on the market's exchange; hash of the transaction."""
    exchange = chain.contract(f"{market.prefix}exchange").functions
    filled = [
        (order.order_hash, order.maker, order.side, order.token, order.making, order.taking, order.fee)
        for order in (taker, *makers)
    ]
    return chain.send(chain.address("operator"), exchange.matchOrders(market.condition, filled[0], filled[1:]))
