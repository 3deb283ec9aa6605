"""Which of the chain's logs a cycle needs: all since the wallet was last compared and nothing was left open (X-01).

A difference that waits for its second look was explained, or not, by logs of an earlier cycle; so the next one reads
them again. Without logs the cycle goes on: causes are inferred then, and the report says so.
"""

from __future__ import annotations

from actors.gathering import Cycle
from messages.reads import LogsAnswer, ReadLogs
from portfolio.facts import Balances
from portfolio.labelling_book import TokenBook
from portfolio.readings import Logs
from portfolio.views import MarketImage

BLOCKS_MAX = 100_000
"""Blocks that are read at most; what lies further back is inferred from balances."""


class LogsFollowed:
    """What is known of one wallet's logs across cycles; ``book`` None: its chain's logs are not read."""

    def __init__(self, address: str, book: TokenBook | None, reconciled_block: int | None) -> None:
        self._address = address.lower()
        self._book = book
        self._until = self._compared = reconciled_block

    def first_read(self, wallet: str, running: Cycle) -> ReadLogs | None:
        """The logs from the last block that left nothing open to the one that the cycle has pinned, if any."""
        pinned = running.balances
        if pinned is None or self._book is None or self._until is None:
            return None
        running.transactions = []
        begin = max(self._until + 1, pinned.block_number - BLOCKS_MAX + 1)
        if begin <= pinned.block_number:
            return self._read(wallet, begin, pinned)
        self._complete(running)
        return None

    def next_read(self, wallet: str, running: Cycle, answer: LogsAnswer) -> ReadLogs | None:
        """Take in an answer; what to ask for next, where it did not reach the pinned block."""
        pinned = running.balances
        if pinned is None:
            return None
        if answer.replaced or answer.to_block < answer.from_block:
            reason = "was replaced" if answer.replaced else "is not known to the node yet"
            running.notes.append(f"chain.logs: block {pinned.block_number} {reason}; causes are inferred")
            return None
        running.transactions.extend(answer.transactions)
        if answer.to_block < pinned.block_number:
            return self._read(wallet, answer.to_block + 1, pinned)
        self._complete(running)
        return None

    def _read(self, wallet: str, from_block: int, pinned: Balances) -> ReadLogs:
        """Up to the pinned block, which must be the same one that the balances are of."""
        return ReadLogs(
            wallet=wallet,
            wallets=(self._address,),
            from_block=from_block,
            to_block=pinned.block_number,
            known=((pinned.block_number, pinned.block_hash),),
        )

    def _complete(self, running: Cycle) -> None:
        if self._book is not None and self._compared is not None:
            running.logs = Logs(
                address=self._address,
                cash_until_block=self._compared,
                transactions=tuple(running.transactions),
                book=self._book,
            )

    def compared(self, block_number: int | None, images: tuple[MarketImage, ...]) -> None:
        """A cycle has compared the wallet at this block; where nothing waits, logs up to it are needed no more."""
        if block_number is None:
            return
        self._compared = block_number
        if self._until is None or not any(token.pending for image in images for token in image.tokens):
            self._until = block_number
