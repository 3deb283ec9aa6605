"""Does a balance agree with a book? The question is asked per token, at one pinned block (R-05, X-02).

A balance shows what settled at or before its block. What the book holds is *proven* (shown by an earlier balance) or
*unproven*: fills that are in flight, or confirmed so lately that the block may not have them yet. The two agree when
some set of unproven fills makes up the difference exactly, to the base unit (L-04).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from portfolio.facts import Balances, OpenOrder
from portfolio.units import mul_price
from portfolio.views import ChainView, MarketImage, OrderImage, SettledFill, TokenImage, UnprovenFill

SUBSET_SUMS_MAX = 4096
"""Bound of the search for the fills that explain a balance; beyond it the difference counts as unexplained."""

STAND_IN_RESOLUTION_MICRO = 100
"""1e-4 share: below it a difference from the Data API is its rounding (R-01, D-13)."""


class TokenExam(msgspec.Struct, frozen=True, kw_only=True):
    """What one balance says about one token.

    ``difference_micro`` is balance − settled where no set of fills explains the balance, else 0. ``explained`` are the
    (trade id, order id) keys that the balance proves, with ``explained_cash_micro`` of collateral. ``waiting``: there
    are fills that may still settle, so that the difference may be lag. ``absorbing``: the difference was taken against
    all confirmed fills, so that applying it settles them too.
    """

    token_id: str
    condition_id: str
    outcome_index: int
    question_index: int | None
    balance_micro: int
    difference_micro: int
    explained: tuple[tuple[str, str], ...] = ()
    explained_cash_micro: int = 0
    waiting: bool = False
    absorbing: bool = False


def examine_exactly(token: TokenImage, balance_micro: int, settled: Mapping[tuple[str, str], SettledFill]) -> TokenExam:
    """Compare ``token`` with its balance where the logs show which fills are in it: the others are in flight (X-02)."""
    shown = [fill for fill in (*token.unproven, *token.expired) if (fill.trade_id, fill.order_id) in settled]
    difference = balance_micro - token.proven_micro - sum(fill.shares_micro for fill in shown)
    waiting = any(fill not in shown for fill in token.unproven)
    exam = _exam(token, balance_micro, difference=difference, proven=shown, waiting=waiting)
    cash = sum(_logged_cash(fill, settled[fill.trade_id, fill.order_id]) for fill in shown)
    return msgspec.structs.replace(exam, explained_cash_micro=cash)


def _logged_cash(fill: UnprovenFill, log: SettledFill) -> int:
    return (-log.amount_micro if fill.shares_micro > 0 else log.amount_micro) - log.fee_micro


def examine(token: TokenImage, balance_micro: int, block_time_ms: int, settle_window_ms: int) -> TokenExam:
    """Compare ``token`` with its balance at a block of ``block_time_ms``."""
    required = [fill for fill in token.unproven if overdue(fill, block_time_ms, settle_window_ms)]
    optional = sorted(
        (fill for fill in token.unproven if not overdue(fill, block_time_ms, settle_window_ms)),
        key=lambda fill: (not fill.confirmed, fill.matched_at_ms, fill.trade_id, fill.order_id),
    )
    target = balance_micro - token.proven_micro - sum(fill.shares_micro for fill in required)
    for expected, back in _readings(token):
        # A difference seen before stays the same difference while fills settle beside it.
        found = _subset(optional, target - expected - sum(fill.shares_micro for fill in back))
        if found is not None:
            proven = (*required, *found, *back)
            waiting = len(found) < len(optional)
            return _exam(token, balance_micro, difference=expected, proven=proven, waiting=waiting)
    difference = balance_micro - token.settled_micro
    exam = _exam(token, balance_micro, difference=difference, waiting=bool(optional))
    # The difference takes every confirmed fill as settled, so the cash at this block is taken to hold theirs too.
    confirmed_cash = sum(fill.cash_micro for fill in token.unproven if fill.confirmed)
    return msgspec.structs.replace(exam, absorbing=True, explained_cash_micro=confirmed_cash)


def _readings(token: TokenImage) -> Iterator[tuple[int, tuple[UnprovenFill, ...]]]:
    """Ways to read a balance, the simplest first: no difference, the known one, an expired fill that settled (R-10).

    An expired fill does not count in the book, so where a balance shows it, it is what the balance is ahead by.
    """
    yield 0, ()
    if token.pending_micro:
        yield token.pending_micro, ()
    yield from ((0, (fill,)) for fill in token.expired)


def overdue(fill: UnprovenFill, block_time_ms: int, settle_window_ms: int) -> bool:
    """Whether a balance at that block must have the fill: confirmed by then, and matched longer ago than the window."""
    long_ago = fill.matched_at_ms <= block_time_ms - settle_window_ms
    return fill.confirmed and long_ago and fill.settled_at_ms <= block_time_ms


def _exam(
    token: TokenImage,
    balance_micro: int,
    *,
    difference: int,
    proven: Sequence[UnprovenFill] = (),
    waiting: bool,
) -> TokenExam:
    return TokenExam(
        token_id=token.token_id,
        condition_id=token.condition_id,
        outcome_index=token.outcome_index,
        question_index=token.question_index,
        balance_micro=balance_micro,
        difference_micro=difference,
        explained=tuple((fill.trade_id, fill.order_id) for fill in proven),
        explained_cash_micro=sum(fill.cash_micro for fill in proven),
        waiting=waiting,
    )


def _subset(fills: Sequence[UnprovenFill], target: int) -> tuple[UnprovenFill, ...] | None:
    """The first set of ``fills`` whose signed shares add up to ``target``; oldest first, prefixes before others."""
    total = 0
    for count in range(len(fills) + 1):
        if total == target:
            return tuple(fills[:count])
        if count < len(fills):
            total += fills[count].shares_micro
    reached: dict[int, tuple[UnprovenFill, ...]] = {0: ()}
    for fill in fills:
        for known, members in list(reached.items()):
            if len(reached) >= SUBSET_SUMS_MAX:
                break
            reached.setdefault(known + fill.shares_micro, (*members, fill))
    return reached.get(target)


def as_of(image: MarketImage, block_number: int) -> MarketImage:
    """The image without what the chain's logs showed behind that block: its balance cannot have it (X-02)."""
    later = [change for change in image.chained if change.block_number > block_number and change.legs]
    if not later:
        return image
    moved: dict[str, int] = {}
    for token_id, shares in (leg for change in later for leg in change.legs):
        moved[token_id] = moved.get(token_id, 0) + shares
    return msgspec.structs.replace(
        image,
        tokens=tuple(_without(token, moved.get(token.token_id, 0)) for token in image.tokens),
        proven_cash_micro=image.proven_cash_micro - sum(change.cash_micro for change in later),
    )


