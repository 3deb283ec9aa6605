"""What is asked about transactions after their wallets' logs are read: all logs of some, and times of blocks."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TypeAlias

import msgspec

from polymarket.log_transactions import LogBook, Replaced
from polymarket.payloads import MalformedPayload, RejectedRow
from polymarket.payloads.logs import LogParser, PlacedLog, ReceiptLogs, decode_receipt_logs
from polymarket.requests import ReadError
from polymarket.rpc_batch import Outcome, RpcCall, header, header_of, result_of
from portfolio.facts import FailureKind


class _Receipt(msgspec.Struct, frozen=True):
    log: PlacedLog

    @property
    def call(self) -> RpcCall:
        return RpcCall("eth_getTransactionReceipt", (self.log.transaction_hash,))


class _Time(msgspec.Struct, frozen=True):
    log: PlacedLog

    @property
    def call(self) -> RpcCall:
        return header(self.log.block_number)


Wish: TypeAlias = _Receipt | _Time


class FollowUps:
    """The wishes in their order, and what came of them. ``wished`` and ``granted`` count them from the beginning."""

    def __init__(self, parser: LogParser, book: LogBook) -> None:
        self._parser = parser
        self._book = book
        self._waiting: deque[Wish] = deque()
        self._timed: set[int] = set()
        self.complete = LogBook()
        self.times_ms: dict[int, int] = {}
        self.rejected: list[RejectedRow] = []
        self.wished = 0
        self.granted = 0

    def wish(self, transaction_hash: str, *, whole: bool) -> None:
        """Ask for what the transaction's logs do not tell: all other logs where ``whole``, and its time if it lacks."""
        log = self._book.logs(transaction_hash)[0]
        if whole:
            self._add(_Receipt(log))
        if log.block_time_ms is not None:
            self.times_ms[log.block_number] = log.block_time_ms
        elif log.block_number not in self._timed:
            self._timed.add(log.block_number)
            self._add(_Time(log))

    def _add(self, wish: Wish) -> None:
        self._waiting.append(wish)
        self.wished += 1

    def take(self, most: int | None = None) -> list[Wish]:
        """The next wishes, at most so many; None: all."""
        count = len(self._waiting) if most is None else min(max(0, most), len(self._waiting))
        return [self._waiting.popleft() for _ in range(count)]

    def grant(self, wishes: Sequence[Wish], outcomes: Iterable[Outcome]) -> None:
        """Take in what was answered to wishes that were taken."""
        for wish, outcome in zip(wishes, islice(outcomes, len(wishes)), strict=True):
            if isinstance(wish, _Receipt):
                self._receipt(wish.log, outcome)
            else:
                self._time(wish.log, outcome)
            self.granted += 1

    def _time(self, log: PlacedLog, outcome: Outcome) -> None:
        block = header_of(outcome, log.block_number)
        if block is None or block.hash != log.block_hash:
            raise Replaced(log.block_number)
        self.times_ms[block.number] = block.time_ms

    def _receipt(self, log: PlacedLog, outcome: Outcome) -> None:
        """All logs of the transaction; those already known must be among them."""
        name = log.transaction_hash
        receipt = _decode(outcome)
        if receipt is None or receipt.block_hash != log.block_hash:
            raise Replaced(log.block_number)
        for raw in receipt.logs:
            parsed = self._parser.parse(raw)
            if isinstance(parsed, RejectedRow):
                self.rejected.append(parsed)
            elif parsed is not None and parsed.transaction_hash == name:
                self.complete.add(parsed)
        found = {each.log_index: each.events for each in self.complete.logs(name)}
        if any(found.get(each.log_index) != each.events for each in self._book.logs(name)):
            detail = f"the receipt of {name} lacks logs that the filters found"
            raise ReadError(FailureKind.MALFORMED, f"eth_getTransactionReceipt: {detail}")


def _decode(outcome: Outcome) -> ReceiptLogs | None:
    try:
        return decode_receipt_logs(result_of(outcome))
    except MalformedPayload as error:
        raise ReadError(FailureKind.MALFORMED, f"eth_getTransactionReceipt: {error}") from None
