"""What people ask of the running process, and what it answers (through the reporter, once durable, D-18)."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from portfolio.facts import Side


class _Command(msgspec.Struct, frozen=True, kw_only=True):
    """``request_id`` names the waiting caller; it never enters the journal."""

    request_id: str


class PauseStrategy(_Command, frozen=True, kw_only=True, tag="pause_strategy"):
    """Pause a strategy by hand."""

    strategy_id: str
    operator: str
    reason: str


class ResumeStrategy(_Command, frozen=True, kw_only=True, tag="resume_strategy"):
    """Resume a strategy by name (S-06)."""

    strategy_id: str
    operator: str
    reason: str


class ResumeMarket(_Command, frozen=True, kw_only=True, tag="resume_market"):
    """Take a market out of its halt (R-29)."""

    market_id: str
    operator: str
    reason: str


class SetKillSwitch(_Command, frozen=True, kw_only=True, tag="set_kill_switch"):
    """Switch the kill switch (S-07, R-28)."""

    active: bool
    operator: str
    reason: str


class RecordTrade(_Command, frozen=True, kw_only=True, tag="record_trade"):
    """Record a purchase or sale that was made elsewhere (L-26)."""

    market_id: str
    token_id: str
    side: Side
    size_micro: int
    price_micro: int
    operator: str
    reason: str


class MarkExternal(_Command, frozen=True, kw_only=True, tag="mark_external"):
    """Say of an inferred entry that it was an external trade (L-26), at ``price_micro`` where it is known."""

    market_id: str
    entry_id: str
    price_micro: int | None
    operator: str
    reason: str


class Backfill(_Command, frozen=True, kw_only=True, tag="backfill"):
    """Read the trades since ``since_s`` (Unix seconds) again, of one condition or all, and book what is missing (L-17).

    The answer's body is a :class:`BackfillDone`, once all of it is durable.
    """

    since_s: int
    condition_id: str = ""


class BackfillDone(msgspec.Struct, frozen=True, kw_only=True, tag="backfill_done"):
    """What a backfill found: trades and pages read, our legs in them, and those that this process had not seen before.

    ``unresolved`` are conditions whose metadata could not be had: their trades wait.
    """

    trades: int
    pages: int
    legs: int
    new_legs: int
    unresolved: tuple[str, ...]


class DescribeState(_Command, frozen=True, kw_only=True, tag="describe_state"):
    """Every actor tells its state as JSON (``dump``)."""


Command: TypeAlias = (
    PauseStrategy
    | ResumeStrategy
    | ResumeMarket
    | SetKillSwitch
    | RecordTrade
    | MarkExternal
    | Backfill
    | DescribeState
)


class Answer(msgspec.Struct, frozen=True, kw_only=True, tag="answer"):
    """The answer to a command: ``ok`` or a refusal with ``detail``; ``body`` is JSON."""

    request_id: str
    ok: bool
    detail: str
    body: bytes = b"null"
