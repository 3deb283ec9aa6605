"""What the running process offers to HTTP, the control socket and, without a process in between, to ``demo``.

The protocol is implemented once, where the actors are wired; ``http`` turns it into routes. Nothing here is JSON text:
values are plain data that ``service.encoding`` renders.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from messages.control import Answer, Command
from portfolio.gate import TradeGate
from service.errors import ServiceError
from service.health import HealthFacts
from storage.queries import Queries


class ServiceUnavailable(ServiceError):
    """The process cannot answer now: it is starting or stopping, or an actor did not answer in time."""


class SourceState(msgspec.Struct, frozen=True, kw_only=True):
    """A witness (``clob``, ``stream``, ``chain``, ``data``, ``gamma``) as last seen. Times ms UTC, None: not yet.

    ``up`` None: it was not read yet. ``detail`` is one line for people, without secrets.
    """

    name: str
    up: bool | None
    last_ok_at_ms: int | None = None
    last_failure_at_ms: int | None = None
    detail: str = ""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What a share is worth on the market, 1e-6 pUSD: ``source`` is payout, data_api or metadata, read at ``at_ms``."""

    price_micro: int
    source: str
    at_ms: int


class ServiceApi(Protocol):
    """The running process. Every method may raise ServiceUnavailable; none of them changes the books directly."""

    def command(self, command: Command) -> Answer:
        """Hand a command to its actor and wait until what it did is durable (D-18). Refusals are ``ok`` False."""
        ...

    def force_sync(self) -> dict[str, Any]:
        """A full cycle now (S-19), and its ``operations_report``, ``settlement_reports`` and ``issues``.

        Joined to the next cycle when one is running (S-01). With several wallets the report is that of the first,
        and ``operations_reports`` has all.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """State of every actor, by address, and under ``journal`` the entry behind which all stood (``dump``)."""
        ...

    def health(self) -> HealthFacts:
        """What health is judged on, now."""
        ...

    def gate(self, strategy_id: str) -> TradeGate | None:
        """The trade gate of a strategy (R-14); None when no strategy has that id."""
        ...

    def gates(self) -> tuple[TradeGate, ...]:
        """The trade gates of all configured strategies."""
        ...

    def sources(self) -> tuple[SourceState, ...]:
        """The witnesses as last seen."""
        ...

    def marks(self) -> dict[str, Mark]:
        """Marks by token, of the newest comparison; a token without one younger than an hour is absent (R-03)."""
        ...

    def kill_switch(self) -> bool:
        """Whether the kill switch is on (S-07)."""
        ...

    def strategy_map(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """(strategy id, its market or condition ids) as configured now; ``default`` takes the rest."""
        ...

    def queries(self) -> Queries:
        """The stored state, to read."""
        ...

    def reload_config(self) -> dict[str, Any]:
        """Read the configuration again; what is in force afterwards, and what needs a restart.

        Raises ConfigError with every problem, and then the old configuration stays in force (S-10).
        """
        ...
