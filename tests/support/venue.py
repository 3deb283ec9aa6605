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
    AgreementAnswer,
    Answer,
    BalancesAnswer,
    LogsAnswer,
    MarketsAnswer,
    OrderAnswer,
    OrdersAnswer,
    PositionsAnswer,
    Read,
    ReadAgreement,
    ReadBalances,
    ReadCompleted,
    ReadFailed,
    ReadLogs,
    ReadMarkets,
    ReadOpenOrders,
    ReadOrder,
    ReadPositions,
    ReadReceipt,
    ReadTrades,
    ReceiptAnswer,
    TradesAnswer,
)
from portfolio.chain import ChainTransaction
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
    Receipt,
    ReceiptStatus,
    Side,
    Source,
    TokenBalance,
    TokenIdCheck,
    TokenMeta,
    Trade,
    Verdict,
)
from tests.support.clock import HasNow
from tests.support.mined import moved

MICRO = 1_000_000
TIMEOUT_MS = 5_000
"""The time-out per call; a longer answer is a time-out (S-15)."""

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
    ReadReceipt: Source.CHAIN_RECEIPT,
    ReadLogs: Source.CHAIN_LOGS,
    ReadAgreement: Source.CHAIN_AGREEMENT,
}

Reply = Callable[[ReadCompleted | ReadFailed], None]


