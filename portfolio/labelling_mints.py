"""Shares that came from nobody or went to nobody, against collateral in the same transaction (L-14, X-08).

Protocol V2 has contracts of its own, whose events are not known for certain. They need not be: no shares come from
nobody but by a split, and none go there but by a merge or a redemption, and the collateral beside them says which.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from portfolio.chain import ChainChange, ChangeKind
from portfolio.labelling_book import NOBODY
from portfolio.labelling_scene import Leg, Scene


def mints(scene: Scene) -> Iterator[ChainChange]:
    """The changes that no event named, by condition, the movements behind them taken out."""
    for condition_id in dict.fromkeys(place.condition_id for place in scene.places.values()):
        pair = scene.pair(condition_id)
        for sign in (1, -1):
            legs = [leg for token in pair for leg in scene.tokens.open(sign, _nobodys, token)]
            change = _change(scene, legs, paired=len(pair) == 2 and [leg.asset for leg in legs] == list(pair))
            if change is not None:
                market_id = scene.places[pair[0]].neg_risk_market_id
                yield replace(change, condition_id=condition_id, neg_risk_market_id=market_id)


def _change(scene: Scene, legs: list[Leg], *, paired: bool) -> ChainChange | None:
    """Of one condition and direction; ``paired``: one movement of each of its tokens, YES first."""
    if not legs:
        return None
    even = paired and legs[0].amount == legs[1].amount
    paid = scene.cash.exact(-legs[0].amount, scene.protocol)[:1] if even else []
    if paid:
        return _told(scene, ChangeKind.POSITION_SPLIT if legs[0].amount > 0 else ChangeKind.POSITION_MERGED, legs, paid)
    if legs[0].amount > 0:
        return None
    most = -sum(leg.amount for leg in legs)
    payout = [leg for leg in scene.cash.open(1, scene.protocol) if leg.amount <= most][:1]
    return _told(scene, ChangeKind.REDEEMED, legs, payout)


def _told(scene: Scene, kind: ChangeKind, legs: list[Leg], paid: list[Leg]) -> ChainChange:
    index = min(leg.log_index for leg in (*legs, *paid))
    return scene.change(kind, index, _taken(legs), _taken(paid))


def _taken(legs: list[Leg]) -> list[tuple[str, int]]:
    amounts = [(leg.asset, leg.amount) for leg in legs]
    for leg in legs:
        leg.amount = 0
    return amounts


def _nobodys(leg: Leg) -> bool:
    return leg.party == NOBODY
