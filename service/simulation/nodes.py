"""A second RPC endpoint before the same chain, and two faults of either: it says nothing, or it says other hashes.

An endpoint that contradicts speaks for a branch of its own, on which the same happened some blocks later: each of its
blocks has another hash, by which it knows it, and the balances of some blocks before. Meanwhile, and until what was
read so is compared, the other one answers, whatever else is played: the service believes whom alone it hears (X-14).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import msgspec

from polymarket.requests import HttpRequest
from polymarket.sandbox.faults import FaultSpec
from polymarket.sandbox.options import ServerOptions, WorldOptions
from polymarket.sandbox.server_faults import Fault
from service.simulation.timeline import Timeline
from service.simulation.venue import Answer, Answered, Venue

SECOND_RPC = "rpc-2"
_PLACES = {"rpc": 1, SECOND_RPC: 2}
_BEHIND_BLOCKS = 40
COMPARED_MS = 30_000
"""The longest from a reading of balances until the endpoints are compared."""

_MS_PER_S = 1000
_BLOCK_HASH = re.compile(rb'"(hash|parentHash|blockHash)":\s*"0x([0-9a-f]{63})([0-9a-f])"')


class Nodes(Venue):
    """The venue, with one or two endpoints of the chain."""

    def __init__(self, world: WorldOptions, server: ServerOptions, timeline: Timeline, endpoints: int) -> None:
        """``endpoints`` is how many there are."""
        super().__init__(world, server, timeline)
        self.endpoints = endpoints
        self._now_ms = timeline.clock.now_ms
        self._silent_until_ms = {1: 0, 2: 0}
        self._contradicting_until_ms = {1: 0, 2: 0}

    def silence(self, place: int, seconds: int) -> None:
        """For so long one endpoint does not answer."""
        until_ms = self._now_ms() + seconds * _MS_PER_S
        self._silent_until_ms[place] = max(self._silent_until_ms[place], until_ms)
        self._note("down", place, seconds)

    def contradict(self, place: int, seconds: int) -> None:
        """For so long one endpoint has other blocks than the chain."""
        until_ms = self._now_ms() + seconds * _MS_PER_S
        self._contradicting_until_ms[place] = max(self._contradicting_until_ms[place], until_ms)
        self._note("stale", place, seconds)

    def _note(self, kind: Literal["down", "stale"], place: int, seconds: int) -> None:
        """Among what is played: the chain is in trouble, though not silent as long as the other endpoint answers."""
        begun = self._now_ms() / _MS_PER_S
        spec = FaultSpec(target="rpc", kind=kind, path=f"endpoint {place}", seconds=float(seconds))
        self.played.append(Fault(fault_id=0, spec=spec, begun_at=begun, ends_at=begun + seconds))

    def agree(self) -> None:
        """Both endpoints answer, and tell the same."""
        self._silent_until_ms = {1: 0, 2: 0}
        self._contradicting_until_ms = {1: 0, 2: 0}
        now = self._now_ms() / _MS_PER_S
        for fault in self.played:
            if fault.spec.path and (fault.ends_at or 0) > now:
                fault.ends_at = now

    def answer(self, request: HttpRequest, headers: Mapping[str, str], answered: Answered) -> None:
        """Answer a request, as the endpoint would that it is for."""
        root, _, name = request.url.rpartition("/")
        place = _PLACES.get(name)
        if place is None:
            super().answer(request, headers, answered)
            return
        asked = msgspec.structs.replace(request, url=f"{root}/rpc")
        if self._contradicts(place):
            branch = _Branch(self, place)
            asked = msgspec.structs.replace(asked, body=branch.question(request.body))
            super().answer(asked, headers, lambda told: answered(branch.answer(told)))
        elif self._contradicts(3 - place, within_ms=COMPARED_MS):
            with self._without_faults():
                super().answer(asked, headers, answered)
        elif self._now_ms() < self._silent_until_ms[place]:
            answered(None)
        else:
            super().answer(asked, headers, answered)

    def _contradicts(self, place: int, within_ms: int = 0) -> bool:
        """Whether that one does, or did so not longer ago."""
        return self._now_ms() < self._contradicting_until_ms[place] + within_ms

    @contextmanager
    def _without_faults(self) -> Iterator[None]:
        board = self.sandbox.board
        played, board.faults = board.faults, []
        try:
            yield
        finally:
            board.faults = played


class _Branch:
    """One question to an endpoint on another branch."""

    def __init__(self, nodes: Nodes, place: int) -> None:
        self._chain = nodes.world.chain
        self._place = place
        self._earlier: dict[bytes, bytes] = {}

    def question(self, body: bytes) -> bytes:
        """What the chain is to be asked: about its own blocks, and about balances of earlier ones."""
        document = msgspec.json.decode(_other(body, self._place))
        for call in document if isinstance(document, list) else [document]:
            block = call["params"][1] if call["method"] == "eth_call" else None
            if isinstance(block, dict):
                block["blockHash"] = self._before(block["blockHash"])
        return msgspec.json.encode(document)

    def _before(self, block_hash: str) -> str:
        block = self._chain.block_by_hash(block_hash)
        earlier = None if block is None else self._chain.block(block.number - _BEHIND_BLOCKS)
        if block is None or earlier is None:
            return block_hash
        self._earlier[_word(earlier.number)] = _word(block.number)
        return earlier.hash

    def answer(self, told: Answer | None) -> Answer | None:
        """The chain's answer, with the branch's hashes and the numbers of the blocks that were asked about."""
        if told is None:
            return None
        body = _other(told.body, self._place)
        for earlier, asked in self._earlier.items():
            body = body.replace(earlier, asked)
        return msgspec.structs.replace(told, body=body)


def _word(number: int) -> bytes:
    """As a call returns it."""
    return b"%064x" % number


def _other(body: bytes, place: int) -> bytes:
    """With every block's hash as on the endpoint's branch; doing it twice undoes it."""
    return _BLOCK_HASH.sub(lambda one: b'"%b":"0x%b%x"' % (one[1], one[2], int(one[3], 16) ^ place), body)
