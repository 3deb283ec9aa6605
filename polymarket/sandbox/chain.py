"""The chain: blocks with honest hashes, and balances that can be read at any past block.

State changes only inside a transaction, and transactions only while a block is being built. What the contracts do with
the balances is in ``contracts``; who sends transactions is in ``world``. ``rollback`` takes the latest blocks away;
what comes instead is the business of ``reorganising``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from eth_utils.crypto import keccak
from rlp.codec import encode_raw  # type: ignore[import-untyped]  # no stubs exist; one call

from polymarket.sandbox import addresses
from polymarket.sandbox.logs import GAS_PAID, Log

NOBODY = "0x" + "0" * 40
COIN = 0
GAS = 21_000
_GAS_LIMIT = 60_000_000
_BASE_FEE = 30_000_000_000
_EMPTY_UNCLES = bytes.fromhex("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347")
_EXTRA = b"polymarket sandbox"
_STATE_ROOT_AT = 3
_NO_BLOOM, _FULL_BLOOM = b"\0" * 256, b"\xff" * 256

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
    """What became of a transaction that reached a block, its place in that, and the logs that it left there.

    ``first_log`` is the place of the first of them among the logs of the block.
    """

    transaction: Transaction
    block: int
    index: int
    succeeded: bool
    logs: tuple[Log, ...]
    first_log: int


class _Contents(NamedTuple):
    """What a header says of its block: the state after it, its transactions, the filter over its logs.

    ``forks`` is how often the chain was reorganised; it tells a block from the one whose place it took.
    """

    state_root: bytes
    transactions: tuple[str, ...]
    bloom: bytes
    forks: int


@dataclass(slots=True)
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

    def forget(self, above: int) -> None:
        """Drop every value of a later block."""
        kept = bisect_right(self.blocks, above)
        del self.blocks[kept:], self.values[kept:]


class Chain:
    """Blocks and balances. ``building`` is the number of the block that transactions go into now."""

    def __init__(self, first_number: int) -> None:
        self.first_number = first_number
        self.blocks: list[Block] = []
        self._by_hash: dict[str, Block] = {}
        self._dropped: dict[str, Block] = {}
        self._receipts: dict[str, Receipt] = {}
        self._receipts_of: list[tuple[Receipt, ...]] = []
        self._balances: dict[tuple[str, str], dict[int, _History]] = {}
        self._holders: dict[tuple[str, int], set[str]] = {}
        self._undo: list[tuple[Key, int]] = []
        self._changes: list[tuple[Key, int]] = []
        self._logs: list[Log] = []
        self._sealing: list[Receipt] = []
        self._forks = 0

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

    def dropped(self, block_hash: str) -> Block | None:
        """The block of that hash which a reorganisation took out of the chain, or None."""
        return self._dropped.get(block_hash.lower())

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

    def receipts_of(self, number: int) -> tuple[Receipt, ...]:
        """What became of the transactions of a sealed block, in their order; empty where there is no such block."""
        index = number - self.first_number
        return self._receipts_of[index] if 0 <= index < len(self._receipts_of) else ()

    @contextmanager
    def transaction(self, sent: Transaction) -> Iterator[None]:
        """Run the state changes of one transaction, with their logs: all of them, or after any error none."""
        self._undo, self._logs, unchanged = [], [], len(self._changes)
        try:
            yield
        except BaseException:
            del self._changes[unchanged:]
            self._logs = []
            for (contract, holder, token), value in reversed(self._undo):
                self._balances[contract, holder][token].put(self.building, value)
            raise
        self._include(sent, succeeded=True)

    def revert(self, sent: Transaction) -> None:
        """A transaction stands in the block and did nothing."""
        self._include(sent, succeeded=False)

    def emit(self, log: Log) -> None:
        """A contract says something in the transaction that runs."""
        self._logs.append(log)

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
        receipts, self._sealing = tuple(self._sealing), []
        transactions = tuple(receipt.transaction.hash for receipt in receipts)
        contents = _Contents(self._state_root(), transactions, bloom_of(receipts), self._forks)
        header = _header(parent, contents, self.building, timestamp_s)
        block = Block(
            number=self.building,
            hash="0x" + keccak(encode_raw(header)).hex(),
            parent_hash=parent,
            timestamp_s=timestamp_s,
            transactions=transactions,
            header=header,
        )
        self._receipts.update(zip(transactions, receipts, strict=True))
        self._receipts_of.append(receipts)
        self.blocks.append(block)
        self._by_hash[block.hash] = block
        return block

    def rollback(self, number: int) -> tuple[Block, ...]:
        """Take every block after that number out of the chain, with all that happened in them; returns these.

        What is built from here on has other hashes, even where it holds the same.
        """
        kept = number - self.first_number + 1
        gone = tuple(self.blocks[kept:])
        for block in gone:
            self._dropped[block.hash] = self._by_hash.pop(block.hash)
            for tx_hash in block.transactions:
                del self._receipts[tx_hash]
        del self.blocks[kept:], self._receipts_of[kept:]
        for tokens in self._balances.values():
            for history in tokens.values():
                history.forget(number)
        self._forks += 1
        return gone

    def _state_root(self) -> bytes:
        """The root after the block being built: a hash over the parent's and every change since."""
        before = self.blocks[-1].header[_STATE_ROOT_AT] if self.blocks else keccak(b"")
        changes, self._changes = self._changes, []
        return keccak(before + repr(changes).encode()) if changes else before

    def _include(self, sent: Transaction, *, succeeded: bool) -> None:
        """Every transaction of this chain, a reverted one too, ends with the log of the gas that it paid."""
        last = self._sealing[-1] if self._sealing else None
        logs, self._logs = (*self._logs, _gas_log(sent)), []
        receipt = Receipt(
            transaction=sent,
            block=self.building,
            index=len(self._sealing),
            succeeded=succeeded,
            logs=logs,
            first_log=0 if last is None else last.first_log + len(last.logs),
        )
        self._sealing.append(receipt)

    def _add(self, key: Key, amount: int) -> None:
        contract, holder, token = key
        number, history = self.building, self._history(key)
        before = history.at(number)
        if before + amount < 0:
            raise RevertedError(f"{holder} had {before} of token {token} on {contract}, needed {-amount}")
        self._undo.append((key, before))
        history.put(number, before + amount)
        self._changes.append((key, before + amount))

    def _history(self, key: Key) -> _History:
        contract, holder, token = key
        tokens = self._balances.get((contract, holder))
        if tokens is None:
            tokens = self._balances[contract, holder] = {}
        history = tokens.get(token)
        if history is None:
            history = tokens[token] = _History()
            self._holders.setdefault((contract, token), set()).add(holder)
        return history


