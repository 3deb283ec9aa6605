"""Worlds that the acceptance tests begin with, and what they look at in the stored state."""

from __future__ import annotations

from typing import Any

from tests.support.moves import move
from tests.support.system import Harness

SHARE = 1_000_000
"""One share, or one pUSD, in micro."""

EVENT = "0xevent"

PRICE_OF_HALF = 2
"""The venue's marks are 0.50: so many shares are worth one pUSD."""


def worth(pusd: int) -> int:
    """Shares, in micro, that are worth ``pusd`` at the venue's mark of 0.50."""
    return pusd * PRICE_OF_HALF * SHARE


def holding(harness: Harness, pusd: int, condition_id: str = "0xa") -> Harness:
    """A started system that holds YES shares of one market worth ``pusd``."""
    harness.venue.add_market(condition_id)
    harness.venue.balances[f"{condition_id}-yes"] = worth(pusd)
    return harness.start()


def drift(harness: Harness, pusd: int, condition_id: str = "0xa") -> None:
    """The chain's balance changes by ``pusd`` of shares without a trade and without cash."""
    move(harness.venue, f"{condition_id}-yes", worth(pusd))


def event_of_three(harness: Harness) -> Harness:
    """A neg-risk event with three questions; not started."""
    for index in range(3):
        harness.venue.add_market(f"{EVENT}-{index}", neg_risk_id=EVENT, index=index)
    harness.venue.question_counts[EVENT] = 3
    return harness


def stored(harness: Harness) -> dict[str, Any]:
    """All stored rows that say what is held: positions, orders, fills and adjustments, and reports of changes."""
    return {
        "positions": harness.queries.positions(include_zero=True),
        "orders": harness.queries.orders(include_closed=True),
        "fills": harness.queries.fills(),
        "adjustments": harness.queries.adjustments(),
        "deltas": harness.settlements(),
    }
