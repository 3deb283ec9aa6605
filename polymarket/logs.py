"""Reader of the chain's logs: what moved tokens and collateral of wallets, block by block (X-01, R-19). Sans-I/O.

One request covers a range of blocks: the logs that name a wallet, by three filters, between two looks at the header of
the last block. Logs of transactions that fills do not explain, and times where a node gives none with the logs, are
asked together with the next range, so that they cost no request of their own but at the end.
"""

from __future__ import annotations

from itertools import islice

import msgspec

from messages.reads import LogsAnswer, ReadLogs
from polymarket.chain_memory import ChainMemory
from polymarket.log_filters import contracts_of, filters_of, logs_call
from polymarket.log_intake import Intake
from polymarket.log_ranges import LAG_BLOCKS, LOG_RANGE_BLOCKS, Refused, why_refused
from polymarket.log_transactions import Replaced
from polymarket.reading import Findings, ReadContext, ReadResult, Trace, conclude
from polymarket.requests import ReadError, Steps
from polymarket.rpc import Block, RpcRefusal, chain_id_of
from polymarket.rpc_batch import Endpoint, Outcome, RpcCall, header, header_of, refused, result_of
from polymarket.settings import PolymarketSettings
from portfolio.facts import FailureKind, Source

RANGES_MAX = 16
"""Ranges of one read: enough for some days, and its answer stays of a size that can be handed on."""

LOGS_MAX = 20_000
"""After so many logs a read goes no further."""

_SILENT = frozenset({FailureKind.TIMEOUT, FailureKind.UNREACHABLE, FailureKind.MALFORMED})
"""Failures that a range may have caused that was too large: no answer, a proxy's error, a body without end."""


def read_logs(
    settings: PolymarketSettings, read: ReadLogs, context: ReadContext, memory: ChainMemory
) -> Steps[ReadResult]:
    """Transactions that moved something of the wallets, from ``from_block`` as far as one read goes.

    A transaction whose wallets' own movements are the net of their fills has only these logs; any other has all logs
    that count. An endpoint that fails is followed by the next one of the settings, which begins anew: no answer is made
    of two. What was covered before a failure is kept, unless blocks were replaced meanwhile.
    """
    urls = settings.rpc_urls

    def body(trace: Trace) -> Steps[Findings]:
        left = len(urls)
        while True:
            left -= 1
            place = memory.answering % len(urls)
            reading = _Reading(Endpoint(trace, urls[place], memory.endpoint(place)), settings, read)
            try:
                yield from reading.run()
            except ReadError as error:
                if isinstance(error, Replaced) or error.kind is FailureKind.WRONG_CHAIN:
                    raise
                memory.endpoint(place).forget()
                memory.answering = place + 1
                if not reading.intake.settled:
                    if left:
                        continue
                    raise
            return (yield from reading.findings(place))

    return conclude(Source.CHAIN_LOGS, context, body)


class _Heads(msgspec.Struct, frozen=True):
    """How far the node is, and how firm that is (X-14)."""

    head: int
    safe: int | None
    finalized: int | None