def bloom_of(receipts: Iterable[Receipt]) -> bytes:
    """The filter over logs: full where there are any, which rules nothing out and so is true of them all."""
    return _FULL_BLOOM if any(receipt.logs for receipt in receipts) else _NO_BLOOM


def _gas_log(sent: Transaction) -> Log:
    """The log of the chain's own token about the gas; balances of gas are not kept, so it is all that there was."""
    paid = GAS * _BASE_FEE
    return Log(addresses.POL, GAS_PAID, addresses.POL, sent.sender, addresses.MINER, paid, paid, 0, 0, paid)


def _header(parent: str, contents: _Contents, number: int, timestamp_s: int) -> tuple[bytes, ...]:
    """The sixteen RLP fields of a header, in order."""
    transactions_root, receipts_root = _roots(contents.transactions)
    return (
        bytes.fromhex(parent[2:]),
        _EMPTY_UNCLES,
        bytes.fromhex(addresses.VAULT[2:]),
        contents.state_root,
        transactions_root,
        receipts_root,
        contents.bloom,
        _integer(1),
        _integer(number),
        _integer(_GAS_LIMIT),
        _integer(GAS * len(contents.transactions)),
        _integer(timestamp_s),
        _EXTRA,
        contents.forks.to_bytes(32, "big"),
        b"\0" * 8,
        _integer(_BASE_FEE),
    )


@lru_cache(maxsize=8)  # most blocks hold nothing
def _roots(transactions: tuple[str, ...]) -> tuple[bytes, bytes]:
    """What stands for the roots of transactions and receipts."""
    root = keccak("".join(transactions).encode())
    return root, keccak(root)


def _integer(value: int) -> bytes:
    """An integer as RLP wants it: big-endian without leading zeros."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
