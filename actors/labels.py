"""What the transactions of a wallet did, each labelled once: for its markets as it comes, and for the cycle after."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from portfolio.chain import ChainChange, ChainTransaction
from portfolio.facts import MarketMeta
from portfolio.labelling import IncompleteTransactionError, label
from portfolio.labelling_book import TokenBook, TokenPlace
from portfolio.unplaced import Unplaced, tokens_moved, unplaced
from portfolio.views import MarketImage

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
        found = ((meta, token) for meta in metas for token in meta.tokens)
        self._put(
            (meta.market_id, token.token_id, _at(meta, meta.condition_id, token.outcome_index, meta.question_index))
            for meta, token in found
        )

    def recall(self, images: Iterable[MarketImage]) -> None:
        """Where tokens belong, by the markets that have them: an earlier life of the process may have learned it."""
        found = ((image, token) for image in images for token in image.tokens if token.token_id not in self._markets)
        self._put(
            (image.market_id, token.token_id, _at(image, token.condition_id, token.outcome_index, token.question_index))
            for image, token in found
        )

    def _put(self, known: Iterable[tuple[str, str, TokenPlace]]) -> None:
        """Market, token, and where the token belongs."""
        new: dict[str, TokenPlace] = {}
        for market_id, token_id, place in known:
            self._markets[token_id] = market_id
            if self.book.tokens.get(token_id) != place:
                new[token_id] = place
        if new:
            tokens = {**self.book.tokens, **new}
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


def _at(market: MarketMeta | MarketImage, condition_id: str, outcome: int, question: int | None) -> TokenPlace:
    return TokenPlace(
        condition_id=condition_id,
        outcome_index=outcome,
        question_index=question,
        neg_risk_market_id=market.market_id if market.neg_risk else "",
    )


def _place(transaction: ChainTransaction) -> Place:
    return transaction.transaction_hash, transaction.block_hash
