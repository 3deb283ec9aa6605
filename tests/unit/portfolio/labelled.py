"""What labelling says of a transaction that was written by ``Tx``."""

from __future__ import annotations

from collections import Counter

from portfolio.chain import ChainChange
from portfolio.labelling import label
from portfolio.labelling_book import TokenBook
from tests.unit.portfolio.transaction_logs import BOOK, WALLET, told
from tests.unit.portfolio.transactions import Tx


def is_told(tx: Tx, wallet: str = WALLET, known: TokenBook = BOOK) -> bool:
    """Whether the wallet is told exactly what was written."""
    changes = label(tx.done(), wallet, known)
    return Counter(told(change) for change in changes) == Counter(tx.expected.get(wallet, []))


def only(tx: Tx, known: TokenBook = BOOK) -> ChainChange:
    """The one change of the transaction."""
    (change,) = label(tx.done(), WALLET, known)
    return change
