"""The chain: blocks with honest hashes, and balances that can be read at any past block.

State changes only inside a transaction, and transactions only while a block is being built. What the contracts do with
the balances is in ``contracts``; who sends transactions is in ``world``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import rlp  # type: ignore[import-untyped]  # no stubs exist; one call
from eth_utils.crypto import keccak

from polymarket.sandbox import addresses

NOBODY = "0x" + "0" * 40
COIN = 0
GAS = 21_000
_GAS_LIMIT = 60_000_000
_BASE_FEE = 30_000_000_000
_EMPTY_UNCLES = bytes.fromhex("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347")
_EXTRA = b"polymarket sandbox"

Key = tuple[str, str, int]
"""Contract, holder (both lower case) and token id; the token id of an ERC-20 is 0."""


class RevertedError(Exception):
    """A transaction broke a contract's rule; nothing of it happened."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """A sealed block. ``header`` are the RLP fields whose hash is ``hash``."""

    number: int
    hash: str
    parent_hash: str
    timestamp_s: int
    transactions: tuple[str, ...]
    header: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True)
class Transaction:
    """What is sent to the chain: its hash, from whom, and to which contract."""

    hash: str
    sender: str
    target: str


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What became of a transaction that reached a block, and its place in that."""

    transaction: Transaction
    block: int
    index: int
    succeeded: bool


@dataclass
class _History:
    """A balance from block to block: the value after each block that changed it."""

    blocks: list[int] = field(default_factory=list)
    values: list[int] = field(default_factory=list)

    def at(self, block: int) -> int:
        index = bisect_right(self.blocks, block)
        return self.values[index - 1] if index else 0

    def put(self, block: int, value: int) -> None:
        if self.blocks and self.blocks[-1] == block:
            self.values[-1] = value
        else:
            self.blocks.append(block)
            self.values.append(value)


class Chain:
    """Blocks and balances. ``building`` is the number of the block that transactions go into now."""

    def __init__(self, first_number: int) -> None:
        self.first_number = first_number
        self.blocks: list[Block] = []
        self._by_hash: dict[str, Block] = {}
        self._receipts: dict[str, Receipt] = {}
        self._balances: dict[tuple[str, str], dict[int, _History]] = {}
        self._holders: dict[tuple[str, int], set[str]] = {}
        self._undo: list[tuple[Key, int]] = []
        self._state_root = keccak(b"")
        self._sealing: list[Receipt] = []

    @property
    def building(self) -> int:
        """Number of the block that is being built."""
        return self.first_number + len(self.blocks)

    @property
    def head(self) -> Block:
        """The latest sealed block."""
        return self.blocks[-1]

    def block(self, number: int) -> Block | None:
        """The block of that number, or None where there is none (yet)."""
        index = number - self.first_number
        return self.blocks[index] if 0 <= index < len(self.blocks) else None

    def block_by_hash(self, block_hash: str) -> Block | None:
        """The block of that hash, or None."""
        return self._by_hash.get(block_hash.lower())

    def balance(self, contract: str, holder: str, token: int = COIN, at: int | None = None) -> int:
        """What ``holder`` has after block ``at``; without it, in the block being built."""
        history = self._balances.get((contract.lower(), holder.lower()), {}).get(token)
        return 0 if history is None else history.at(self.building if at is None else at)

    def holders(self, contract: str, token: int, at: int | None = None) -> dict[str, int]:
        """Everybody with some of a token after block ``at``; for checks of conservation."""
        known = sorted(self._holders.get((contract.lower(), token), ()))
        found = {holder: self.balance(contract, holder, token, at) for holder in known}
        return {holder: amount for holder, amount in found.items() if amount}

    def receipt(self, tx_hash: str) -> Receipt | None:
        """What became of a transaction; None where it is unknown or in no sealed block."""
        return self._receipts.get(tx_hash.lower())

    @contextmanager
    def transaction(self, sent: Transaction) -> Iterator[None]:
        """Run the state changes of one transaction: all of them, or after any error none."""
        self._undo, root = [], self._state_root
        try:
            yield
        except BaseException:
            self._state_root = root
            for (contract, holder, token), value in reversed(self._undo):
                self._balances[contract, holder][token].put(self.building, value)
            raise
        self._include(sent, succeeded=True)

    def revert(self, sent: Transaction) -> None:
        """A transaction stands in the block and did nothing."""
        self._include(sent, succeeded=False)

    def move(self, key: tuple[str, int], sender: str, recipient: str, amount: int) -> None:
        """Move ``amount`` of (contract, token) between holders; reverts where the sender has less."""
        contract, token = key
        self._add((contract.lower(), sender.lower(), token), -amount)
        self._add((contract.lower(), recipient.lower(), token), amount)

    def mint(self, key: tuple[str, int], recipient: str, amount: int) -> None:
        """Create ``amount`` of (contract, token)."""
        self._add((key[0].lower(), recipient.lower(), key[1]), amount)

    def burn(self, key: tuple[str, int], holder: str, amount: int) -> None:
        """Destroy ``amount`` of (contract, token); reverts where the holder has less."""
        self._add((key[0].lower(), holder.lower(), key[1]), -amount)

    def seal(self, timestamp_s: int) -> Block:
        """End the block being built and make it the head."""
        parent = self.blocks[-1].hash if self.blocks else "0x" + "00" * 32
        transactions = tuple(receipt.transaction.hash for receipt in self._sealing)
        self._receipts.update(zip(transactions, self._sealing, strict=True))
        self._sealing = []
        header = _header(parent, (self._state_root, transactions), self.building, timestamp_s)
        block = Block(
            number=self.building,
            hash="0x" + keccak(rlp.encode(list(header))).hex(),
            parent_hash=parent,
            timestamp_s=timestamp_s,
            transactions=transactions,
            header=header,
        )
        self.blocks.append(block)
        self._by_hash[block.hash] = block
        return block

    def _include(self, sent: Transaction, *, succeeded: bool) -> None:
        index = len(self._sealing)
        self._sealing.append(Receipt(transaction=sent, block=self.building, index=index, succeeded=succeeded))

    def _add(self, key: Key, amount: int) -> None:
        contract, holder, token = key
        history = self._balances.setdefault((contract, holder), {}).setdefault(token, _History())
        self._holders.setdefault((contract, token), set()).add(holder)
        before = history.at(self.building)
        if before + amount < 0:
            raise RevertedError(f"{holder} had {before} of token {token} on {contract}, needed {-amount}")
        self._undo.append((key, before))
        history.put(self.building, before + amount)
        self._state_root = keccak(self._state_root + repr((key, before + amount)).encode())


def _header(parent: str, roots: tuple[bytes, tuple[str, ...]], number: int, timestamp_s: int) -> tuple[bytes, ...]:
    """The sixteen RLP fields of a header, in order."""
    state_root, transactions = roots
    transactions_root = keccak("".join(transactions).encode())
    return (
        bytes.fromhex(parent[2:]),
        _EMPTY_UNCLES,
        bytes.fromhex(addresses.VAULT[2:]),
        state_root,
        transactions_root,
        keccak(transactions_root),
        b"\0" * 256,
        _integer(1),
        _integer(number),
        _integer(_GAS_LIMIT),
        _integer(GAS * len(transactions)),
        _integer(timestamp_s),
        _EXTRA,
        b"\0" * 32,
        b"\0" * 8,
        _integer(_BASE_FEE),
    )


def _integer(value: int) -> bytes:
    """An integer as RLP wants it: big-endian without leading zeros."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
