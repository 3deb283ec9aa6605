"""A market against a naive exchange: orders, trades and their messages in any order, repeated, dropped, backfilled.

However it was heard, the identities hold after each message; and when all was heard, the books are what the exchange
says they must be. Two hearings of the same messages end alike (D-02).
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from portfolio import state
from portfolio.entries import FillState
from portfolio.events import FillChecked, FillSeen, MarketDefined, MarketEvent, OrderChecked, OrderSeen
from portfolio.facts import Receipt, ReceiptStatus, TradeStatus
from tests.property.portfolio import wire
from tests.property.portfolio.accounts import Listener, view
from tests.property.portfolio.acting import DUST, OPEN, ExchangeActs
from tests.property.portfolio.exchange import NO, YES
from tests.unit.portfolio.markets import MINUTE, T0, meta

FATES = st.sampled_from(("once", "once", "again", "lost"))
STATE_OF = {"CONFIRMED": FillState.SETTLED, "FAILED": FillState.FAILED}


def listening() -> Listener:
    listener = Listener()
    listener.tell(MarketDefined(metas=(meta(fee_rate_micro=70_000, fee_exponent=1),)), T0)
    return listener


class AccountMachine(ExchangeActs):
    """The market hears of what the exchange did as luck will have it."""

    def __init__(self) -> None:
        super().__init__()
        self.few_marks = pytest.MonkeyPatch()
        # A few entries are enough for a late one to come before several marks (D-02).
        self.few_marks.setattr(state, "MARK_EVERY", 2)
        self.market = listening()
        self.heard: list[MarketEvent] = []
        self.looked_up = False
        self.blocks = 0
        self.heard_before = 0
        self.looked_after = 0
        self.luck = random.Random(0)

    @initialize(seed=st.integers(0, 2**32))
    def shuffle(self, seed: int) -> None:
        self.luck = random.Random(seed)

    def tell(self, event: MarketEvent) -> None:
        """Tell the market, and hold it to all that must be so after every message."""
        matched = {key: order.size_matched_micro for key, order in self.market.state.orders.items()}
        self.market.tell(event, T0)
        self.market.check()
        for key, order in self.market.state.orders.items():
            assert order.size_matched_micro >= matched.get(key, 0)
            sizes = [
                booked.fill.size_micro for booked in self.market.state.fills.values() if booked.fill.order_id == key
            ]
            missing = order.size_matched_micro - sum(sizes) - order.given_up_micro
            complete = missing <= 0 or (bool(sizes) and missing < DUST)
            assert (order.closed_at_ms is not None) == (complete and not order.status.live)

    def hear(self, events: Iterable[MarketEvent]) -> None:
        for event in events:
            self.heard.append(event)
            self.tell(event)

    def of_kind(self, kind: type[MarketEvent]) -> list[MarketEvent]:
        return [event for event in self.pool if isinstance(event, kind)]

    @precondition(lambda self: self.of_kind(OrderSeen))
    @rule(data=st.data(), fate=FATES)
    def hear_of_orders(self, data: st.DataObject, fate: str) -> None:
        self.deliver(data, fate, self.of_kind(OrderSeen))

    @precondition(lambda self: self.of_kind(FillSeen))
    @rule(data=st.data(), fate=FATES)
    def hear_of_trades(self, data: st.DataObject, fate: str) -> None:
        self.deliver(data, fate, self.of_kind(FillSeen))

    @precondition(lambda self: self.pool)
    @rule(data=st.data(), fate=FATES)
    def hear_anything(self, data: st.DataObject, fate: str) -> None:
        self.deliver(data, fate, self.pool)

    def deliver(self, data: st.DataObject, fate: str, waiting: list[MarketEvent]) -> None:
        """Some messages come once, come and will come again, or are lost for good."""
        chosen = data.draw(st.lists(st.sampled_from(waiting), min_size=1, max_size=6, unique_by=id))
        if fate != "again":
            self.pool = [event for event in self.pool if not any(event is one for one in chosen)]
        if fate != "lost":
            self.hear(chosen)

    @precondition(lambda self: len(self.heard) > self.heard_before + 5)
    @rule(data=st.data(), kinds=st.sampled_from(((FillSeen,), (OrderSeen,), (FillSeen, OrderSeen))))
    def backfill(self, data: st.DataObject, kinds: tuple[type[MarketEvent], ...]) -> None:
        """REST shows what is there, in any order: trades, orders or both."""
        self.hear(data.draw(st.permutations([row for row in self.present() if isinstance(row, kinds)])))
        self.heard_before = len(self.heard)

    @precondition(lambda self: self.market.state.fills)
    @rule(data=st.data(), asked=st.booleans(), shown=st.booleans())
    def look_up_fill(self, data: st.DataObject, asked: bool, shown: bool) -> None:
        """An overdue fill is looked up: it is settled, waits longer, or is taken back (R-10)."""
        fill = self.market.state.fills[data.draw(st.sampled_from(sorted(self.market.state.fills)))].fill
        trade = next(trade for trade in self.exchange.trades if trade.trade_id == fill.trade_id)
        receipt = Receipt(transaction_hash=trade.hash, status=ReceiptStatus.SUCCEEDED, block_number=1)
        self.looked_up = True
        self.tell(
            FillChecked(
                trade_id=fill.trade_id,
                order_id=fill.order_id,
                status=TradeStatus(trade.status) if shown else None,
                receipt=receipt if asked and trade.status in {"MINED", "CONFIRMED"} else None,
                chain_asked=asked,
                ttl_ms=15 * MINUTE,
            )
        )

    @precondition(lambda self: self.market.state.orders)
    @rule(data=st.data(), shown=st.booleans())
    def look_up_order(self, data: st.DataObject, shown: bool) -> None:
        """An order that shows more than its trades is looked up (D-03, R-10)."""
        order_id = data.draw(st.sampled_from(sorted(self.market.state.orders)))
        order = next(order for order in self.exchange.orders if order.order_id == order_id)
        found = wire.order_seen(order, self.exchange.now_ms, "check").order if shown else None
        self.looked_up = True
        self.tell(OrderChecked(order_id=order_id, order=found, ttl_ms=15 * MINUTE))

    @precondition(lambda self: len(self.heard) > self.looked_after)
    @rule()
    def look(self) -> None:
        """A true balance proves what settled; one and the same look over again corrects nothing (L-19, X-02)."""
        self.looked_up = True
        self.looked_after = len(self.heard)
        self.blocks += 1
        self.market.tell(view(0, self.blocks, self.balances(), self.exchange.now_ms), T0)
        self.market.check()
        assert self.market.state.adjustments == {}

    def balances(self) -> dict[str, int]:
        """What can be read: of a token that was sold without being bought there is no balance."""
        return {token: shares for token, shares in self.exchange.on_chain().items() if shares >= 0}

    @precondition(lambda self: len(self.heard) > self.heard_before + 10)
    @rule(failing=st.booleans())
    def quiet(self, failing: bool) -> None:
        """Everything was heard at last: the books are what the exchange says."""
        if self.looked_up:
            self.let_all_trades_end(failing=failing)
        rows = self.present()
        self.luck.shuffle(rows)
        self.hear(rows)
        self.heard_before = len(self.heard)
        self.compare_positions()
        self.compare_fills()
        self.compare_orders()
        if self.looked_up:
            self.look()
            assert not self.market.state.pending.keys() & self.balances().keys()

    def let_all_trades_end(self, *, failing: bool) -> None:
        """What was taken back in flight stays so until its trade has an end (R-10)."""
        for number, trade in enumerate(self.exchange.trades):
            if trade.status in OPEN:
                self.move(trade, "FAILED" if failing and number % 2 else "CONFIRMED")

    def compare_positions(self) -> None:
        for token, held in self.exchange.holdings().items():
            position = self.market.state.position(token)
            assert position.shares_micro == held.shares
            assert position.settled_micro == held.settled
            assert position.cost_basis_micro == held.cost
            assert position.realized_pnl_micro == held.realised
            assert position.fees_micro == held.fees

    def compare_fills(self) -> None:
        fills = self.market.state.fills
        parts = {part.key: part for part in self.exchange.parts()}
        assert set(fills) == set(parts)
        for key, part in parts.items():
            fill = fills[key].fill
            assert fill.state is STATE_OF.get(part.trade.status, FillState.OBSERVED)
            assert (fill.size_micro, fill.amount_micro, fill.fee_micro) == (part.size, part.amount, part.fee)
            assert fill.at.at_ns == part.trade.matched_ns
            assert fill.transaction_hash == part.trade.hash or not part.trade.hash

    def compare_orders(self) -> None:
        orders = self.market.state.orders
        assert set(orders) == {order.order_id for order in self.exchange.orders}
        for order in self.exchange.orders:
            held = orders[order.order_id]
            assert (held.status.value, held.ended_because) == (order.status, order.because)
            assert (held.size_matched_micro, held.waiting_micro) == (order.matched, 0)
            assert (held.closed_at_ms is None) == order.live

    def teardown(self) -> None:
        try:
            self.compare_hearings()
            self.quiet(failing=False)
            self.compare_hearings()
        finally:
            self.few_marks.undo()

    def compare_hearings(self) -> None:
        """The same messages in another order, some twice, end alike: positions, fills and orders (D-02)."""
        others = [*self.heard, *self.heard[::3]]
        self.luck.shuffle(others)
        assert ended(self.heard) == ended(others)


def ended(events: Iterable[MarketEvent]) -> dict[str, Any]:
    """What a market that heard just these events holds; when it heard them is its own affair."""
    listener = listening()
    for event in events:
        listener.tell(event, T0)
    held = listener.state
    return {
        "positions": {token: held.position(token) for token in (YES, NO)},
        "fills": {key: (booked.fill, booked.status, booked.told) for key, booked in held.fills.items()},
        "orders": held.orders,
    }


AccountMachine.TestCase.settings = settings(stateful_step_count=40)
TestAccount = pytest.mark.req("L-01", "L-05", "L-06", "L-07", "L-19", "L-30", "D-02", "D-03", "R-10", "R-11")(
    AccountMachine.TestCase
)
