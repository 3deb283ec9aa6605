"""Crashes while the chain is followed: of the process, of the watcher, of the coordinator, at every step of a story.

Own fills, a merge, a sale and a transfer by others, a deposit, changes that cancel each other, and two reorganisations
that are deeper than one block and reach behind what cycles compared. Wherever something dies, in the end the books are
those of the run without a crash.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from messages.addresses import WATCHER, Address, coordinator_address
from messages.cycle import SyncAsked
from portfolio.entries import LOGGED
from portfolio.facts import TradeStatus
from portfolio.outcomes import AdjustmentRow
from portfolio.rows import adjustment_rows
from tests.acceptance.worlds import SHARE, worth
from tests.support.measuring import unmeasured
from tests.support.moves import Deal, becomes, move, trade
from tests.support.onchain import BOOK, again, deposited, filled, merged, reorganise, sold, transferred
from tests.support.system import FOLLOW_MS, WALLET, Build, Harness


@pytest.fixture(autouse=True)
def _unmeasured() -> Iterator[None]:
    """Hundreds of processes that all do the same; other tests measure it."""
    with unmeasured():
        yield


COORDINATOR = coordinator_address(WALLET)
CYCLES = 2
"""Cycles per chapter: enough for two looks at what it changed."""

LAST_CYCLES = 4
FIRST = Deal(token_id="0xa-yes", size=3 * SHARE, price=500_000, status=TradeStatus.MATCHED, settled=False)
SECOND = Deal(token_id="0xb-no", size=5 * SHARE, price=300_000, status=TradeStatus.MATCHED, settled=False)


def opening(harness: Harness) -> None:
    """Two markets with both outcomes."""
    for name in ("0xa", "0xb"):
        harness.venue.add_market(name)
        move(harness.venue, f"{name}-yes", worth(2_000))
        move(harness.venue, f"{name}-no", worth(2_000))


def matched(harness: Harness) -> None:
    """A trade of ours, not on chain yet."""
    trade(harness.venue, "trade-1", FIRST)


def settled_and_merged(harness: Harness) -> None:
    """It settles; then both outcomes of a market become collateral."""
    filled(harness.venue, harness.venue.trades[0])
    merged(harness.venue, "0xmerge", 50 * SHARE)


def of_others(harness: Harness) -> None:
    """Somebody else sells shares of the wallet, and sends away others worth 600 pUSD."""
    sold(harness.venue, "0xsale", "0xb-no", 7 * SHARE, 400_000)
    transferred(harness.venue, "0xgone", "0xb-yes", -worth(600))


def deep_reorganisation(harness: Harness) -> None:
    """All blocks since the fill's are replaced: all comes again in another order, but what was sent away."""
    first = next(one.block_number for one in harness.venue.transactions)
    for one in reversed(reorganise(harness.venue, first)):
        if one.transaction_hash != "0xgone":
            again(harness.venue, one)


def mixed(harness: Harness) -> None:
    """A deposit, another trade that settles at once, and two transfers that cancel each other."""
    deposited(harness.venue, "0xpaid", 650 * SHARE)
    filled(harness.venue, trade(harness.venue, "trade-2", SECOND))
    transferred(harness.venue, "0xout", "0xa-no", -9 * SHARE)
    transferred(harness.venue, "0xin", "0xa-no", 9 * SHARE)


def second_reorganisation(harness: Harness) -> None:
    """The blocks since the trade's are replaced; it comes again alone, and the exchange calls both confirmed."""
    first = next(one.block_number for one in harness.venue.transactions if one.transaction_hash.endswith("trade-2"))
    again(harness.venue, reorganise(harness.venue, first)[0])
    for name in ("trade-1", "trade-2"):
        becomes(harness.venue, name, TradeStatus.CONFIRMED)


CHAPTERS: tuple[Callable[[Harness], None], ...] = (
    opening,
    matched,
    settled_and_merged,
    of_others,
    deep_reorganisation,
    mixed,
    second_reorganisation,
)


def steps(harness: Harness, chapter: int, *, absent: bool = False) -> Iterator[None]:
    """The chapter's things happen, the watcher looks, and cycles follow: message by message.

    ``absent``: the process is dead while they happen.
    """
    if absent:
        harness.stop()
    CHAPTERS[chapter](harness)
    if chapter == 0 or absent:
        harness.start(run=False)
    yield from _passing(harness, FOLLOW_MS)
    for _ in range(CYCLES if chapter < len(CHAPTERS) - 1 else LAST_CYCLES):
        harness.clock.advance_to(harness.clock.now_ms() + 1_000)
        harness.post.tell(COORDINATOR, SyncAsked(why="force"))
        yield from _passing(harness, 0)


def _passing(harness: Harness, duration_ms: int) -> Iterator[None]:
    until_ms = harness.clock.now_ms() + duration_ms
    while True:
        while harness.runtime.step():
            yield
        if not harness.runtime.fire_next_timer(until_ms):
            harness.clock.advance_to(until_ms)
            return


def play(harness: Harness, at: tuple[int, int], crash: Callable[[Harness], None]) -> Harness:
    """The whole story; after the step ``at`` (chapter, step) comes the crash."""
    for chapter in range(len(CHAPTERS)):
        for number, _ in enumerate(steps(harness, chapter)):
            if (chapter, number) == at:
                crash(harness)
    return harness


