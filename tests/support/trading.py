"""A wallet that trades without rest, frame by frame: what the world shows of its orders and trades, and what moves.

In every frame the scripted venue changes, the user stream says so, and a cycle follows at the same virtual moment. A
trade is shown in each status that it reaches, an order's figure before its trade, after it or with it; some trades
fail, some are in a block before they are confirmed, and the trade of the last order never comes.

REST and stream show one frame alike: trades in the order of their match, then orders. So who comes back within a frame
finds over REST, in the same order, all that the stream had said. In a frame at most one order of a market shows a match
before its trade: of two, a list makes one step, and the stream two.
"""

from __future__ import annotations

import enum
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from portfolio.facts import MakerLeg, OpenOrder, OrderStatus, Side, Trade, TradeStatus
from portfolio.units import mul_price
from tests.support.moves import NS_PER_MS, move
from tests.support.system import START_MS, Harness
from tests.support.venue import FUNDER, OWN_KEY, Venue

SHARE = 1_000_000
CENT = 10_000
HELD = 100_000 * SHARE
"""Of every token, before the first frame: enough to sell from."""

EVENT = "0xe"
QUESTIONS = tuple(f"{EVENT}-{index}" for index in range(3))
CONDITIONS = (*(f"0x{letter}" for letter in "abcdfg"), *QUESTIONS)
TOKENS = tuple(f"{condition}-{outcome}" for condition in CONDITIONS for outcome in ("yes", "no"))

FRAME_MS = 70_000
"""More than two readings of trades overlap (D-21), so that the cursor counts."""

BLOCK_MS = 2_000
BLOCK_AGE_MS = 1_000
"""The newest block is so old; the exchange calls a trade confirmed when it stands in that block, not before."""

EARLIER_MS = 30_000
"""So long before its frame a fill was matched."""

PLACED_BEFORE = 2
TAIL = 3
"""Frames before the first fill and after the last: orders are placed; trades settle or fail."""


class Way(enum.Enum):
    """How a fill is shown."""

    TAKER = "no order message"
    ORDER_FIRST = "the order's figure a frame before the trade"
    TRADE_FIRST = "the trade a frame before the order's figure"
    TOGETHER = "both in one frame"


class End(enum.Enum):
    """What becomes of a trade."""

    CONFIRMED = "in a block when it is confirmed"
    MINED = "in a block a frame before it is confirmed"
    FAILED = "failed"
    SILENT = "never shown"


@dataclass(frozen=True, kw_only=True)
class Fill:
    """One fill of one order. ``frame`` is when it is matched; ``whole`` says that it is all of the order."""

    number: int
    frame: int
    token_id: str
    side: Side
    price: int
    size: int
    way: Way
    end: End
    whole: bool

    @property
    def condition_id(self) -> str:
        """The token's condition."""
        return self.token_id.rpartition("-")[0]

    @property
    def market(self) -> str:
        """The book that it belongs to; a neg-risk event has one (D-01)."""
        return EVENT if self.condition_id in QUESTIONS else self.condition_id

    @property
    def order_id(self) -> str:
        """Name of its order."""
        return f"order-{self.number:04d}"

    @property
    def order_frames(self) -> tuple[int, ...]:
        """When its order is placed and when it shows the match; none where no message speaks of the order."""
        if self.way is Way.TAKER:
            return ()
        return self.frame - PLACED_BEFORE, self.frame + (self.way is Way.TRADE_FIRST)

    def order(self, frame: int) -> OpenOrder:
        """Its order as ``frame`` shows it."""
        placed, filled = self.order_frames
        done = frame >= filled
        return OpenOrder(
            order_id=self.order_id,
            condition_id=self.condition_id,
            token_id=self.token_id,
            side=self.side,
            price_micro=self.price,
            original_size_micro=self.size if self.whole else 2 * self.size,
            size_matched_micro=self.size if done else 0,
            status=OrderStatus.MATCHED if done and self.whole else OrderStatus.LIVE,
            created_at_ms=at_ms(placed),
            owner=OWN_KEY,
            maker_address=FUNDER,
            order_type="GTC",
        )

    @property
    def statuses(self) -> dict[int, TradeStatus]:
        """The statuses that its trade reaches, by the frame that shows them."""
        if self.end is End.SILENT:
            return {}
        seen = self.frame + (self.way is Way.ORDER_FIRST)
        reached = {
            End.CONFIRMED: (TradeStatus.MATCHED, TradeStatus.CONFIRMED),
            End.MINED: (TradeStatus.MATCHED, TradeStatus.MINED, TradeStatus.CONFIRMED),
            End.FAILED: (TradeStatus.MATCHED, TradeStatus.RETRYING, TradeStatus.FAILED),
        }
        return dict(enumerate(reached[self.end], start=seen))

    @property
    def matched_at_ns(self) -> int:
        """When it was matched; no two at once."""
        return (at_ms(self.frame) - EARLIER_MS + self.number) * NS_PER_MS + self.number

    @property
    def settles_in(self) -> int | None:
        """The frame from which on the chain shows it."""
        found = (frame for frame, status in self.statuses.items() if status in _ON_CHAIN)
        return min(found, default=None)

    def trade(self, frame: int) -> Trade:
        """Its trade as ``frame`` shows it: a trade of ours as taker, or one of our orders in a stranger's."""
        taker = self.way is Way.TAKER
        status = self.statuses[frame]
        leg = MakerLeg(
            order_id=self.order_id,
            owner=OWN_KEY,
            maker_address=FUNDER,
            token_id=self.token_id,
            price_micro=self.price,
            size_micro=self.size,
            side=self.side,
        )
        return Trade(
            trade_id=f"trade-{self.number:04d}",
            taker_order_id=self.order_id if taker else f"strangers-{self.number:04d}",
            condition_id=self.condition_id,
            token_id=self.token_id,
            side=self.side if taker else _OTHER[self.side],
            size_micro=self.size,
            price_micro=self.price,
            status=status,
            matched_at_ns=self.matched_at_ns,
            updated_at_ms=at_ms(frame) - BLOCK_AGE_MS,
            owner=OWN_KEY if taker else "key-of-a-stranger",
            maker_address=FUNDER if taker else "0x00000000000000000000000000000000000000aa",
            transaction_hash=f"0xhash-{self.number}" if status in _ON_CHAIN else None,
            trader_side=None,
            bucket_index=0,
            legs=() if taker else (leg,),
        )


