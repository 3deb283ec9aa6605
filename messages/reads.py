"""Requests to the outside world and their answers (D-06).

An actor sends a :data:`Read` through the port ``ExternalReads`` and is *told* a :class:`ReadCompleted` or a
:class:`ReadFailed`; no exception crosses the port and nobody waits.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from portfolio.chain import ChainTransaction
from portfolio.facts import (
    Balances,
    Certificate,
    ConditionTokens,
    DataPosition,
    FailureKind,
    MarketMeta,
    OpenOrder,
    Receipt,
    Source,
    TokenRef,
    Trade,
)


class _Read(msgspec.Struct, frozen=True, kw_only=True):
    """``wallet`` is the configured name of the wallet, not its address."""

    wallet: str


class ReadOpenOrders(_Read, frozen=True, kw_only=True, tag="read_open_orders"):
    """All live orders of the wallet, every page (L-08, L-29)."""


class ReadOrder(_Read, frozen=True, kw_only=True, tag="read_order"):
    """The fate of one order that is no longer listed (L-06)."""

    order_id: str


class ReadTrades(_Read, frozen=True, kw_only=True, tag="read_trades"):
    """Trades matched at or after ``after_s`` (Unix seconds; 0 = all), unfiltered by token.

    ``condition_id`` narrows it to one market, ``trade_id`` to one trade; neither hides maker fills, as a token would.
    """

    after_s: int
    condition_id: str = ""
    trade_id: str = ""


class ReadPositions(_Read, frozen=True, kw_only=True, tag="read_positions"):
    """The Data API's positions of the wallet, dust included (R-15)."""


class ReadMarkets(_Read, frozen=True, kw_only=True, tag="read_markets"):
    """Metadata of conditions by their ids, or by token ids where the condition is not known yet."""

    condition_ids: tuple[str, ...] = ()
    token_ids: tuple[str, ...] = ()


class ReadBalances(_Read, frozen=True, kw_only=True, tag="read_balances"):
    """Collateral and tokens at one block. ``block_number`` None pins the newest block past ``confirmations`` (R-31).

    ``token_ids_of`` are conditions whose token ids the contract is asked for; as many as the endpoint takes (R-18).
    """

    tokens: tuple[TokenRef, ...]
    payouts_of: tuple[str, ...] = ()
    question_counts_of: tuple[str, ...] = ()
    token_ids_of: tuple[ConditionTokens, ...] = ()
    block_number: int | None = None
    block_hash: str | None = None


class ReadReceipt(_Read, frozen=True, kw_only=True, tag="read_receipt"):
    """The end of one transaction on chain (R-10)."""

    transaction_hash: str


class ReadLogs(_Read, frozen=True, kw_only=True, tag="read_logs"):
    """What the chain's logs say of wallets from one block to another, both included (X-01).

    ``wallets`` are addresses of one chain; ``wallet`` only names the read. ``to_block`` None: up to the newest block
    of the node. ``known`` are numbers and hashes of blocks read before, which must still be canonical; they are of one
    chain. So must those in ``standing`` be, each by itself. ``range_blocks`` bounds the blocks of one request (None: as
    many as the endpoint is believed to take).
    """

    wallets: tuple[str, ...]
    from_block: int
    to_block: int | None = None
    known: tuple[tuple[int, str], ...] = ()
    standing: tuple[tuple[int, str], ...] = ()
    range_blocks: int | None = None


class ReadAgreement(_Read, frozen=True, kw_only=True, tag="read_agreement"):
    """Whether all RPC endpoints have the block of that number and hash, at which something was read (X-14, R-31)."""

    block_number: int
    block_hash: str


Read: TypeAlias = (
    ReadOpenOrders
    | ReadOrder
    | ReadTrades
    | ReadPositions
    | ReadMarkets
    | ReadBalances
    | ReadReceipt
    | ReadLogs
    | ReadAgreement
)


class OrdersAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="orders"):
    """Rows of the open-orders reading, by order id, no id twice."""

    orders: tuple[OpenOrder, ...]


class OrderAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="order"):
    """One order, or None when the exchange says it does not know it (404, null or empty)."""

    order_id: str
    order: OpenOrder | None


class TradesAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="trades"):
    """Trades, oldest first."""

    trades: tuple[Trade, ...]


class PositionsAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="positions"):
    """The Data API's rows."""

    positions: tuple[DataPosition, ...]


class MarketsAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="markets"):
    """Metadata found; an id that was asked for and is absent here is not known to the source (yet)."""

    markets: tuple[MarketMeta, ...]


class BalancesAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="balances"):
    """The chain's answer."""

    balances: Balances


class ReceiptAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="receipt"):
    """The chain's word on one transaction."""

    receipt: Receipt


class LogsAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="logs"):
    """Transactions by block and log, from ``from_block`` to ``to_block``, which may be less than was asked for.

    Where nothing is covered ``to_block`` is ``from_block - 1`` and ``to_hash`` empty: the node is not so far yet, or
    blocks of ``known`` or ``standing`` are ``replaced``, and what was taken from them must be undone first. ``safe``
    and ``finalized`` are None where the endpoint has no such tag. ``range_blocks`` is what one request spans by now.
    """

    transactions: tuple[ChainTransaction, ...]
    from_block: int
    to_block: int
    to_hash: str
    head: int
    safe: int | None
    finalized: int | None
    replaced: tuple[tuple[int, str], ...]
    range_blocks: int


class AgreementAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="agreement"):
    """What the RPC endpoints say of one block, each named by its place in ``polygon.rpc_url``, from 1.

    ``agreeing`` have that very block, ``differing`` another one in its place or another chain, and ``silent`` did not
    tell or do not have it yet; both with a reason. ``endpoints`` is how many there are; one listed twice counts once.
    A silent one neither agrees nor differs: who needs two voices counts those that agree.
    """

    block_number: int
    block_hash: str
    endpoints: int
    agreeing: tuple[int, ...]
    differing: tuple[tuple[int, str], ...]
    silent: tuple[tuple[int, str], ...]

    @property
    def waived(self) -> bool:
        """Whether there is but one endpoint, and so nothing to agree with (R-31). It was not asked."""
        return self.endpoints == 1

    @property
    def disagreed(self) -> bool:
        """Whether an endpoint has another chain or another block; nothing irreversible may follow (X-14)."""
        return bool(self.differing)


Answer: TypeAlias = (
    OrdersAnswer
    | OrderAnswer
    | TradesAnswer
    | PositionsAnswer
    | MarketsAnswer
    | BalancesAnswer
    | ReceiptAnswer
    | LogsAnswer
    | AgreementAnswer
)


class ReadCompleted(msgspec.Struct, frozen=True, kw_only=True, tag="read_completed"):
    """A reading that gave rows; ``certificate.verdict`` says how much they prove."""

    correlation: str
    certificate: Certificate
    answer: Answer


class ReadFailed(msgspec.Struct, frozen=True, kw_only=True, tag="read_failed"):
    """A reading that gave nothing that may be believed. ``detail`` is one line for people, without secrets."""

    correlation: str
    source: Source
    kind: FailureKind
    detail: str
    started_at_ms: int
    completed_at_ms: int