class _Reading:
    """One attempt with one endpoint."""

    def __init__(self, endpoint: Endpoint, settings: PolymarketSettings, read: ReadLogs) -> None:
        contracts = contracts_of(settings)
        wallets = frozenset(wallet.lower() for wallet in read.wallets)
        self._endpoint = endpoint
        self._chain_id = settings.chain_id
        self._read = read
        self._filters = filters_of(contracts, sorted(wallets))
        self._heads: _Heads | None = None
        self._until = read.to_block
        self._stopped = False
        self._replaced: tuple[tuple[int, str], ...] = ()
        self.intake = Intake(contracts, wallets)

    def run(self) -> Steps[None]:
        """Read range after range, then what is left to be asked about them."""
        for number, block_hash in self._read.known:
            self.intake.book.expect(number, block_hash.lower())
        if self._next() is None:
            yield from self._look()
        while (blocks := self._next()) is not None:
            yield from self._cover(*blocks)
        wishes = self.intake.follow_ups.take()
        if wishes:
            outcomes = yield from self._endpoint.ask([wish.call for wish in wishes])
            self.intake.follow_ups.grant(wishes, iter(outcomes))

    def _next(self) -> tuple[int, int] | None:
        """The next range; as far as anything is known of the head, its end is there."""
        memory, spans = self._endpoint.memory, self.intake.spans
        if self._stopped or len(spans) >= RANGES_MAX or len(self.intake.book) >= LOGS_MAX:
            return None
        first = spans[-1].last.number + 1 if spans else self._read.from_block
        last = first + min(memory.size.blocks, self._read.range_blocks or LOG_RANGE_BLOCKS) - 1
        if self._heads is None and self._until is None:
            return (first, last) if last <= memory.head else None
        last = last if self._until is None else min(last, self._until)
        last = last if self._heads is None else min(last, self._heads.head)
        return (first, last) if first <= last else None

    def _look(self) -> Steps[None]:
        """Ask how far the node is, and whether it is still on the chain that was read."""
        tags, anchor = self._tags(), self._anchor()
        outcomes = yield from self._endpoint.ask(tags, anchor)
        self._hear(outcomes[: len(tags)])
        yield from self._hold(outcomes[len(tags) :])

    def _cover(self, first: int, last: int) -> Steps[None]:
        """One range. Its last block must be the same before and after its logs, and what went before still there."""
        memory, follow_ups = self._endpoint.memory, self.intake.follow_ups
        tags, anchor = [] if self._heads else self._tags(), self._anchor()
        filters = [logs_call(each, first, last) for each in self._filters]
        wishes = follow_ups.take(memory.calls - len(tags) - len(filters) - len(anchor) - 2)
        after = [header(last), *anchor, *(wish.call for wish in wishes)]
        try:
            outcomes = iter((yield from self._endpoint.ask([*tags, header(last)], filters, after)))
        except ReadError as error:
            if error.kind in _SILENT:
                memory.size = memory.size.doubted(last - first + 1)
            raise
        self._hear(list(islice(outcomes, len(tags))))
        before, *logs, behind = islice(outcomes, 2 + len(filters))
        anchored = list(islice(outcomes, len(anchor)))
        follow_ups.grant(wishes, outcomes)
        if not (yield from self._hold(anchored)) or self._refused(logs, first, last):
            return
        block = self._same(before, behind, last)
        if block is not None:
            counted = yield from self.intake.take(first, block, logs)
            memory.size = memory.size.answered(last - first + 1, counted)

    def _tags(self) -> list[RpcCall]:
        chain = [RpcCall("eth_chainId")] if self._endpoint.memory.chain_id is None else []
        return [header("latest"), header("safe"), header("finalized"), *chain]

    def _hear(self, outcomes: list[Outcome]) -> None:
        """Heads, and the chain's id where it was asked for."""
        if not outcomes:
            return
        latest, safe, finalized, *chain = outcomes
        for outcome in chain:
            self._endpoint.memory.chain_id = chain_id_of("eth_chainId", result_of(outcome), self._chain_id)
        head = header_of(latest)
        if head is None:
            raise ReadError(FailureKind.REFUSED, "the RPC had no latest block; is it still starting?")
        self._heads = _Heads(head.number, _firm(safe, head), _firm(finalized, head))
        self._endpoint.memory.head = head.number

    def _anchor(self) -> list[RpcCall]:
        """The header that ties a range to what was read before it: all known blocks are it or its ancestors."""
        if self.intake.spans:
            return [header(self.intake.spans[-1].last.number)]
        return [header(number) for number, _ in self._must_stand()]

    def _must_stand(self) -> tuple[tuple[int, str], ...]:
        """The newest known block, which all others of them are behind, and those that each stand for themselves."""
        newest = (max(self._read.known),) if self._read.known else ()
        return (*newest, *self._read.standing)

    def _hold(self, outcomes: list[Outcome]) -> Steps[bool]:
        """Whether that block still stands; where another one is in its place, which of the known ones are gone."""
        if not outcomes:
            return True
        spans = self.intake.spans
        if spans:
            if header_of(outcomes[0]) != spans[-1].last:
                raise Replaced(spans[-1].last.number)
            return True
        found = [
            (header_of(outcome, each), was) for outcome, (each, was) in zip(outcomes, self._must_stand(), strict=True)
        ]
        if all(now is not None and now.hash == was.lower() for now, was in found):
            return True
        self._stopped = True
        if any(now is not None and now.hash != was.lower() for now, was in found):
            looked = (*self._read.known, *self._read.standing)
            headers = yield from self._endpoint.ask([header(each) for each, _ in looked])
            self._replaced = tuple(
                (each, was)
                for (each, was), outcome in zip(looked, headers, strict=True)
                if (now := header_of(outcome, each)) is None or now.hash != was.lower()
            )
        return False

    def _refused(self, outcomes: list[Outcome], first: int, last: int) -> bool:
        """Whether a filter was refused: too large a range is halved, blocks that are not there yet are waited for."""
        memory = self._endpoint.memory
        refusal = next((outcome for outcome in outcomes if isinstance(outcome, RpcRefusal)), None)
        if refusal is None:
            return False
        why = why_refused(refusal.code, refusal.message)
        if why is Refused.TOO_LARGE and last > first:
            memory.size = memory.size.refused(last - first + 1)
        elif why is Refused.BEHIND:
            self._wait(last)
        else:
            raise refused(refusal)
        return True

    def _same(self, before: Outcome, after: Outcome, number: int) -> Block | None:
        """The block of that number, the same before and after; None where the node has none."""
        block, again = header_of(before, number), header_of(after, number)
        if block is None or again is None:
            self._wait(number)
            return None
        if block != again:
            raise Replaced(number)
        return block

    def _wait(self, last: int) -> None:
        """The node does not have that block: not yet, or not any more. What is there of the range may still be read."""
        head = self._heads.head if self._heads else last
        if head - last > LAG_BLOCKS:
            detail = f"the RPC does not have block {last}, {head - last} below its head"
            raise ReadError(FailureKind.REFUSED, f"{detail}; put an archive endpoint into polygon.rpc_url")
        self._stopped = last <= head
        self._until = head

    def findings(self, place: int) -> Steps[Findings]:
        """What was settled of it; the endpoint is told by its place in the list, never by its URL."""
        read, spans = self._read, self.intake.settled
        heads = self._heads or _Heads(0, None, None)
        last = spans[-1].last if spans else None
        transactions = yield from self.intake.transactions()
        covered = read.from_block - 1 if last is None else last.number
        return Findings(
            rows=transactions,
            answer=LogsAnswer(
                transactions=transactions,
                from_block=read.from_block,
                to_block=covered,
                to_hash="" if last is None else last.hash,
                head=heads.head,
                safe=heads.safe,
                finalized=heads.finalized,
                replaced=self._replaced,
                range_blocks=self._endpoint.memory.size.blocks,
            ),
            parameters=(
                ("wallet", read.wallet),
                ("addresses", ",".join(sorted(address.lower() for address in read.wallets))),
                ("from_block", str(read.from_block)),
                ("to_block", str(covered)),
                ("endpoint", str(place + 1)),
            ),
            pages=len(spans),
            rejected=self.intake.rejected,
            block_number=None if last is None else last.number,
            block_hash=None if last is None else last.hash,
            block_time_ms=None if last is None else last.time_ms,
        )


def _firm(outcome: Outcome, head: Block) -> int | None:
    """The number of a tagged block, no higher than the head; None where the endpoint has no such tag."""
    block = None if isinstance(outcome, RpcRefusal) else header_of(outcome)
    return None if block is None else min(block.number, head.number)
