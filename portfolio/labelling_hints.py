"""From labelled changes to the hints that a market's comparison understands (L-14, L-15).

A hint explains differences of balances; a change that moved no tokens explains none and gives no hint.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from portfolio.chain import ChainChange, ChangeKind
from portfolio.entries import LOGGED, Cause
from portfolio.facts import Payout
from portfolio.labelling_book import TokenBook
from portfolio.units import allocate
from portfolio.views import CauseHint

_CAUSES = {
    ChangeKind.POSITION_SPLIT: Cause.POSITION_SPLIT,
    ChangeKind.POSITION_MERGED: Cause.POSITION_MERGED,
    ChangeKind.CONVERTED: Cause.CONVERTED,
}
"""Kinds whose legs stay together in one entry."""


def hints_of(changes: Iterable[ChainChange], book: TokenBook, payouts: Mapping[str, Payout]) -> tuple[CauseHint, ...]:
    """Hints in the order of the changes. A FILL among them is an external one (R-21): own fills are booked as such.

    The fee of an external fill is in its cash, and told beside it. A redemption of both tokens is a hint for each, its
    payout cut as the condition pays (``payouts``); where that is not known yet, what was paid for which is not told,
    and there is none.
    """
    return tuple(hint for change in changes for hint in _hints(change, book, payouts))


def _hints(change: ChainChange, book: TokenBook, payouts: Mapping[str, Payout]) -> Iterator[CauseHint]:
    match change.kind:
        case ChangeKind.POSITION_SPLIT | ChangeKind.POSITION_MERGED | ChangeKind.CONVERTED:
            yield _hint(change, _CAUSES[change.kind], change.legs, change.cash_micro)
        case ChangeKind.FILL | ChangeKind.TRANSFER_IN | ChangeKind.TRANSFER_OUT:
            for leg in change.legs:
                yield _hint(change, _cause(change.kind, leg[1]), (leg,), change.cash_micro)
        case ChangeKind.REDEEMED:
            for leg, cash in zip(change.legs, _proceeds(change, book, payouts), strict=False):
                yield _hint(change, Cause.REDEEMED, (leg,), cash)
        case _:
            return


def _cause(kind: ChangeKind, shares: int) -> Cause:
    if kind is ChangeKind.FILL:
        return Cause.EXTERNAL_BUY if shares > 0 else Cause.EXTERNAL_SALE
    return Cause.TRANSFER_IN if shares > 0 else Cause.TRANSFER_OUT


def _proceeds(change: ChainChange, book: TokenBook, payouts: Mapping[str, Payout]) -> tuple[int, ...]:
    """What was paid for each leg; empty where it cannot be told."""
    payout = payouts.get(change.condition_id)
    places = [book.tokens.get(token_id) for token_id, _ in change.legs]
    if len(change.legs) == 1 or change.cash_micro == 0:
        return (change.cash_micro,) * len(change.legs)
    if payout is None:
        return ()
    due = [
        -shares * payout.numerators[place.outcome_index] // payout.denominator
        for (_, shares), place in zip(change.legs, places, strict=True)
        if place is not None
    ]
    return allocate(change.cash_micro, due) if len(due) == len(places) else ()


def _hint(change: ChainChange, cause: Cause, legs: tuple[tuple[str, int], ...], cash: int) -> CauseHint:
    return CauseHint(
        cause=cause,
        condition_id=change.condition_id,
        legs=legs,
        cash_micro=cash,
        evidence=change.evidence,
        logged_as=log_name(change, legs),
        at_ms=change.block_time_ms,
        fee_micro=change.fee_micro,
        order_id=change.order_id,
    )


def log_name(change: ChainChange, legs: tuple[tuple[str, int], ...]) -> str:
    """What an entry for these legs is called: one log may move several tokens by causes of their own."""
    token = f":{legs[0][0]}" if len(legs) == 1 else ""
    return f"{LOGGED}{change.transaction_hash}:{change.log_index}{token}"


def log_index(name: str) -> int:
    """The index of the log that :func:`log_name` has put into a name."""
    return int(name.removeprefix(LOGGED).split(":")[1])
