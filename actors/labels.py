"""What the transactions of a wallet did, each labelled once: for its markets as it comes, and for the cycle after."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from portfolio.chain import ChainChange, ChainTransaction
from portfolio.facts import MarketMeta
from portfolio.labelling import IncompleteTransactionError, label
from portfolio.labelling_book import TokenBook, TokenPlace
from portfolio.unplaced import Unplaced, tokens_moved, unplaced

Place = tuple[str, str]
"""Hashes of a transaction and of its block: dropped, it may come again in another one."""


class Labels:
    """Labels by the tokens that are known; what is learned of these makes them anew."""

    def __init__(self, address: str, book: TokenBook) -> None:
        self._address = address
        self._markets: dict[str, str] = {}
        self._labelled: dict[Place, tuple[ChainChange, ...]] = {}
        self.book = book

    def learn(self, metas: Iterable[MarketMeta]) -> None:
        """Where tokens belong, by their metadata."""
        tokens = dict(self.book.tokens)
        for meta in metas:
            for token in meta.tokens:
                tokens[token.token_id] = TokenPlace(
                    condition_id=meta.condition_id,
                    outcome_index=token.outcome_index,
                    question_index=meta.question_index,
                    neg_risk_market_id=meta.market_id if meta.neg_risk else "",
                )
                self._markets[token.token_id] = meta.market_id
        if tokens != self.book.tokens:
            self.book = msgspec.structs.replace(self.book, tokens=tokens)
            self._labelled = {}

    def market_of(self, token_id: str) -> str:
        """The market of a token that is known."""
        return self._markets[token_id]

    def unplaced(self, transaction: ChainTransaction) -> set[str]:
        """Tokens that the transaction moved for the wallet, and whose market is not known."""
        return {token_id for token_id in tokens_moved(transaction, self._address) if token_id not in self._markets}

    def waiting(self, transactions: Iterable[ChainTransaction]) -> Unplaced:
        """What of these cannot be told yet."""
        return unplaced(transactions, self._address, self._markets)

    def of(self, transaction: ChainTransaction) -> tuple[ChainChange, ...]:
        """What it did; nothing where that cannot be told: a cycle says so then, and infers."""
        place = (transaction.transaction_hash, transaction.block_hash)
        found = self._labelled.get(place)
        if found is None:
            try:
                found = self._labelled[place] = label(transaction, self._address, self.book)
            except IncompleteTransactionError:
                return ()
        return found

    def among(self, transactions: Iterable[ChainTransaction]) -> Mapping[str, tuple[ChainChange, ...]]:
        """Those of these transactions that are labelled, by their hashes."""
        found = ((one.transaction_hash, self._labelled.get(_place(one))) for one in transactions)
        return {name: changes for name, changes in found if changes is not None}

    def keep(self, transactions: Collection[ChainTransaction]) -> None:
        """Forget all others."""
        places = {_place(one) for one in transactions}
        self._labelled = {place: changes for place, changes in self._labelled.items() if place in places}


def _place(transaction: ChainTransaction) -> Place:
    return transaction.transaction_hash, transaction.block_hash
