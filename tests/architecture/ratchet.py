"""Exceptions to the size limits. An entry may only shrink, and goes when what it excuses fits the limit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Excuse:
    """What is too large, how large it may be, and why it is not split."""

    subject: str
    """Kind and place as the test prints them: `lines of function service/cli.py:run`."""
    size: int
    reason: str


EXCUSES: tuple[Excuse, ...] = ()
