"""Whoever watches a world's wallet by its logs alone: the real reader over the socket, the real labels."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

from messages.reads import LogsAnswer, ReadCompleted, ReadFailed, ReadLogs
from polymarket.chain_memory import ChainMemory
from polymarket.driver import HttpDriver
from polymarket.logs import read_logs
from polymarket.reading import ReadContext, ReadResult
from polymarket.requests import Steps
from portfolio.chain import ChainChange, ChainTransaction, ChangeKind
from portfolio.facts import Verdict
from portfolio.labelling import label
from portfolio.labelling_book import TokenBook
from tests.evm.stage import Balances
from tests.evm.stage.log import EVENTS
from tests.evm.worlds.base import World
from tests.evm.worlds.rows import Row, rows_of

CONTEXT = ReadContext(correlation="c", started_at_ms=0, nonce="n")
PROOFS = {
    ChangeKind.FILL: {"OrderFilled"},
    ChangeKind.POSITION_SPLIT: {"PositionSplit", "NegRisk.PositionSplit"},
    ChangeKind.POSITION_MERGED: {"PositionsMerge", "NegRisk.PositionsMerge"},
    ChangeKind.REDEEMED: {"PayoutRedemption", "NegRisk.PayoutRedemption"},
    ChangeKind.CONVERTED: {"NegRisk.PositionsConverted"},
    ChangeKind.TRANSFER_IN: {"TransferSingle", "TransferBatch"},
    ChangeKind.TRANSFER_OUT: {"TransferSingle", "TransferBatch"},
    ChangeKind.DEPOSIT: {"Transfer"},
    ChangeKind.WITHDRAWAL: {"Transfer"},
    ChangeKind.WRAP: {"Transfer"},
}
"""The event that must stand where a change of that kind points."""

Read = Steps[ReadResult]
Id = tuple[str, int, str]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def read(world: World, memory: ChainMemory | None = None, **asked: Any) -> ReadResult:
    """One read by a reader that was just started; it remembers nothing where no ``memory`` is given."""
    wanted = ReadLogs(**({"wallet": "main", "wallets": (world.wallet,)} | asked))
    with closing(HttpDriver(world.settings, now_ms)) as driver:
        return driver.run(read_logs(world.settings, wanted, CONTEXT, memory or ChainMemory()))


def answer_of(result: ReadResult) -> LogsAnswer:
    """Of a read that must have been complete as far as it went."""
    assert isinstance(result, ReadCompleted), result
    assert isinstance(result.answer, LogsAnswer)
    assert result.certificate.verdict is Verdict.COMPLETE, result.certificate.reason
    return result.answer


class Watcher:
    """Reads on from where it stopped; what stood in blocks that were replaced is taken back and read again.

    ``tail`` are the blocks whose hashes it knows. Its sums begin with what the wallet had before its first block.
    """

    def __init__(self, world: World, first: int | None = None) -> None:
        self.world = world
        self.first = world.head + 1 if first is None else first
        self.tail: list[tuple[int, str]] = []
        self.transactions: list[ChainTransaction] = []
        self._memory = ChainMemory()
        if first is None:
            self.tail = [(self.first - 1, world.blocks(self.first - 1, self.first - 1)[0]["hash"])]

    @property
    def next(self) -> int:
        """The first block that it has not read."""
        return self.tail[-1][0] + 1 if self.tail else self.first

    def follow(self) -> tuple[int, ...]:
        """Read up to the head; returns the numbers of the known blocks that were replaced."""
        replaced: list[int] = []
        while True:
            answer = answer_of(read(self.world, self._memory, from_block=self.next, known=tuple(self.tail)))
            replaced += (number for number, _ in answer.replaced)
            self.take(answer)
            if not answer.replaced and answer.to_block in {answer.head, answer.from_block - 1}:
                return tuple(replaced)

    def take(self, answer: LogsAnswer) -> None:
        """Take in what was read, after what was known."""
        assert answer.from_block == self.next
        if answer.replaced:
            assert not answer.transactions, "what is to be undone comes first"
            lowest = min(answer.replaced)[0]
            self.tail = [known for known in self.tail if known[0] < lowest]
            self.transactions = [each for each in self.transactions if each.block_number < self.next]
        elif answer.to_block >= answer.from_block:
            self.transactions += answer.transactions
            hashes = {each.block_number: each.block_hash for each in answer.transactions}
            self.tail += sorted((hashes | {answer.to_block: answer.to_hash}).items())

    def read_while(self, step: int, happens: Callable[[], None]) -> tuple[bool, LogsAnswer | None]:
        """One read, and before its request of that number something happens; False where it needs fewer requests.

        The requests go out one after the other, as to a node that takes no arrays. A read that fails tells nothing.
        """
        memory = ChainMemory()
        memory.endpoint(0).calls = 1
        asked = ReadLogs(
            wallet="main", wallets=(self.world.wallet,), from_block=self.next, known=tuple(self.tail), range_blocks=2
        )
        reader = _Interrupted(read_logs(self.world.settings, asked, CONTEXT, memory), step, happens)
        with closing(HttpDriver(self.world.settings, now_ms)) as driver:
            result = driver.run(reader.run())
        return reader.happened, None if isinstance(result, ReadFailed) else answer_of(result)

    # What it knows

    def changes(self, first: int = 0, last: int | None = None) -> tuple[ChainChange, ...]:
        """The labelled changes, of these blocks or of all."""
        until = self.next if last is None else last
        return self._labelled(
            self.world.book, (each for each in self.transactions if first <= each.block_number <= until)
        )

    def rows(self, first: int = 0, last: int | None = None) -> tuple[Row, ...]:
        """The changes in words."""
        return rows_of(self.world, self.changes(first, last))

    def ids(self) -> set[Id]:
        """Transaction, log and what moved: the name of each part of a change."""
        return {
            (change.transaction_hash, change.log_index, name)
            for change in self.changes()
            for name, _ in (*change.legs, *change.cash)
        }

    def _labelled(self, book: TokenBook, transactions: Iterable[ChainTransaction]) -> tuple[ChainChange, ...]:
        return tuple(change for each in transactions for change in label(each, self.world.wallet, book))

    # What must be true

    def check(self) -> None:
        """After every block the changes until then add up to what the contracts say, whatever labelling knows."""
        said = self.world.balances(self.first - 1, self.next - 1)
        for book in (self.world.book, self.world.addresses):
            changes = self._labelled(book, self.transactions)
            for block, sums in _sums(said[self.first - 1], changes, sorted(said)):
                assert sums == said[block], f"block {block}, {'all' if book.tokens else 'no'} tokens known"

    def prove(self, changes: Sequence[ChainChange]) -> None:
        """The proof of each change is a log of that kind, in the receipt of that transaction, in that block."""
        receipts = self.world.ask(*(("eth_getTransactionReceipt", (each.transaction_hash,)) for each in changes))
        for change, receipt in zip(changes, receipts, strict=True):
            assert (int(receipt["blockNumber"], 16), receipt["blockHash"]) == (change.block_number, change.block_hash)
            (log,) = (each for each in receipt["logs"] if int(each["logIndex"], 16) == change.log_index)
            name = EVENTS[log["topics"][0]].split()[0]
            assert name in PROOFS[change.kind], change
            if change.kind is ChangeKind.FILL:
                assert log["topics"][1] == change.order_id
            assert all(part in change.evidence for part in (log["transactionHash"], f"log {change.log_index}"))


def _sums(start: Balances, changes: Sequence[ChainChange], blocks: Sequence[int]) -> Iterator[tuple[int, Balances]]:
    """After each of the blocks, without zeros."""
    tokens, cash = Counter(start.tokens), Counter(start.cash)
    by_block: dict[int, list[ChainChange]] = {}
    for change in changes:
        by_block.setdefault(change.block_number, []).append(change)
    assert by_block.keys() <= set(blocks)
    for block in blocks:
        for change in by_block.get(block, ()):
            for token, micro in change.legs:
                tokens[token] += micro
            for bucket, micro in change.cash:
                cash[bucket] += micro
        yield block, Balances(*({name: sum_ for name, sum_ in sums.items() if sum_} for sums in (tokens, cash)))


class _Interrupted:
    """A reader, and what happens before one of its requests."""

    def __init__(self, reader: Read, step: int, happens: Callable[[], None]) -> None:
        self._reader, self._step, self._happens = reader, step, happens
        self.happened = False

    def run(self) -> Read:
        wanted, step = next(self._reader), 0
        while True:
            if step == self._step:
                self._happens()
                self.happened = True
            try:
                wanted = self._reader.send((yield wanted))
            except StopIteration as stop:
                result: ReadResult = stop.value
                return result
            step += 1
