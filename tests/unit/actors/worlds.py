"""What the actors' tests begin with."""

from __future__ import annotations

from actors.coordinator import EXTRA_CYCLE_MS
from messages.addresses import coordinator_address, ingest_address, market_address
from messages.cycle import SyncAsked
from messages.reads import Read, ReadOrder, ReadReceipt, ReadTrades
from portfolio.facts import FailureKind, OpenOrder, OrderMessage, Trade
from tests.support.moves import move
from tests.support.system import WALLET, Harness
from tests.support.venue import Reply

SHARE = 1_000_000
COORDINATOR = coordinator_address(WALLET)
INGEST = ingest_address(WALLET)
MARKET = market_address(WALLET, "0xa")


class Poison:
    """A message that no actor takes: whoever gets it crashes."""


def running(harness: Harness, *condition_ids: str) -> Harness:
    """A started system with 100 YES in each market, and one order."""
    for condition_id in condition_ids or ("0xa",):
        harness.venue.add_market(condition_id)
        move(harness.venue, f"{condition_id}-yes", 100 * SHARE)
    harness.venue.add_order("order-1", "0xa-no", size=100 * SHARE, price=300_000)
    return harness.start()


def following(harness: Harness, *condition_ids: str) -> Harness:
    """As ``running``, with the user stream subscribed; REST has caught up, and the cycle that this brings is over."""
    running(harness, *condition_ids)
    subscribe(harness)
    return harness


def subscribe(harness: Harness) -> None:
    """A subscription of the user stream, and the cycle that it brings."""
    harness.stream.subscribe()
    harness.runtime.run_for(EXTRA_CYCLE_MS)


def show(harness: Harness, *events: Trade | OpenOrder | OrderMessage) -> None:
    """The stream shows one frame, and everybody takes their mail; no cycle runs."""
    harness.stream.show(*events)
    harness.runtime.run_until_idle()


def want(harness: Harness, *request_ids: str) -> None:
    """Ask for a cycle for each caller, and let everybody take their mail."""
    for request_id in request_ids:
        harness.post.tell(COORDINATOR, SyncAsked(why="force", request_id=request_id))
    harness.runtime.run_until_idle()


def cursor(harness: Harness) -> str:
    """The stored cursor of trades; empty before the first."""
    return next((row["value"] for row in harness.queries.cursors()), "")


def cursor_s(harness: Harness) -> int:
    """The stored cursor of trades in Unix seconds; 0 before the first."""
    return int(cursor(harness) or 0)


def now_s(harness: Harness) -> int:
    """Virtual time in whole seconds."""
    return harness.clock.now_ms() // 1000


def seen_first(harness: Harness) -> dict[str, str]:
    """The stored fills' trades, each with the feed that showed it first."""
    return {row["trade_id"]: row["first_seen_by"] for row in harness.queries.fills()}


def states(harness: Harness) -> dict[str, str]:
    """The stored fills' trades, each with its state."""
    return {row["trade_id"]: row["state"] for row in harness.queries.fills()}


def issues(harness: Harness, kind: str) -> list[str]:
    """The causes of all issues of a kind, oldest first."""
    return [row["cause"] for row in reversed(harness.queries.issues()) if row["type"] == kind]


def lookups(harness: Harness) -> list[Read]:
    """What was asked of single trades, orders and transactions."""
    return [
        read
        for read in harness.venue.asked
        if isinstance(read, ReadReceipt | ReadOrder) or (isinstance(read, ReadTrades) and read.trade_id)
    ]


class Failing:
    """Lets chosen questions fail, and all others through; ``on`` switches it."""

    def __init__(self, harness: Harness, chosen: type[Read], field: str = "") -> None:
        self._harness, self._chosen, self._field = harness, chosen, field
        self._through = harness.venue.request
        harness.venue.request = self._request  # type: ignore[method-assign]
        self.on = True

    def _request(self, read: Read, reply: Reply, correlation: str) -> None:
        hit = self.on and isinstance(read, self._chosen) and (not self._field or getattr(read, self._field))
        venue = self._harness.venue
        before = dict(venue.failing)
        if hit:
            venue.failing[self._chosen] = FailureKind.UNREACHABLE
        try:
            self._through(read, reply, correlation)
        finally:
            venue.failing = before
