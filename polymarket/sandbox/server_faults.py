"""Faults that the sandbox plays on request, and the gate in front of its APIs that plays those of the transport.

A fault counts every request that it really changed (``hits``), so that a test can show that the client met it. What
changes lists is applied in ``server_pages``, what shows the past in the APIs; here are the rest: no answer, late
answers, error statuses, broken bodies.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gevent
import msgspec

from polymarket.sandbox.faults import FaultSpec
from polymarket.sandbox.server_request import Answer, Application, Request, faults

TARGETS = ("clob", "data", "gamma", "rpc", "ws")

_HTML = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><h1>Bad gateway</h1></body></html>"
_STATUSES = {
    "http_425": (425, b'{"error":"service not ready"}'),
    "http_429": (429, b'{"error":"rate limit exceeded"}'),
    "http_503": (503, b'{"error":"trading is paused","retry_after_seconds":1}'),
}
_NUMBERS = {
    "original_size",
    "size",
    "matched_amount",
    "current_size",
    "total_size",
    "rate",
    "orderPriceMinTickSize",
    "result",
    "mid",
    "balance",
}


@dataclass(kw_only=True)
class Fault:
    """A fault being played, since ``begun_at``. ``frozen`` is the past that a ``stale`` one shows."""

    fault_id: int
    spec: FaultSpec
    ends_at: float | None
    begun_at: float = 0.0
    hits: int = 0
    frozen: dict[str, Any] = field(default_factory=dict)

    def hit(self) -> None:
        """A request was changed by it."""
        self.hits += 1

    def late(self, now: float) -> bool:
        """Whether it has played as long as it was asked to."""
        return self.ends_at is not None and now >= self.ends_at

    def over(self, now: float) -> bool:
        """Whether it has played as long, or as often, as it was asked to."""
        return self.late(now) or (self.spec.count is not None and self.hits >= self.spec.count)


class FaultBoard:
    """All faults: active ones, and ended ones for their hits. ``clock`` is in seconds and only rises."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.faults: list[Fault] = []
        self._playing: list[Fault] = []
        self._clock = clock
        self._count = 0

    def add(self, spec: FaultSpec, frozen: dict[str, Any] | None = None) -> Fault:
        """Begin to play a fault."""
        self._count += 1
        now = self._clock()
        ends_at = None if spec.seconds is None else now + spec.seconds
        fault = Fault(fault_id=self._count, spec=spec, ends_at=ends_at, begun_at=now, frozen=frozen or {})
        self.faults.append(fault)
        self._playing.append(fault)
        return fault

    def end(self, fault: Fault) -> None:
        """A fault has done all that it was to do."""
        fault.ends_at = self._clock()

    def clear(self) -> None:
        """End and forget all faults."""
        for fault in self.faults:
            if not self.is_over(fault):
                self.end(fault)
        self.faults.clear()
        self._playing.clear()

    def playing(self) -> list[Fault]:
        """All that have not ended, the oldest first; one that has, has for good."""
        self._playing = [fault for fault in self._playing if not self.is_over(fault)]
        return self._playing

    def active(self, target: str, path: str) -> list[Fault]:
        """Faults that a request to that path meets, the oldest first."""
        return [
            fault
            for fault in self.playing()
            if fault.spec.target in {target, "all"} and path.lstrip("/").startswith(fault.spec.path.lstrip("/"))
        ]

    def met(self, kind: str, target: str, path: str) -> Fault | None:
        """The oldest active fault of that kind there."""
        return next((fault for fault in self.active(target, path) if fault.spec.kind == kind), None)

    def is_gone(self, fault: Fault) -> bool:
        """Whether a fault was cleared or its time is up; one that has only played often enough still stands."""
        return fault not in self.faults or fault.late(self._clock())

    def is_over(self, fault: Fault) -> bool:
        """Whether a fault has ended by now."""
        return fault.over(self._clock())


