"""Reader of agreement: whether all RPC endpoints have the same block at a number (X-14, R-31). Sans-I/O.

A block's hash commits to everything in it and before it: endpoints that tell the same one agree on all that was read
there. All are asked at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import msgspec

from messages.reads import AgreementAnswer, ReadAgreement
from polymarket.chain_memory import ChainMemory, EndpointMemory
from polymarket.reading import Findings, ReadContext, ReadResult, Trace, conclude
from polymarket.requests import HttpReply, HttpRequest, ReadError, Steps
from polymarket.rpc import block_request, chain_id_request, expect_chain, result_or_refusal
from polymarket.rpc_batch import header_of
from polymarket.settings import PolymarketSettings
from portfolio.facts import Fact, FailureKind, Source


def read_agreement(
    settings: PolymarketSettings, read: ReadAgreement, context: ReadContext, memory: ChainMemory
) -> Steps[ReadResult]:
    """Who has that block, who has another one in its place, and who did not tell.

    With one endpoint nothing is asked and agreement is waived (R-31). An endpoint that does not answer, refuses or does
    not have the block yet is silent; the read fails only where all are.
    """

    def body(trace: Trace) -> Steps[Findings]:
        asked = _asked(settings.rpc_urls, read.block_number, memory)
        poll = _Poll(read, settings.chain_id)
        if len(asked) > 1:
            replies = iter((yield from trace.try_all([request for one in asked for request in one.requests])))
            for one in asked:
                poll.hear(one, list(islice(replies, len(one.requests))))
            poll.expect_a_voice()
        return poll.findings(len(asked))

    return conclude(Source.CHAIN_AGREEMENT, context, body)


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint, by its place from 1; ``chain`` is None where its chain is known."""

    place: int
    memory: EndpointMemory
    header: HttpRequest
    chain: HttpRequest | None

    @property
    def requests(self) -> tuple[HttpRequest, ...]:
        return (self.header,) if self.chain is None else (self.header, self.chain)


class _Told(Fact, frozen=True, kw_only=True):
    """The block that an endpoint has at the number asked for."""

    endpoint: int
    block_hash: str


def _asked(urls: Sequence[str], number: int, memory: ChainMemory) -> list[_Asked]:
    """Each endpoint once, for one that is listed twice would agree with itself."""
    places: dict[str, int] = {}
    for place, url in enumerate(urls):
        places.setdefault(url, place)
    return [
        _Asked(
            place=place + 1,
            memory=memory.endpoint(place),
            header=block_request(url, hex(number)),
            chain=chain_id_request(url) if memory.endpoint(place).chain_id is None else None,
        )
        for url, place in places.items()
    ]


class _Poll:
    """What the endpoints say of one block."""

    def __init__(self, read: ReadAgreement, chain_id: int) -> None:
        self._read = read
        self._block_hash = read.block_hash.lower()
        self._chain_id = chain_id
        self._told: list[_Told] = []
        self._agreeing: list[int] = []
        self._differing: list[tuple[int, str]] = []
        self._silent: list[tuple[int, ReadError]] = []

    def hear(self, asked: _Asked, replies: Sequence[HttpReply]) -> None:
        """Count one endpoint. A difference is one, whatever else the endpoint left unanswered."""
        difference, silence = "", None
        try:
            difference = self._compare(asked, replies[0])
        except ReadError as error:
            silence = error
        try:
            self._check_chain(asked, replies)
        except ReadError as error:
            if error.kind is FailureKind.WRONG_CHAIN:
                difference = error.detail
            silence = silence or error
        if difference:
            self._differing.append((asked.place, difference))
        elif silence is not None:
            self._silent.append((asked.place, silence))
        else:
            self._agreeing.append(asked.place)
        if difference or (silence is not None and silence.kind is not FailureKind.REFUSED):
            asked.memory.forget()

    def _compare(self, asked: _Asked, reply: HttpReply) -> str:
        """How the endpoint's block differs from the one that was read; empty where it is the same."""
        number = self._read.block_number
        block = header_of(result_or_refusal(asked.header, reply), number)
        if block is None:
            raise ReadError(FailureKind.REFUSED, f"it does not have block {number}, or not yet")
        self._told.append(_Told(endpoint=asked.place, block_hash=block.hash))
        return "" if block.hash == self._block_hash else f"its block {number} was {block.hash}"

    def _check_chain(self, asked: _Asked, replies: Sequence[HttpReply]) -> None:
        """The chain's id, where it was asked for."""
        if asked.chain is not None:
            asked.memory.chain_id = expect_chain(asked.chain, replies[1], self._chain_id)

    def expect_a_voice(self) -> None:
        """Where nobody told anything nothing can be judged, and that ends the read."""
        if not self._agreeing and not self._differing:
            reasons = "; ".join(f"{place}: {error.detail}" for place, error in self._silent)
            detail = f"no endpoint told of block {self._read.block_number}: {reasons}"
            raise ReadError(self._silent[0][1].kind, detail)

    def findings(self, endpoints: int) -> Findings:
        """What was counted, of so many endpoints."""
        return Findings(
            rows=tuple(self._told),
            answer=AgreementAnswer(
                block_number=self._read.block_number,
                block_hash=self._block_hash,
                endpoints=endpoints,
                agreeing=tuple(self._agreeing),
                differing=tuple(self._differing),
                silent=tuple((place, error.detail) for place, error in self._silent),
            ),
            parameters=(
                ("wallet", self._read.wallet),
                ("block_number", str(self._read.block_number)),
                ("endpoints", str(endpoints)),
            ),
            pages=len(self._agreeing) + len(self._differing),
            block_number=self._read.block_number,
            block_hash=self._block_hash,
        )
