"""What the other witnesses say beside the chain of ``chain-catch-up``: the exchange's trades, the balances, metadata.

They answer at once, for only the logs are measured. Trades and metadata are what the product's own parsers read.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

import gevent
import msgspec

from benchmarks.chain_world import (
    CTF,
    FILLS,
    FIRST,
    HEAD,
    MARKETS,
    PUSD,
    STRANGER,
    WALLET,
    block_hash,
    block_time_s,
    encoded,
    fill,
    filled,
    moved,
    order,
    place,
    placed,
    token,
    transactions,
)
from messages.reads import (
    Answer,
    BalancesAnswer,
    MarketsAnswer,
    OrdersAnswer,
    PositionsAnswer,
    Read,
    ReadBalances,
    ReadCompleted,
    ReadFailed,
    ReadLogs,
    ReadMarkets,
    ReadOpenOrders,
    ReadPositions,
    ReadTrades,
    TradesAnswer,
)
from polymarket.payloads import parse_trade
from polymarket.reading import ReadResult
from polymarket.reads import PolymarketReads
from portfolio.facts import (
    Balances,
    Certificate,
    CollateralBalance,
    DataPosition,
    FailureKind,
    MarketMeta,
    Source,
    TokenBalance,
    TokenMeta,
    Trade,
    Verdict,
)

CASH = 10**12
KEY = "11111111-2222-3333-4444-555555555555"
MATCHED_BEFORE_S = 3
MARK = 450_000
_SOURCES: dict[type[Read], Source] = {
    ReadBalances: Source.CHAIN_BALANCES,
    ReadLogs: Source.CHAIN_LOGS,
    ReadMarkets: Source.GAMMA_MARKETS,
    ReadOpenOrders: Source.CLOB_ORDERS,
    ReadPositions: Source.DATA_POSITIONS,
    ReadTrades: Source.CLOB_TRADES,
}


def condition(market: int) -> str:
    """The condition id of a market."""
    return f"0x{market + 1:064x}"


@cache
def metas() -> dict[str, MarketMeta]:
    """Metadata of all markets, by condition."""
    found = {}
    for market in range(MARKETS):
        tokens = tuple(
            TokenMeta(token_id=str(token(market, side)), outcome=name, outcome_index=side, contract=CTF)
            for side, name in enumerate(("Yes", "No"))
        )
        found[condition(market)] = MarketMeta(
            condition_id=condition(market),
            question_id=condition(market),
            title=f"Market {market}",
            slug=f"market-{market}",
            version="v1",
            tokens=tokens,
            neg_risk_claimed=False,
            neg_risk_derived=False,
            neg_risk_market_id=None,
            question_index=None,
            closed=False,
            fee_rate_micro=0,
            fee_exponent=1,
        )
    return found


def trade(number: int, position: int) -> dict[str, object]:
    """The trade of a fill as the CLOB shows it: a stranger took of our order."""
    terms, (name, block) = filled(number), place(position)
    side, size, price = "BUY" if terms.buys else "SELL", f"{terms.shares / 1e6:.6f}", f"0.{terms.price}"
    common = {"asset_id": str(token(terms.market, terms.outcome)), "outcome": ("Yes", "No")[terms.outcome]}
    matched_s = str(block_time_s(block) - MATCHED_BEFORE_S)
    ours = {
        "order_id": f"0x{order(number):064x}",
        "owner": KEY,
        "maker_address": WALLET,
        "matched_amount": size,
        "price": price,
        "side": side,
        **common,
    }
    return {
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "taker_order_id": f"0x{10**9 + number:064x}",
        "market": condition(terms.market),
        "side": "SELL" if terms.buys else "BUY",
        "size": size,
        "fee_rate_bps": "0",
        "price": price,
        "status": "CONFIRMED",
        "match_time": matched_s,
        "last_update": matched_s,
        "bucket_index": 0,
        "owner": "22222222-2222-2222-2222-222222222222",
        "maker_address": STRANGER,
        "transaction_hash": name,
        "trader_side": "MAKER",
        "maker_orders": [ours],
        **common,
    }


@cache
def trades() -> tuple[Trade, ...]:
    """The trades of all fills, the oldest first."""
    made = ((number, position) for position, (make, number) in enumerate(placed()) if make is fill)
    parsed = [parse_trade(msgspec.Raw(encoded(trade(number, position)))) for number, position in made]
    found = tuple(each for each in parsed if isinstance(each, Trade))
    assert len(found) == FILLS, parsed[:1]
    return found


class Witnesses:
    """The port of external reads. ``up``: the chain answers, and is at its head; before, it is at the first block.

    ``trades`` are what the exchange has by now. Logs are read by the real reader, from the node.
    """

    def __init__(self, logs: PolymarketReads) -> None:
        self._logs = logs
        self.block: int | None = FIRST - 1
        self.trades: tuple[Trade, ...] = ()
        self.began_s = 0.0
        """When the first logs were asked for."""

    def request(self, read: Read, reply: Callable[[ReadResult], None], correlation: str) -> None:
        """Logs by the real port, if the chain is at its head; anything else from what is known here."""
        if isinstance(read, ReadLogs) and self.block == HEAD:
            self.began_s = self.began_s or time.perf_counter()
            self._logs.request(read, reply, correlation)
        else:
            gevent.spawn(lambda: reply(self._result(read, correlation)))

    def _result(self, read: Read, correlation: str) -> ReadResult:
        source, now_ms = _SOURCES[type(read)], time.time_ns() // 1_000_000
        answer = self._answer(read, now_ms)
        if answer is None:
            return ReadFailed(
                correlation=correlation,
                source=source,
                kind=FailureKind.UNREACHABLE,
                detail="the chain is out of reach",
                started_at_ms=now_ms,
                completed_at_ms=now_ms,
            )
        certificate = Certificate(
            source=source,
            pages=1,
            rows=1,
            digest="",
            started_at_ms=now_ms,
            completed_at_ms=now_ms,
            verdict=Verdict.COMPLETE,
            block_number=self.block,
        )
        return ReadCompleted(correlation=correlation, certificate=certificate, answer=answer)

    def _answer(self, read: Read, now_ms: int) -> Answer | None:
        match read:
            case ReadBalances():
                return None if self.block is None else BalancesAnswer(balances=self._balances(read, now_ms))
            case ReadMarkets():
                return MarketsAnswer(markets=tuple(metas()[each] for each in read.condition_ids))
            case ReadOpenOrders():
                return OrdersAnswer(orders=())
            case ReadPositions():
                return PositionsAnswer(positions=_positions() if self.block == HEAD else ())
            case ReadTrades():
                return TradesAnswer(trades=self.trades)
            case _:
                return None

    def _balances(self, read: ReadBalances, now_ms: int) -> Balances:
        assert self.block is not None
        here = held() if self.block == HEAD else {}
        return Balances(
            block_number=self.block,
            block_hash=block_hash(self.block),
            block_time_ms=now_ms,
            collateral=(CollateralBalance(name="pusd", amount_micro=CASH + here.get(PUSD, 0)),),
            tokens=tuple(
                TokenBalance(token_id=each.token_id, amount_micro=here.get(int(each.token_id), 0))
                for each in sorted(read.tokens, key=lambda each: each.token_id)
            ),
        )


@cache
def held() -> dict[int | str, int]:
    """What the wallet has at the head, without the cash it began with."""
    return dict(moved(transactions()))


def _positions() -> tuple[DataPosition, ...]:
    owners = {str(token(market, side)): condition(market) for market in range(MARKETS) for side in (0, 1)}
    return tuple(
        DataPosition(
            token_id=token_id,
            condition_id=owner,
            size_micro=held().get(int(token_id), 0),
            entry_cost_micro=0,
            price_micro=MARK,
            neg_risk=False,
            opposite_token_id=None,
        )
        for token_id, owner in owners.items()
    )
