"""A naive chain: a list of blocks, each with transactions of one wallet, which grows and is reorganised.

It knows what the wallet holds behind each block, and nothing else of the books: no cost, no fill, no entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property

from msgspec.structs import replace

from portfolio.chain import ChainLog, ChainTransaction, OrderFilled
from portfolio.facts import Side
from portfolio.labelling import label
from portfolio.labelling_book import TokenBook
from portfolio.tail import ChainFact, facts_of
from tests.unit.portfolio.markets import CONDITION, NO, SECOND, T0, YES
from tests.unit.portfolio.transaction_logs import ALICE, WALLET, Market, book
from tests.unit.portfolio.transactions import Order, Tx

CAPITAL = 1_000_000_000_000
"""Collateral before the first block."""


class Here(Market, frozen=True, kw_only=True):
    """The market of the tests, as the writer of transactions knows it."""

    @property
    def yes(self) -> str:
        return YES

    @property
    def no(self) -> str:
        return NO


HERE = Here(name=CONDITION)
KNOWN: TokenBook = book(HERE)
"""The addresses and tokens that labelling knows."""


@dataclass(eq=False)
class Move:
    """A transaction, whichever block it is in; ``write`` writes its logs from an index on.

    ``order_id`` is the wallet's order that it fills; ``trade_id`` its trade, empty where nobody of ours made it.
    """

    name: str
    legs: dict[str, int]
    cash: int
    write: Callable[[Tx], None]
    order_id: str = ""
    trade_id: str = ""

    def __repr__(self) -> str:
        return f"<{self.name}: {self.legs} by {self.trade_id or self.order_id or 'others'}>"

    @property
    def external(self) -> bool:
        return bool(self.order_id) and not self.trade_id


@dataclass(frozen=True)
class Block:
    """A block; ``moves`` in their order."""

    number: int
    block_hash: str
    moves: tuple[Move, ...]

    @property
    def time_ms(self) -> int:
        return T0 + 2 * SECOND * self.number

    @cached_property
    def transactions(self) -> tuple[ChainTransaction, ...]:
        """As the node shows them; where in the block a transaction stands decides the numbers of its logs."""
        return tuple(self._transaction(place, move) for place, move in enumerate(self.moves))

    def _transaction(self, place: int, move: Move) -> ChainTransaction:
        tx = Tx(first=100 + 60 * place)
        move.write(tx)
        done = replace(
            tx.done(),
            transaction_hash=move.name,
            block_number=self.number,
            block_hash=self.block_hash,
            block_time_ms=self.time_ms,
        )
        return replace(done, logs=tuple(_ours(log, move.order_id) for log in done.logs))

    @cached_property
    def facts(self) -> tuple[ChainFact, ...]:
        """What of it a market is handed."""
        return tuple(fact for one in self.transactions for fact in facts_of(label(one, WALLET, KNOWN), KNOWN, {}))


def _ours(log: ChainLog, order_id: str) -> ChainLog:
    return replace(log, order_id=order_id) if isinstance(log, OrderFilled) and log.maker == WALLET else log


@dataclass
class Chain:
    """The blocks that count now; those up to ``final`` stay. Block 0 is empty."""

    blocks: list[Block] = field(default_factory=lambda: [Block(0, "0xb0", ())])
    final: int = 0
    forks: int = 0

    @property
    def head(self) -> int:
        return len(self.blocks) - 1

    def moves(self, until: int | None = None) -> list[Move]:
        """All transactions up to a block, in order."""
        blocks = self.blocks if until is None else self.blocks[: until + 1]
        return [move for block in blocks for move in block.moves]

    def held(self, until: int | None = None) -> dict[str, int]:
        """Shares of each token behind a block."""
        moves = self.moves(until)
        return {token: sum(move.legs.get(token, 0) for move in moves) for token in (YES, NO)}

    def cash(self, until: int | None = None) -> int:
        return CAPITAL + sum(move.cash for move in self.moves(until))

    def mine(self, moves: Iterable[Move]) -> list[Move]:
        """A block of those that the balances allow; returns what they do not allow."""
        held, taken, left = self.held(), [], []
        for move in moves:
            if all(held[token] + shares >= 0 for token, shares in move.legs.items()):
                held = {token: shares + move.legs.get(token, 0) for token, shares in held.items()}
                taken.append(move)
            else:
                left.append(move)
        number = len(self.blocks)
        self.blocks.append(Block(number, f"0xb{number}-{self.forks}", tuple(taken)))
        return left

    def drop(self, depth: int) -> list[Move]:
        """The last blocks are dropped; returns their transactions."""
        keep = max(self.final, self.head - depth) + 1
        gone = [move for block in self.blocks[keep:] for move in block.moves]
        del self.blocks[keep:]
        self.forks += 1
        return gone


def traded(name: str, order: tuple[str, str, Side, int], size: int, fee: int, trade_id: str = "") -> Move:
    """Alice takes the wallet's order: its id, token, side and price; the exchange keeps a fee of both."""
    order_id, token, side, price = order
    amount = size * price // 1_000_000
    sign = 1 if side is Side.BUY else -1

    def write(tx: Tx) -> None:
        other = Side.SELL if side is Side.BUY else Side.BUY
        maker = Order(user=WALLET, side=side, token=token, shares=size, cash=amount, fee=fee)
        tx.match(HERE, Order(user=ALICE, side=other, token=token), maker)

    return Move(name, {token: sign * size}, -sign * amount - fee, write, order_id=order_id, trade_id=trade_id)


def changed(name: str, kind: str, size: int) -> Move:
    """A merge, split, transfer or redemption."""
    writes: dict[str, tuple[dict[str, int], int, Callable[[Tx], None]]] = {
        "merge": ({YES: -size, NO: -size}, size, lambda tx: tx.merge(WALLET, HERE, size)),
        "split": ({YES: size, NO: size}, -size, lambda tx: tx.split(WALLET, HERE, size)),
        "out": ({YES: -size}, 0, lambda tx: tx.send_tokens(WALLET, ALICE, HERE, YES, size)),
        "in": ({NO: size}, 0, lambda tx: tx.send_tokens(ALICE, WALLET, HERE, NO, size)),
        "paid": ({YES: -size}, size, lambda tx: tx.redeem(WALLET, HERE, (size, 0), size)),
        "worthless": ({NO: -size}, 0, lambda tx: tx.redeem(WALLET, HERE, (0, size), 0)),
    }
    legs, cash, write = writes[kind]
    return Move(name, legs, cash, write)
