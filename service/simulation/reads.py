"""The port ``ExternalReads`` on virtual time: production readers, with requests that travel to the sandbox and back.

Deadlines and repetitions are those of ``polymarket.driver``; only sockets and waiting are replaced.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from random import Random

from messages.reads import Read
from polymarket.chain_memory import ChainMemory
from polymarket.driver import RetryBudget, repeatable, wait_s
from polymarket.reading import ReadContext, ReadResult
from polymarket.reads import reader_of
from polymarket.requests import HttpFailure, HttpReply, HttpRequest, HttpResponse, Steps
from polymarket.sandbox.server_request import Answer
from polymarket.settings import PolymarketSettings
from polymarket.signing import RequestSigner
from portfolio.facts import FailureKind
from service.simulation.timeline import Life
from service.simulation.venue import Venue

Reply = Callable[[ReadResult], None]

FASTEST_MS, SLOWEST_MS = 2, 90
"""One way over the network, without faults."""

_MS_PER_S = 1000


class Network:
    """The way to the venue and back, in one life of the process."""

    def __init__(self, settings: PolymarketSettings, venue: Venue, life: Life, random: Random) -> None:
        """``random`` draws how long each way takes."""
        self.settings = settings
        self.venue = venue
        self.life = life
        self.signer = RequestSigner(settings)
        self._random = random

    def travel(self, arrive: Callable[[], None]) -> None:
        """Call ``arrive`` when it is there."""
        self.life.later(self._random.randint(FASTEST_MS, SLOWEST_MS), arrive)


class VirtualReads:
    """Runs readers; an error in one of them is not told as a failed read, as in production, but raised."""

    def __init__(self, network: Network) -> None:
        """As in production, what is remembered of the chain is one process's."""
        self._network = network
        self._memory = ChainMemory()
        self._numbers = itertools.count()

    def request(self, read: Read, reply: Reply, correlation: str) -> None:
        """Start a read; ``reply`` is called once, later."""
        now_ms = self._network.life.wall.now_ms()
        nonce = f"{now_ms}{next(self._numbers):04d}"
        context = ReadContext(correlation=correlation, started_at_ms=now_ms, nonce=nonce)
        reader = reader_of(self._network.settings, self._memory, read, context)
        run = _Run(self._network, reader, reply)
        self._network.life.later(0, run.begin)


class _Run:
    """One read on its way."""

    def __init__(self, network: Network, reader: Steps[ReadResult], reply: Reply) -> None:
        self._network = network
        self._reader = reader
        self._reply = reply
        self._budget = RetryBudget(network.settings.retries_per_read)
        self._replies: list[HttpReply | None] = []

    def begin(self) -> None:
        """Ask for the first time."""
        self._ask(next(self._reader))

    def _ask(self, wanted: tuple[HttpRequest, ...]) -> None:
        self._replies = [None] * len(wanted)
        if not wanted:
            self._network.life.later(0, self._go_on)
        for place, request in enumerate(wanted):
            _Call(self._network, request, self._budget, partial(self._take, place)).begin()

    def _take(self, place: int, reply: HttpReply) -> None:
        self._replies[place] = reply
        if all(one is not None for one in self._replies):
            self._go_on()

    def _go_on(self) -> None:
        replies = tuple(reply for reply in self._replies if reply is not None)
        try:
            wanted = self._reader.send(replies)
        except StopIteration as stop:
            self._reply(stop.value)
        else:
            self._ask(wanted)


class _Call:
    """One request with its repetitions, within its deadline (D-15)."""

    def __init__(
        self, network: Network, request: HttpRequest, budget: RetryBudget, done: Callable[[HttpReply], None]
    ) -> None:
        self._network = network
        self._request = request
        self._budget = budget
        self._done: Callable[[HttpReply], None] | None = done
        self._attempts = 0
        self._first_ms = network.life.wall.now_ms()
        self._started_ms = self._first_ms

    def begin(self) -> None:
        """Send it, and look at the clock when its time is over."""
        self._network.life.later(self._network.settings.timeout_ms, self._overdue)
        self._send()

    def _send(self) -> None:
        self._attempts += 1
        self._started_ms = self._now_ms()
        headers = dict(self._network.signer.headers(self._request, self._started_ms))
        self._network.travel(lambda: self._network.venue.answer(self._request, headers, self._return))

    def _return(self, answer: Answer | None) -> None:
        self._network.travel(lambda: self._take(answer))

    def _take(self, answer: Answer | None) -> None:
        if self._done is None:
            return
        reply = self._reply(answer)
        wait_ms = round(wait_s(reply, self._attempts) * _MS_PER_S)
        left_ms = self._first_ms + self._network.settings.timeout_ms - self._now_ms()
        if repeatable(reply) and wait_ms < left_ms and self._budget.take():
            self._network.life.later(wait_ms, self._send)
        else:
            self._finish(reply)

    def _overdue(self) -> None:
        if self._done is not None:
            detail = f"{self._request.label}: no complete answer within {self._network.settings.timeout_ms} ms"
            self._finish(self._failure(FailureKind.TIMEOUT, detail))

    def _finish(self, reply: HttpReply) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(reply)

    def _reply(self, answer: Answer | None) -> HttpReply:
        if answer is None:
            detail = f"{self._request.label}: no connection; is the URL right and the host up?"
            return self._failure(FailureKind.UNREACHABLE, detail)
        return HttpResponse(
            status=answer.status,
            headers=answer.headers,
            body=answer.body,
            started_at_ms=self._started_ms,
            completed_at_ms=self._now_ms(),
        )

    def _failure(self, kind: FailureKind, detail: str) -> HttpFailure:
        return HttpFailure(kind=kind, detail=detail, started_at_ms=self._first_ms, completed_at_ms=self._now_ms())

    def _now_ms(self) -> int:
        return self._network.life.wall.now_ms()
