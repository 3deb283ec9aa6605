"""Which blocks a coordinator asks for and relies on, whatever comes between a plan and its end (X-01, X-14)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from actors.following import LogsFollowed
from actors.gathering import Cycle
from actors.pump import VirtualClock
from messages.addresses import coordinator_address
from messages.following import ChainFollowed, FollowTo
from portfolio.chain import ChainTransaction
from portfolio.facts import Balances
from portfolio.tail import DroppedBlock
from tests.support.onchain import BOOK, deposited
from tests.support.system import START_MS
from tests.support.venue import FUNDER, Venue
from tests.unit.actors.worlds import SHARE

RECONCILED = 100


def pinned(number: int) -> Cycle:
    """A cycle that has pinned that block."""
    running = Cycle(f"main-{number}", START_MS, START_MS, forced=False)
    running.balances = Balances(
        block_number=number,
        block_hash=f"0x{number}",
        block_time_ms=START_MS,
        collateral=(),
        tokens=(),
        payouts=(),
        question_counts=(),
    )
    return running


def asked(followed: LogsFollowed, running: Cycle) -> FollowTo:
    """What the watcher is asked for the cycle."""
    message = followed.ask("main", running, coordinator_address("main"))
    assert message is not None
    return message


def said(new: Sequence[ChainTransaction] = (), dropped: Sequence[int] = ()) -> ChainFollowed:
    """The watcher's news."""
    blocks = tuple(DroppedBlock(block_number=number, block_hash=f"0x{number}") for number in dropped)
    return ChainFollowed(wallet="main", transactions=tuple(new), dropped=blocks, final_block=0)


def paid_in(number: int) -> ChainTransaction:
    """Collateral that came in that block."""
    venue = Venue(clock=VirtualClock(START_MS), block_number=number - 1)
    return deposited(venue, "0xpaid", SHARE)


@pytest.mark.req("X-01", "X-14")
def test_what_took_the_place_of_a_block_while_it_was_compared_is_kept_for_the_next_cycle() -> None:
    followed = LogsFollowed(FUNDER, BOOK, RECONCILED)
    running = pinned(105)
    asked(followed, running)
    followed.planned(running, {})
    followed.take(said(dropped=[105]))
    followed.take(said([paid_in(105)]))
    followed.compared(105, (), agreed=True)
    following = pinned(106)
    assert asked(followed, following).from_block == RECONCILED + 1
    followed.complete(following)
    assert following.logs is not None
    assert [one.transaction_hash for one in following.logs.transactions] == ["0xpaid"]
    followed.compared(106, (), agreed=True)
    assert asked(followed, pinned(107)).from_block == 107


@pytest.mark.req("X-14", "R-31")
def test_nothing_is_forgotten_of_a_block_that_the_endpoints_do_not_agree_on() -> None:
    followed = LogsFollowed(FUNDER, BOOK, RECONCILED)
    for agreed, begins in ((False, RECONCILED + 1), (True, 107)):
        running = pinned(106)
        asked(followed, running)
        followed.complete(running)
        followed.compared(106, (), agreed=agreed)
        assert asked(followed, pinned(107)).from_block == begins


@pytest.mark.req("L-14", "X-01", "L-17")
def test_logs_that_a_cycle_could_not_read_are_needed_on_in_a_later_life_too() -> None:
    """Its balances were compared without them, and what they show is to take the place of what it guessed."""
    followed = LogsFollowed(FUNDER, BOOK, RECONCILED)
    running = pinned(106)
    asked(followed, running)
    followed.planned(running, {})
    followed.compared(106, (), agreed=True)
    assert followed.until == RECONCILED
    later = LogsFollowed(FUNDER, BOOK, 106, followed.until)
    assert asked(later, pinned(107)).from_block == RECONCILED + 1
    assert asked(LogsFollowed(FUNDER, BOOK, 106), pinned(107)).from_block == 107


@pytest.mark.req("X-01", "X-14")
def test_a_watcher_that_begins_anew_after_a_drop_begins_at_what_was_dropped() -> None:
    followed = LogsFollowed(FUNDER, BOOK, RECONCILED)
    asked(followed, pinned(101))
    followed.take(said(dropped=[98, 99]))
    assert asked(followed, pinned(102)).from_block == 98


@pytest.mark.req("X-01", "X-14")
def test_the_block_of_a_deposit_is_relied_on_though_no_market_has_it() -> None:
    followed = LogsFollowed(FUNDER, BOOK, RECONCILED)
    asked(followed, pinned(101))
    paid = paid_in(102)
    followed.take(said([paid]))
    assert asked(followed, pinned(103)).standing == ((102, paid.block_hash),)


@pytest.mark.req("R-31")
def test_a_final_block_is_not_looked_at_any_more() -> None:
    followed = LogsFollowed(FUNDER, BOOK, RECONCILED)
    asked(followed, pinned(101))
    followed.take(ChainFollowed(wallet="main", transactions=(paid_in(102),), dropped=(), final_block=102))
    assert asked(followed, pinned(103)).standing == ()
