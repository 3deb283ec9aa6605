"""What tests need of a clock."""

from __future__ import annotations

from typing import Protocol


class HasNow(Protocol):
    """Anything that tells the time."""

    def now_ms(self) -> int:
        """Milliseconds UTC."""
        ...
