"""Transactions that cannot be told yet: they move tokens of no market that is known, whose metadata is on its way.

What one leg of such a transaction means, only the others say; and a token of which an earlier change waits cannot have
its later ones booked. So all of them wait together, for so many blocks at most (L-14, X-01).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from portfolio.chain import ChainTransaction, OrderFilled, TokenTransfer

UNPLACED_BLOCKS = 1_000
"""So many blocks metadata is waited for: half an hour."""


class Unplaced(msgspec.Struct, frozen=True, kw_only=True):
    """Hashes of the transactions that wait, and all tokens that they move."""

    transactions: frozenset[str] = frozenset()
    tokens: frozenset[str] = frozenset()

    @property
    def sentence(self) -> str:
        """What waits, for the cycle's report; empty where nothing does."""
        if not self.transactions:
            return ""
        first = min(self.transactions)
        return f"{len(self.transactions)} transactions wait for metadata of tokens that they move: {first}"


NOTHING_WAITS = Unplaced()


def unplaced(transactions: Iterable[ChainTransaction], address: str, known: Collection[str]) -> Unplaced:
    """What waits among the transactions of a wallet, in the chain's order, while only these tokens are ``known``."""
    waiting: set[str] = set()
    tokens: set[str] = set()
    for one in transactions:
        moved = tokens_moved(one, address)
        if any(token_id not in known for token_id in moved) or (moved & tokens and not _filled(one, address)):
            waiting.add(one.transaction_hash)
            tokens |= moved
    return Unplaced(transactions=frozenset(waiting), tokens=frozenset(tokens)) if waiting else NOTHING_WAITS


def tokens_moved(transaction: ChainTransaction, address: str) -> set[str]:
    """Tokens of which the transaction moved something of the wallet's."""
    moved = (log for log in transaction.logs if isinstance(log, TokenTransfer) and log.shares_micro)
    return {log.token_id for log in moved if address in {log.sender, log.receiver}}


def _filled(transaction: ChainTransaction, address: str) -> bool:
    """Whether it fills an order of the wallet: that is of one token, and told by itself."""
    return any(isinstance(log, OrderFilled) and log.maker == address for log in transaction.logs)
