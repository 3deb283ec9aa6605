"""Wall time, for the actors' ``Clock`` port and for the edges of the process."""

from __future__ import annotations

import time


class SystemClock:
    """The system's clock (UTC). It may step; the actors keep stamps from going back themselves (D-20)."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000
