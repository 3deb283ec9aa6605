"""Turning a confirmed difference into entries (L-13, L-15): the cause that cash confirms, else UNTRACKED.

Costs follow R-13 and R-23: transfers and unexplained increases come in at the mark, openings at the Data API's entry
cost, reductions leave at own cost with P&L 0; all of them marked estimated.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from portfolio.entries import (
    Adjustment,
    Carry,
    Cause,
    Conversion,
    EconomicTime,
    FillState,
    Merge,
    Redemption,
    Split,
    Trade,
)
from portfolio.facts import Side
from portfolio.labelling_hints import log_index
from portfolio.rows import NS_PER_MS, adjustment_rows, fill_row
from portfolio.state import BookedAdjustment, Draft, MarketState
from portfolio.units import floor_share, mul_price
from portfolio.views import CauseHint, ExternalView

ADJUSTMENT_TIE = "~"
"""Sorts after every trade id: at one instant fills come before what was inferred from the balance after them."""


WITHIN_THE_SECOND_MS = 999
"""A block's time is whole seconds: trades matched within that second come before what its balance showed (D-12)."""


class Confirmed(msgspec.Struct, frozen=True, kw_only=True):
    """A difference that may be applied now, and the witness that shows it."""

    token_id: str
    condition_id: str
    difference_micro: int
    evidence: str
    at_ms: int
    absorbing: bool = False


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What was done about one token: the signed change of shares, its cause and evidence."""

    token_id: str
    condition_id: str
    shares_micro: int
    cause: str
    evidence: str


def apply_confirmed(
    draft: Draft, view: ExternalView, confirmed: Sequence[Confirmed], hints: Sequence[CauseHint]
) -> tuple[Applied, ...]:
    """Book entries for all confirmed differences; returns what was done per token.

    ``hints`` are usable ones: every token they name is confirmed with exactly that difference, or has none.
    """
    hinted = {token_id for hint in hints for token_id, _ in hint.legs}
    prices = {price.token_id: price.price_micro for price in view.prices}
    applied: list[Applied] = []
    at_ms = {item.token_id: item.at_ms for item in confirmed}
    for number, hint in enumerate(hints):
        name = logged_name(draft.state, hint) if hint.logged_as else _name(draft, view, number, at_ms[hint.legs[0][0]])
        applied.extend(book_hint(draft, hint, name, prices))
    rest = [item for item in confirmed if item.token_id not in hinted]
    for number, item in enumerate(rest, start=len(hints)):
        name = _name(draft, view, number, item.at_ms)
        applied.append(_untracked(draft, view, item, name, prices))
    return tuple(applied)


def book_hint(
    draft: Draft, hint: CauseHint, name: tuple[str, EconomicTime], prices: Mapping[str, int]
) -> tuple[Applied, ...]:
    """Book what a hint says under that name; ``prices`` are what shares that came by a transfer are carried at."""
    entry = _hinted_entry(draft, hint, name, prices)
    # What shares that came in cost is a mark, whatever proves that they came.
    estimated = not hint.logged_as or hint.cause is Cause.TRANSFER_IN
    _book(draft, replace(entry, estimated=estimated), hint.cash_micro)
    _no_longer_waits(draft, hint, name[0])
    if hint.order_id and hint.order_id not in draft.state.unasked_orders:
        draft.put(unasked_orders=(*draft.state.unasked_orders, hint.order_id))
    return tuple(
        Applied(
            token_id=token_id,
            condition_id=_condition(draft, token_id),
            shares_micro=shares,
            cause=hint.cause.value,
            evidence=hint.evidence,
        )
        for token_id, shares in hint.legs
    )


def _no_longer_waits(draft: Draft, hint: CauseHint, entry_id: str) -> None:
    """A log that waited for its trade is booked now: should its block be dropped, this is what is undone."""
    tail = draft.state.tail
    waiting = [held for held in tail if held.fact.hint.logged_as == hint.logged_as and not held.booked_as]
    if waiting:
        draft.put(tail=tuple(replace(held, booked_as=entry_id) if held in waiting else held for held in tail))


def _name(draft: Draft, view: ExternalView, number: int, at_ms: int) -> tuple[str, EconomicTime]:
    """Entry id and economic time of the ``number``-th entry of this view: pure functions of the content (L-19)."""
    entry_id = f"{view.cycle_id}:{draft.state.market_id}:{number}"
    return entry_id, EconomicTime(at_ms * NS_PER_MS, ADJUSTMENT_TIE, entry_id)


def logged_name(state: MarketState, hint: CauseHint) -> tuple[str, EconomicTime]:
    """The id that the log gives, and the time of its block, behind the trades matched within that second (D-02).

    Of one block, what has the lower log index came first: it stands in the nanoseconds, which a block's time has not.
    An id is not used twice: a log that is booked again, after its block was dropped, gets the next number.
    """
    ids = logged_ids(state, hint.logged_as)
    entry_id = f"{hint.logged_as}#{len(ids) + 1}" if ids else hint.logged_as
    at_ns = (hint.at_ms + WITHIN_THE_SECOND_MS) * NS_PER_MS + log_index(hint.logged_as)
    return entry_id, EconomicTime(at_ns, ADJUSTMENT_TIE, entry_id)


def logged_ids(state: MarketState, logged_as: str) -> tuple[str, ...]:
    """The ids under which a log was ever booked, the oldest first."""
    names = itertools.chain([logged_as], (f"{logged_as}#{number}" for number in itertools.count(2)))
    return tuple(itertools.takewhile(lambda name: name in state.adjustments, names))


def stands_booked(state: MarketState, logged_as: str) -> bool:
    """Whether a log is booked, and not undone."""
    ids = logged_ids(state, logged_as)
    return bool(ids) and not state.adjustments[ids[-1]].superseded


def _condition(draft: Draft, token_id: str) -> str:
    place = draft.state.token(token_id)
    return place[0].condition_id if place is not None else ""


def usable_hints(
    hints: Sequence[CauseHint], found: Mapping[str, int], pending: Collection[str]
) -> tuple[tuple[CauseHint, ...], frozenset[str]]:
    """(hints that hold, tokens that have to wait for another leg of theirs).

    ``found`` are the differences that may be applied now, 0 where a balance shows none; ``pending`` are tokens whose
    difference has to wait. Hints that share a token (a merge and a sale of the rest) hold only together, and only if
    together they say exactly what was found of every token they name.
    """
    usable: list[CauseHint] = []
    held: set[str] = set()
    for group in connected(hints):
        said: dict[str, int] = {}
        for hint in group:
            for token_id, shares in hint.legs:
                said[token_id] = said.get(token_id, 0) + shares
        if any(token_id in pending for token_id in said):
            held |= said.keys()
        elif all(found.get(token_id) == shares for token_id, shares in said.items()):
            usable.extend(group)
    return tuple(usable), frozenset(held)


def connected(hints: Sequence[CauseHint]) -> list[list[CauseHint]]:
    """Groups of hints that share tokens, in the order of their first hint."""
    groups: list[tuple[set[str], list[CauseHint]]] = []
    for hint in hints:
        tokens = {token_id for token_id, _ in hint.legs}
        sharing = [group for group in groups if group[0] & tokens]
        merged: tuple[set[str], list[CauseHint]] = (set(tokens), [])
        for group in sharing:
            merged[0].update(group[0])
            merged[1].extend(group[1])
            groups.remove(group)
        merged[1].append(hint)
        groups.append(merged)
    return [members for _, members in groups]


def _book(draft: Draft, entry: Adjustment, cash_micro: int, *, rounded: bool = False) -> None:
    booked = BookedAdjustment(
        entry=entry,
        effects=(),
        cash_micro=cash_micro,
        superseded=False,
        booked_at_ms=draft.now_ms,
        rounded=rounded,
    )
    draft.put_adjustment(booked)
    draft.append_then(entry, lambda effects: _did(draft, replace(booked, effects=effects)))


def _did(draft: Draft, booked: BookedAdjustment) -> None:
    draft.put_adjustment(booked)
    draft.effects.extend(booked.effects)
    draft.rows.extend(adjustment_rows(draft.state, booked))


def _hinted_entry(
    draft: Draft, hint: CauseHint, name: tuple[str, EconomicTime], prices: Mapping[str, int]
) -> Adjustment:
    entry_id, at = name
    token_id, shares = hint.legs[0]
    match hint.cause:
        case Cause.POSITION_SPLIT | Cause.POSITION_MERGED:
            return _pair(hint, entry_id, at)
        case Cause.CONVERTED:
            return _conversion(draft, hint, entry_id, at)
        case Cause.REDEEMED:
            return Redemption(
                entry_id=entry_id,
                at=at,
                condition_id=hint.condition_id,
                token_id=token_id,
                shares_micro=-shares,
                proceeds_micro=hint.cash_micro,
                evidence=hint.evidence,
            )
        case Cause.EXTERNAL_BUY | Cause.EXTERNAL_SALE:
            return Trade(
                entry_id=entry_id,
                at=at,
                cause=hint.cause,
                condition_id=hint.condition_id,
                token_id=token_id,
                side=Side.BUY if shares > 0 else Side.SELL,
                shares_micro=abs(shares),
                # A purchase pays its fee on top, from a sale's proceeds it is deducted.
                amount_micro=abs(hint.cash_micro + hint.fee_micro),
                fee_micro=hint.fee_micro,
                evidence=hint.evidence,
            )
        case _:
            leg = (token_id, shares, prices.get(token_id, 0))
            return _carry(hint.cause, hint.condition_id, leg, name, hint.evidence)


def _pair(hint: CauseHint, entry_id: str, at: EconomicTime) -> Split | Merge:
    """Legs of a split or merge come in the condition's token order: YES first."""
    kind = Split if hint.cause is Cause.POSITION_SPLIT else Merge
    return kind(
        entry_id=entry_id,
        at=at,
        condition_id=hint.condition_id,
        yes_token_id=hint.legs[0][0],
        no_token_id=hint.legs[1][0],
        shares_micro=abs(hint.legs[0][1]),
        evidence=hint.evidence,
    )


