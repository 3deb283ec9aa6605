"""A market against a naive chain that grows and is reorganised: logs, trades and cycles in any order (X-01, X-14).

Whatever the market has been told, its shares are those of all that stands on the chain and was told, and of what is in
flight; and when all was told and is final, its books are those of a market that saw the last chain alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from portfolio import state
from portfolio.entries import Cause, FillState
from portfolio.events import ChainSeen
from portfolio.facts import TradeStatus
from portfolio.images import image_of
from portfolio.state import MarketState, fill_shares
from portfolio.trades import TradeLeg
from tests.property.portfolio.blocks import CAPITAL, Move, changed
from tests.property.portfolio.chain_acting import FEE_PER_SHARE, ChainActs, Deal
from tests.property.portfolio.chain_follower import MARKS, Follower
from tests.unit.portfolio.markets import NO, SHARE, YES

GUESSED = frozenset({Cause.UNTRACKED_INCREASE, Cause.UNTRACKED_REDUCTION, Cause.TRACKED_FILLS_NOT_SYNCED})
YOUNG = 4
"""Blocks under the head that are not final."""


class ChainMachine(ChainActs):
    """The market hears of all this as luck will have it."""

    def __init__(self) -> None:
        super().__init__()
        self.few_marks = pytest.MonkeyPatch()
        self.few_marks.setattr(state, "MARK_EVERY", 2)
        self.follower = Follower()
        self.looked: set[Deal] = set()
        self.luck = random.Random(0)

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        """The wallet holds some of both tokens, and a cycle has compared them."""
        self.luck = random.Random(seed)
        self.waiting.append(changed(self.name(), "split", 20 * SHARE))
        self.put(self.waiting)
        self.finalize(self.chain.head)
        self.compare(self.chain.head)
        self.apply(self.chain.head)

    # -- what the market hears ----------------------------------------------------------------------------------------

    def hear(self, deal: Deal, told: TradeLeg) -> None:
        deal.heard.append(told)
        self.follower.market.tell(self.seen(told), self.now_ms)

    @precondition(lambda self: self.pool)
    @rule(data=st.data(), again=st.booleans())
    def hear_of_trades(self, data: st.DataObject, again: bool) -> None:
        """In any order; some will come again."""
        chosen = data.draw(st.lists(st.sampled_from(self.pool), min_size=1, max_size=5, unique_by=id))
        if not again:
            self.pool = [one for one in self.pool if not any(one is other for other in chosen)]
        for deal, told in chosen:
            self.hear(deal, told)

    def tell_of_blocks(self, *, say_dropped: bool = True) -> None:
        self.follower.watch(self.chain, until=self.chain.head, say_dropped=say_dropped)

    @rule(data=st.data(), say_dropped=st.booleans())
    def watch(self, data: st.DataObject, say_dropped: bool) -> None:
        """The head of a while ago, or the newest; what was told is told again then, and changes nothing."""
        least = min(max(self.follower.compared, *self.follower.told), self.chain.head)
        until = data.draw(st.integers(least, self.chain.head))
        self.follower.watch(self.chain, until=until, say_dropped=say_dropped)
        blocks = data.draw(st.lists(st.sampled_from(sorted(self.follower.told)), max_size=3))
        facts = tuple(fact for number in blocks for fact in self.follower.told[number].facts)
        known = self.follower.state
        step = self.follower.market.tell(ChainSeen(facts=facts, final_block=0, prices=MARKS), self.now_ms)
        assert (step.state is known, step.rows) == (True, ())

    @precondition(lambda self: self.chain.head > self.chain.final + YOUNG)
    @rule()
    def settle_for_good(self) -> None:
        """By the time a block is final, the exchange has shown the trades in it."""
        final = self.chain.head - YOUNG
        there = self.chain.moves(final)
        self.hear_at_last([deal for deal in self.deals if deal.move in there])
        self.finalize(final)

    def hear_at_last(self, deals: Iterable[Deal]) -> None:
        for deal in deals:
            if not deal.named:
                self.hear(deal, deal.told[-1])

    # -- cycles -------------------------------------------------------------------------------------------------------

    @rule(data=st.data(), meanwhile=st.booleans())
    def cycle(self, data: st.DataObject, meanwhile: bool) -> None:
        """At a block up to the head; of a trade in it the market has heard by the second one (L-16)."""
        block = data.draw(st.integers(min(self.follower.compared, self.chain.head), self.chain.head))
        self.compare(block)
        if meanwhile and self.pool:
            self.hear_of_trades(data, True)
        self.apply(block)

    def compare(self, block: int) -> None:
        self.follower.watch(self.chain, until=self.chain.head)
        there = [deal for deal in self.deals if deal.move in self.chain.moves(block)]
        self.hear_at_last([deal for deal in there if deal in self.looked or deal.heard])
        self.looked.update(there)
        self.found = self.follower.plan(self.chain, block)

    def apply(self, block: int) -> None:
        self.follower.close(self.found, block, self.now_ms)
        entries = [one.entry for one in self.follower.state.adjustments.values()]
        assert not [entry for entry in entries if getattr(entry, "cause", None) in GUESSED]
        mine = {deal.move.name for deal in self.deals}
        assert not [entry for entry in entries if entry.entry_id.split(":")[1] in mine]
        waits = self.follower.state.pending.items()
        # Of fills that cancel each other nothing is to be seen, but they wait for their second look too.
        pending = {token_id: one.difference_micro for token_id, one in waits if one.difference_micro}
        assert pending == self.unexplained(block)

    def unexplained(self, block: int) -> dict[str, int]:
        """What of a block's balances is in no book: trades that were not heard of, and others' before a second look."""
        open_ = {YES: 0, NO: 0}
        unheard = {deal.move for deal in self.deals if not deal.heard}
        for move in self.chain.moves(block):
            if move in unheard or (move.external and not self.follower.booked(move)):
                _add(open_, move)
        return {token: shares for token, shares in open_.items() if shares}

    # -- what must be so -------------------------------------------------------------------------------------------

    @invariant()
    def shares_are_those_of_what_was_told(self) -> None:
        self.follower.market.check()
        assert self.follower.state.halted == "" or self.follower.state.short_since
        held, settled = {YES: 0, NO: 0}, {YES: 0, NO: 0}
        for deal in self.deals:
            if deal.heard and not deal.heard_failed:
                _add(held, deal.move)
        for move in self.follower.standing():
            if not move.order_id or (move.external and self.follower.booked(move)):
                _add(held, move)
                _add(settled, move)
        for booked in self.follower.state.fills.values():
            if booked.fill.state is FillState.SETTLED:
                settled[booked.fill.token_id] += fill_shares(booked.fill)
        positions = {token: self.follower.state.position(token) for token in held}
        assert {token: position.shares_micro for token, position in positions.items()} == held
        assert {token: position.settled_micro for token, position in positions.items()} == settled

    @invariant()
    def what_was_booked_stays_visible(self) -> None:
        """An id names one entry for ever, and what was taken back does not count again (L-13, L-19)."""
        self.follower.check_history()

    @invariant()
    def fills_are_settled_by_the_logs_that_stand(self) -> None:
        """And have their fees; all others are in flight at the exchange's own numbers."""
        standing = self.follower.standing()
        for deal in self.deals:
            booked = self.follower.state.fills.get(f"{deal.leg.trade_id}/{deal.leg.order_id}")
            if not deal.heard:
                assert booked is None
            elif not deal.heard_failed and not deal.anew:
                assert booked is not None
                shown = deal.move in standing
                assert (booked.proven, booked.logged) == (shown, shown)
                confirmed = any(told.status is TradeStatus.CONFIRMED for told in deal.heard)
                assert (booked.fill.state is FillState.SETTLED) == (shown or confirmed)
                fee = deal.leg.size_micro // SHARE * FEE_PER_SHARE
                assert booked.fill.fee_micro == (fee if shown else 0)

    def teardown(self) -> None:
        try:
            self.end()
        finally:
            self.few_marks.undo()

    def end(self) -> None:
        """All that can be mined is mined, all is heard and final; a few more cycles, and nothing is open."""
        for _ in range(3):
            self.put(self.waiting)
        for move in self.waiting:
            self.lose(move, anew=False)
        self.finalize(self.chain.head)
        self.hear_all()
        for _ in range(3):
            self.put([])
            self.compare(self.chain.head)
            self.apply(self.chain.head)
        self.finalize(self.chain.head)
        self.shares_are_those_of_what_was_told()
        assert self.follower.state.pending == {}
        assert {token: self.follower.state.position(token).settled_micro for token in (YES, NO)} == self.chain.held()
        assert self.follower.last is not None
        assert self.follower.last[0].cash_unexplained_micro == 0
        self.compare_with_the_last_chain()
        self.prune()

    def hear_all(self) -> None:
        """REST shows every trade as it is now, in any order."""
        deals = list(self.deals)
        self.luck.shuffle(deals)
        for deal in deals:
            self.hear(deal, deal.told[-1])

    def compare_with_the_last_chain(self) -> None:
        """A market that saw the last chain alone, in order, with every trade at its end."""
        straight = Follower()
        for deal in self.deals:
            straight.market.tell(self.seen(deal.told[-1]), self.now_ms)
        straight.watch(self.chain, until=self.chain.head)
        for block in (self.chain.head - 1, self.chain.head):
            straight.close(straight.plan(self.chain, block), block, self.now_ms)
        assert straight.state.pending == {}
        assert straight.state.positions == self.follower.state.positions
        assert _fills(straight.state) == _fills(self.follower.state)
        images = [image_of(one.state) for one in (straight, self.follower)]
        assert images[0].proven_cash_micro == images[1].proven_cash_micro == self.chain.cash() - CAPITAL

    def prune(self) -> None:
        """Nothing of what is final is kept for undoing."""
        self.put([changed(self.name(), "split", SHARE)])
        self.follower.watch(self.chain, until=self.chain.head)
        assert [held.fact.block_number for held in self.follower.state.tail] == [self.chain.head]


def _add(held: dict[str, int], move: Move) -> None:
    for token, shares in move.legs.items():
        held[token] += shares


def _fills(held: MarketState) -> dict[str, tuple[object, ...]]:
    return {
        key: (booked.fill.state, booked.fill.amount_micro, booked.fill.fee_micro, booked.fill.transaction_hash)
        for key, booked in held.fills.items()
    }


ChainMachine.TestCase.settings = settings(stateful_step_count=40)
TestChain = pytest.mark.req("X-01", "X-02", "X-14", "L-13", "L-16", "L-19", "R-05", "R-31", "D-02")(
    ChainMachine.TestCase
)
