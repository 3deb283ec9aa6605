"""What the witnesses said in one cycle, before it is compared with anything (S-02, D-09)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from portfolio.chain import ChainChange, ChainTransaction
from portfolio.facts import Balances, DataPosition, MarketMeta, OpenOrder, TokenRef
from portfolio.labelling_book import TokenBook
from portfolio.views import OrderFate


class Logs(msgspec.Struct, frozen=True, kw_only=True):
    """The transactions of a wallet from the block of its last comparison to that of the balances (X-01).

    ``book`` names the addresses that mean something on this chain; the tokens are the images' to say. Where something
    was left open they begin earlier: cash was compared at ``cash_until_block`` last. ``labelled`` is what some of the
    transactions did, by their hashes, where that was told from the same tokens before. ``carried`` are transactions
    whose cash an earlier comparison had already, in a block that others may have replaced since.
    """

    address: str
    cash_until_block: int
    transactions: tuple[ChainTransaction, ...]
    book: TokenBook
    labelled: Mapping[str, tuple[ChainChange, ...]] = {}
    carried: frozenset[str] = frozenset()


class Readings(msgspec.Struct, frozen=True, kw_only=True):
    """What the witnesses said in one cycle; None where one could not be read (unknown, never empty)."""

    balances: Balances | None
    positions: tuple[DataPosition, ...] | None
    orders: tuple[OpenOrder, ...]
    orders_read_at_ms: int
    fates: tuple[OrderFate, ...]
    logs: Logs | None = None


def tokens_to_read(metas: Iterable[MarketMeta]) -> tuple[TokenRef, ...]:
    """Every token of the known conditions, with the contract that owns it (R-18)."""
    refs = {
        token.token_id: TokenRef(contract=token.contract, token_id=token.token_id) for m in metas for token in m.tokens
    }
    return tuple(refs[token_id] for token_id in sorted(refs))