def _conversion(draft: Draft, hint: CauseHint, entry_id: str, at: EconomicTime) -> Conversion:
    def question(token_id: str) -> tuple[int, str]:
        place = draft.state.token(token_id)
        index = place[0].question_index if place is not None else None
        return (index if index is not None else 0, token_id)

    given = sorted((token_id for token_id, shares in hint.legs if shares < 0), key=question)
    taken = sorted((token_id for token_id, shares in hint.legs if shares > 0), key=question)
    amount = -min(shares for _, shares in hint.legs)
    # The market's fee is kept from what is received: the YES are fewer than the NO handed in.
    received = max(shares for _, shares in hint.legs) if taken else amount
    return Conversion(
        entry_id=entry_id,
        at=at,
        neg_risk_market_id=draft.state.market_id,
        no_token_ids=tuple(given),
        yes_token_ids=tuple(taken),
        shares_micro=amount,
        yes_shares_micro=received,
        collateral_micro=hint.cash_micro,
        evidence=hint.evidence,
    )


def _carry(
    cause: Cause,
    condition_id: str,
    leg: tuple[str, int, int],
    name: tuple[str, EconomicTime],
    evidence: str,
) -> Carry:
    """``leg`` is the token, the signed shares, and the price at which shares that came in are carried."""
    token_id, shares, price = leg
    cost = mul_price(shares, price) if shares > 0 else 0
    return Carry(
        entry_id=name[0],
        at=name[1],
        cause=cause,
        condition_id=condition_id,
        token_id=token_id,
        shares_micro=shares,
        cost_micro=cost,
        evidence=evidence,
    )


