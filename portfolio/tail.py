"""What of the books stands on blocks that may still be dropped: the chain's facts since a comparison (X-01, X-14).

A fact is one change of one market that the logs show, with the block it was seen in. Markets keep those of the last
blocks, with what they became, so that each can be undone until its block is final and was compared (R-31).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from portfolio.chain import ChainChange
from portfolio.facts import Fact, Payout
from portfolio.labelling_book import TokenBook
from portfolio.labelling_hints import hints_of
from portfolio.views import CauseHint


class ChainFact(Fact, frozen=True, kw_only=True):
    """One change of a market's tokens. ``hint`` says what it was; a fill names its order, whose it is the market knows.

    A fill's hint says what the fill is if nobody of ours made it (R-21): an external purchase or sale. ``kept``: the
    balances of a cycle have it, which books it; should its block be dropped, what came of that is undone.
    """

    hint: CauseHint
    order_id: str = ""
    transaction_hash: str
    block_number: int
    block_hash: str
    kept: bool = False


class DroppedBlock(Fact, frozen=True, kw_only=True):
    """A block that another one has replaced."""

    block_number: int
    block_hash: str


def facts_of(changes: Iterable[ChainChange], book: TokenBook, payouts: Mapping[str, Payout]) -> tuple[ChainFact, ...]:
    """The facts in a wallet's labelled changes, in their order; collateral that moved alone is of no market."""
    return tuple(
        ChainFact(
            hint=hint,
            order_id=change.order_id,
            transaction_hash=change.transaction_hash,
            block_number=change.block_number,
            block_hash=change.block_hash,
        )
        for change in changes
        for hint in hints_of((change,), book, payouts)
    )
