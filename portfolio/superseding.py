"""What an entry that no trade explained may turn out to be: an own trade, seen later (D-12, L-16)."""

from __future__ import annotations

from msgspec.structs import replace

from portfolio.comparison import STAND_IN_RESOLUTION_MICRO
from portfolio.entries import LOGGED, Adjustment, Carry, Cause, EconomicTime, Fill, Trade
from portfolio.state import BookedAdjustment, Draft

INFERRED = frozenset(
    {
        Cause.UNTRACKED_INCREASE,
        Cause.UNTRACKED_REDUCTION,
        Cause.EXTERNAL_BUY,
        Cause.EXTERNAL_SALE,
        Cause.TRANSFER_IN,
        Cause.TRANSFER_OUT,
    }
)
"""Causes of inferred single-token adjustments that a trade which arrives later may replace (D-12)."""


def inferred_adjustment(
    draft: Draft, leg: tuple[str, int], at: EconomicTime, transaction_hash: str | None = None
) -> BookedAdjustment | None:
    """The oldest such entry that a change at ``at`` may turn out to be: of the same token and shares (``leg``).

    What a log shows is of one transaction: it is no trade that settled in another one.
    """
    if not draft.state.adjustments:
        return None
    candidates = [
        booked
        for booked in draft.state.adjustments.values()
        if standing(booked)
        and (booked.effects[0].token_id, shares_of(booked)) == leg
        and at < booked.entry.at
        and (transaction_hash is None or _transaction(booked.entry) in {transaction_hash, None})
    ]
    return min(candidates, key=lambda booked: (booked.entry.at, booked.entry.entry_id), default=None)


def guessed(draft: Draft, leg: tuple[str, int], at_ns: int) -> BookedAdjustment | None:
    """The oldest entry without a log that a log of that time explains: a witness had shown it first (D-12, D-13).

    That witness may have rounded, so that its shares are near, not equal.
    """
    token_id, shares = leg
    candidates = [
        booked
        for booked in draft.state.adjustments.values()
        if standing(booked)
        and _transaction(booked.entry) is None
        and booked.effects[0].token_id == token_id
        and abs(shares_of(booked) - shares) <= (STAND_IN_RESOLUTION_MICRO if booked.rounded else 0)
        and at_ns < booked.entry.at.at_ns
    ]
    return min(candidates, key=lambda booked: (booked.entry.at, booked.entry.entry_id), default=None)


def standing(booked: BookedAdjustment) -> bool:
    """Whether it is a change of one token that a trade may turn out to be and that nothing has replaced yet.

    A purchase or sale that a log shows may be an own one, whose trade the CLOB shows late (L-16); a transfer may not.
    """
    entry = booked.entry
    if booked.superseded or booked.operator or not isinstance(entry, Carry | Trade):
        return False
    return entry.cause in INFERRED and not (isinstance(entry, Carry) and _transaction(entry) is not None)


def shares_of(booked: BookedAdjustment) -> int:
    """The signed shares that an adjustment moved."""
    return sum(effect.shares_micro for effect in booked.effects)


def by_log(fill: Fill, entry: Adjustment) -> tuple[Fill, bool]:
    """The fill in the place of an entry, and whether that was a log's: the chain's amounts win (R-11, R-20)."""
    transaction_hash = _transaction(entry)
    if transaction_hash is None or not isinstance(entry, Trade):
        return fill, False
    amounts = {"amount_micro": entry.amount_micro, "fee_micro": entry.fee_micro}
    return replace(fill, transaction_hash=transaction_hash, **amounts), True


def _transaction(entry: Adjustment) -> str | None:
    """The transaction that an entry is named by, None where no log showed it."""
    name = entry.entry_id
    return name.removeprefix(LOGGED).partition(":")[0] if name.startswith(LOGGED) else None
