"""Actor tests run the whole actor system under the deterministic pump."""

from __future__ import annotations

from tests.support.worlds import build

__all__ = ["build"]
