"""The service's own actors on a world: their reads of the chain go over its wire, the exchange's are scripted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
from gevent.event import AsyncResult

from messages.addresses import WATCHER, coordinator_address, market_address
from messages.following import Look
from messages.reads import Read, ReadAgreement, ReadBalances, ReadLogs, ReadReceipt
from polymarket.reads import PolymarketReads
from polymarket.settings import PolymarketSettings, WalletSettings
from portfolio.chain import ChainChange, ChangeKind
from portfolio.comparison import as_of
from portfolio.entries import Cause
from portfolio.facts import MarketMeta, Payout, TokenMeta, Trade
from portfolio.images import image_of
from portfolio.labelling_hints import hints_of
from portfolio.outcomes import OperationsReport
from portfolio.state import MarketState
from portfolio.views import CauseHint
from tests.evm.stage import Balances
from tests.evm.worlds.base import Question, World
from tests.evm.worlds.watching import Watcher
from tests.support.system import WALLET, Harness
from tests.support.venue import Reply, Venue

CLOSE_WITHIN_S = 5.0
FLOWS = frozenset({ChangeKind.DEPOSIT, ChangeKind.WITHDRAWAL, ChangeKind.REWARD})
LATE = frozenset({Cause.TRANSFER_IN, Cause.REDEEMED})
ON_CHAIN = (ReadBalances, ReadLogs, ReadReceipt, ReadAgreement)


class Poison:
    """A message that no actor takes: whoever gets it crashes."""


class WorldReads:
    """The port: what is on the chain is read from the world's node, by the product's own adapter and wire.

    ``before`` are things that happen once, right before a read of that kind; ``held`` are kinds whose answers, once
    read, are kept back until ``release``.
    """

    def __init__(self, settings: PolymarketSettings, venue: Venue) -> None:
        self._wire = PolymarketReads(settings, venue.clock.now_ms)
        self._venue = venue
        self.before: dict[type[Read], Callable[[], None]] = {}
        self.held: set[type[Read]] = set()
        self._kept: list[Callable[[], None]] = []

    def request(self, read: Read, reply: Reply, correlation: str) -> None:
        """Answered at once, so that the pump alone says in which order things happen."""
        if not isinstance(read, ON_CHAIN):
            self._venue.request(read, reply, correlation)
            return
        happens = self.before.pop(type(read), None)
        if happens is not None:
            happens()
        answered: AsyncResult = AsyncResult()
        self._wire.request(read, answered.set, correlation)
        answer = answered.get()
        assert answer is not None
        if type(read) in self.held:
            self._kept.append(lambda: reply(answer))
        else:
            reply(answer)

    def release(self) -> None:
        """Give the answers that were kept back, in their order; from now on none is."""
        self.held.clear()
        kept, self._kept = self._kept, []
        for give in kept:
            give()

    def close(self) -> None:
        """Close the connections."""
        self._wire.close(CLOSE_WITHIN_S)


class Serviced(Harness):
    """One wallet's system on a world. It knows of ``questions`` alone; the wallet may hold others beside them.

    Time is the chain's. Blocks are compared ``confirmations`` below the head; the watcher follows up to the head. No
    timer runs: looks and cycles come when a test asks for them.
    """

    def __init__(self, folder: Path, world: World, questions: Iterable[Question], *, confirmations: int) -> None:
        super().__init__(folder, book=msgspec.structs.replace(world.addresses, own=frozenset({world.wallet})))
        self.world = world
        self.address = world.wallet
        self.confirmations = confirmations
        own = WalletSettings(name=WALLET, address=world.wallet, signer_address=world.wallet)
        settings = msgspec.structs.replace(world.settings, confirmations=confirmations, wallets=(own,))
        self.reads = self.wire = WorldReads(settings, self.venue)
        self.venue.metas = {each.condition_id: meta_of(each, settings.conditional_tokens) for each in questions}
        self.tokens = frozenset(token.token_id for meta in self.venue.metas.values() for token in meta.tokens)
        self.compared = 0
        self.lives = 1
        self.payouts: Mapping[str, Payout] = {}
        self._labels: Watcher | None = None

    def open(self) -> Serviced:
        """Compare twice, at blocks behind which nothing has happened yet: what is held is known, then its payouts."""
        self.world.mine(self.confirmations + 1)
        self._labels = Watcher(self.world)
        self._catch_up()
        self.start()
        self.cycle()
        balances = self.board.sync[WALLET].balances
        self.payouts = {each.condition_id: each for each in balances.payouts} if balances is not None else {}
        return self

    def close(self) -> None:
        """Leave nothing open."""
        self.stop()
        self.wire.close()

    # -- what is done ---------------------------------------------------------------------------------------------

    def look(self) -> None:
        """The watcher looks at the head, and everybody takes their mail; no cycle runs."""
        self._pass_time()
        self.post.tell(WATCHER, Look())
        self.runtime.run_until_idle()

    def cycle(self) -> OperationsReport:
        """A cycle, pinned ``confirmations`` below the head."""
        self._catch_up()
        report = super().cycle()
        self._note(report)
        return report

    def crash(self) -> None:
        """The watcher crashes, and another one takes its place; it follows for whom asks it, which a cycle does."""
        before = len(self.restarted)
        self.post.tell(WATCHER, Poison())
        self.runtime.run_until_idle()
        assert self.restarted[before:] == [WATCHER]

    def poison(self) -> None:
        """The watcher crashes, and a cycle comes."""
        self.crash()
        self.cycle()

    def reborn(self) -> None:
        """The process dies, and begins anew with its database: its first cycle comes by itself."""
        self._catch_up()
        self.restart()
        self.lives += 1
        self._note(self.metrics.reports[-1])

    def show(self, trade: Trade) -> None:
        """The exchange lists the trade, in its present state, and its stream tells it."""
        self.venue.trades = [each for each in self.venue.trades if each.trade_id != trade.trade_id]
        self.venue.trades.append(trade)
        if not self.stream.connected:
            self.stream.subscribe()
            self.runtime.run_until_idle()
        self.stream.show(trade)
        self.runtime.run_until_idle()

    def _pass_time(self) -> None:
        """Now is right after the newest block."""
        (block,) = self.world.ask(("eth_getBlockByNumber", ("latest", False)))
        self.clock.advance_to((int(block["timestamp"], 16) + 1) * 1000)

    def _catch_up(self) -> None:
        """The Data API, which an opening begins with, is at the newest block too."""
        self._pass_time()
        head = self.world.head
        self.venue.balances = dict(self.world.balances(head, head)[head].tokens)

    def _note(self, report: OperationsReport) -> None:
        assert report.block_number is not None, report
        assert report.onchain_reconciled, report
        self.compared = report.block_number

    # -- what must be true ----------------------------------------------------------------------------------------

    @property
    def labels(self) -> Watcher:
        """What the tests' own follower knows; the books have nothing of it."""
        assert self._labels is not None, "not opened yet"
        return self._labels

    def states(self) -> list[MarketState]:
        """The markets' books, as their actors hold them."""
        markets = sorted({meta.market_id for meta in self.venue.metas.values()})
        return [self.actor(market_address(WALLET, market))._state for market in markets]

    def check(self, waiting: int | None = None) -> None:
        """At each block from the compared one to the head the books are what the contracts say.

        ``waiting`` is how many fills the logs show of which no trade is known, where that is certain; they are no
        entries yet.
        """
        self.labels.follow()
        states = self.states()
        if waiting is not None:
            assert sum(not held.booked_as for state in states for held in state.tail) == waiting
        said = self.world.balances(self.compared, self.world.head)
        for block, balances in said.items():
            assert self._booked(states, block) == self._shown(balances), f"block {block} of {sorted(said)}"

    def _shown(self, balances: Balances) -> tuple[dict[str, int], int]:
        held = {token: micro for token, micro in balances.tokens.items() if token in self.tokens}
        return held, sum(balances.cash.values())

    def _booked(self, states: Iterable[MarketState], block: int) -> tuple[dict[str, int], int]:
        """Settled shares and cash at the block; what is in flight is not in them."""
        shares: Counter[str] = Counter()
        cash = self.actor(coordinator_address(WALLET))._state.capital_micro
        cash += sum(change.cash_micro for change in self._flows(block))
        for state in states:
            image = as_of(image_of(state), block)
            cash += image.proven_cash_micro
            shares.update({token.token_id: token.proven_micro for token in image.tokens})
        for hint in self._open(states, block):
            shares.update(dict(hint.legs))
            cash += hint.cash_micro
        return {token: micro for token, micro in shares.items() if micro}, cash

    def _open(self, states: Iterable[MarketState], block: int) -> Iterator[CauseHint]:
        """What the logs show and no entry has: fills that wait for their trade, and what a cycle has to tell first.

        A new life of the process has no mark yet to carry shares at that came in (R-13), and may not have read how an
        answered question pays: these, if seen then, are booked by the cycle that compares their block.
        """
        tail = [held for state in states for held in state.tail]
        yield from (held.fact.hint for held in tail if not held.booked_as and held.fact.block_number <= block)
        if self.lives > 1:
            known = {held.fact.hint.logged_as for held in tail}
            told = hints_of(self.labels.changes(self.compared + 1, block), self.world.book, self.payouts)
            yield from (hint for hint in told if hint.cause in LATE and hint.logged_as not in known)

    def _flows(self, block: int) -> Iterator[ChainChange]:
        changes = self.labels.changes(self.compared + 1, block)
        return (change for change in changes if change.kind in FLOWS)


def meta_of(question: Question, contract: str) -> MarketMeta:
    """What Gamma would say."""
    names = ("Yes", "No")
    return MarketMeta(
        condition_id=question.condition_id,
        question_id=question.name,
        title=question.name,
        slug=question.name.replace(" ", "-"),
        version="v1",
        tokens=tuple(
            TokenMeta(token_id=token, outcome=names[outcome], outcome_index=outcome, contract=contract)
            for outcome, token in enumerate(question.tokens)
        ),
        neg_risk_claimed=bool(question.event),
        neg_risk_derived=bool(question.event),
        neg_risk_market_id=question.event or None,
        question_index=question.index,
        closed=False,
        fee_rate_micro=question.fee_rate,
        fee_exponent=1,
    )
