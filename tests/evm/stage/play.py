"""The stage: a chain, and the wallets and markets on it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count

from tests.evm.stage.chain import ACCOUNTS, DEEPEST, Chain
from tests.evm.stage.market import Event, Market, answer, open_event, open_market
from tests.evm.stage.solidity import Built
from tests.evm.stage.trading import Order, match
from tests.evm.stage.wallet import Wallet
from tests.support.evm import EvmNode

HOUSE_MICRO = 10**15
WALLET_MICRO = 100_000 * 10**6
STOCK_MICRO = 10**6 * 10**6


class Stage(Chain):
    """Fresh wallets and markets for each test. What is set up is then so deep that no reorganisation takes it back."""

    def __init__(self, node: EvmNode, built: Mapping[str, Built]) -> None:
        """``node`` makes ``BLOCKS_ON_REQUEST``; ``built`` is what :func:`tests.evm.stage.compiled` gave."""
        super().__init__(node, built)
        self._addresses = iter(node.accounts[len(ACCOUNTS) :])
        self._names = count(1)
        self.house = Wallet(self, self.address("house"))
        with self.together():
            self.house.prepare(HOUSE_MICRO)
        self.mine(DEEPEST)

    def wallet(self, micro: int = WALLET_MICRO) -> Wallet:
        """A wallet with as much pUSD and as much bridged USDC, and no tokens."""
        wallet = Wallet(self, next(self._addresses))
        with self.together():
            wallet.prepare(micro)
        self.mine(DEEPEST)
        return wallet

    def market(self) -> Market:
        """A standard market, of which the house has a stock."""
        market = open_market(self, f"question {next(self._names)}")
        self.house.split_directly(market, STOCK_MICRO)
        self.mine(DEEPEST)
        return market

    def event(self, questions: int, fee_bips: int = 0) -> Event:
        """A neg-risk event, of all markets of which the house has a stock. Conversions cost ``fee_bips``/10000."""
        event = open_event(self, f"event {next(self._names)}", questions, fee_bips)
        with self.together():
            for market in event.markets:
                self.house.split_directly(market, STOCK_MICRO)
        self.mine(DEEPEST)
        return event

    def resolve(self, market: Market, payouts: tuple[int, int] = (1, 0)) -> str:
        """Answer it: YES, unless said otherwise. (1, 1) pays a half each, in a standard market only."""
        return answer(self, market, payouts)

    def match(self, market: Market, taker: Order, *makers: Order) -> str:
        """Any match; the fills of :class:`Wallet` are its simple cases."""
        return match(self, market, taker, makers)
