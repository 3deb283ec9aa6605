"""Matches on their way to the chain: each block brings them one step further, as their settlement says (R-10).

What stands in a block is noted in the world, so that a reorganisation can take it out and bring it back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from polymarket.sandbox import addresses, matches
from polymarket.sandbox.books import trade_operation
from polymarket.sandbox.chain import RevertedError, Transaction
from polymarket.sandbox.trading import CONFIRMED, FAILED, MATCHED, MINED, RETRYING, Trade

if TYPE_CHECKING:
    from polymarket.sandbox.world import World

_SEEN = frozenset({MINED, CONFIRMED})


class Settlements:
    """Every match that is in no block, or in none that is deep enough to be CONFIRMED."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._unconfirmed: list[Trade] = []

    def progress(self, number: int, at_ms: int) -> None:
        """Bring every unsettled match one block further; while some come back, those that are new wait behind them."""
        returning = number <= self._world.returns_until
        for trade in list(self._world.exchange.unsettled.values()):
            if trade.settlement.again or not returning:
                self._progress(trade, number, at_ms)

    def confirm(self, head: int) -> None:
        """What is deep enough below the head is CONFIRMED."""
        deepest = head - self._world.options.confirm_blocks
        for trade in self._unconfirmed:
            if (trade.block or head) <= deepest and trade.status != CONFIRMED:
                self.become(trade, CONFIRMED)
        self._unconfirmed = [trade for trade in self._unconfirmed if (trade.block or head) > deepest]

    def unsettle(self, trade: Trade, status: str) -> None:
        """A match is in no block any more. With a ``status`` the exchange says so; without one it says nothing."""
        trade.block = None
        self._unconfirmed = [other for other in self._unconfirmed if other is not trade]
        if status:
            self.become(trade, status)

    def become(self, trade: Trade, status: str) -> None:
        """A match has another status, which its parties are told."""
        trade.status, trade.updated_ms = status, self._world.now_ms
        self._world.feed.trade(trade)

    def _progress(self, trade: Trade, number: int, at_ms: int) -> None:
        plan = trade.settlement
        if plan.not_before > number:
            return
        if plan.delay_blocks > 0:
            plan.delay_blocks -= 1
        elif plan.retries > 0:
            plan.retries -= 1
            sent = self._send(trade)
            trade.transaction_hash = sent.hash
            if not plan.dropped:
                self._world.stand_reverted(sent)
            self.become(trade, RETRYING)
        elif not plan.stuck:
            del self._world.exchange.unsettled[trade.trade_id]
            self._settle(trade, number, at_ms)

    def _send(self, trade: Trade) -> Transaction:
        """The next transaction of a match: the one announced with the match, after that each a new one.

        One that comes back after a reorganisation is the one that it was.
        """
        announced = trade.transaction_hash if trade.status == MATCHED or trade.settlement.again else ""
        trade.settlement.again = False
        return Transaction(
            hash=announced or self._world.names.hash32("transaction"),
            sender=addresses.SETTLEMENT_OPERATOR,
            target=matches.exchange_of(self._world.directory.by_token[trade.token]),
        )

    def _settle(self, trade: Trade, number: int, at_ms: int) -> None:
        """The last transaction of a match: MINED, or FAILED where it is to fail or somebody could not deliver."""
        world, sent, plan = self._world, self._send(trade), trade.settlement
        market = world.directory.by_token[trade.token]
        try:
            with world.chain.transaction(sent):
                matches.settle(world.chain, market, trade, fail=plan.fail)
        except RevertedError as error:
            if not plan.dropped:
                trade.transaction_hash = sent.hash
                world.stand_reverted(sent)
            trade.error = str(error)
            self.become(trade, FAILED)
            return
        news = trade.status not in _SEEN or trade.transaction_hash != sent.hash
        trade.block, trade.transaction_hash = number, sent.hash
        if news:
            self.become(trade, MINED)
        self._unconfirmed.append(trade)
        operation = None
        if world.wallet.address in trade.parties:
            operation = trade_operation(trade, world.wallet.address, number, at_ms)
        world.note(trade, operation)
