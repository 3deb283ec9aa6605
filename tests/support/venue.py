"""A scripted outside world behind the port ``ExternalReads``: what the witnesses say is set by the test.

Answers come at once, as messages; a failure is scripted per kind of read. It keeps no accounts: a test that needs an
exchange that does uses the sandbox.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from messages.reads import (
    Answer,
    BalancesAnswer,
    MarketsAnswer,
    OrderAnswer,
    OrdersAnswer,
    PositionsAnswer,
    Read,
    ReadBalances,
    ReadCompleted,
    ReadFailed,
    ReadMarkets,
    ReadOpenOrders,
    ReadOrder,
    ReadPositions,
    ReadTrades,
    TradesAnswer,
)
from portfolio.facts import (
    Balances,
    Certificate,
    CollateralBalance,
    DataPosition,
    FailureKind,
    MarketMeta,
    OpenOrder,
    OrderStatus,
    Payout,
    QuestionCount,
    Side,
    Source,
    TokenBalance,
    TokenMeta,
    Trade,
    Verdict,
)
from tests.support.clock import HasNow

MICRO = 1_000_000
OWN_KEY = "key-own"
FUNDER = "0x1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0b"
CONTRACT = "0x4d97dcd97ec945f40cf65f87097ace5ea0476045"

SOURCES: dict[type[object], Source] = {
    ReadOpenOrders: Source.CLOB_ORDERS,
    ReadOrder: Source.CLOB_ORDER,
    ReadTrades: Source.CLOB_TRADES,
    ReadPositions: Source.DATA_POSITIONS,
    ReadMarkets: Source.GAMMA_MARKETS,
    ReadBalances: Source.CHAIN_BALANCES,
}

Reply = Callable[[ReadCompleted | ReadFailed], None]


@dataclass
class Venue:
    """The world; change its fields between cycles."""

    clock: HasNow
    metas: dict[str, MarketMeta] = field(default_factory=dict)
    balances: dict[str, int] = field(default_factory=dict)
    cash_micro: int = 52_341 * MICRO
    orders: dict[str, OpenOrder] = field(default_factory=dict)
    fates: dict[str, OpenOrder] = field(default_factory=dict)
    trades: list[Trade] = field(default_factory=list)
    data_rows: list[DataPosition] | None = None
    prices: dict[str, int] = field(default_factory=dict)
    payouts: dict[str, Payout] = field(default_factory=dict)
    question_counts: dict[str, int] = field(default_factory=dict)
    block_number: int = 100
    block_age_ms: int = 1_000
    failing: dict[type[object], FailureKind] = field(default_factory=dict)
    partial: set[type[object]] = field(default_factory=set)
    hide_orders: Callable[[str], bool] | None = None
    asked: list[Read] = field(default_factory=list)

    def request(self, read: Read, reply: Reply, correlation: str) -> None:
        """The port: answer at once."""
        self.asked.append(read)
        now_ms = self.clock.now_ms()
        failure = self.failing.get(type(read))
        if failure is not None:
            reply(
                ReadFailed(
                    correlation=correlation,
                    source=SOURCES[type(read)],
                    kind=failure,
                    detail="scripted",
                    started_at_ms=now_ms,
                    completed_at_ms=now_ms,
                )
            )
            return
        answer = self._answer(read)
        reply(ReadCompleted(correlation=correlation, certificate=self._certificate(read, answer), answer=answer))

    def _certificate(self, read: Read, answer: Answer) -> Certificate:
        partial = type(read) in self.partial
        now_ms = self.clock.now_ms()
        return Certificate(
            source=SOURCES[type(read)],
            pages=1,
            rows=0,
            digest=hashlib.sha256(msgspec.json.encode(answer)).hexdigest(),
            started_at_ms=now_ms,
            completed_at_ms=now_ms,
            verdict=Verdict.PARTIAL if partial else Verdict.COMPLETE,
            reason="scripted" if partial else "",
        )

    def _answer(self, read: Read) -> Answer:
        match read:
            case ReadOpenOrders():
                hidden = self.hide_orders or (lambda _: False)
                live = (order for order in self.orders.values() if order.status.live)
                shown = (order for order in live if not hidden(order.order_id))
                return OrdersAnswer(orders=tuple(sorted(shown, key=lambda order: order.order_id)))
            case ReadOrder(order_id=order_id):
                return OrderAnswer(order_id=order_id, order=self.fates.get(order_id) or self.orders.get(order_id))
            case ReadTrades(after_s=after_s):
                newer = [trade for trade in self.trades if trade.matched_at_ns >= after_s * 1_000_000_000]
                return TradesAnswer(trades=tuple(sorted(newer, key=lambda trade: trade.matched_at_ns)))
            case ReadPositions():
                return PositionsAnswer(positions=tuple(self._data_rows()))
            case ReadMarkets(condition_ids=ids, token_ids=tokens):
                found = [meta for meta in self.metas.values() if meta.condition_id in ids]
                found += [meta for meta in self.metas.values() if {t.token_id for t in meta.tokens} & set(tokens)]
                return MarketsAnswer(markets=tuple(found))
            case ReadBalances():
                return BalancesAnswer(balances=self._balances(read))

    def _data_rows(self) -> list[DataPosition]:
        if self.data_rows is not None:
            return self.data_rows
        return [
            DataPosition(
                token_id=token.token_id,
                condition_id=meta.condition_id,
                size_micro=self.balances[token.token_id],
                entry_cost_micro=self.balances[token.token_id] * self.price_of(token.token_id) // MICRO,
                price_micro=self.price_of(token.token_id),
                neg_risk=meta.neg_risk_claimed,
                opposite_token_id=None,
            )
            for meta in self.metas.values()
            for token in meta.tokens
            if self.balances.get(token.token_id, 0) > 0
        ]

    def price_of(self, token_id: str) -> int:
        """The mark of a token; 0.50 where the test sets none."""
        return self.prices.get(token_id, MICRO // 2)

    def _balances(self, read: ReadBalances) -> Balances:
        if read.block_number is None:
            self.block_number += 1
        return Balances(
            block_number=read.block_number or self.block_number,
            block_hash=f"0x{self.block_number:064x}",
            block_time_ms=self.clock.now_ms() - self.block_age_ms,
            collateral=(CollateralBalance(name="pusd", amount_micro=self.cash_micro),),
            tokens=tuple(
                TokenBalance(token_id=ref.token_id, amount_micro=self.balances.get(ref.token_id, 0))
                for ref in read.tokens
            ),
            payouts=tuple(self.payouts[condition] for condition in read.payouts_of if condition in self.payouts),
            question_counts=tuple(
                QuestionCount(neg_risk_market_id=market, count=self.question_counts[market])
                for market in read.question_counts_of
                if market in self.question_counts
            ),
        )

    def add_market(self, condition_id: str, *, neg_risk_id: str | None = None, index: int | None = None) -> MarketMeta:
        """A binary condition; its tokens are ``<condition>-yes`` and ``<condition>-no``."""
        meta = MarketMeta(
            condition_id=condition_id,
            question_id=f"question of {condition_id}",
            title=f"Market {condition_id}",
            slug=condition_id,
            version="v1",
            tokens=(
                TokenMeta(token_id=f"{condition_id}-yes", outcome="Yes", outcome_index=0, contract=CONTRACT),
                TokenMeta(token_id=f"{condition_id}-no", outcome="No", outcome_index=1, contract=CONTRACT),
            ),
            neg_risk_claimed=neg_risk_id is not None,
            neg_risk_derived=neg_risk_id is not None,
            neg_risk_market_id=neg_risk_id,
            question_index=index,
            closed=False,
            fee_rate_micro=0,
            fee_exponent=1,
        )
        self.metas[condition_id] = meta
        return meta

    def add_order(self, order_id: str, token_id: str, *, size: int, price: int, created_at_ms: int = 0) -> OpenOrder:
        """A live BUY order of ours; sizes and prices in micro."""
        order = OpenOrder(
            order_id=order_id,
            condition_id=token_id.rpartition("-")[0],
            token_id=token_id,
            side=Side.BUY,
            price_micro=price,
            original_size_micro=size,
            size_matched_micro=0,
            status=OrderStatus.LIVE,
            created_at_ms=created_at_ms or self.clock.now_ms(),
            owner=OWN_KEY,
            maker_address=FUNDER,
            order_type="GTC",
        )
        self.orders[order_id] = order
        return order

    def end_order(self, order_id: str, status: OrderStatus) -> None:
        """The order leaves the list; a single look-up tells how it ended."""
        ended = msgspec.structs.replace(self.orders.pop(order_id), status=status)
        self.fates[order_id] = ended
