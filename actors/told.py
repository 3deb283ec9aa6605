"""Which market was told of which block, so that it is told too when the chain drops it (X-01, X-14)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from portfolio.events import ChainDropped, ChainSeen
from portfolio.tail import ChainFact, DroppedBlock
from portfolio.views import MarketImage, TokenPrice

PART = 200
"""Transactions that are looked at, and facts that one market is told, before others are let in: some 20 ms of work."""

BlockPlace = tuple[int, str]
"""Number and hash."""


class Told:
    """Markets by the blocks that they were told of and that may still be dropped."""

    def __init__(self, market_of: Callable[[str], str]) -> None:
        """``market_of`` tells the market of a token that is known."""
        self._market_of = market_of
        self._markets: dict[BlockPlace, set[str]] = {}

    def recall(self, images: Iterable[MarketImage]) -> None:
        """What the markets themselves have of such blocks: it may have been told in an earlier life of the process."""
        for image in images:
            for change in image.chained:
                self._markets.setdefault((change.block_number, change.block_hash), set()).add(image.market_id)

    def places(self) -> set[BlockPlace]:
        """All these blocks."""
        return set(self._markets)

    def dropped(self, blocks: Sequence[DroppedBlock]) -> Iterable[tuple[str, ChainDropped]]:
        """Who has to hear of these."""
        told: dict[str, list[DroppedBlock]] = {}
        for block in blocks:
            for market_id in self._markets.pop((block.block_number, block.block_hash), ()):
                told.setdefault(market_id, []).append(block)
        return [(market_id, ChainDropped(blocks=tuple(found))) for market_id, found in sorted(told.items())]

    def seen(
        self, facts: Iterable[ChainFact], settled: int, prices: Mapping[str, int]
    ) -> Iterator[tuple[str, ChainSeen]]:
        """The facts for their markets; ``settled``: up to that block nothing will be undone."""
        grouped: dict[str, list[ChainFact]] = {}
        for fact in facts:
            market_id = self._market_of(fact.hint.legs[0][0])
            grouped.setdefault(market_id, []).append(fact)
            self._markets.setdefault((fact.block_number, fact.block_hash), set()).add(market_id)
        for market_id, found in sorted(grouped.items()):
            for start in range(0, len(found), PART):
                part = tuple(found[start : start + PART])
                yield market_id, ChainSeen(facts=part, final_block=settled, prices=_priced(part, prices))

    def forget(self, settled: int) -> None:
        """Up to that block nothing will be dropped."""
        self._markets = {place: markets for place, markets in self._markets.items() if place[0] > settled}


def _priced(facts: Iterable[ChainFact], prices: Mapping[str, int]) -> tuple[TokenPrice, ...]:
    tokens = sorted({token_id for fact in facts for token_id, _ in fact.hint.legs if token_id in prices})
    return tuple(TokenPrice(token_id=token_id, price_micro=prices[token_id]) for token_id in tokens)