def _untracked(
    draft: Draft,
    view: ExternalView,
    item: Confirmed,
    name: tuple[str, EconomicTime],
    prices: Mapping[str, int],
) -> Applied:
    """An opening on the wallet's first cycle, else an unexplained change, said to be one.

    A token opens once: after a first cycle that was cut short, what changed since is a difference like any other.
    """
    if view.opening and not draft.state.adjusted(item.token_id):
        entry = _opening(draft, view, item, name, prices)
    else:
        cause = Cause.UNTRACKED_INCREASE if item.difference_micro > 0 else Cause.UNTRACKED_REDUCTION
        leg = (item.token_id, item.difference_micro, prices.get(item.token_id, 0))
        entry = _carry(cause, item.condition_id, leg, name, item.evidence)
    _book(draft, entry, 0, rounded=view.chain is None)
    return Applied(
        token_id=item.token_id,
        condition_id=item.condition_id,
        shares_micro=item.difference_micro,
        cause=entry.cause.value,
        evidence=entry.evidence,
    )


def _opening(
    draft: Draft,
    view: ExternalView,
    item: Confirmed,
    name: tuple[str, EconomicTime],
    prices: Mapping[str, int],
) -> Carry:
    """The whole balance at the Data API's entry cost; history that does not explain it is set aside (R-23).

    A balance of nothing is an opening too: what earlier trades bought was redeemed or merged before the first cycle.
    """
    balance = draft.state.position(item.token_id).settled_micro + item.difference_micro
    _set_history_aside(draft, item.token_id)
    row = next((row for row in view.entry_costs if row.token_id == item.token_id and row.size_micro > 0), None)
    if row is None:
        cost, evidence = mul_price(balance, prices.get(item.token_id, 0)), f"{item.evidence}; cost at the mark"
    else:
        # Conversions can make the source's figure negative; a cost basis never is (L-21).
        cost = floor_share(max(0, row.entry_cost_micro), balance, row.size_micro)
        evidence = f"{item.evidence}; cost from the Data API's entry cost"
    return Carry(
        entry_id=name[0],
        at=name[1],
        cause=Cause.OPENING,
        condition_id=item.condition_id,
        token_id=item.token_id,
        shares_micro=balance,
        cost_micro=cost,
        evidence=evidence,
    )


def _set_history_aside(draft: Draft, token_id: str) -> None:
    """Settled fills of a token whose history does not explain its balance stop counting: the opening replaces them."""
    aside = []
    for booked in draft.state.fills.values():
        if booked.fill.token_id == token_id and booked.fill.state is FillState.SETTLED:
            fill = replace(booked.fill, state=FillState.SUPERSEDED, settled_by="history before the opening entry")
            aside.append(replace(booked, fill=fill, updated_at_ms=draft.now_ms))
    if aside:
        draft.put_fills(aside)
        draft.rows.extend(fill_row(draft.state, booked) for booked in aside)
        draft.refold(min(booked.fill.at for booked in aside))
