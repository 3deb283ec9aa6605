"""What a read takes in range by range, and the transactions that come of it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from polymarket.log_follow_ups import FollowUps
from polymarket.log_transactions import LogBook, explained, names
from polymarket.payloads import MalformedPayload, RejectedRow
from polymarket.payloads.log_events import LogContracts
from polymarket.payloads.logs import LogParser, PlacedLog, decode_logs
from polymarket.reading import breath
from polymarket.requests import ReadError, Steps
from polymarket.rpc import Block
from polymarket.rpc_batch import Outcome, result_of
from portfolio.chain import ChainTransaction
from portfolio.facts import FailureKind

PART = 1_000
"""Logs that are looked at before others are let in: some 10 ms of work."""


class Span(msgspec.Struct, frozen=True):
    """A range that was read: its last block, its transactions, and how many wishes there were by then."""

    last: Block
    transactions: tuple[str, ...]
    wished: int


class Intake:
    """The logs so far, what is still to be asked about them, and what was refused."""

    def __init__(self, contracts: LogContracts, wallets: frozenset[str]) -> None:
        self._wallets = wallets
        self._parser = LogParser(contracts)
        self._rejected: list[RejectedRow] = []
        self.book = LogBook()
        self.follow_ups = FollowUps(self._parser, self.book)
        self.spans: list[Span] = []

    @property
    def settled(self) -> list[Span]:
        """The ranges about which nothing is left to be asked."""
        return [span for span in self.spans if span.wished <= self.follow_ups.granted]

    @property
    def rejected(self) -> tuple[RejectedRow, ...]:
        """Logs that count and could not be believed; one that two filters found counts once."""
        return tuple(dict.fromkeys((*self._rejected, *self.follow_ups.rejected)))

    def take(self, first: int, last: Block, outcomes: Sequence[Outcome]) -> Steps[int]:
        """Take in the answers of all filters over a range; returns the number of logs in them."""
        self.book.expect(last.number, last.hash)
        rows = [row for outcome in outcomes for row in _rows(outcome)]
        transactions: dict[str, None] = {}
        for number, row in enumerate(rows, start=1):
            if number % PART == 0:
                yield from breath()
            parsed = self._parser.parse(row)
            if isinstance(parsed, RejectedRow):
                self._rejected.append(parsed)
            elif parsed is not None:
                self._check(parsed, first, last.number)
                self.book.add(parsed)
                transactions[parsed.transaction_hash] = None
        for number, name in enumerate(transactions, start=1):
            if number % PART == 0:
                yield from breath()
            events = (event for log in self.book.logs(name) for event in log.events)
            self.follow_ups.wish(name, whole=not explained(events, self._wallets))
        self.spans.append(Span(last, tuple(transactions), self.follow_ups.wished))
        return len(rows)

    def _check(self, log: PlacedLog, first: int, last: int) -> None:
        """A node that does not heed the filter would give other users' logs for the wallet's."""
        if not first <= log.block_number <= last:
            detail = f"a log of block {log.block_number} came, outside of the range {first} to {last}"
        elif not any(names(event, self._wallets) for event in log.events):
            detail = f"log {log.log_index} of block {log.block_number} names none of the wallets that were asked for"
        else:
            return
        raise ReadError(FailureKind.MALFORMED, f"eth_getLogs: {detail}")

    def transactions(self) -> Steps[tuple[ChainTransaction, ...]]:
        """The transactions of the settled ranges, by block and log."""
        found: list[ChainTransaction] = []
        for span in self.settled:
            first_logs = {name: self.book.logs(name)[0] for name in span.transactions}
            for name in sorted(
                first_logs, key=lambda each: (first_logs[each].block_number, first_logs[each].log_index)
            ):
                complete = name in self.follow_ups.complete
                book = self.follow_ups.complete if complete else self.book
                time_ms = self.follow_ups.times_ms[first_logs[name].block_number]
                found.append(book.transaction(name, time_ms, complete=complete))
                if len(found) % PART == 0:
                    yield from breath()
        return tuple(found)


def _rows(outcome: Outcome) -> list[msgspec.Raw]:
    try:
        return decode_logs(result_of(outcome))
    except MalformedPayload as error:
        raise ReadError(FailureKind.MALFORMED, f"eth_getLogs: {error}") from None
