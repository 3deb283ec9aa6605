"""What the ingest hands on, no faster than it becomes durable (D-21): numbered, in chunks, a few chunks at a time.

Behind a chunk every market that was told something gets a marker, which comes back through the writer. So it is known
up to which number all is on disk, also where a message changed nothing, and a backlog waits here and not in mailboxes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeAlias

from messages.addresses import Address
from messages.feeding import Marker, MarkerDurable, Seen, SeenTogether

CHUNK = 4_000
"""Messages between two markers at most; one goes to each market of the chunk and back, and costs as a message does."""

TOGETHER_MAX = 64
"""Events in one message at most: whoever is told a hundred lets others in between two messages."""

STRETCH = 250
"""Events told before others are let in. Else the markets would take all that is told in one go, while the writer, done
with a commit, waits behind them for the next; and a chunk would be durable no sooner than the chunks after it."""

WINDOW = 2
"""Chunks that may be on their way to the disk at once: with one the writer runs dry while the next pages are read."""

Done: TypeAlias = Callable[[bool], None]
"""Called with whether all that was put before it has arrived where it was waited for."""


class Carrier(Protocol):
    """Who tells the messages: the ingest, by its mailbox's address."""

    address: Address

    def tell(self, address: Address, message: object) -> None:
        """Tell an actor."""
        ...

    def knows(self, address: Address) -> bool:
        """Whether anybody is there to answer."""
        ...

    def breathe(self) -> None:
        """Let others in."""
        ...


class Outflow:
    """The queue in front of the markets."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._queue: deque[tuple[Address, Seen]] = deque()
        self._sent = 0
        self._durable = 0
        self._touched: dict[Address, None] = {}
        self._open = 0
        self._chunk = 0
        self._awaited: dict[int, set[Address]] = {}
        self._ends: dict[int, int] = {}
        self._on_sent: deque[tuple[int, Done]] = deque()
        self._on_durable: deque[tuple[int, Done]] = deque()
        self._absent: set[Address] = set()

    @property
    def waiting(self) -> int:
        """Messages that are not handed on yet."""
        return len(self._queue)

    def put(self, market: Address, event: Seen) -> None:
        """Hand an event on when its turn comes; :meth:`flow` does it."""
        self._queue.append((market, event))

    def when_sent(self, done: Done) -> None:
        """Call ``done`` once all that was put so far is in the markets' mailboxes."""
        self._on_sent.append((self._sent + len(self._queue), done))

    def when_durable(self, done: Done) -> None:
        """Call ``done`` once all that was put so far is on disk."""
        self._on_durable.append((self._sent + len(self._queue), done))

    def flow(self) -> frozenset[Address]:
        """Hand on as much as may be on its way, and call whoever waited for it.

        Returns the markets where nobody was: what they were told is lost.
        """
        while self._queue and len(self._awaited) < WINDOW:
            self._send(min(len(self._queue), CHUNK - self._open))
            if self._open >= CHUNK:
                self._close()
        if not self._queue and self._open and self._on_durable:
            self._close()
        _call(self._on_sent, self._sent)
        if not self._awaited and not self._open:
            self._durable = self._sent
        _call(self._on_durable, self._durable)
        absent, self._absent = frozenset(self._absent), set()
        return absent

    def _send(self, count: int) -> None:
        """The next ``count`` events, those of a market together: fewer messages, to it and from it to the writer."""
        parts: dict[Address, list[Seen]] = {}
        for _ in range(count):
            market, event = self._queue.popleft()
            parts.setdefault(market, []).append(event)
        told = 0
        for market, events in parts.items():
            self._touched[market] = None
            for start in range(0, len(events), TOGETHER_MAX):
                self._carrier.tell(market, _together(events[start : start + TOGETHER_MAX]))
            told += len(events)
            if told >= STRETCH:
                told = 0
                self._carrier.breathe()
        self._sent += count
        self._open += count

    def durable(self, marker: MarkerDurable) -> int | None:
        """A market's marker came back; the chunk's number when it was the last of its chunk."""
        markets = self._awaited.get(marker.chunk)
        if markets is None:
            return None
        markets.discard(marker.market)
        return self._arrived(marker.chunk) if not markets else None

    def open_chunks(self) -> tuple[int, ...]:
        """Chunks that are on their way."""
        return tuple(self._awaited)

    def lose(self) -> None:
        """A market lost its mailbox, or does not answer: nobody is told that what was on its way has arrived."""
        self._awaited.clear()
        self._ends.clear()
        self._touched.clear()
        self._open = 0
        self._refuse(-1)

    def _refuse(self, behind: int) -> None:
        """Whoever waits for what was put behind this number will not hear that it arrived."""
        lost = [done for number, done in self._on_durable if number > behind]
        self._on_durable = deque(waiting for waiting in self._on_durable if waiting[0] <= behind)
        for done in lost:
            done(False)

    def _close(self) -> None:
        """Send the markers of the open chunk; where nobody is nothing arrived, and there is nobody to wait for."""
        chunk, markets = self._chunk, {market for market in self._touched if self._carrier.knows(market)}
        absent, begins = self._touched.keys() - markets, self._sent - self._open
        self._chunk += 1
        self._touched, self._open = {}, 0
        if absent:
            self._absent |= absent
            self._refuse(begins)
        self._ends[chunk] = self._sent
        self._awaited[chunk] = markets
        for market in sorted(markets):
            self._carrier.tell(market, Marker(reply_to=self._carrier.address, chunk=chunk))
        if not markets:
            self._arrived(chunk)

    def _arrived(self, chunk: int) -> int:
        del self._awaited[chunk]
        oldest = min(self._awaited, default=self._chunk)
        for done in [number for number in self._ends if number < oldest]:
            self._durable = max(self._durable, self._ends.pop(done))
        return chunk


def _together(events: list[Seen]) -> Seen | SeenTogether:
    return events[0] if len(events) == 1 else SeenTogether(events=tuple(events))


def _call(waiting: deque[tuple[int, Done]], reached: int) -> None:
    while waiting and waiting[0][0] <= reached:
        waiting.popleft()[1](True)
