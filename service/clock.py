"""Wall time, for the actors' ``Clock`` port and for the edges of the process."""

from __future__ import annotations

import time

from actors.ports import Clock


class SystemClock:
    """The system's clock (UTC). It may step."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000


class SteadyClock:
    """A clock for stamps, which never go back in a stream, whatever the system's clock does (D-20).

    While that one is behind, time stands still here. All actors share one, so that none stamps before another did, and
    it begins where the journal ends, for the clock may have been set between two lives of the process.
    """

    def __init__(self, clock: Clock) -> None:
        """``clock`` is the system's."""
        self._clock = clock
        self._last_ms = 0

    def begin(self, at_ms: int) -> None:
        """Nothing is stamped before this."""
        self._last_ms = max(self._last_ms, at_ms)

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        self._last_ms = max(self._last_ms, self._clock.now_ms())
        return self._last_ms