def told(harness: Harness) -> dict[str, Any]:
    """Positions with cost and P&L, fills, the entries that count, and the cash."""
    queries, books = harness.queries, harness.rebuilt()
    positions = ("token_id", "shares_micro", "settled_micro", "cost_basis_micro", "realized_pnl_micro")
    traded = ("trade_id", "order_id", "state", "shares_micro", "amount_micro", "fee_micro", "realized_pnl_micro")
    counting = [
        row
        for state in books.markets.values()
        for booked in state.adjustments.values()
        if not booked.superseded
        for row in adjustment_rows(state, booked)
    ]
    return {
        "positions": [[row[name] for name in positions] for row in queries.positions(include_zero=True)],
        "fills": [{name: row[name] for name in traded if name in row} for row in queries.fills()],
        "entries": Counter(_entry(row) for row in counting),
        "capital": books.wallet.capital_micro,
        "unexplained": harness.metrics.reports[-1].cash_unexplained_micro,
    }


def _entry(row: AdjustmentRow) -> tuple[Any, ...]:
    """What an entry says; the log it is named by, whichever time it was booked."""
    name, _, _ = row.entry_id.partition("#")
    logged = name if name.startswith(LOGGED) else ""
    amounts = (row.size_micro, row.cost_micro, row.proceeds_micro, row.realized_pnl_micro, row.fee_micro)
    return (logged, row.token_id, row.cause.value, row.estimated, *amounts)


# -- crashes -----------------------------------------------------------------------------------------------------------


class Poison:
    """A message that no actor takes: whoever gets it crashes."""


def restart(harness: Harness) -> None:
    """The whole process dies and comes back."""
    harness.restart()


def kill(address: Address) -> Callable[[Harness], None]:
    """One actor dies by its next message, and all its mail is lost."""

    def crash(harness: Harness) -> None:
        harness.crashes_expected = True
        harness.post.tell(address, Poison())
        harness.actor(address).actor_inbox.mail.rotate(1)

    return crash


def smooth(harness: Harness) -> tuple[dict[str, Any], list[tuple[int, int]], list[tuple[int, int]]]:
    """What a run without a crash ends with; all its (chapter, step); and those after which the disk is another one."""
    every, distinct = [], []
    known: tuple[int, int] | None = None
    for chapter in range(len(CHAPTERS)):
        for number, _ in enumerate(steps(harness, chapter)):
            every.append((chapter, number))
            disk = (chapter, harness.ledger.head(WALLET).head_seq)
            if disk != known:
                known = disk
                distinct.append((chapter, number))
    expected = told(harness)
    assert (expected["unexplained"], {row["state"] for row in expected["fills"]}) == (0, {"SETTLED"})
    assert {cause for _, _, cause, *_ in expected["entries"]} == {"OPENING", "POSITION_MERGED", "EXTERNAL_SALE"}
    return expected, every, distinct


def check(harness: Harness, expected: dict[str, Any], where: str) -> None:
    """The books are those of the run without a crash, and those of the chain; and the journal gives them."""
    assert told(harness) == expected, where
    assert harness.shares() == {token_id: held for token_id, held in harness.venue.balances.items() if held}, where
    assert harness.escalated == [], where
    harness.assert_replays()
    harness.stop()


@pytest.mark.req("X-01", "X-14", "L-17", "L-19", "D-18")
def test_the_process_may_die_at_every_step_of_the_chain(build: Build) -> None:
    """Two steps that leave the same disk in the same world are the same crash: each distinct one is tried."""
    expected, _, distinct = smooth(build(book=BOOK))
    assert len(distinct) > 40
    for at in distinct:
        harness = play(build(book=BOOK), at, restart)
        check(harness, expected, f"crashed in {CHAPTERS[at[0]].__name__} after step {at[1]}")


@pytest.mark.req("X-01", "X-14", "L-17")
def test_the_chain_may_change_while_the_process_is_dead(build: Build) -> None:
    """In any one chapter, and in several."""
    expected, _, _ = smooth(build(book=BOOK))
    for absences in ({1}, {2}, {3}, {4}, {5}, {6}, {2, 3, 4}, {1, 3, 5}, {2, 4, 6}):
        harness = build(book=BOOK)
        for chapter in range(len(CHAPTERS)):
            for _ in steps(harness, chapter, absent=chapter in absences):
                pass
        check(harness, expected, f"absent in {absences}")


@pytest.mark.req("X-01", "X-14", "D-19")
@pytest.mark.parametrize("address", [WATCHER, COORDINATOR])
def test_the_watcher_and_the_coordinator_may_die_at_every_step_of_the_chain(build: Build, address: Address) -> None:
    """One step in eleven, for time; each chapter has some ten times as many."""
    expected, every, _ = smooth(build(book=BOOK))
    for at in every[::11]:
        harness = play(build(book=BOOK), at, kill(address))
        assert harness.restarted == [address]
        check(harness, expected, f"{address} crashed in {CHAPTERS[at[0]].__name__} after step {at[1]}")


@pytest.mark.req("X-01", "X-14", "L-19", "D-05")
def test_whatever_the_order_in_which_actors_take_their_mail_the_chain_leaves_the_same_books(build: Build) -> None:
    """The story under many seeds of the pump, without a crash."""
    expected, _, _ = smooth(build(book=BOOK))
    for seed in range(1, 60):
        harness = build(book=BOOK, seed=seed)
        for chapter in range(len(CHAPTERS)):
            for _ in steps(harness, chapter):
                pass
        check(harness, expected, f"seed {seed}")
