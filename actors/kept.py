"""Transactions that a cycle may still need: those behind the last comparison that left nothing open, and stragglers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from actors.labels import Labels
from portfolio.chain import ChainTransaction
from portfolio.unplaced import UNPLACED_BLOCKS


class Kept:
    """One wallet's, in the order in which they were seen; a transaction in another block is another one.

    ``carried`` are the hashes of transactions whose cash a comparison had already, until their blocks are final: in
    another block they must not count again (X-10).
    """

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._all: list[ChainTransaction] = []
        self._carried: dict[str, int] = {}
        self._ask_again = False

    def __iter__(self) -> Iterator[ChainTransaction]:
        return iter(self._all)

    def clear(self) -> None:
        """All will be handed on again."""
        self._all = []

    def add(self, transactions: Iterable[ChainTransaction]) -> Sequence[ChainTransaction]:
        """Keep those that are new; returns them."""
        held = {(one.transaction_hash, one.block_hash) for one in self._all}
        new = [one for one in transactions if (one.transaction_hash, one.block_hash) not in held]
        self._all += new
        return new

    def drop(self, block_hashes: Collection[str]) -> None:
        """These blocks are no more."""
        self._all = [one for one in self._all if one.block_hash not in block_hashes]

    def up_to(self, block_number: int) -> tuple[ChainTransaction, ...]:
        """Those in that block and before."""
        return tuple(one for one in self._all if one.block_number <= block_number)

    @property
    def carried(self) -> frozenset[str]:
        """Hashes of transactions whose cash was compared."""
        return frozenset(self._carried)

    def unplaced_again(self) -> set[str]:
        """Tokens that have no metadata yet, once after each comparison: they are asked for again."""
        again, self._ask_again = self._ask_again, False
        return {token_id for one in self._all for token_id in self._labels.unplaced(one)} if again else set()

    def compared(self, block_number: int, until: int, settled: int) -> None:
        """The wallet was compared at that block; nothing is open up to ``until``, nothing undone up to ``settled``."""
        self._ask_again = True
        self._carried.update((one.transaction_hash, one.block_number) for one in self.up_to(block_number))
        self._carried = {name: number for name, number in self._carried.items() if number > settled}
        # Metadata may still come that says what a transaction was, and what moved the same tokens behind it.
        waiting = self._labels.waiting(one for one in self._all if one.block_number > until - UNPLACED_BLOCKS)
        awaited = waiting.transactions
        self._all = [one for one in self._all if one.block_number > until or one.transaction_hash in awaited]
        self._labels.keep(self._all)
