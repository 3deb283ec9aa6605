"""Labelled changes in words that are the same in every world."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from portfolio.chain import ChainChange, ChangeKind
from tests.evm.worlds.base import Bargain, Question, World

Legs = tuple[tuple[str, int, int], ...]
"""Name of the question, outcome (0 is YES) and signed shares."""


@dataclass(frozen=True)
class Row:
    """What a change must say: shares and cash signed, in the order in which labelling tells them."""

    kind: ChangeKind
    legs: Legs = ()
    cash: tuple[tuple[str, int], ...] = ()
    fee: int = 0
    order_id: str = ""
    took: bool = False


def legs(*moves: tuple[Question, int, int]) -> Legs:
    """Of questions."""
    return tuple((question.name, outcome, micro) for question, outcome, micro in moves)


def pusd(micro: int) -> tuple[tuple[str, int], ...]:
    """Cash in pUSD; none where it is nothing."""
    return (("pusd", micro),) if micro else ()


def usdc(micro: int) -> tuple[tuple[str, int], ...]:
    """Cash in bridged USDC; none where it is nothing."""
    return (("usdc_e", micro),) if micro else ()


def filled(bargain: Bargain, order_id: str) -> Row:
    """What the fill of an order of the wallet is."""
    moved = legs((bargain.question, bargain.outcome, bargain.sign * bargain.shares))
    return Row(ChangeKind.FILL, moved, pusd(bargain.cash), bargain.fee, order_id, bargain.took)


def rows_of(world: World, changes: Iterable[ChainChange]) -> tuple[Row, ...]:
    """The changes in these words. A change that names another condition than its tokens' is an error."""
    places = {token: (question, outcome) for question, outcome, token in world.tokens()}
    found = []
    for change in changes:
        moved = legs(*((*places[token], micro) for token, micro in change.legs))
        about = {places[token][0].condition_id for token, _ in change.legs}
        assert {change.condition_id} <= about | {""}, (change, about)
        found.append(Row(change.kind, moved, change.cash, change.fee_micro, change.order_id, change.took))
    return tuple(found)
