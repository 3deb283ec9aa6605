"""The port ``UserStream`` on virtual time: the sandbox's frames, read by the production parser.

It connects, breaks, waits and connects again as ``polymarket.user_stream`` does; a connection keeps the order of its
frames, and what was on its way when it broke is lost.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from random import Random

from messages.stream import StreamClosed, StreamEvents, StreamMessage, StreamOpened
from polymarket.payloads import parse_user_frame
from polymarket.user_stream import StreamTimings
from service.simulation.reads import FASTEST_MS, SLOWEST_MS
from service.simulation.timeline import Life
from service.simulation.venue import Venue

Deliver = Callable[[StreamMessage], None]
_MS_PER_S = 1000
_TIMINGS = StreamTimings()


class VirtualStream:
    """One wallet's user channel in one life of its ingest."""

    def __init__(self, venue: Venue, life: Life, random: Random) -> None:
        """``random`` draws how long things take."""
        self._venue = venue
        self._life = life
        self._random = random
        self._numbers = itertools.count(1)
        self._deliver: Deliver | None = None
        self._line: _Line | None = None
        self._failures = 0

    def open(self, deliver: Deliver) -> None:
        """Connect and stay connected."""
        self._deliver = deliver
        self._life.later(self.way_ms(), self._connect)

    def reconnect(self, reason: str) -> None:
        """Give up the present connection and make a new one without waiting."""
        if self._line is not None:
            self._ended(reason, wait_ms=0)

    def close(self) -> None:
        """Close for good."""
        self._deliver = None
        if self._line is not None:
            self._line.leave()
            self._line = None

    def way_ms(self) -> int:
        """One way over the network."""
        return self._random.randint(FASTEST_MS, SLOWEST_MS)

    def tell(self, message: StreamMessage) -> None:
        """Deliver, unless the stream was closed."""
        if self._deliver is not None and not self._life.over:
            self._deliver(message)

    def broken(self) -> None:
        """The other side hung up."""
        ceiling_ms = min(_TIMINGS.longest_wait_s, _TIMINGS.first_wait_s * 2**self._failures) * _MS_PER_S
        self._failures = min(self._failures + 1, 10)
        self._ended("the other side hung up", wait_ms=self._random.randint(0, round(ceiling_ms)))

    def _connect(self) -> None:
        if self._deliver is None:
            return
        line = _Line(self, self._venue, self._life, next(self._numbers))
        self._line = line
        if line.open():
            self._failures = 0
            self.tell(StreamOpened(connection=line.number, at_ms=self._life.wall.now_ms()))
        else:
            self.broken()

    def _ended(self, reason: str, wait_ms: int) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.leave()
            self.tell(StreamClosed(connection=line.number, reason=reason, at_ms=self._life.wall.now_ms()))
            self._life.later(wait_ms + self.way_ms(), self._connect)


class _Line:
    """One connection."""

    def __init__(self, stream: VirtualStream, venue: Venue, life: Life, number: int) -> None:
        self.number = number
        self._stream = stream
        self._venue = venue
        self._life = life
        self._last_ms = 0
        self._left = False

    def open(self) -> bool:
        """Subscribe; False where the channel hangs up at once."""
        return self._venue.listen(self._send, self.hang_up)

    def leave(self) -> None:
        """This side hears no more."""
        self._left = True
        self._venue.leave(self.hang_up)

    def hang_up(self) -> None:
        """The other side ends it, and this one hears of that at once."""
        if not self._left:
            self._stream.broken()

    def _send(self, text: str) -> None:
        """A frame begins its way; it does not overtake the one before."""
        self._last_ms = max(self._last_ms, self._life.clock.now_ms() + self._stream.way_ms())
        self._life.later(self._last_ms - self._life.clock.now_ms(), lambda: self._arrive(text))

    def _arrive(self, text: str) -> None:
        frame = parse_user_frame(text)
        if self._left or not frame.says_something:
            return
        self._stream.tell(
            StreamEvents(
                connection=self.number,
                received_at_ms=self._life.wall.now_ms(),
                events=frame.events,
                rejected=frame.rejected,
                unknown=frame.unknown,
            )
        )
