"""Overdue fills and provisional quantities, looked up again: what the exchange and the chain say now (R-10).

One question after another for each; the market decides. A look-up that fails is dropped: the next cycle asks again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

from actors.handing import Handing, Identity
from messages.addresses import Address, market_address
from messages.feeding import CheckOverdue, OverdueFill, Seen
from messages.reads import (
    OrderAnswer,
    Read,
    ReadCompleted,
    ReadFailed,
    ReadOrder,
    ReadReceipt,
    ReadTrades,
    ReceiptAnswer,
    TradesAnswer,
)
from portfolio.events import FillChecked, OrderChecked
from portfolio.facts import OpenOrder, Receipt, Source, TradeStatus, Verdict
from portfolio.provisional import PROVISIONAL
from portfolio.trades import own_legs

AT_ONCE_MAX = 20
"""Look-ups at a time; the others are asked for again by the next cycle."""

TRADES_OF_ORDER_MAX = 20
"""Trades of one order that are read in one look-up, the newest."""

PREFIX = "check|"


class _Check:
    def __init__(self, overdue: OverdueFill, ttl_ms: int) -> None:
        self.overdue = overdue
        self.ttl_ms = ttl_ms
        self.status: TradeStatus | None = None
        self.order: OpenOrder | None = None
        self.trades_left: list[str] = []
        self.asked_trade = ""
        self.left_out = False


class Checks:
    """The look-ups under way."""

    def __init__(
        self,
        identity: Identity,
        handing: Handing,
        ask: Callable[[Read, str], None],
        tell: Callable[[Address, Seen], None],
    ) -> None:
        self._identity = identity
        self._handing = handing
        self._ask = ask
        self._tell = tell
        self._running: dict[str, _Check] = {}
        self._numbers = itertools.count(1)

    def begin(self, message: CheckOverdue) -> None:
        """Look up what is not being looked up already."""
        under_way = {check.overdue for check in self._running.values()}
        for overdue in message.fills:
            if overdue not in under_way and len(self._running) < AT_ONCE_MAX:
                self._begin(_Check(overdue, message.ttl_ms))

    def _begin(self, check: _Check) -> None:
        overdue, wallet = check.overdue, self._identity.wallet
        if overdue.trade_id == PROVISIONAL:
            self._next(check, ReadOrder(wallet=wallet, order_id=overdue.order_id))
        else:
            self._next(check, ReadTrades(wallet=wallet, after_s=0, trade_id=overdue.trade_id))

    def _next(self, check: _Check, read: Read) -> None:
        correlation = f"{PREFIX}{next(self._numbers)}"
        self._running[correlation] = check
        self._ask(read, correlation)

    def answered(self, message: ReadCompleted | ReadFailed) -> None:
        """Go on with the look-up that the answer belongs to."""
        check = self._running.pop(message.correlation, None)
        if check is None:
            return
        if isinstance(message, ReadFailed):
            if message.source is Source.CHAIN_RECEIPT:
                self._found(check, None, chain_asked=False)
            return
        if message.certificate.verdict is not Verdict.COMPLETE:
            return
        match message.answer:
            case TradesAnswer():
                if self._hand_on(message.answer):
                    self._traded(check, message.answer)
            case OrderAnswer(order=order):
                check.order = order
                check.trades_left = list(order.trade_ids[-TRADES_OF_ORDER_MAX:]) if order is not None else []
                self._order_goes_on(check)
            case ReceiptAnswer(receipt=receipt):
                self._found(check, receipt, chain_asked=True)

    def _hand_on(self, answer: TradesAnswer) -> bool:
        """Tell the market what the trades say now, ahead of what is decided; not while their market is unknown."""
        identity = self._identity
        legs = [leg for trade in answer.trades for leg in own_legs(trade, identity.address, identity.api_keys)]
        unknown = {leg.condition_id for leg in legs if not self._handing.knows(leg.condition_id)}
        for condition_id in sorted(unknown):
            self._handing.ask(condition_id)
        for leg in () if unknown else legs:
            self._handing.leg(leg, "check")
        return not unknown

    def _traded(self, check: _Check, answer: TradesAnswer) -> None:
        if check.overdue.trade_id == PROVISIONAL:
            check.left_out |= all(trade.trade_id != check.asked_trade for trade in answer.trades)
            self._order_goes_on(check)
            return
        trade = next((trade for trade in answer.trades if trade.trade_id == check.overdue.trade_id), None)
        check.status = trade.status if trade is not None else None
        if trade is not None and trade.transaction_hash:
            read = ReadReceipt(wallet=self._identity.wallet, transaction_hash=trade.transaction_hash)
            self._next(check, read)
        else:
            self._found(check, None, chain_asked=True)

    def _order_goes_on(self, check: _Check) -> None:
        """Read the order's trades one by one, then tell the market what the exchange says of the order."""
        if check.trades_left:
            check.asked_trade = check.trades_left.pop()
            self._next(check, ReadTrades(wallet=self._identity.wallet, after_s=0, trade_id=check.asked_trade))
            return
        ours = check.order is not None and check.order.owner in self._identity.api_keys
        checked = OrderChecked(
            order_id=check.overdue.order_id,
            order=check.order,
            ttl_ms=check.ttl_ms,
            trades_missing=ours and check.left_out,
        )
        self._tell(market_address(self._identity.wallet, check.overdue.market_id), checked)

    def _found(self, check: _Check, receipt: Receipt | None, *, chain_asked: bool) -> None:
        checked = FillChecked(
            trade_id=check.overdue.trade_id,
            order_id=check.overdue.order_id,
            status=check.status,
            receipt=receipt,
            chain_asked=chain_asked,
            ttl_ms=check.ttl_ms,
        )
        self._tell(market_address(self._identity.wallet, check.overdue.market_id), checked)
