"""A market that follows a naive chain, and the cycles of its wallet: what the watcher and the coordinator do (X-01)."""

from __future__ import annotations

from collections.abc import Mapping

from portfolio.closing import Gathered, close
from portfolio.cycle import Frame, Plan, plan
from portfolio.events import ChainDropped, ChainSeen, MarketDefined
from portfolio.facts import Balances, CollateralBalance, TokenBalance
from portfolio.images import image_of
from portfolio.judging import ViewResult
from portfolio.outcomes import CycleStatus
from portfolio.readings import Logs, Readings
from portfolio.state import BookedAdjustment, MarketState
from portfolio.tail import DroppedBlock
from portfolio.views import ViewPolicy
from portfolio.wallet import WalletState
from portfolio.wallet import transition as wallet_transition
from tests.property.portfolio.accounts import Listener
from tests.property.portfolio.blocks import CAPITAL, Block, Chain, Move
from tests.unit.portfolio.markets import CONDITION, NO, T0, YES, meta, prices
from tests.unit.portfolio.transaction_logs import WALLET, book

MARKS = prices(yes=500_000, no=500_000)


class Follower:
    """A market with its wallet's cycles, and what it was told of the chain."""

    def __init__(self) -> None:
        self.market = Listener()
        self.market.tell(MarketDefined(metas=(meta(),)), T0)
        self.wallet = WalletState(wallet="main", opened=True, capital_micro=CAPITAL)
        self.told: dict[int, Block] = {}
        self.until = self.compared = self.cycles = 0
        self.last: tuple[Plan, ViewResult | None] | None = None
        self.entries: Mapping[str, BookedAdjustment] = {}

    @property
    def state(self) -> MarketState:
        return self.market.state

    def watch(self, chain: Chain, *, until: int, say_dropped: bool = True) -> None:
        """Dropped blocks first, then all new ones up to ``until``."""
        gone = [block for block in self.told.values() if chain.blocks[block.number : block.number + 1] != [block]]
        new = [block for block in chain.blocks[: until + 1] if self.told.get(block.number) != block]
        now_ms = chain.blocks[-1].time_ms
        moved = {move.name for block in new for move in block.moves}
        if say_dropped or any(move.name not in moved for block in gone for move in block.moves):
            places = tuple(DroppedBlock(block_number=block.number, block_hash=block.block_hash) for block in gone)
            self.market.tell(ChainDropped(blocks=places), now_ms)
        # What took their place is needed again, whatever was compared before.
        self.until = min(self.until, *(block.number - 1 for block in gone)) if gone else self.until
        self.told = {number: block for number, block in self.told.items() if block not in gone}
        self.told.update((block.number, block) for block in new)
        facts = tuple(fact for block in new for fact in block.facts)
        final = min(chain.final, self.until)
        self.market.tell(ChainSeen(facts=facts, final_block=final, prices=MARKS), now_ms)

    def standing(self) -> list[Move]:
        """What the market was told is on the chain."""
        return [move for block in self.told.values() for move in block.moves]

    def plan(self, chain: Chain, block: int) -> Plan:
        """What a cycle makes of balances and logs at this block."""
        held = chain.held(block)
        balances = Balances(
            block_number=block,
            block_hash=chain.blocks[block].block_hash,
            block_time_ms=chain.blocks[block].time_ms,
            collateral=(CollateralBalance(name="pusd", amount_micro=chain.cash(block)),),
            tokens=tuple(TokenBalance(token_id=token, amount_micro=held[token]) for token in (YES, NO)),
        )
        logs = Logs(
            address=WALLET,
            cash_until_block=self.compared,
            transactions=tuple(one for each in chain.blocks[self.until + 1 : block + 1] for one in each.transactions),
            book=book(),
        )
        readings = Readings(balances=balances, positions=(), orders=(), orders_read_at_ms=0, fates=(), logs=logs)
        frame = Frame(cycle_id=f"main-{self.cycles}", synced_at_ms=0, policy=ViewPolicy(), own_keys=())
        return plan([image_of(self.state)], readings, frame, self.wallet)

    def close(self, found: Plan, block: int, now_ms: int) -> None:
        """The market takes its view, if it has one, and the cycle ends."""
        view = found.views.get(CONDITION)
        result = self.market.tell(view, now_ms).result if view is not None else None
        gathered = Gathered(
            cycle_id=f"main-{self.cycles}",
            synced_at_ms=now_ms,
            duration_ms=0,
            status=CycleStatus.OK,
            reasons=(),
            images=(image_of(self.state),),
            results=() if result is None else (result,),
            plan=found,
            block_number=block,
            orders_read_at_ms=now_ms,
            certificates=(),
            paused=(),
            discrepancy_alert_micro=10_000_000,
        )
        self.wallet = wallet_transition(self.wallet, close(gathered, self.wallet), now_ms).state
        self.cycles += 1
        self.compared, self.last = block, (found, result)
        if not self.state.pending:
            self.until = block

    def booked(self, move: Move) -> bool:
        """Whether an entry for the transaction counts."""
        standing = (name for name, booked in self.state.adjustments.items() if not booked.superseded)
        return any(name.startswith(f"chain:{move.name}:") for name in standing)

    def check_history(self) -> None:
        """No entry was changed or has gone since the last time, and none that was taken back counts again."""
        entries = self.state.adjustments
        for name, known in self.entries.items():
            assert entries[name].entry == known.entry
            assert entries[name].superseded >= known.superseded
        self.entries = entries
