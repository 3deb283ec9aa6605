"""The user stream as the ingest sees it: subscribed or not, buffered until REST has caught up, and proven by polls.

The stream has no snapshot and no replay, and a socket that answers PONG may deliver nothing for hours. So each new
subscription is followed by a reading over REST, while its events wait; and what a later poll shows that the stream
should have shown proves that it is silent.
"""

from __future__ import annotations

from collections import deque

import msgspec

from messages.stream import StreamEvents, StreamOpened

BUFFER_MAX = 20_000
"""Events kept while REST catches up; with more, the subscription is given up and begun again."""

GRACE_MS = 5_000
"""How much later than a poll the stream may show a fill."""


class StreamShown(msgspec.Struct, frozen=True, kw_only=True):
    """What readers see of the stream. ``gap_ms``: how far it was behind when a poll last looked; None: not looked yet.

    ``proven_at_ms`` is when a poll last found nothing that the stream had not delivered.
    """

    connected: bool = False
    since_ms: int | None = None
    last_event_at_ms: int | None = None
    proven_at_ms: int | None = None
    gap_ms: int | None = None
    missed: int = 0
    reason: str = "not connected yet"


class StreamWatch:
    """State of one wallet's subscription."""

    def __init__(self) -> None:
        self.shown = StreamShown()
        self.connection: int | None = None
        self.catching_up = False
        self._buffer: deque[StreamEvents] = deque()
        self._buffered = 0
        self._suspects: dict[tuple[str, str], tuple[int, int]] = {}

    def opened(self, message: StreamOpened) -> None:
        """A new subscription: its events wait until REST has shown what lies before it."""
        self.connection = message.connection
        self.catching_up = True
        self._clear()
        self.shown = msgspec.structs.replace(self.shown, connected=True, since_ms=message.at_ms, reason="")

    def closed(self, reason: str) -> tuple[StreamEvents, ...]:
        """The subscription ended; returns what it had shown and nobody has taken yet."""
        rest = self.caught_up()
        self.connection = None
        self._suspects.clear()
        self.shown = msgspec.structs.replace(self.shown, connected=False, reason=reason)
        return rest

    def caught_up(self) -> tuple[StreamEvents, ...]:
        """REST has caught up, or could not: returns what waited."""
        rest = tuple(self._buffer)
        self.catching_up = False
        self._clear()
        return rest

    def buffer(self, message: StreamEvents) -> bool:
        """Keep events until REST has caught up; False when there are too many to keep."""
        self._buffer.append(message)
        self._buffered += len(message.events)
        if self._buffered <= BUFFER_MAX:
            return True
        self._clear()
        return False

    def _clear(self) -> None:
        self._buffer.clear()
        self._buffered = 0

    def came(self, at_ms: int) -> None:
        """Events came."""
        self.shown = msgspec.structs.replace(self.shown, last_event_at_ms=at_ms)

    def showed(self, key: tuple[str, str]) -> None:
        """The stream showed a fill, if later than a poll."""
        self._suspects.pop(key, None)

    def suspect(self, key: tuple[str, str], updated_at_ms: int, now_ms: int) -> None:
        """A poll showed a fill first, which the stream should show too, soon; not what was before its subscription."""
        since_ms = self.shown.since_ms
        if self.connection is not None and not self.catching_up and since_ms is not None and updated_at_ms >= since_ms:
            self._suspects.setdefault(key, (now_ms, updated_at_ms))

    def judge(self, now_ms: int) -> int:
        """After a poll: how many fills the stream failed to show in time; measures its gap.

        The gap is since the exchange's own time of the fill, or since the first poll where that clock is ahead of ours.
        """
        if self.connection is None or self.catching_up:
            return 0
        overdue = {key: min(seen) for key, seen in self._suspects.items() if now_ms - seen[0] >= GRACE_MS}
        gap_ms = max((now_ms - since for since in overdue.values()), default=0)
        for key in overdue:
            del self._suspects[key]
        proven_at_ms = self.shown.proven_at_ms if overdue or self._suspects else now_ms
        missed = self.shown.missed + len(overdue)
        self.shown = msgspec.structs.replace(self.shown, gap_ms=gap_ms, missed=missed, proven_at_ms=proven_at_ms)
        return len(overdue)
