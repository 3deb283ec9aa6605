"""From single logs to transactions: whose they are, whether they belong together, and which want a closer look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from polymarket.payloads.log_events import PUSD
from polymarket.payloads.logs import PlacedLog
from polymarket.requests import ReadError
from portfolio.chain import ChainLog, ChainTransaction, CollateralTransfer, OrderFilled, TokenTransfer
from portfolio.facts import FailureKind, Side


class Replaced(ReadError):
    """Blocks were replaced while they were read: nothing of this read may be kept, and the next one will do."""

    def __init__(self, number: int) -> None:
        super().__init__(
            FailureKind.REFUSED, f"block {number} was replaced while its logs were read; they are read again"
        )


def names(log: ChainLog, wallets: frozenset[str]) -> bool:
    """Whether the log moves something of one of the wallets, or fills an order of one (R-19)."""
    match log:
        case TokenTransfer() | CollateralTransfer():
            return log.sender in wallets or log.receiver in wallets
        case OrderFilled():
            return log.maker in wallets
        case _:
            return False


def explained(logs: Iterable[ChainLog], wallets: frozenset[str]) -> bool:
    """Whether the fills of the wallets are all that moved their tokens and collateral: the net of both is the same.

    By the net, for a taker's unused collateral comes back by a transfer of its own.
    """
    open_: Counter[tuple[str, str]] = Counter()
    filled = False
    for log in logs:
        match log:
            case OrderFilled() if log.maker in wallets:
                filled = True
                bought = 1 if log.side is Side.BUY else -1
                open_[log.maker, log.token_id] -= bought * log.shares_micro
                open_[log.maker, PUSD] += bought * log.amount_micro + log.fee_micro
            case TokenTransfer():
                open_[log.sender, log.token_id] -= log.shares_micro
                open_[log.receiver, log.token_id] += log.shares_micro
            case CollateralTransfer():
                open_[log.sender, log.bucket] -= log.amount_micro
                open_[log.receiver, log.bucket] += log.amount_micro
            case _:
                pass
    return filled and not any(amount for (owner, _), amount in open_.items() if owner in wallets)


class LogBook:
    """The logs of a read by transaction and index: no log twice, no transaction or block in two places."""

    def __init__(self) -> None:
        self._hashes: dict[int, str] = {}
        self._logs: dict[str, dict[int, PlacedLog]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, transaction_hash: object) -> bool:
        return transaction_hash in self._logs

    def expect(self, number: int, block_hash: str) -> None:
        """A block of that number must be this one.

        Raises:
            Replaced: it was another one before.
        """
        if self._hashes.setdefault(number, block_hash) != block_hash:
            raise Replaced(number)

    def add(self, log: PlacedLog) -> None:
        """Take a log; a self transfer is matched by two filters, and comes twice.

        Raises:
            Replaced: its block is another one than before, or its transaction is in two blocks.
            ReadError: another log has its place.
        """
        self.expect(log.block_number, log.block_hash)
        logs = self._logs.setdefault(log.transaction_hash, {})
        for other in logs.values():
            if other.block_hash != log.block_hash:
                raise Replaced(log.block_number)
            break
        before = logs.setdefault(log.log_index, log)
        if before is log:
            self._count += 1
        elif before.events != log.events:
            detail = f"two different logs {log.log_index} came of transaction {log.transaction_hash}"
            raise ReadError(FailureKind.MALFORMED, detail)

    def logs(self, transaction_hash: str) -> list[PlacedLog]:
        """The logs of a transaction, by index; none of one that is not here."""
        logs = self._logs.get(transaction_hash, {})
        return [logs[index] for index in sorted(logs)]

    def transaction(self, transaction_hash: str, time_ms: int, *, complete: bool) -> ChainTransaction:
        """The transaction of these logs."""
        logs = self.logs(transaction_hash)
        return ChainTransaction(
            transaction_hash=transaction_hash,
            block_number=logs[0].block_number,
            block_hash=logs[0].block_hash,
            block_time_ms=time_ms,
            logs=tuple(event for log in logs for event in log.events),
            complete=complete,
        )