def met(kind: str) -> Fault | None:
    """The fault of that kind that the present request meets; the caller hits it if it changes the answer."""
    return next((fault for fault in faults() if fault.spec.kind == kind), None)


class FaultGate:
    """Before an application: plays transport faults, lets it play the others, adds the general latency.

    ``sleep`` waits so many seconds, in the time that the caller counts in.
    """

    def __init__(
        self,
        application: Application,
        board: FaultBoard,
        latency_ms: int,
        sleep: Callable[[float], None] = gevent.sleep,
    ) -> None:
        self._application = application
        self._board = board
        self._sleep = sleep
        self.latency_ms = latency_ms

    def __call__(self, request: Request) -> Answer:
        """Answer a request. BrokenPipeError: break off its connection."""
        target, _, path = request.path.lstrip("/").partition("/")
        if target not in TARGETS:
            return self._application(request)
        if self.latency_ms:
            self._sleep(self.latency_ms / 1000)
        if not self._board.playing():
            return self._application(request)
        request.faults = self._board.active(target, _rpc_method(request.body) if target == "rpc" else path)
        for fault in request.faults:
            answer = self._transport(fault)
            if answer is not None:
                return answer
        answer = self._application(request)
        for fault in request.faults:
            breaker = _BREAKERS.get(fault.spec.kind)
            if breaker is not None:
                content_type, body = breaker(fault, answer.headers["content-type"], answer.body)
                headers = {**answer.headers, "content-type": content_type}
                answer = Answer(status=answer.status, headers=headers, body=body)
        return answer

    def _transport(self, fault: Fault) -> Answer | None:
        kind = fault.spec.kind
        if kind == "down":
            fault.hit()
            raise BrokenPipeError(errno.EPIPE, "the sandbox plays dead")
        if kind == "slow":
            fault.hit()
            self._sleep(fault.spec.latency_ms / 1000)
        if kind in _STATUSES:
            fault.hit()
            status, body = _STATUSES[kind]
            return _answer(status, "application/json", body)
        if kind == "html_error":
            fault.hit()
            return _answer(fault.spec.status, "text/html; charset=UTF-8", _HTML)
        return None


def _malformed(fault: Fault, content_type: str, body: bytes) -> tuple[str, bytes]:
    fault.hit()
    return content_type, body[: max(1, len(body) // 2)] + b"\x00"


def _other_type(fault: Fault, _content_type: str, body: bytes) -> tuple[str, bytes]:
    fault.hit()
    return "text/html; charset=UTF-8", body


def _bad_number(fault: Fault, content_type: str, body: bytes) -> tuple[str, bytes]:
    """Put the fault's value in place of the first number that the client would use, if another left the JSON whole."""
    try:
        document = json.loads(body)
    except ValueError:
        return content_type, body
    spoiled = spoil_number(document, fault.spec.value)
    if spoiled is None:
        return content_type, body
    fault.hit()
    return content_type, spoiled


def spoil_number(document: Any, value: str) -> bytes | None:
    """The document as JSON with ``value`` in place of the first number that a client would use; None without any."""
    if not _replace_number(document):
        return None
    return json.dumps(document).encode().replace(b'"@number@"', value.encode(), 1)


def _replace_number(node: Any) -> bool:
    if isinstance(node, dict):
        for name, value in node.items():
            if name in _NUMBERS and isinstance(value, str | int | float):
                node[name] = "@number@"
                return True
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return any(_replace_number(child) for child in children)


_BREAKERS = {"malformed_json": _malformed, "wrong_content_type": _other_type, "bad_number": _bad_number}


def _answer(status: int, content_type: str, body: bytes) -> Answer:
    return Answer(status=status, headers={"content-type": content_type}, body=body)


def _rpc_method(body: bytes) -> str:
    """The method of a JSON-RPC request, of a batch the first one."""
    try:
        call = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return ""
    first = call[0] if isinstance(call, list) and call else call
    return str(first.get("method", "")) if isinstance(first, dict) else ""