_ON_CHAIN = frozenset({TradeStatus.MINED, TradeStatus.CONFIRMED})
_OTHER = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}


def at_ms(frame: int) -> int:
    """The virtual moment of a frame; frame 0 is the opening."""
    return START_MS + frame * FRAME_MS


class Trading:
    """So many fills in so many frames, the same for the same seed; and what each frame shows of them."""

    def __init__(self, *, fills: int, frames: int, seed: int = 0) -> None:
        self.last = PLACED_BEFORE + frames + TAIL
        self._random = random.Random(seed)
        self._early: set[tuple[int, str]] = set()
        silent = self._fill(fills, PLACED_BEFORE + frames, way=Way.ORDER_FIRST, end=End.SILENT, whole=False)
        rest = (self._fill(number, 1 + PLACED_BEFORE + number * frames // fills) for number in range(fills))
        self.fills = (*rest, silent)
        self._trades: dict[int, list[Fill]] = defaultdict(list)
        self._orders: dict[int, list[Fill]] = defaultdict(list)
        self._blocks: dict[int | None, list[Fill]] = defaultdict(list)
        for fill in self.fills:
            self._blocks[fill.settles_in].append(fill)
            for frame in fill.statuses:
                self._trades[frame].append(fill)
            for frame in fill.order_frames:
                self._orders[frame].append(fill)

    def _fill(self, number: int, frame: int, **given: object) -> Fill:
        choose = self._random
        drawn = {
            "token_id": choose.choice(TOKENS),
            "side": choose.choice((Side.BUY, Side.BUY, Side.SELL)),
            "price": choose.randrange(20, 80) * CENT,
            "size": choose.randrange(SHARE // 20, 20 * SHARE),
            "way": choose.choice(tuple(Way)),
            "end": choose.choices((End.CONFIRMED, End.MINED, End.FAILED), (10, 9, 1))[0],
            "whole": choose.random() < 0.5,
        }
        fill = Fill(number=number, frame=frame, **{**drawn, **given})  # type: ignore[arg-type]
        if fill.way is Way.ORDER_FIRST and (frame, fill.market) in self._early:
            fill = replace(fill, way=Way.TOGETHER)
        elif fill.way is Way.ORDER_FIRST:
            self._early.add((frame, fill.market))
        return fill

    def prepare(self, venue: Venue) -> None:
        """The world before the first frame."""
        venue.block_every_ms = BLOCK_MS
        for condition_id in CONDITIONS:
            inside = condition_id in QUESTIONS
            index = QUESTIONS.index(condition_id) if inside else None
            venue.add_market(condition_id, neg_risk_id=EVENT if inside else None, index=index)
        venue.question_counts[EVENT] = len(QUESTIONS)
        for token_id in TOKENS:
            venue.balances[token_id] = HELD

    def play(self, venue: Venue, frame: int) -> tuple[Trade | OpenOrder, ...]:
        """Let a frame's things happen in the world; returns what the user stream says of them."""
        trades = [fill.trade(frame) for fill in self._trades[frame]]
        orders = [fill.order(frame) for fill in self._orders[frame]]
        for order in orders:
            (venue.orders if order.status.live else venue.fates)[order.order_id] = order
            if not order.status.live:
                del venue.orders[order.order_id]
        shown = {trade.trade_id: trade for trade in (*venue.trades, *trades)}
        venue.trades = list(shown.values())
        for fill in self._blocks[frame]:
            sign = 1 if fill.side is Side.BUY else -1
            move(venue, fill.token_id, sign * fill.size)
            venue.cash_micro -= sign * mul_price(fill.size, fill.price)
        trades.sort(key=lambda trade: trade.matched_at_ns)
        orders.sort(key=lambda order: order.order_id)
        return (*trades, *orders)

    def held(self) -> dict[str, tuple[int, int]]:
        """Settled shares and all shares of each token in the end, as the story has them."""
        found = dict.fromkeys(TOKENS, (HELD, HELD))
        for fill in self.fills:
            settled, shares = found[fill.token_id]
            size = fill.size if fill.side is Side.BUY else -fill.size
            in_block = size if fill.settles_in is not None else 0
            found[fill.token_id] = settled + in_block, shares + (in_block or size * (fill.end is End.SILENT))
        return found

    def steps(self, harness: Harness, frame: int) -> Iterator[None]:
        """A frame in a running system, step by step: the world moves, the stream says so, and a cycle follows."""
        harness.clock.advance_to(at_ms(frame))
        said = self.play(harness.venue, frame)
        if said:
            harness.stream.show(*said)
        yield from to_the_end(harness)

    def go(self, harness: Harness, after: int = 0) -> None:
        """All frames after ``after``."""
        for frame in range(after + 1, self.last + 1):
            for _ in self.steps(harness, frame):
                pass


def to_the_end(harness: Harness) -> Iterator[None]:
    """Step until nobody has mail and nothing is due at this virtual moment."""
    runtime = harness.runtime
    while True:
        while runtime.step():
            yield
        if not runtime.fire_next_timer(harness.clock.now_ms()):
            return
