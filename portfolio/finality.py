"""How firm the blocks are that a story's lines rest on: still to be dropped, dropped, or final (X-01, X-14, R-31)."""

from __future__ import annotations

import enum
from collections.abc import Iterable

from portfolio.market import Step
from portfolio.outcomes import IssueRow
from portfolio.reasons import IssueType
from portfolio.state import MarketState, TailFact


class Finality(enum.StrEnum):
    """``seen``: the chain may still drop the block, and the change would be undone. ``dropped``: it did, and it was."""

    SEEN = "seen"
    FINAL = "final"
    DROPPED = "dropped"


def undone(before: MarketState, step: Step) -> tuple[TailFact, ...]:
    """What the step took back because the chain dropped its block; other facts leave the tail when they are final."""
    told = [row.cause for row in step.rows if isinstance(row, IssueRow) and row.type == IssueType.CHAIN_REORGANISED]
    if not told:
        return ()
    kept = {_name(held) for held in step.state.tail}
    gone = (held for held in before.tail if held.booked_as and _name(held) not in kept)
    return tuple(held for held in gone if any(held.fact.block_hash in text for text in told))


def _name(held: TailFact) -> tuple[str, str]:
    return held.fact.hint.logged_as, held.fact.block_hash


def of_token(state: MarketState, facts: Iterable[TailFact], token_id: str) -> TailFact | None:
    """The one fact that moved the token; None where there is none, or more than one may be meant.

    An entry that is taken back comes before a fill, which stays and is in flight again.
    """
    moved = [held for held in facts if token_id in dict(held.fact.hint.legs)]
    found = [held for held in moved if held.booked_as in state.adjustments] or moved
    return found[0] if len(found) == 1 else None


class Blocks:
    """What became of the places on the chain that lines name; ``seq`` are the journal's numbers."""

    def __init__(self) -> None:
        self._dropped: dict[tuple[str, int], int] = {}

    def drop(self, facts: Iterable[TailFact], seq: int) -> None:
        """Journal entry ``seq`` took these back."""
        self._dropped.update(((held.fact.transaction_hash, held.fact.block_number), seq) for held in facts)

    def dropped(self, place: tuple[str, int | None], seq: int) -> bool:
        """Whether the block was dropped after entry ``seq`` named it; a transaction may come back under its number."""
        transaction, number = place
        return number is not None and self._dropped.get((transaction, number), 0) > seq


def standing(state: MarketState, final_block: int, place: tuple[str, int | None]) -> Finality:
    """How firm a block is that was not dropped: what the books may still have to undo is in the market's tail."""
    transaction, number = place
    open_ = (held.fact for held in state.tail if held.fact.block_number > final_block)
    may_drop = any(fact.transaction_hash == transaction and number in {None, fact.block_number} for fact in open_)
    return Finality.SEEN if may_drop else Finality.FINAL
