"""What is said between the watcher of a chain and those who care for a wallet (X-01, X-14). Not journaled."""

from __future__ import annotations

import msgspec

from messages.addresses import Address
from portfolio.chain import ChainTransaction
from portfolio.facts import Certificate
from portfolio.tail import DroppedBlock


class FollowTo(msgspec.Struct, frozen=True, kw_only=True, tag="follow_to"):
    """Follow a wallet's logs from ``from_block`` on, and say when they were handed on up to the block of a cycle.

    Who asks ``anew`` has nothing of what was handed on before. ``standing`` are blocks that something was taken from in
    an earlier life, looked at once more, beside the cycle's own. ``cycle_id`` empty: nobody waits.
    """

    wallet: str
    address: str
    reply_to: Address
    cycle_id: str
    from_block: int
    block_number: int
    block_hash: str
    standing: tuple[tuple[int, str], ...] = ()
    anew: bool = False


class ChainFollowed(msgspec.Struct, frozen=True, kw_only=True, tag="chain_followed"):
    """New transactions, in the chain's order, or blocks that others have replaced: what was in them may come again.

    Up to ``final_block`` no block is replaced any more.
    """

    wallet: str
    transactions: tuple[ChainTransaction, ...]
    dropped: tuple[DroppedBlock, ...]
    final_block: int


class BlockPassed(msgspec.Struct, frozen=True, kw_only=True, tag="block_passed"):
    """All up to the cycle's block was handed on; or it was not, for the reason in ``detail``."""

    wallet: str
    cycle_id: str
    certificate: Certificate | None
    detail: str = ""


class LogsOverdue(msgspec.Struct, frozen=True, kw_only=True, tag="logs_overdue"):
    """The cycle has waited long enough for the watcher."""

    cycle_id: str


class Look(msgspec.Struct, frozen=True, tag="look"):
    """Time to look at the chain's head."""
