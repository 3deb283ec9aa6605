"""Any changes in any blocks, dropped and mined again, crashes, silent nodes: in the end the books are the chain's.

Transfers, merges, splits and own fills; reorganisations of several blocks, after which some transactions never come
again and others come in another order; reads that fail, are partial or late; actors and processes that crash.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from messages.addresses import WATCHER
from messages.reads import ReadBalances, ReadLogs
from portfolio.facts import FailureKind, TradeStatus
from tests.support.moves import Deal, becomes, move, trade
from tests.support.onchain import BOOK, again, deposited, filled, merged, reorganise, split, transferred
from tests.support.system import FOLLOW_MS, INTERVAL_MS, Build, Harness
from tests.unit.actors.worlds import COORDINATOR, MARKET, SHARE, Poison, running, states

DEEDS = 40
CRASHES_MAX = 8
"""In all, so that no actor is given up."""


class Storm:
    """Does one thing after the other to a system and its chain."""

    def __init__(self, harness: Harness, seed: int) -> None:
        self.harness = harness
        self.venue = harness.venue
        self.choose = random.Random(seed)
        self.number = 0
        self.crashes = 0
        self.deeds: tuple[tuple[int, Callable[[], object]], ...] = (
            (10, self.transfer),
            (6, self.merge),
            (4, self.split),
            (3, self.deposit),
            (8, self.fill),
            (10, self.reorganise),
            (3, self.fail),
            (3, self.hold),
            (10, self.heal),
            (5, self.crash),
            (2, self.restart),
        )

    def rage(self) -> None:
        """Many deeds, each followed by a while in which not everybody needs to take all mail."""
        weights = [weight for weight, _ in self.deeds]
        for _ in range(DEEDS):
            self.number += 1
            _, deed = self.choose.choices(self.deeds, weights)[0]
            deed()
            self.choose.choice((self.steps, self.steps, self.look, self.look, self.cycle))()

    def calm(self) -> None:
        """Everything is well again, all trades are confirmed, and cycles compare the newest block."""
        self.heal()
        self.venue.block_number = self.venue.head
        for made in tuple(self.venue.trades):
            becomes(self.venue, made.trade_id, TradeStatus.CONFIRMED)
        self.harness.runtime.run_for(2 * INTERVAL_MS)
        self.harness.cycles(4)

    # -- time passes ---------------------------------------------------------------------------------------------------

    def steps(self) -> None:
        """Some messages are taken."""
        for _ in range(self.choose.randrange(30)):
            self.harness.runtime.step()

    def look(self) -> None:
        """The watcher looks."""
        self.harness.runtime.run_for(self.choose.randrange(2 * FOLLOW_MS))

    def cycle(self) -> None:
        """A cycle, or several."""
        self.harness.runtime.run_for(self.choose.randrange(2 * INTERVAL_MS))

    # -- the chain -----------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Of the next transaction."""
        return f"0x{self.number}"

    def transfer(self) -> None:
        """Shares come or go."""
        shares = self.choose.choice((-1, 1)) * self.choose.randrange(1, 9) * SHARE
        transferred(self.venue, self.name, self.choose.choice(("0xa-yes", "0xa-no", "0xb-yes")), shares)

    def merge(self) -> None:
        """Both outcomes become collateral."""
        merged(self.venue, self.name, self.choose.randrange(1, 9) * SHARE)

    def split(self) -> None:
        """Collateral becomes both outcomes."""
        split(self.venue, self.name, self.choose.randrange(1, 9) * SHARE)

    def deposit(self) -> None:
        """Collateral comes."""
        deposited(self.venue, self.name, self.choose.randrange(1, 9) * SHARE)

    def fill(self) -> None:
        """A trade of ours, in the next block; the exchange shows it before or after."""
        shares = self.choose.randrange(1, 9) * SHARE
        deal = Deal(token_id="0xa-yes", size=shares, price=500_000, status=TradeStatus.MATCHED, settled=False)
        made = trade(self.venue, f"trade-{self.number}", deal)
        if self.choose.random() < 0.5:
            self.look()
        filled(self.venue, made)

    def reorganise(self) -> None:
        """Some of the newest blocks are replaced; what was in them comes again, in any order, or never; fills do."""
        lost = reorganise(self.venue, self.venue.head - self.choose.randrange(6))
        self.choose.shuffle(lost)
        if self.choose.random() < 0.5:
            self.look()
        for one in lost:
            if "trade" in one.transaction_hash or self.choose.random() < 0.7:
                again(self.venue, one)

    # -- what goes wrong -----------------------------------------------------------------------------------------------

    def fail(self) -> None:
        """A source is down, or gives less than all."""
        kind = self.choose.choice((ReadLogs, ReadLogs, ReadBalances))
        if self.choose.random() < 0.5:
            self.venue.failing = {kind: FailureKind.TIMEOUT}
        else:
            self.venue.partial = {kind}

    def hold(self) -> None:
        """The node does not answer."""
        self.venue.held = {ReadLogs}

    def heal(self) -> None:
        """All sources answer."""
        self.venue.failing, self.venue.partial = {}, set()
        self.venue.release()

    def crash(self) -> None:
        """An actor crashes."""
        if self.crashes < CRASHES_MAX:
            self.crashes += 1
            self.harness.post.tell(self.choose.choice((WATCHER, WATCHER, COORDINATOR, MARKET)), Poison())

    def restart(self) -> None:
        """The process dies and comes back."""
        self.harness.restart()


@pytest.mark.req("X-01", "X-14", "L-01", "L-17", "L-19", "D-02")
@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_chain_does_the_books_end_equal_to_it(build: Build, seed: int) -> None:
    harness = build(book=BOOK, seed=seed)
    harness.crashes_expected = True
    for token_id in ("0xa-yes", "0xa-no", "0xb-yes"):
        move(harness.venue, token_id, 1_000 * SHARE)
    running(harness, "0xa", "0xb")
    harness.runtime.run_for(FOLLOW_MS)
    storm = Storm(harness, seed)
    storm.rage()
    storm.calm()
    assert harness.shares() == {token_id: shares for token_id, shares in harness.venue.balances.items() if shares}
    assert {name: state for name, state in states(harness).items() if state != "SETTLED"} == {}
    assert set(states(harness)) == {made.trade_id for made in harness.venue.trades}
    last = harness.metrics.reports[-1]
    assert (last.delta_count, last.pending_count, last.cash_unexplained_micro) == (0, 0, 0)
    assert (last.reasons, harness.escalated) == ((), [])
