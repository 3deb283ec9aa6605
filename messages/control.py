"""What people ask of the running process, and what it answers (through the reporter, once durable, D-18)."""

from __future__ import annotations

from typing import TypeAlias

import msgspec


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


class DescribeState(_Command, frozen=True, kw_only=True, tag="describe_state"):
    """Every actor tells its state as JSON (``dump``)."""


Command: TypeAlias = PauseStrategy | ResumeStrategy | ResumeMarket | SetKillSwitch | DescribeState


class Answer(msgspec.Struct, frozen=True, kw_only=True, tag="answer"):
    """The answer to a command: ``ok`` or a refusal with ``detail``; ``body`` is JSON."""

    request_id: str
    ok: bool
    detail: str
    body: bytes = b"null"
