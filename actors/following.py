"""What a wallet's coordinator knows of the chain's logs: what the markets are handed, what a cycle compares (X-01).

Changes behind the block of the last plan go to their markets as they are seen; those up to it are the cycle's, whose
balances show them. A difference that waits for its second look was explained, or not, by logs of an earlier cycle, so
transactions are kept from the last block on at which nothing was left open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import msgspec

from actors.gathering import Cycle
from actors.kept import Kept
from actors.labels import Labels, Place
from actors.told import PART, Told
from messages.addresses import Address
from messages.following import ChainFollowed, FollowTo
from portfolio.chain import ChainTransaction
from portfolio.cycle import ReferencePrice
from portfolio.events import ChainDropped, ChainSeen
from portfolio.facts import MarketMeta, Payout
from portfolio.labelling_book import TokenBook
from portfolio.readings import Logs
from portfolio.tail import ChainFact, DroppedBlock, facts_of
from portfolio.views import MarketImage

BLOCKS_MAX = 100_000
"""Blocks that are read at most; what lies further back is inferred from balances."""


class Handed(msgspec.Struct, frozen=True, kw_only=True):
    """What news of the chain mean: events by market, tokens of no known market, and whether a cycle is wanted soon."""

    events: tuple[tuple[str, ChainDropped | ChainSeen], ...]
    unknown: tuple[str, ...]
    urgent: bool


_Read: TypeAlias = tuple[set[str], tuple[ChainFact, ...]]


class LogsFollowed:
    """One wallet's logs across cycles; ``book`` None: its chain's logs are not read."""

    def __init__(
        self, address: str, book: TokenBook | None, reconciled_block: int | None, until: int | None = None
    ) -> None:
        """The logs up to ``until`` are needed no more; None: up to where the books were last compared.

        It is less where a cycle could not read the logs, or left something open.
        """
        self._address = address.lower()
        self._book = book
        self._compared = self._planned = reconciled_block
        self._until = reconciled_block if until is None else until
        self._anew = True
        self._complete = False
        self._torn: int | None = None
        self._final = 0
        self._strange = False
        self._labels = Labels(self._address, book or TokenBook())
        self._kept = Kept(self._labels)
        self._ready: dict[Place, _Read] = {}
        self._untold: list[ChainTransaction] = []
        self._told = Told(self._labels.market_of)
        self._payouts: dict[str, Payout] = {}
        self._prices: dict[str, int] = {}

    # -- asking ---------------------------------------------------------------------------------------------------

    def ask(self, wallet: str, running: Cycle, reply_to: Address, *, waits: bool = True) -> FollowTo | None:
        """What to ask the watcher for: to be past the block that the cycle has pinned, if any."""
        pinned = running.balances
        if pinned is None or self._book is None or self._until is None:
            return None
        self._payouts.update((payout.condition_id, payout) for payout in pinned.payouts)
        message = FollowTo(
            wallet=wallet,
            address=self._address,
            reply_to=reply_to,
            cycle_id=running.cycle_id if waits else "",
            from_block=max(self._until + 1, pinned.block_number - BLOCKS_MAX + 1),
            block_number=pinned.block_number,
            block_hash=pinned.block_hash,
            standing=self._relied_on(running.sorted_images()),
            anew=self._anew,
        )
        self._complete = False
        self._labels.recall(running.images.values())
        if self._anew:
            self._kept.clear()
            self._untold = []
        self._anew, self._torn = False, None
        return message

    @property
    def until(self) -> int | None:
        """Up to there the logs were read, and left nothing open."""
        return self._until

    @property
    def begun(self) -> bool:
        """Whether the watcher was asked before."""
        return not self._anew

    def _relied_on(self, images: Iterable[MarketImage]) -> tuple[tuple[int, str], ...]:
        """Blocks that may be dropped, of what is in the markets' books and of what is kept here.

        The watcher may have begun anew since, or a market may have missed what it was told: the watcher looks at those
        that it does not know itself.
        """
        self._told.recall(images)
        kept = {(one.block_number, one.block_hash) for one in self._kept}
        return tuple(sorted(place for place in kept | self._told.places() if place[0] > self._final))

    # -- what the watcher says --------------------------------------------------------------------------------------

    def prepared(self, message: ChainFollowed) -> Iterator[None]:
        """Work out what a message says part by part, so that others can be let in between; then :meth:`take` it."""
        for number, transaction in enumerate(message.transactions, start=1):
            if self._is_news(transaction):
                self._ready[transaction.transaction_hash, transaction.block_hash] = self._read(transaction)
            if number % PART == 0:
                yield

    def take(self, message: ChainFollowed) -> Handed:
        """Keep what is new, and say what it means for the markets."""
        self._final = max(self._final, message.final_block)
        self._tear(message.dropped)
        events: list[tuple[str, ChainDropped | ChainSeen]] = list(self._dropped(message.dropped))
        new = self._kept.add(message.transactions)
        still_unknown = self._kept.unplaced_again()
        unknown: set[str] = set()
        facts: list[ChainFact] = []
        waits = self._labels.waiting(self._kept).transactions if self._strange or self._any_strange(new) else ()
        self._strange = bool(waits)
        late, self._untold = self._untold, []
        for transaction in (*late, *new):
            ready = self._ready.get((transaction.transaction_hash, transaction.block_hash))
            strange, found = self._read(transaction) if ready is None else ready
            unknown |= strange
            if transaction.transaction_hash in waits:
                self._untold.append(transaction)
                continue
            # What a cycle has compared behind is told too: it may have had to guess the cause (D-12).
            told = found if self._is_news(transaction) else (msgspec.structs.replace(one, kept=True) for one in found)
            facts += told
        self._ready = {}
        events += self._told.seen(facts, self._settled_block, self._prices)
        urgent = bool(unknown) or any(not fact.order_id and not fact.kept for fact in facts) or bool(message.dropped)
        return Handed(events=tuple(events), unknown=tuple(sorted(unknown | still_unknown)), urgent=urgent)

    def _any_strange(self, transactions: Iterable[ChainTransaction]) -> bool:
        return any(self._labels.unplaced(one) for one in transactions)

    def _tear(self, blocks: Sequence[DroppedBlock]) -> None:
        """What took the place of dropped blocks is needed, whatever was compared before."""
        for block in blocks:
            self._torn = block.block_number if self._torn is None else min(self._torn, block.block_number)
            self._until = None if self._until is None else min(self._until, block.block_number - 1)

    def _dropped(self, blocks: Sequence[DroppedBlock]) -> Iterable[tuple[str, ChainDropped]]:
        gone = {block.block_hash for block in blocks}
        self._kept.drop(gone)
        self._untold = [one for one in self._untold if one.block_hash not in gone]
        return self._told.dropped(blocks)

    def _is_news(self, transaction: ChainTransaction) -> bool:
        """Whether no plan was made yet that has to do with its block."""
        return self._planned is None or transaction.block_number > self._planned

    @property
    def _settled_block(self) -> int:
        """Up to there nothing will be undone, and nothing was left open (R-31)."""
        return min(self._final, self._until if self._until is not None else 0)

    def _read(self, transaction: ChainTransaction) -> _Read:
        """Its tokens of no known market, and what it is to markets: while there are any, a cycle decides about it."""
        unknown = self._labels.unplaced(transaction)
        return unknown, () if unknown else self._facts(transaction)

    def _facts(self, transaction: ChainTransaction) -> tuple[ChainFact, ...]:
        if self._book is None:
            return ()
        return facts_of(self._labels.of(transaction), self._labels.book, self._payouts)

    # -- what is learned --------------------------------------------------------------------------------------------

    def learn(self, metas: Iterable[MarketMeta]) -> None:
        """Where tokens belong, by their metadata."""
        self._labels.learn(metas)

    def planned(self, running: Cycle, prices: Mapping[str, ReferencePrice]) -> None:
        """A cycle compares at its block: what lies before it is not handed on any more."""
        self._prices = {token_id: price.price_micro for token_id, price in prices.items()}
        if running.balances is not None:
            self._planned = max(self._planned or 0, running.balances.block_number)

    def complete(self, running: Cycle) -> None:
        """Everything up to the cycle's block is there."""
        pinned = running.balances
        if self._book is None or self._compared is None or pinned is None:
            return
        self._complete = True
        seen = self._kept.up_to(pinned.block_number)
        running.logs = Logs(
            address=self._address,
            cash_until_block=self._compared,
            transactions=seen,
            book=self._book,
            labelled=self._labels.among(seen),
            carried=self._kept.carried,
        )

    def compared(self, block_number: int | None, images: tuple[MarketImage, ...], *, agreed: bool) -> None:
        """A cycle has compared the wallet at this block; where nothing waits, logs up to it are needed no more.

        Not where they could not be read for it; and unless the endpoints ``agreed`` on the block, what came before it
        may still have to be undone (X-14).
        """
        if block_number is None:
            return
        self._compared = block_number
        torn = self._torn is not None and self._torn <= block_number
        waits = torn or any(token.pending for image in images for token in image.tokens)
        if self._until is None or (agreed and self._complete and not waits):
            self._until = block_number
        settled = self._settled_block
        self._kept.compared(block_number, self._until, settled)
        self._told.forget(settled)