def at_block(images: Iterable[MarketImage], balances: Balances | None) -> list[MarketImage]:
    """The images as of the block of the balances; as they are where there are none."""
    return [image if balances is None else as_of(image, balances.block_number) for image in images]


def _without(token: TokenImage, shares_micro: int) -> TokenImage:
    return msgspec.structs.replace(
        token,
        shares_micro=token.shares_micro - shares_micro,
        settled_micro=token.settled_micro - shares_micro,
        proven_micro=token.proven_micro - shares_micro,
    )


def examine_market(image: MarketImage, chain: ChainView, settle_window_ms: int) -> tuple[TokenExam, ...]:
    """Examine every token that the chain view has a balance for; tokens without a row stay unknown."""
    image = as_of(image, chain.block_number)
    balances = dict(chain.balances)
    settled = {(fill.trade_id, fill.order_id): fill for fill in chain.settled}
    return tuple(
        examine_exactly(token, balances[token.token_id], settled)
        if token.token_id in chain.exact
        else examine(token, balances[token.token_id], chain.block_time_ms, settle_window_ms)
        for token in image.tokens
        if token.token_id in balances
    )


def stand_in_difference(token: TokenImage, size_micro: int) -> int:
    """Difference of the Data API's figure from the book where it may be believed, else 0 (R-01, D-13).

    It agrees when it is within its rounding of what is settled, of what is held, or of what was proven before and the
    oldest of the fills since: it may lag (L-16). It never closes: a zero, like a missing row, proves nothing.
    """
    if size_micro <= STAND_IN_RESOLUTION_MICRO:
        return 0
    running = token.proven_micro
    sums = {running, token.settled_micro, token.shares_micro}
    for fill in token.unproven:
        running += fill.shares_micro
        sums.add(running)
    if any(abs(size_micro - held) <= STAND_IN_RESOLUTION_MICRO for held in sums):
        return 0
    return size_micro - token.settled_micro


def orders_agree(held: Sequence[OrderImage], shown: Iterable[OpenOrder]) -> bool:
    """Whether the market's live orders are exactly those of a complete list, with the same matched sizes."""
    ours = {order.order_id: (order.size_matched_micro, order.status) for order in held}
    theirs = {order.order_id: (order.size_matched_micro, order.status) for order in shown}
    return ours == theirs


def order_value(remaining_micro: int, price_micro: int) -> int:
    """pUSD that an order's remainder stands for: remaining × limit price (R-03)."""
    return mul_price(remaining_micro, price_micro)
