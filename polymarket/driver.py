"""The gevent driver: sends the requests of readers, at most so many at once, each within a total deadline (S-15).

The only file with sockets for request and answer. A call's deadline covers everything: connecting, waiting, a body
that trickles, and its repetitions. What goes wrong comes back as a value.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import gevent
import gevent.pool
import requests
import requests.adapters
import tenacity

from polymarket.requests import HttpFailure, HttpReply, HttpRequest, HttpResponse, Steps, T
from polymarket.settings import PolymarketSettings
from polymarket.signing import RequestSigner, SigningError
from portfolio.facts import FailureKind

Clock = Callable[[], int]
"""Milliseconds UTC."""

_REPEATABLE = frozenset({425, 429, 503})
_CHUNK = 64 * 1024
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 2.0
_MS = 0.001


class RetryBudget:
    """How many repetitions all calls of one read may still have together."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self) -> bool:
        """Take one, if there is one."""
        if self.left <= 0:
            return False
        self.left -= 1
        return True


class _Deadline:
    """The rest of a call's time."""

    def __init__(self, clock: Clock, timeout_ms: int) -> None:
        self._clock = clock
        self.started_at_ms = clock()
        self._ends_at_ms = self.started_at_ms + timeout_ms

    def left_s(self) -> float:
        return max(0, self._ends_at_ms - self._clock()) * _MS


class HttpDriver:
    """Runs readers. Needs gevent's monkey patching, as the whole process does."""

    def __init__(self, settings: PolymarketSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._signer = RequestSigner(settings)
        self._slots = gevent.pool.Pool(settings.max_in_flight)
        self._session = _session(settings.max_in_flight)

    def run(self, reader: Steps[T]) -> T:
        """Run a reader to its end in the calling greenlet and return what it returns."""
        budget = RetryBudget(self._settings.retries_per_read)
        try:
            wanted = next(reader)
            while True:
                wanted = reader.send(self._fetch(wanted, budget))
        except StopIteration as stop:
            result: T = stop.value
            return result

    def close(self) -> None:
        """Close the connections that are kept open. Readers still running fail as unreachable."""
        self._session.close()

    def _fetch(self, wanted: tuple[HttpRequest, ...], budget: RetryBudget) -> tuple[HttpReply, ...]:
        if not wanted:
            gevent.idle()
        calls = [self._slots.spawn(self._call, request, budget) for request in wanted]
        return tuple(call.get() for call in calls)

    def _call(self, request: HttpRequest, budget: RetryBudget) -> HttpReply:
        """One call with its repetitions; a greenlet of its own, so that no time-out can reach anybody else (D-15)."""
        deadline = _Deadline(self._clock, self._settings.timeout_ms)
        timeout = gevent.Timeout(self._settings.timeout_ms * _MS)
        try:
            with timeout:
                return self._repeat(request, budget, deadline)
        except gevent.Timeout:
            detail = f"{request.label}: no complete answer within {self._settings.timeout_ms} ms"
            return self._failure(FailureKind.TIMEOUT, detail, deadline)

    def _repeat(self, request: HttpRequest, budget: RetryBudget, deadline: _Deadline) -> HttpReply:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_result(repeatable),
            wait=_wait,
            stop=lambda state: _wait(state) >= deadline.left_s() or not budget.take(),
            sleep=gevent.sleep,
            retry_error_callback=_last_reply,
        )
        reply: HttpReply = retrying(self._attempt, request, deadline)
        return reply

    def _attempt(self, request: HttpRequest, deadline: _Deadline) -> HttpReply:
        started = self._clock()
        try:
            return self._exchange(request, started)
        except SigningError as error:
            return self._failure(FailureKind.UNAUTHORIZED, f"{request.label}: {error}", deadline)
        except requests.Timeout:
            detail = f"{request.label}: the socket was silent for {self._settings.timeout_ms} ms"
            return self._failure(FailureKind.TIMEOUT, detail, deadline)
        except (requests.exceptions.ContentDecodingError, requests.exceptions.InvalidHeader) as error:
            return self._failure(FailureKind.MALFORMED, f"{request.label}: {type(error).__name__}", deadline)
        except requests.RequestException as error:
            # only the error's class is shown: its text holds the URL, and that may hold an RPC key
            detail = f"{request.label}: no connection ({type(error).__name__}); is the URL right and the host up?"
            return self._failure(FailureKind.UNREACHABLE, detail, deadline)

    def _exchange(self, request: HttpRequest, started_at_ms: int) -> HttpReply:
        headers = dict(self._signer.headers(request, started_at_ms))
        if request.body:
            headers["Content-Type"] = "application/json"
        response = self._session.request(
            request.method,
            request.url,
            params=request.params or None,  # pairs keep their order and repetitions
            data=request.body or None,
            headers=headers,
            timeout=self._settings.timeout_ms * _MS,
            allow_redirects=False,  # a signed request goes where it was addressed, or nowhere
            stream=True,
        )
        with closing(response):
            body = _bounded_body(response, self._settings.max_body_bytes)
        if body is None:
            return HttpFailure(
                kind=FailureKind.MALFORMED,
                detail=f"{request.label}: the body was larger than {self._settings.max_body_bytes} bytes",
                started_at_ms=started_at_ms,
                completed_at_ms=self._clock(),
            )
        return HttpResponse(
            status=response.status_code,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=body,
            started_at_ms=started_at_ms,
            completed_at_ms=self._clock(),
        )

    def _failure(self, kind: FailureKind, detail: str, deadline: _Deadline) -> HttpFailure:
        return HttpFailure(
            kind=kind, detail=detail, started_at_ms=deadline.started_at_ms, completed_at_ms=self._clock()
        )


def _session(connections: int) -> requests.Session:
    """Kept-alive connections; no proxy, netrc or other surprise from the environment, no cookies kept."""
    session = requests.Session()
    session.trust_env = False
    session.headers.update({"User-Agent": "portfolio-sync", "Accept": "application/json"})
    adapter = requests.adapters.HTTPAdapter(pool_connections=16, pool_maxsize=connections, max_retries=0)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def _bounded_body(response: requests.Response, most: int) -> bytes | None:
    body = bytearray()
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > most:
            return None
    return bytes(body)


def repeatable(reply: HttpReply) -> bool:
    """Connection errors and "try later"; never a time-out, after which the state of things is unknown (D-15)."""
    if isinstance(reply, HttpFailure):
        return reply.kind is FailureKind.UNREACHABLE
    return reply.status in _REPEATABLE


def wait_s(reply: HttpReply, attempts: int) -> float:
    """Seconds until the next attempt after so many: what the server asks for, else doubling from 0.1 s."""
    asked = _retry_after_s(reply)
    doubling: float = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (attempts - 1))
    return doubling if asked is None else asked


def _wait(state: tenacity.RetryCallState) -> float:
    return wait_s(_last_reply(state), state.attempt_number)


def _retry_after_s(reply: HttpReply) -> float | None:
    if isinstance(reply, HttpFailure):
        return None
    text = reply.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


def _last_reply(state: tenacity.RetryCallState) -> HttpReply:
    if state.outcome is None:
        raise RuntimeError("a repetition was considered before the first attempt had ended")
    reply: HttpReply = state.outcome.result()
    return reply
