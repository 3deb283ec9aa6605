"""Splits, merges, redemptions, conversions and wraps: movements that an event of the same transaction names (L-14).

An event names a condition and an amount, and mostly an adapter instead of the wallet (R-19). It is the cause of a
movement of this wallet only if the movement fits: the tokens, the amount to the base unit, the collateral for it, and
the protocol on the other side. Events of other wallets in the same transaction fit nothing, or fit as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from msgspec.structs import replace

from portfolio.chain import (
    ChainChange,
    ChangeKind,
    PayoutRedeemed,
    PositionsConverted,
    PositionsMerged,
    PositionSplit,
)
from portfolio.labelling_book import TokenPlace
from portfolio.labelling_scene import Among, CauseEvent, Leg, Scene, outer_events


def causes(scene: Scene) -> list[ChainChange]:
    """The changes that the events explain, in the events' order, the movements behind them taken out."""
    named = (_named(scene, event) for event in outer_events(scene.transaction))
    return [change for change in named if change is not None]


def _named(scene: Scene, event: CauseEvent) -> ChainChange | None:
    if isinstance(event, PayoutRedeemed):
        return _redeemed(scene, event)
    if isinstance(event, PositionsConverted):
        return _converted(scene, event)
    return _pair(scene, event)


def _pair(scene: Scene, event: PositionSplit | PositionsMerged) -> ChainChange | None:
    """Both outcomes come and the collateral goes, or the reverse; YES is the first leg."""
    pair = scene.pair(event.condition_id)
    swaps = (_swap(scene, event, pair, among) for among in (scene.protocol, scene.agent(event.stakeholder)))
    tokens, paid = next((swap for swap in swaps if len(swap[0]) == 2 and swap[1]), ([], []))
    if not paid:
        return None
    kind = ChangeKind.POSITION_SPLIT if isinstance(event, PositionSplit) else ChangeKind.POSITION_MERGED
    market_id = scene.places[tokens[0].asset].neg_risk_market_id
    change = scene.change(kind, event.log_index, _claimed(tokens), _claimed(paid))
    return replace(change, condition_id=event.condition_id, neg_risk_market_id=market_id)


def _swap(
    scene: Scene, event: PositionSplit | PositionsMerged, pair: tuple[str, ...], among: Among
) -> tuple[list[Leg], list[Leg]]:
    """(tokens, collateral) that fit. What goes is the last before the event, what comes the first after that."""
    amount, before = event.amount_micro, _before(event, among)
    if isinstance(event, PositionSplit):
        paid = scene.cash.exact(-amount, before)[-1:]
        after = _after(paid, among)
        return [leg for token in pair for leg in scene.tokens.exact(amount, after, token)[:1]], paid
    tokens = [leg for token in pair for leg in scene.tokens.exact(-amount, before, token)[-1:]]
    return tokens, scene.cash.exact(amount, _after(tokens, among))[:1]


def _redeemed(scene: Scene, event: PayoutRedeemed) -> ChainChange | None:
    """All shares of the condition that had gone when the event came, for its payout, 0 included.

    The holder's tokens go right before the event: the first one after them is theirs, later ones are other holders'. A
    payout that did not reach the wallet is no redemption of it.
    """
    gone = [
        leg
        for leg in scene.tokens.open(-1, _before(event, scene.protocol))
        if _condition(scene, leg) == event.condition_id
    ]
    if not gone:
        return None
    paid = scene.cash.exact(event.payout_micro, _after(gone, scene.protocol))[:1]
    if event.payout_micro and not paid:
        return None
    gone.sort(key=lambda leg: (scene.places[leg.asset].outcome_index, leg.log_index))
    market_id = scene.places[gone[0].asset].neg_risk_market_id
    change = scene.change(ChangeKind.REDEEMED, event.log_index, _claimed(gone), _claimed(paid))
    return replace(change, condition_id=event.condition_id, neg_risk_market_id=market_id)


