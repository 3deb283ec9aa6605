"""What all readers share: asking and checking, keeping time, the certificate, and ending in one of two results.

No I/O and no clock: :class:`Trace` takes the times from the replies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias, TypeVar

import msgspec

from messages.reads import Answer, ReadCompleted, ReadFailed
from polymarket.payloads import MalformedPayload, RejectedRow
from polymarket.requests import HttpFailure, HttpReply, HttpRequest, HttpResponse, ReadError, Steps, T
from portfolio.facts import Certificate, Fact, FailureKind, Source, Verdict

D = TypeVar("D")
ReadResult: TypeAlias = ReadCompleted | ReadFailed

_encode = msgspec.msgpack.Encoder().encode
_OK = 200
_NOT_FOUND = 404
_TRY_LATER = frozenset({425, 429, 503})


class ReadContext(msgspec.Struct, frozen=True, kw_only=True):
    """Who asked, and when. ``nonce`` differs from read to read: it gets past caches that are keyed by URL."""

    correlation: str
    started_at_ms: int
    nonce: str


class Trace:
    """The times of one read, and how it asks. ``started_at_ms`` is the start of its first request (R-27)."""

    def __init__(self, context: ReadContext) -> None:
        self.context = context
        self.started_at_ms: int | None = None
        self.completed_at_ms = context.started_at_ms

    def ask(self, request: HttpRequest) -> Steps[HttpResponse]:
        """One request and its answer with status 200; anything else ends the read."""
        (response,) = yield from self.ask_all((request,))
        return response

    def ask_all(self, requests: Sequence[HttpRequest]) -> Steps[tuple[HttpResponse, ...]]:
        """Several requests at once, all of which must be answered with status 200."""
        replies = yield from self.try_all(requests)
        return tuple(expect_ok(request, reply) for request, reply in zip(requests, replies, strict=True))

    def try_all(self, requests: Sequence[HttpRequest]) -> Steps[tuple[HttpReply, ...]]:
        """Several requests at once, whatever becomes of them; the caller decides."""
        if not requests:
            return ()
        replies = yield tuple(requests)
        first = min(reply.started_at_ms for reply in replies)
        self.started_at_ms = first if self.started_at_ms is None else self.started_at_ms
        self.completed_at_ms = max(self.completed_at_ms, *(reply.completed_at_ms for reply in replies))
        return replies

    @property
    def began_at_ms(self) -> int:
        """Start of the first request, or of the read when it needed none."""
        return self.context.started_at_ms if self.started_at_ms is None else self.started_at_ms


def expect_ok(request: HttpRequest, reply: HttpReply) -> HttpResponse:
    """The response if it is one of status 200; else the fitting :class:`ReadError`."""
    if isinstance(reply, HttpFailure):
        raise ReadError(reply.kind, reply.detail)
    if reply.status != _OK:
        kind = kind_of_status(reply)
        raise ReadError(kind, f"{request.label}: the status was {reply.status}, expected 200{_advice(kind)}")
    return reply


def kind_of_status(response: HttpResponse) -> FailureKind:
    """What a status other than 200 means for the reader."""
    if response.status in _TRY_LATER:
        return FailureKind.THROTTLED
    if response.status == 401 or (response.status == 403 and response.content_type != "text/html"):
        return FailureKind.UNAUTHORIZED
    return FailureKind.UNREACHABLE if response.status >= 500 else FailureKind.REFUSED


def is_unknown(reply: HttpReply) -> bool:
    """Whether the source itself says that there is no such thing: a 404 in JSON or empty, not a proxy's error page."""
    if not isinstance(reply, HttpResponse) or reply.status != _NOT_FOUND:
        return False
    return reply.content_type == "application/json" or not reply.body


def expect_json(request: HttpRequest, response: HttpResponse, decode: Callable[[bytes], D]) -> D:
    """Decode a JSON body; a wrong content type or shape ends the read as MALFORMED."""
    kind = response.content_type
    if response.body and kind != "application/json" and not kind.endswith("+json"):
        shown = kind[:40] or "missing"
        raise ReadError(
            FailureKind.MALFORMED, f"{request.label}: the content type was {shown}, expected application/json"
        )
    try:
        return decode(response.body)
    except MalformedPayload as error:
        raise ReadError(FailureKind.MALFORMED, f"{request.label}: {error}") from None


def alongside(main: Steps[T], extra: HttpRequest) -> Steps[tuple[T, HttpReply]]:
    """Run a part of a reader and send ``extra`` together with its first requests, at the cost of no round trip."""
    requests = next(main)
    *replies, reply = yield (*requests, extra)
    while True:
        try:
            requests = main.send(tuple(replies))
        except StopIteration as stop:
            return stop.value, reply
        replies = list((yield requests))


def breath() -> Steps[None]:
    """Let others in, in the midst of much work."""
    yield ()


def rows_digest(rows: Iterable[Fact]) -> str:
    """sha256 over the canonical encodings of the rows, sorted: equal content, equal digest, whatever the order."""
    encoded = sorted([_encode(row) for row in rows])
    return hashlib.sha256(_encode(encoded)).hexdigest()


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader found, before it is certified. ``doubts`` are reasons why it is not the whole truth."""

    rows: tuple[Fact, ...]
    answer: Answer
    parameters: tuple[tuple[str, str], ...] = ()
    pages: int = 1
    rejected: tuple[RejectedRow, ...] = ()
    doubts: tuple[str, ...] = ()
    block_number: int | None = None
    block_hash: str | None = None
    block_time_ms: int | None = None


def conclude(source: Source, context: ReadContext, body: Callable[[Trace], Steps[Findings]]) -> Steps[ReadResult]:
    """Run the body of a reader and turn what comes of it into its result: certified rows or a failure by value."""
    trace = Trace(context)
    try:
        found = yield from body(trace)
    except ReadError as error:
        return ReadFailed(
            correlation=context.correlation,
            source=source,
            kind=error.kind,
            detail=error.detail,
            started_at_ms=trace.began_at_ms,
            completed_at_ms=trace.completed_at_ms,
        )
    return ReadCompleted(
        correlation=context.correlation, certificate=_certificate(source, trace, found), answer=found.answer
    )


def _certificate(source: Source, trace: Trace, found: Findings) -> Certificate:
    doubts = list(found.doubts)
    if found.rejected:
        first = found.rejected[0]
        doubts.append(f"{len(found.rejected)} rows were rejected, the first one ({first.row_id}): {first.reason}")
    return Certificate(
        source=source,
        parameters=found.parameters,
        pages=found.pages,
        rows=len(found.rows),
        rejected_rows=len(found.rejected),
        digest=rows_digest(found.rows),
        block_number=found.block_number,
        block_hash=found.block_hash,
        block_time_ms=found.block_time_ms,
        started_at_ms=trace.began_at_ms,
        completed_at_ms=trace.completed_at_ms,
        verdict=Verdict.PARTIAL if doubts else Verdict.COMPLETE,
        reason="; ".join(doubts),
    )


def _advice(kind: FailureKind) -> str:
    if kind is FailureKind.UNAUTHORIZED:
        return "; check the wallet's API credentials, its signer address and this machine's clock"
    return ""
