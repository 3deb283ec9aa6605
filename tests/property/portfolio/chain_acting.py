"""What may happen on the naive chain, as rules of a state machine: trades, other changes, blocks, reorganisations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from msgspec.structs import replace

from portfolio.events import FillSeen
from portfolio.facts import Side, TradeStatus
from portfolio.trades import TradeLeg
from tests.property.portfolio.blocks import Chain, Move, changed, traded
from tests.unit.portfolio.markets import NO, SECOND, SHARE, T0, YES, leg

ORDERS = (
    ("o1", YES, Side.BUY, 400_000),
    ("o2", YES, Side.SELL, 700_000),
    ("o3", NO, Side.BUY, 300_000),
    ("o4", NO, Side.SELL, 555_555),
)
"""Resting orders: id, token, side and price."""

KINDS = ("merge", "split", "split", "out", "in", "paid", "worthless")
SIZES = st.integers(1, 4).map(lambda shares: shares * SHARE)
FEE_PER_SHARE = 1_234
STRANGE_MAX = 10


@dataclass(eq=False)
class Deal:
    """An own trade as the exchange has it, with what the market has heard of it."""

    leg: TradeLeg
    move: Move
    anew: bool = False
    heard: list[TradeLeg] = field(default_factory=list)
    told: list[TradeLeg] = field(default_factory=list)

    @property
    def heard_failed(self) -> bool:
        return any(one.status is TradeStatus.FAILED for one in self.heard)

    @property
    def named(self) -> bool:
        """Whether the market was told of the transaction that the trade is in now."""
        hashes = [one.transaction_hash for one in self.heard if one.transaction_hash]
        return bool(self.heard) and (not hashes or self.move.name in hashes)


def some(data: st.DataObject, moves: list[Move]) -> list[Move]:
    """More than half of them, in any order."""
    if not moves:
        return []
    return data.draw(st.lists(st.sampled_from(moves), unique_by=id, min_size=(len(moves) + 1) // 2))


class ChainActs(RuleBasedStateMachine):
    """The exchange matches and the chain goes on; what the exchange says of trades goes into a pool."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = Chain()
        self.waiting: list[Move] = []
        self.deals: list[Deal] = []
        self.pool: list[tuple[Deal, TradeLeg]] = []
        self.names = self.strange = 0
        self.clock_ms = T0

    @property
    def now_ms(self) -> int:
        return self.chain.blocks[-1].time_ms

    def name(self) -> str:
        self.names += 1
        return f"0x{self.names * 7 % 16:x}{self.names}"

    # -- what is sent to the chain ----------------------------------------------------------------------------------

    @rule(order=st.sampled_from(ORDERS), size=SIZES, hash_known=st.booleans())
    def match(self, order: tuple[str, str, Side, int], size: int, hash_known: bool) -> None:
        """An order of ours is matched. Where its transaction is not told at once, its size tells it from others."""
        name = self.name()
        size += 0 if hash_known else self.names
        trade_id = f"t{name}"
        move = traded(name, order, size, size // SHARE * FEE_PER_SHARE, trade_id)
        order_id, token, side, price = order
        given = {"order_id": order_id, "token_id": token, "side": side, "at_ms": self.now_ms + 1}
        deal = Deal(leg(trade_id, size, price, transaction_hash=name if hash_known else None, **given), move)
        self.waiting.append(move)
        self.deals.append(deal)
        self.say(deal)

    @rule(data=st.data(), kind=st.sampled_from(("strange", "strange", *KINDS)), size=SIZES)
    def others_act(self, data: st.DataObject, kind: str, size: int) -> None:
        """The wallet merges, splits, sends, is sent or redeems; or an order that we never hear of is filled.

        No two of these are of one size, nor is a sum of them zero: of equal ones, of which the exchange has not shown
        all, only a later look tells which is whose.
        """
        name = self.name()
        if kind != "strange":
            self.waiting.append(changed(name, kind, size))
        elif self.strange < STRANGE_MAX:
            order = data.draw(st.sampled_from(ORDERS))
            self.strange += 1
            size += 1_000 * 3**self.strange
            self.waiting.append(traded(name, (f"strange-{name}", *order[1:]), size, FEE_PER_SHARE))

    # -- the chain --------------------------------------------------------------------------------------------------

    @rule(data=st.data(), told=st.booleans())
    def mine(self, data: st.DataObject, told: bool) -> None:
        """A block of some of what waits, in any order."""
        self.put(some(data, self.waiting))
        if told:
            self.tell_of_blocks()

    def tell_of_blocks(self, *, say_dropped: bool = True) -> None:
        """The market hears of the chain as it is; where it can see for itself, it need not hear what was dropped."""

    def put(self, moves: Iterable[Move]) -> None:
        chosen = list(moves)
        left = self.chain.mine(chosen)
        self.waiting = [move for move in self.waiting if move not in chosen or move in left]
        for move in self.chain.blocks[-1].moves:
            self.tell_of(move, TradeStatus.MINED)

    @precondition(lambda self: self.chain.head > self.chain.final)
    @rule(data=st.data(), depth=st.integers(1, 4), told=st.sampled_from(("not yet", "dropped first", "at once")))
    def reorganise(self, data: st.DataObject, depth: int, told: str) -> None:
        """Blocks are replaced by others: of their transactions some stay, some wait again, some are gone for good."""
        height = self.chain.head
        gone = self.chain.drop(depth)
        for move in gone:
            if data.draw(st.integers(0, 4)):
                self.waiting.append(move)
            else:
                self.lose(move, anew=data.draw(st.booleans()))
        kept = [move for move in gone if move in self.waiting]
        while self.chain.head < height:
            self.put(some(data, kept))
            kept = [move for move in kept if move in self.waiting]
        if told != "not yet":
            self.tell_of_blocks(say_dropped=told == "dropped first")

    def lose(self, move: Move, *, anew: bool) -> None:
        """The transaction will be in no block; its trade fails, or is tried anew in another one."""
        for deal in self.deals:
            if deal.move is move and anew:
                order = next(order for order in ORDERS if order[0] == move.order_id)
                size = deal.leg.size_micro
                deal.anew = True
                deal.move = traded(self.name(), order, size, size // SHARE * FEE_PER_SHARE, move.trade_id)
                self.waiting.append(deal.move)
                deal.leg = replace(deal.leg, transaction_hash=deal.move.name)
                self.say(deal, TradeStatus.RETRYING)
            elif deal.move is move:
                self.say(deal, TradeStatus.FAILED)

    def finalize(self, final: int) -> None:
        """Blocks up to this one stay for ever; the exchange confirms their trades."""
        for block in self.chain.blocks[self.chain.final + 1 : final + 1]:
            for move in block.moves:
                self.tell_of(move, TradeStatus.CONFIRMED)
        self.chain.final = max(self.chain.final, final)

    # -- what the exchange says -------------------------------------------------------------------------------------

    def tell_of(self, move: Move, status: TradeStatus) -> None:
        for deal in self.deals:
            if deal.move is move:
                deal.leg = replace(deal.leg, transaction_hash=move.name)
                self.say(deal, status)

    def say(self, deal: Deal, status: TradeStatus = TradeStatus.MATCHED) -> None:
        """Each word of the exchange has a second of its own."""
        self.clock_ms += SECOND
        deal.leg = replace(deal.leg, status=status, updated_at_ms=self.clock_ms)
        deal.told.append(deal.leg)
        self.pool.append((deal, deal.leg))

    def seen(self, told: TradeLeg) -> FillSeen:
        return FillSeen(leg=told, feed="poll")
