"""What the actors' tests begin with."""

from __future__ import annotations

from messages.addresses import coordinator_address
from messages.cycle import SyncAsked
from tests.support.moves import move
from tests.support.system import WALLET, Harness

SHARE = 1_000_000
COORDINATOR = coordinator_address(WALLET)


def running(harness: Harness, *condition_ids: str) -> Harness:
    """A started system with 100 YES in each market, and one order."""
    for condition_id in condition_ids or ("0xa",):
        harness.venue.add_market(condition_id)
        move(harness.venue, f"{condition_id}-yes", 100 * SHARE)
    harness.venue.add_order("order-1", "0xa-no", size=100 * SHARE, price=300_000)
    return harness.start()


def want(harness: Harness, *request_ids: str) -> None:
    """Ask for a cycle for each caller, and let everybody take their mail."""
    for request_id in request_ids:
        harness.post.tell(COORDINATOR, SyncAsked(why="force", request_id=request_id))
    harness.runtime.run_until_idle()


def cursor(harness: Harness) -> str:
    """The stored cursor of trades; empty before the first."""
    return next((row["value"] for row in harness.queries.cursors()), "")
