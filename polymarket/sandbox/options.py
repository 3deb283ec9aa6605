"""Options of a sandbox: of its world, and of the server in front of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class WorldOptions:
    """How large and how lively a world is.

    ``positions`` and ``orders`` None mean the small default portfolio. ``finality_blocks`` and ``confirm_blocks`` are
    how far ``finalized`` and CONFIRMED lie behind the head. Of the fills that happen by themselves ``retry_percent``
    need a second transaction and ``fail_percent`` fail.
    """

    seed: int = 7
    block_time_ms: int = 2000
    markets: int = 6
    events: int = 1
    protocol_v2_markets: int = 0
    positions: int | None = None
    orders: int | None = None
    activity: bool = True
    retry_percent: int = 0
    fail_percent: int = 0
    confirm_blocks: int = 3
    finality_blocks: int = 4

    def changed(self, changes: Mapping[str, Any]) -> WorldOptions:
        """The same options with some of them changed."""
        return replace(self, **changes)


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """How the server listens and answers.

    The user channel waits ``first_frame_ms`` for a client's credentials. The node answers ``eth_getLogs`` for at most
    ``logs_range_blocks`` blocks at once.
    """

    host: str = "127.0.0.1"
    port: int = 0
    latency_ms: int = 0
    page_size: int = 100
    data_lag_blocks: int = 0
    first_frame_ms: int = 10_000
    logs_range_blocks: int = 10_000
    log: bool = False
