"""What happened in a simulation, in the order in which it did: deeds, faults, and what befell the process."""

from __future__ import annotations

import enum
from collections.abc import Callable

import msgspec

from polymarket.sandbox.actions import AnyAction
from polymarket.sandbox.faults import FaultSpec

_SHOWN = 12
"""Characters that are shown of an id."""


class Kind(enum.StrEnum):
    """What something was. What is a deed, a fault or planned belongs to its step; an accident came of itself."""

    DEED = "deed"
    FAULT = "fault"
    PLANNED = "planned"
    ACCIDENT = "accident"


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened; ``at_ms`` is virtual time from the beginning on. ``name`` is as it is counted."""

    step: int
    at_ms: int
    kind: Kind
    name: str
    text: str

    def told(self) -> str:
        """In one line."""
        return f"step {self.step:<4} {self.at_ms / 1000:>9.3f} s  {self.kind:<8}  {self.name}: {self.text}"


class Story:
    """Written as it happens. ``step`` is where the run stands."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        """``now_ms`` is virtual time from the beginning on."""
        self._now_ms = now_ms
        self.step = 0
        self.happened: list[Happening] = []

    def tell(self, kind: Kind, name: str, text: str) -> None:
        """Something happened now."""
        self.happened.append(Happening(step=self.step, at_ms=self._now_ms(), kind=kind, name=name, text=text))


def of_action(action: AnyAction) -> str:
    """What was asked of the world, without what is as usual; how a match is to settle comes last."""
    usual = {field.name: field.default for field in msgspec.structs.fields(action)}
    given = [(name, value) for name, value in msgspec.structs.asdict(action).items() if value not in (usual[name], [])]
    given.sort(key=lambda one: not isinstance(one[1], str))
    return ", ".join(name if value is True else f"{name} {_shown(value)}" for name, value in given)


def of_fault(spec: FaultSpec) -> str:
    """A fault, with what its kind uses."""
    more = {
        **dict.fromkeys(("slow", "ws_delay"), f" by {spec.latency_ms} ms"),
        **dict.fromkeys(("lagging", "rpc_logs_pruned"), f" by {spec.blocks} blocks"),
        **dict.fromkeys(("bad_number", "ws_garbage"), f" with {spec.value}"),
    }
    count = "" if spec.count is None else f", {spec.count} times at most"
    return f"{spec.target} {spec.kind}{more.get(spec.kind, '')} for {spec.seconds:g} s{count}"


def _shown(value: object) -> str:
    if isinstance(value, list):
        return " ".join(_shown(each) for each in value)
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