def _converted(scene: Scene, event: PositionsConverted) -> ChainChange | None:
    """NO of the named questions go; YES of the others come in one batch, with collateral for each NO but the first.

    The event states what went. What came is less by the market's fee, the same part of each (for the fee's part went to
    the vault), so the batch itself tells it and the collateral confirms it.
    """
    count = event.index_set.bit_count()
    given = _given(scene, event)
    if len(given) != count:
        return None
    after = _after(given, scene.protocol)
    taken = _delivered(scene, event, after)
    paid = scene.cash.exact((count - 1) * taken[0].amount, after)[:1] if taken else _paid_out(scene, event, after)
    if not taken and not paid:
        return None
    legs = [*_claimed(_by_question(scene, given)), *_claimed(_by_question(scene, taken))]
    change = scene.change(ChangeKind.CONVERTED, event.log_index, legs, _claimed(paid))
    return replace(change, neg_risk_market_id=event.neg_risk_market_id)


def _given(scene: Scene, event: PositionsConverted) -> list[Leg]:
    """One movement of exactly the amount for each NO, the last before the event."""
    given: dict[str, Leg] = {}
    for leg in scene.tokens.open(-1, _before(event, scene.protocol)):
        if leg.amount == -event.amount_micro and _belongs(scene.places.get(leg.asset), event, given=True):
            given[leg.asset] = leg
    return list(given.values())


def _delivered(scene: Scene, event: PositionsConverted, after: Among) -> list[Leg]:
    """The first batch of nothing but YES of the other questions, equal amounts, and the collateral to go with it.

    Questions that were added unnamed are in the batch before the book knows them.
    """
    others = event.index_set.bit_count() - 1
    for _, group in groupby(scene.tokens.open(1, after), key=lambda leg: leg.log_index):
        batch = list(group)
        amount = batch[0].amount
        known = [scene.places[leg.asset] for leg in batch if leg.asset in scene.places]
        even = amount <= event.amount_micro and all(leg.amount == amount for leg in batch)
        paid = not others or scene.cash.exact(others * amount, after)
        if known and even and paid and all(_belongs(place, event, given=False) for place in known):
            return batch
    return []


def _paid_out(scene: Scene, event: PositionsConverted, after: Among) -> list[Leg]:
    """The collateral that came first, where all questions were handed in and no YES could come."""
    others = event.index_set.bit_count() - 1
    legs = scene.cash.open(1, after) if others else []
    return [leg for leg in legs if leg.amount % others == 0 and leg.amount <= others * event.amount_micro][:1]


def _belongs(place: TokenPlace | None, event: PositionsConverted, *, given: bool) -> bool:
    """Whether a token is one of those that a conversion takes (NO of the set), or gives (YES of the others)."""
    if place is None or place.neg_risk_market_id != event.neg_risk_market_id or place.outcome_index != int(given):
        return False
    return place.question_index is None or bool(event.index_set >> place.question_index & 1) is given


def wraps(scene: Scene) -> list[ChainChange]:
    """Collateral that went in one bucket and came in another, to the unit: nothing changed but its name (X-10).

    Both sides are the protocol's. The event names less than that (an adapter wraps for a merge, too), and wrapped
    collateral has none.
    """
    found = []
    for gone in scene.cash.open(-1, scene.protocol):
        come = next((leg for leg in scene.cash.open(1, scene.protocol) if _is_wrap(gone, leg)), None)
        if come is not None:
            index = min(gone.log_index, come.log_index)
            found.append(scene.change(ChangeKind.WRAP, index, [], _claimed([gone, come])))
    return found


def _is_wrap(gone: Leg, come: Leg) -> bool:
    return gone.asset != come.asset and gone.amount + come.amount == 0


def _before(event: CauseEvent, among: Among) -> Among:
    """Those movements that were before the event."""
    return lambda leg: leg.log_index < event.log_index and among(leg)


def _after(gone: list[Leg], among: Among) -> Among:
    """Those movements that were after these."""
    last = max((leg.log_index for leg in gone), default=-1)
    return lambda leg: leg.log_index > last and among(leg)


def _condition(scene: Scene, leg: Leg) -> str:
    place = scene.places.get(leg.asset)
    return place.condition_id if place is not None else ""


def _claimed(legs: Iterable[Leg]) -> list[tuple[str, int]]:
    """Take the legs whole."""
    amounts = []
    for leg in legs:
        amounts.append((leg.asset, leg.amount))
        leg.amount = 0
    return amounts


def _by_question(scene: Scene, legs: list[Leg]) -> list[Leg]:
    """In the order of their questions; unknown ones last, in the order of the batch."""

    def question(leg: Leg) -> tuple[bool, int]:
        place = scene.places.get(leg.asset)
        index = place.question_index if place is not None else None
        return (index is None, index or 0)

    return sorted(legs, key=question)
