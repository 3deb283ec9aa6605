"""A naive exchange account: orders, trades and what they come to, written without a line of ``portfolio``'s logic.

It keeps two plain lists, knows true times and states, and says what the books must come to when everything was heard:
all trades that did not fail, in the order in which they really happened, at average cost (R-13). ``wire`` turns what
happens here into messages; nothing here knows of messages, feeds or fills.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

ONE = 1_000_000
"""One share, one pUSD, the price 1.00."""

SECOND_NS = 1_000_000_000
YES, NO = "yes", "no"
BUY, SELL = "BUY", "SELL"
FEE_RATE = Fraction(7, 100)
LIVE_STATUSES = ("DELAYED", "UNMATCHED", "LIVE")
OPEN_TRADES = ("MATCHED_NOT_BROADCASTED", "MATCHED", "RETRYING", "MINED")


def other(token: str) -> str:
    return NO if token == YES else YES


@dataclass(eq=False)
class Order:
    """An order of ours; ``matched`` is the exchange's figure."""

    order_id: str
    token: str
    side: str
    price: int
    size: int
    kind: str
    created_ms: int
    status: str = "LIVE"
    because: str = ""
    matched: int = 0

    @property
    def live(self) -> bool:
        return self.status in LIVE_STATUSES

    @property
    def left(self) -> int:
        return self.size - self.matched


@dataclass(eq=False)
class Level:
    """A maker's part of a trade; ``order`` is None for a stranger's."""

    order: Order | None
    token: str
    side: str
    price: int
    size: int


@dataclass(eq=False)
class Trade:
    """A match: one taker (``taker`` is None for a stranger) against one or more makers."""

    trade_id: str
    matched_ns: int
    taker: Order | None
    token: str
    side: str
    levels: list[Level]
    status: str
    updated_ms: int
    hash: str = ""
    hashes: int = 0
    went_back: bool = False

    @property
    def size(self) -> int:
        return sum(level.size for level in self.levels)


@dataclass
class Holding:
    """What is held of one token, and what came of it."""

    shares: int = 0
    settled: int = 0
    cost: int = 0
    realised: int = 0
    fees: int = 0


@dataclass(frozen=True)
class Part:
    """One order's part of a trade as the account's books should have it."""

    trade: Trade
    order: Order
    token: str
    side: str
    size: int
    amount: int
    fee: int

    @property
    def key(self) -> str:
        return f"{self.trade.trade_id}/{self.order.order_id}"


@dataclass
class Exchange:
    """The account's orders and trades, and the exchange's clock."""

    now_ns: int
    orders: list[Order] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)

    @property
    def now_ms(self) -> int:
        return self.now_ns // 1_000_000

    def parts(self) -> list[Part]:
        """Our parts of all trades, in the order in which they happened; of one instant by their names."""
        found = [part for trade in self.trades for part in _parts(trade)]
        return sorted(found, key=lambda part: (part.trade.matched_ns, part.trade.trade_id, part.order.order_id))

    def holdings(self) -> dict[str, Holding]:
        """Average cost over all trades that did not fail (R-13)."""
        held = {YES: Holding(), NO: Holding()}
        for part in self.parts():
            if part.trade.status != "FAILED":
                _apply(held[part.token], part)
        return held

    def on_chain(self) -> dict[str, int]:
        """What the chain shows: trades in a block, whether the exchange has called them final or not."""
        there = [part for part in self.parts() if part.trade.status in {"MINED", "CONFIRMED"}]
        return {
            token: sum(part.size if part.side == BUY else -part.size for part in there if part.token == token)
            for token in (YES, NO)
        }

    def touch(self, trade: Trade) -> None:
        """The exchange changed the trade: each change has a second of its own, for that is what its clock shows."""
        self.now_ns = max(self.now_ns, (trade.updated_ms // 1000 + 1) * SECOND_NS)
        trade.updated_ms = self.now_ns // SECOND_NS * 1000


def _parts(trade: Trade) -> Iterable[Part]:
    if trade.taker is not None:
        prices = [
            (level.size, level.price if level.token == trade.token else ONE - level.price) for level in trade.levels
        ]
        amount = sum(round(Fraction(size * price, ONE)) for size, price in prices)
        fee = sum(_fee(size, price) for size, price in prices)
        yield Part(trade, trade.taker, trade.token, trade.side, trade.size, amount, fee)
    for level in trade.levels:
        if level.order is not None:
            amount = round(Fraction(level.size * level.price, ONE))
            yield Part(trade, level.order, level.token, level.side, level.size, amount, 0)


def _fee(size: int, price: int) -> int:
    """Shares × rate × p (1 − p), floored to five decimals (R-20)."""
    p = Fraction(price, ONE)
    return int(Fraction(size, 10) * FEE_RATE * p * (1 - p)) * 10


def _apply(held: Holding, part: Part) -> None:
    """Buys add cost, after covering what was sold short; sales take their floored share of it, the last share all."""
    if part.side == BUY:
        covering = min(part.size, max(0, -held.shares))
        spent = part.amount if covering == part.size else part.amount * covering // part.size
        held.shares += part.size
        held.cost += part.amount - spent
        held.realised -= spent
    else:
        removed = held.cost if part.size >= held.shares else held.cost * part.size // held.shares
        held.shares -= part.size
        held.cost -= removed
        held.realised += part.amount - removed
    held.fees += part.fee
    if part.trade.status == "CONFIRMED":
        held.settled += part.size if part.side == BUY else -part.size
