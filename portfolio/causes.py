"""Why did balances change? Told from the shape of the change and the wallet's cash at the same block (L-14).

Without the chain's logs a cause is an inference and is marked so. The rule is to say only what the cash confirms to
the base unit: both outcomes down by n and cash up by n is a merge; one token down and cash up by less than a dollar a
share is a sale; anything that the cash does not confirm stays UNTRACKED.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import msgspec

from portfolio.comparison import TokenExam
from portfolio.entries import Cause
from portfolio.facts import Payout
from portfolio.units import MICRO, div_half_even
from portfolio.views import CauseHint

EVENT_QUESTIONS_MIN = 2
"""A neg-risk event has at least two questions; where fewer are known, a conversion cannot be told."""


NEAR_MICRO = 50_000
"""0.05: a price so near to the mark is believed, however small the mark."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """An unexplained difference of one token, with its place in its neg-risk event, if it has one."""

    token_id: str
    condition_id: str
    outcome_index: int
    question_index: int | None
    market_id: str
    shares_micro: int


class Wallet(msgspec.Struct, frozen=True, kw_only=True):
    """What inference knows beside the changes: the unexplained cash, payouts, and questions per neg-risk market.

    ``marks`` are prices that a sale or purchase has to be near to be believed; a token without one has no such test.
    """

    cash_micro: int
    block_number: int
    payouts: Mapping[str, Payout]
    yes_tokens: Mapping[str, tuple[tuple[int, str], ...]]
    marks: Mapping[str, int] = {}


def changes_of(market_id: str, exams: Sequence[TokenExam]) -> tuple[Change, ...]:
    """The exams that found a difference, as changes."""
    return tuple(
        Change(
            token_id=exam.token_id,
            condition_id=exam.condition_id,
            outcome_index=exam.outcome_index,
            question_index=exam.question_index,
            market_id=market_id,
            shares_micro=exam.difference_micro,
        )
        for exam in exams
        if exam.difference_micro != 0
    )


def infer(changes: Sequence[Change], wallet: Wallet) -> tuple[CauseHint, ...]:
    """Hints that together account for the wallet's unexplained cash exactly; none where they cannot.

    Structural causes (merge, split, redemption, conversion) fix their own cash. What is left must be zero, or be the
    price of the one remaining change.
    """
    evidence = f"inferred from balances and cash at block {wallet.block_number}"
    structural: list[CauseHint] = []
    singles: list[Change] = []
    rest, converted = _conversions(changes, wallet, evidence)
    structural.extend(converted)
    for condition_id, group in groupby(sorted(rest, key=_by_condition), key=lambda change: change.condition_id):
        hints, left = _condition(tuple(group), wallet.payouts.get(condition_id), evidence)
        structural.extend(hints)
        singles.extend(left)
    residual = wallet.cash_micro - sum(hint.cash_micro for hint in structural)
    if len(singles) == 1:
        traded = _traded(singles[0], residual, wallet.marks, evidence)
        return (*structural, traded) if traded is not None else ()
    if residual != 0:
        return ()
    return (*structural, *(_moved(change, evidence) for change in singles))


def _by_condition(change: Change) -> tuple[str, int]:
    return (change.condition_id, change.outcome_index)


def _condition(
    changes: tuple[Change, ...], payout: Payout | None, evidence: str
) -> tuple[tuple[CauseHint, ...], tuple[Change, ...]]:
    """Structural causes within one condition, and the changes they leave over."""
    if payout is not None and all(change.shares_micro < 0 for change in changes):
        return tuple(_redeemed(change, payout, evidence) for change in changes), ()
    if len(changes) != 2 or (changes[0].shares_micro > 0) != (changes[1].shares_micro > 0):
        return (), changes
    shares = min(abs(change.shares_micro) for change in changes)
    sign = 1 if changes[0].shares_micro > 0 else -1
    pair = CauseHint(
        cause=Cause.POSITION_SPLIT if sign > 0 else Cause.POSITION_MERGED,
        condition_id=changes[0].condition_id,
        legs=tuple((change.token_id, sign * shares) for change in changes),
        cash_micro=-sign * shares,
        evidence=evidence,
    )
    left = tuple(
        msgspec.structs.replace(change, shares_micro=change.shares_micro - sign * shares)
        for change in changes
        if abs(change.shares_micro) > shares
    )
    return (pair,), left


def _redeemed(change: Change, payout: Payout, evidence: str) -> CauseHint:
    shares = -change.shares_micro
    return CauseHint(
        cause=Cause.REDEEMED,
        condition_id=change.condition_id,
        legs=((change.token_id, change.shares_micro),),
        cash_micro=shares * payout.numerators[change.outcome_index] // payout.denominator,
        evidence=evidence,
    )


def _traded(change: Change, cash_micro: int, marks: Mapping[str, int], evidence: str) -> CauseHint | None:
    """A purchase or sale at a believable price, a transfer when no cash moved, else nothing that is confirmed."""
    if cash_micro == 0:
        return _moved(change, evidence)
    paid = -cash_micro if change.shares_micro > 0 else cash_micro
    shares = abs(change.shares_micro)
    if not 0 < paid < shares or not _believable(paid, shares, marks.get(change.token_id)):
        return None
    return CauseHint(
        cause=Cause.EXTERNAL_BUY if change.shares_micro > 0 else Cause.EXTERNAL_SALE,
        condition_id=change.condition_id,
        legs=((change.token_id, change.shares_micro),),
        cash_micro=cash_micro,
        evidence=evidence,
    )


def _believable(paid_micro: int, shares_micro: int, mark_micro: int | None) -> bool:
    """Whether a price lies between half and twice the mark, or within 0.05 of it: else the cash has another cause."""
    if mark_micro is None:
        return True
    price = div_half_even(paid_micro * MICRO, shares_micro)
    return mark_micro <= 2 * price <= 4 * mark_micro or abs(price - mark_micro) <= NEAR_MICRO


def _moved(change: Change, evidence: str) -> CauseHint:
    return CauseHint(
        cause=Cause.TRANSFER_IN if change.shares_micro > 0 else Cause.TRANSFER_OUT,
        condition_id=change.condition_id,
        legs=((change.token_id, change.shares_micro),),
        cash_micro=0,
        evidence=evidence,
    )


def _conversions(
    changes: Sequence[Change], wallet: Wallet, evidence: str
) -> tuple[tuple[Change, ...], tuple[CauseHint, ...]]:
    """Take out the changes that make up a whole conversion of a neg-risk market; return the rest and the hints."""
    rest: list[Change] = []
    hints: list[CauseHint] = []
    for market_id, grouped in groupby(sorted(changes, key=lambda change: change.market_id), key=lambda c: c.market_id):
        group = tuple(grouped)
        hint = _conversion(group, wallet.yes_tokens.get(market_id, ()), evidence)
        if hint is None:
            rest.extend(group)
        else:
            hints.append(hint)
    return tuple(rest), tuple(hints)


def _conversion(group: tuple[Change, ...], yes_tokens: tuple[tuple[int, str], ...], evidence: str) -> CauseHint | None:
    """NO of a set of questions down by A, YES of all the others up by A; the cash is (m − 1) × A (no fee known)."""
    given = {c.question_index: -c.shares_micro for c in group if c.outcome_index == 1 and c.shares_micro < 0}
    taken = {c.token_id: c.shares_micro for c in group if c.outcome_index == 0 and c.shares_micro > 0}
    amounts = {*given.values(), *taken.values()}
    complement = {token_id for index, token_id in yes_tokens if index not in given}
    whole = len(given) + len(taken) == len(group) and set(taken) == complement
    # An event of one known question has no complement: a lone NO that left is no conversion.
    if not given or len(yes_tokens) < EVENT_QUESTIONS_MIN or len(amounts) != 1 or not whole:
        return None
    (amount,) = amounts
    return CauseHint(
        cause=Cause.CONVERTED,
        condition_id=group[0].condition_id,
        legs=tuple((c.token_id, c.shares_micro) for c in sorted(group, key=lambda c: c.token_id)),
        cash_micro=(len(given) - 1) * amount,
        evidence=evidence,
    )