@dataclass
class Venue:
    """The world; change its fields between cycles.

    ``block_every_ms`` None: each reading that pins a block finds a new one; else blocks come by the clock. The chain
    may be ahead of the pinned block (``head_number``), and the node that gives the logs behind it (``logs_head``).
    Balances are the head's, less what ``transactions`` of later blocks moved. ``forks`` are the blocks from which on
    the chain was replaced, one after the other; ``dropped`` the hashes of replaced blocks.
    """

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
    contract_ids: dict[str, tuple[str, ...]] = field(default_factory=dict)
    receipts: dict[str, Receipt] = field(default_factory=dict)
    transactions: list[ChainTransaction] = field(default_factory=list)
    logs_at_once: int = 1_000
    logs_replaced: bool = False
    dropped: set[str] = field(default_factory=set)
    forks: list[int] = field(default_factory=list)
    head_number: int = 0
    logs_head: int | None = None
    safe: int | None = None
    finalized: int | None = None
    block_number: int = 100
    block_every_ms: int | None = None
    block_age_ms: int = 1_000
    data_blocks_behind: int = 0
    failing: dict[type[object], FailureKind] = field(default_factory=dict)
    partial: set[type[object]] = field(default_factory=set)
    hide_orders: Callable[[str], bool] | None = None
    hide_trades: Callable[[str], bool] | None = None
    trades_by_id_only: bool = False
    hide_positions: Callable[[str], bool] | None = None
    delays_ms: dict[type[object], int] = field(default_factory=dict)
    later: Callable[[int, Callable[[], None]], object] | None = None
    held: set[type[object]] = field(default_factory=set)
    waiting: list[Callable[[], None]] = field(default_factory=list)
    asked: list[Read] = field(default_factory=list)

    def request(self, read: Read, reply: Reply, correlation: str) -> None:
        """The port: answer at once, after the scripted delay, or when the test releases what it holds back.

        A delay beyond the time-out per call ends as the driver ends it: a time-out after exactly that long (S-15).
        """
        self.asked.append(read)
        started_ms = self.clock.now_ms()
        kind = self.failing.get(type(read))
        delay_ms = self.delays_ms.get(type(read), 0)
        if kind is None and delay_ms > TIMEOUT_MS:
            kind, delay_ms = FailureKind.TIMEOUT, TIMEOUT_MS

        def answer() -> None:
            self._reply(read, reply, correlation, (started_ms, kind))

        if type(read) in self.held:
            self.waiting.append(answer)
        elif delay_ms and self.later is not None:
            self.later(delay_ms, answer)
        else:
            answer()

    def release(self) -> None:
        """Give every answer that was held back; from now on none is."""
        self.held.clear()
        waiting, self.waiting = self.waiting, []
        for answer in waiting:
            answer()

    def count(self, kind: type[object]) -> int:
        """How many reads of a kind were asked for."""
        return sum(1 for read in self.asked if type(read) is kind)

    def _reply(self, read: Read, reply: Reply, correlation: str, how: tuple[int, FailureKind | None]) -> None:
        started_ms, kind = how
        if kind is not None:
            failed = ReadFailed(
                correlation=correlation,
                source=SOURCES[type(read)],
                kind=kind,
                detail="scripted",
                started_at_ms=started_ms,
                completed_at_ms=self.clock.now_ms(),
            )
            reply(failed)
            return
        answer = self._answer(read)
        certificate = self._certificate(read, answer, started_ms)
        reply(ReadCompleted(correlation=correlation, certificate=certificate, answer=answer))

    def _certificate(self, read: Read, answer: Answer, started_ms: int) -> Certificate:
        partial = type(read) in self.partial
        return Certificate(
            source=SOURCES[type(read)],
            pages=1,
            rows=0,
            digest=hashlib.sha256(msgspec.json.encode(answer)).hexdigest(),
            block_number=self.block_number - self.data_blocks_behind if isinstance(read, ReadPositions) else None,
            started_at_ms=started_ms,
            completed_at_ms=self.clock.now_ms(),
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
            case ReadTrades():
                return TradesAnswer(trades=_trades(self, read))
            case ReadReceipt(transaction_hash=name):
                absent = Receipt(transaction_hash=name, status=ReceiptStatus.ABSENT)
                return ReceiptAnswer(receipt=self.receipts.get(name, absent))
            case ReadLogs():
                return _logs(self, read)
            case ReadAgreement(block_number=number, block_hash=name):
                return AgreementAnswer(
                    block_number=number, block_hash=name, endpoints=1, agreeing=(), differing=(), silent=()
                )
            case ReadPositions():
                return PositionsAnswer(positions=tuple(_data_rows(self)))
            case ReadMarkets(condition_ids=ids, token_ids=tokens):
                found = [meta for meta in self.metas.values() if meta.condition_id in ids]
                found += [meta for meta in self.metas.values() if {t.token_id for t in meta.tokens} & set(tokens)]
                return MarketsAnswer(markets=tuple(found))
            case ReadBalances():
                return BalancesAnswer(balances=_balances(self, read))

    @property
    def head(self) -> int:
        """The newest block."""
        return max(self.block_number, self.head_number)

    def block_hash(self, number: int) -> str:
        """The hash of a block of the chain as it stands: another one after each reorganisation that replaced it."""
        return f"0x{sum(1 for first in self.forks if first <= number):02x}{number:062x}"

    def price_of(self, token_id: str) -> int:
        """The mark of a token; 0.50 where the test sets none."""
        return self.prices.get(token_id, MICRO // 2)

    def add_market(self, condition_id: str, *, neg_risk_id: str | None = None, index: int | None = None) -> MarketMeta:
        """A binary condition; its tokens are ``<condition>-yes`` and ``<condition>-no``."""
        meta = MarketMeta(
            condition_id=condition_id,
            question_id=f"question of {condition_id}",
            title=f"Market {condition_id}",
            slug=condition_id,
            version="v1",
            tokens=_tokens(condition_id),
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

    def end_order(self, order_id: str, status: OrderStatus, *, matched_micro: int | None = None) -> None:
        """The order leaves the list; a single look-up tells how it ended."""
        order = self.orders.pop(order_id)
        matched = order.size_matched_micro if matched_micro is None else matched_micro
        ended = msgspec.structs.replace(order, status=status, size_matched_micro=matched)
        self.fates[order_id] = ended


def _data_rows(venue: Venue) -> list[DataPosition]:
    if venue.data_rows is not None:
        return venue.data_rows
    missing = venue.hide_positions or (lambda _: False)
    return [
        DataPosition(
            token_id=token.token_id,
            condition_id=meta.condition_id,
            size_micro=venue.balances[token.token_id],
            entry_cost_micro=venue.balances[token.token_id] * venue.price_of(token.token_id) // MICRO,
            price_micro=venue.price_of(token.token_id),
            neg_risk=meta.neg_risk_claimed,
            opposite_token_id=None,
        )
        for meta in venue.metas.values()
        for token in meta.tokens
        if venue.balances.get(token.token_id, 0) > 0 and not missing(token.token_id)
    ]


def _balances(venue: Venue, read: ReadBalances) -> Balances:
    if read.block_number is None:
        every_ms = venue.block_every_ms
        venue.block_number = venue.block_number + 1 if every_ms is None else venue.clock.now_ms() // every_ms
    number = read.block_number or venue.block_number
    later = [moved(one, FUNDER) for one in venue.transactions if one.block_number > number]
    shares = {token_id: sum(tokens.get(token_id, 0) for tokens, _ in later) for token_id in venue.balances}
    return Balances(
        block_number=number,
        block_hash=venue.block_hash(number),
        block_time_ms=venue.clock.now_ms() - venue.block_age_ms,
        collateral=(CollateralBalance(name="pusd", amount_micro=venue.cash_micro - sum(cash for _, cash in later)),),
        tokens=tuple(
            TokenBalance(
                token_id=ref.token_id,
                amount_micro=venue.balances.get(ref.token_id, 0) - shares.get(ref.token_id, 0),
            )
            for ref in read.tokens
        ),
        payouts=tuple(venue.payouts[condition] for condition in read.payouts_of if condition in venue.payouts),
        question_counts=tuple(
            QuestionCount(neg_risk_market_id=market, count=venue.question_counts[market])
            for market in read.question_counts_of
            if market in venue.question_counts
        ),
        token_ids=tuple(
            TokenIdCheck(
                condition_id=one.condition_id,
                stated=one.token_ids,
                computed=venue.contract_ids.get(one.condition_id, one.token_ids),
            )
            for one in read.token_ids_of
        ),
    )


def _tokens(condition_id: str) -> tuple[TokenMeta, ...]:
    yes = TokenMeta(token_id=f"{condition_id}-yes", outcome="Yes", outcome_index=0, contract=CONTRACT)
    return (yes, msgspec.structs.replace(yes, token_id=f"{condition_id}-no", outcome="No", outcome_index=1))


def _logs(venue: Venue, read: ReadLogs) -> LogsAnswer:
    """Transactions of the range, of ``logs_at_once`` blocks of it at most; none where a block was replaced.

    Nor where the node does not have a block yet that must stand.
    """
    looked = (*read.known, *read.standing)
    head = venue.head if venue.logs_head is None else min(venue.head, venue.logs_head)
    there = all(number <= head for number, _ in looked)
    replaced = tuple(place for place in looked if place[1] in venue.dropped)
    if venue.logs_replaced:
        replaced = read.standing
    until = min(head if read.to_block is None else read.to_block, read.from_block + venue.logs_at_once - 1)
    until = max(until, read.from_block - 1) if there and not replaced else read.from_block - 1
    found = (one for one in venue.transactions if read.from_block <= one.block_number <= until)
    return LogsAnswer(
        transactions=tuple(sorted(found, key=lambda one: (one.block_number, one.logs[0].log_index))),
        from_block=read.from_block,
        to_block=until,
        to_hash="" if until < read.from_block else venue.block_hash(until),
        head=head,
        safe=venue.safe,
        finalized=venue.finalized,
        replaced=replaced,
        range_blocks=venue.logs_at_once,
    )


def _trades(venue: Venue, read: ReadTrades) -> tuple[Trade, ...]:
    if venue.trades_by_id_only and not read.trade_id:
        return ()
    unseen = venue.hide_trades or (lambda _: False)
    shown = (trade for trade in venue.trades if not unseen(trade.trade_id))
    found = [
        trade
        for trade in shown
        if trade.matched_at_ns >= read.after_s * 1_000_000_000
        and read.condition_id in {"", trade.condition_id}
        and read.trade_id in {"", trade.trade_id}
    ]
    return tuple(sorted(found, key=lambda trade: trade.matched_at_ns))
