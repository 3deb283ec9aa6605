"""Many JSON-RPC calls in one HTTP request, as far as the endpoint takes them so. Sans-I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from polymarket.chain_memory import EndpointMemory
from polymarket.log_ranges import Refused, why_refused
from polymarket.payloads import MalformedPayload
from polymarket.reading import Trace, expect_json, expect_ok, kind_of_status
from polymarket.requests import HttpReply, HttpRequest, HttpResponse, ReadError, Steps
from polymarket.rpc import Block, RpcError, RpcRefusal, block_of, result_or_refusal, rpc_request
from portfolio.facts import FailureKind

Outcome: TypeAlias = bytes | RpcRefusal
"""The raw JSON of a call's result, or why there is none."""

_HEADER = "eth_getBlockByNumber"
_OK = 200
_NOT_TAKEN = frozenset({400, 405, 413, 500, 501})
"""What endpoints answer to an array that they do not take, when they do not say so in JSON."""

_FINAL = frozenset({FailureKind.THROTTLED, FailureKind.UNAUTHORIZED})


class RpcCall(msgspec.Struct, frozen=True):
    """A method and its parameters; all methods used here only read (S-21)."""

    method: str
    params: tuple[object, ...] = ()


class _Numbered(msgspec.Struct):
    id: int | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: RpcError | None = None


class _Whole(msgspec.Struct):
    error: RpcError


class Endpoint:
    """One RPC endpoint that is asked in stages.

    In one request the calls are run one after the other, in their order; where they need several requests, no stage
    begins before the last one ended. A balancer that spreads a request over nodes keeps no order, and nothing can.
    """

    def __init__(self, trace: Trace, url: str, memory: EndpointMemory) -> None:
        self._trace = trace
        self._url = url
        self.memory = memory

    def ask(self, *stages: Sequence[RpcCall]) -> Steps[list[Outcome]]:
        """The outcomes of all calls, in their order. What is wrong with the endpoint as such ends the read."""
        calls = [call for stage in stages for call in stage]
        while True:
            rounds = [calls] if len(calls) <= self.memory.calls else list(stages)
            found = yield from self._rounds(rounds)
            if found is not None:
                return found

    def _rounds(self, rounds: Sequence[Sequence[RpcCall]]) -> Steps[list[Outcome] | None]:
        """None: the endpoint did not take so many calls together, and from now on it will get fewer."""
        outcomes: list[Outcome] = []
        for one in rounds:
            most = self.memory.calls
            parts = [one[start : start + most] for start in range(0, len(one), most)]
            requests = [self._request(part) for part in parts]
            replies = yield from self._trace.try_all(requests)
            for request, reply, part in zip(requests, replies, parts, strict=True):
                found = [_single(request, reply)] if len(part) == 1 else _results(request, reply, part)
                if isinstance(found, RpcRefusal):
                    self._shrink(found, len(part))
                    return None
                outcomes += found
        return outcomes

    def _request(self, part: Sequence[RpcCall]) -> HttpRequest:
        if len(part) == 1:
            return rpc_request(self._url, part[0].method, *part[0].params)
        calls = [
            {"jsonrpc": "2.0", "id": number, "method": call.method, "params": call.params}
            for number, call in enumerate(part)
        ]
        label = f"{part[0].method} and {len(part) - 1} more"
        return HttpRequest(label=label, method="POST", url=self._url, body=msgspec.json.encode(calls))

    def _shrink(self, refusal: RpcRefusal, asked: int) -> None:
        """Fewer calls at once where they were too many, and no arrays at all where it is for another reason."""
        why = why_refused(refusal.code, refusal.message)
        if why is Refused.THROTTLED:
            raise ReadError(FailureKind.THROTTLED, refusal.detail)
        self.memory.calls = max(1, asked // 2) if why is Refused.TOO_LARGE else 1


def _single(request: HttpRequest, reply: HttpReply) -> Outcome:
    """The outcome of one call. Some endpoints put their errors under another status than 200."""
    if isinstance(reply, HttpResponse) and reply.status != _OK and kind_of_status(reply) not in _FINAL:
        return _spoken(request, reply.body) or result_or_refusal(request, reply)
    return result_or_refusal(request, reply)


def _results(request: HttpRequest, reply: HttpReply, calls: Sequence[RpcCall]) -> list[Outcome] | RpcRefusal:
    """The outcomes by their ids, or the refusal of the array as a whole."""
    if isinstance(reply, HttpResponse) and reply.status != _OK and kind_of_status(reply) not in _FINAL:
        refusal = _spoken(request, reply.body)
        if refusal is not None:
            return refusal
        if reply.status in _NOT_TAKEN:
            return RpcRefusal(code=reply.status, detail=f"{request.label}: the status was {reply.status}")
    answered = expect_json(request, expect_ok(request, reply), _decode)
    if isinstance(answered, RpcError):
        return answered.refusal(request.label)
    by_id = {one.id: one for one in answered}
    if len(answered) != len(calls) or by_id.keys() != set(range(len(calls))):
        detail = f"{len(answered)} answers came, expected one to each of {len(calls)} calls"
        raise ReadError(FailureKind.MALFORMED, f"{request.label}: {detail}")
    ordered = [(by_id[number], call.method) for number, call in enumerate(calls)]
    return [bytes(one.result) if one.error is None else one.error.refusal(method) for one, method in ordered]


def _spoken(request: HttpRequest, body: bytes) -> RpcRefusal | None:
    """The error that a body tells, if it tells one."""
    try:
        error = msgspec.json.decode(body, type=_Whole).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return error.refusal(request.label)


def _decode(body: bytes) -> list[_Numbered] | RpcError:
    """An array of answers, or one error in place of them all."""
    try:
        if body.lstrip()[:1] == b"[":
            return msgspec.json.decode(body, type=list[_Numbered])
        return msgspec.json.decode(body, type=_Whole).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise MalformedPayload("the body was neither an array of JSON-RPC responses nor an error") from None


def refused(refusal: RpcRefusal) -> ReadError:
    """A refused call as the end of the read, with what can be done about it."""
    why = why_refused(refusal.code, refusal.message)
    if why is Refused.PRUNED:
        advice = "; it no longer has this part of the chain, put an archive endpoint into polygon.rpc_url"
        return ReadError(FailureKind.REFUSED, refusal.detail + advice)
    if why is Refused.UNSUPPORTED:
        advice = "; it does not offer this method, put another endpoint into polygon.rpc_url"
        return ReadError(FailureKind.REFUSED, refusal.detail + advice)
    return ReadError(FailureKind.THROTTLED, refusal.detail) if why is Refused.THROTTLED else refusal.as_error()


def result_of(outcome: Outcome) -> bytes:
    """The raw JSON of a result.

    Raises:
        ReadError: the call was refused.
    """
    if isinstance(outcome, RpcRefusal):
        raise refused(outcome)
    return outcome


def header(block: int | str) -> RpcCall:
    """The call for the header of a block, by number or tag."""
    return RpcCall(_HEADER, (hex(block) if isinstance(block, int) else block, False))


def header_of(outcome: Outcome, number: int | None = None) -> Block | None:
    """The block of that call; None where the node does not have it.

    Raises:
        ReadError: the node refused to tell, or told of a block of another number.
    """
    block = block_of(_HEADER, result_of(outcome))
    if block is not None and number is not None and block.number != number:
        detail = f"block {block.number} came, expected block {number}"
        raise ReadError(FailureKind.MALFORMED, f"{_HEADER}: {detail}")
    return block
