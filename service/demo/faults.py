"""Fault switches as written on the command line: ``TARGET:KIND:SECONDS``, the first and the last may be left out."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, get_args

import msgspec

from polymarket.sandbox.faults import KINDS, FaultSpec, Target
from service.cli.failures import CommandFailed, Exit

TARGETS: tuple[str, ...] = get_args(Target)

DEMO_SECONDS = 10.0
"""How long a fault plays in the demo, unless told: long enough to be met, short enough to see the recovery."""


def parse_faults(texts: Sequence[str]) -> tuple[FaultSpec, ...]:
    """Faults to play, without SECONDS until cleared. Raises CommandFailed, a usage mistake, for any other text."""
    return tuple(msgspec.convert(_parse(text), FaultSpec) for text in texts)


def _parse(text: str) -> dict[str, Any]:
    parts = text.split(":")
    target = parts.pop(0) if parts[0] in TARGETS else "all"
    kind = parts.pop(0) if parts else ""
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, n=1, cutoff=0.0)[0]
        raise CommandFailed(
            f"--faults has no {text!r}; a fault is KIND, TARGET:KIND or TARGET:KIND:SECONDS with a target of "
            f"{', '.join(TARGETS)}; the nearest kind is {near!r}, all are: {', '.join(KINDS)}",
            Exit.USAGE,
        )
    fault: dict[str, Any] = {"target": target, "kind": kind}
    if not parts:
        return fault
    try:
        seconds = float(parts[0])
    except ValueError:
        seconds = 0.0
    if len(parts) > 1 or not 0 < seconds < 86_400:
        raise CommandFailed(
            f"--faults {text!r} must end in a number of seconds above 0, was {':'.join(parts)!r}", Exit.USAGE
        )
    return {**fault, "seconds": seconds}
