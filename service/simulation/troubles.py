"""Which source was in what trouble when: the faults that the sandbox played, asked about afterwards."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from polymarket.sandbox.server_faults import Fault
from service.simulation.nodes import COMPARED_MS

_MS_PER_S = 1000
_DEADLINE_MS = 5_000
_NO_ANSWER = frozenset(
    {"down", "http_425", "http_429", "http_503", "html_error", "malformed_json", "wrong_content_type"}
)
"""Kinds under which no request is answered in a way that can be read; so is a slow one beyond the deadline (D-15)."""


class Troubles:
    """Over ``played``, to which every fault of a run is added."""

    def __init__(self, played: Sequence[Fault]) -> None:
        """The list grows while it is asked."""
        self._played = played

    def silent(self, target: str, since_ms: int, until_ms: int) -> bool:
        """Whether one fault let no request to the target be answered in all that time."""
        return any(
            fault.spec.target in {target, "all"} and _silences(fault) and _lasts(fault, since_ms, until_ms)
            for fault in self._played
        )

    def refuses_logs(self, since_ms: int, until_ms: int) -> bool:
        """Whether no logs could be had in all that time."""
        return any(
            fault.spec.kind == "rpc_logs_refused" and fault.spec.count is None and _lasts(fault, since_ms, until_ms)
            for fault in self._played
        )

    def contradicted(self, since_ms: int, until_ms: int) -> bool:
        """Whether one of two endpoints told another chain in all that time, and nothing else was wrong with them."""
        return self._endpoint("stale", since_ms, until_ms)

    def alone(self, since_ms: int, until_ms: int) -> bool:
        """Whether only one of two endpoints answered in all that time, and nothing was wrong with that one.

        Where one has contradicted not long before, the other one answers though it was to be silent (``nodes``).
        """
        answering = any(
            fault.spec.kind == "stale" and fault.spec.path and _met(fault, since_ms - COMPARED_MS, until_ms)
            for fault in self._played
        )
        return not answering and self._endpoint("down", since_ms, until_ms)

    def _endpoint(self, kind: str, since_ms: int, until_ms: int) -> bool:
        met = [fault for fault in self._played if fault.spec.target == "rpc" and _met(fault, since_ms, until_ms)]
        is_that = all(fault.spec.kind == kind and bool(fault.spec.path) for fault in met)
        return (
            bool(met)
            and is_that
            and len({fault.spec.path for fault in met}) == 1
            and any(_lasts(fault, since_ms, until_ms) for fault in met)
        )

    def frozen(self, now_ms: int) -> int | None:
        """Since when the user stream delivers nothing, ms; None while it does."""
        frozen = (
            _begun_ms(fault)
            for fault in self._played
            if fault.spec.kind == "ws_freeze" and fault.spec.count is None and _lasts(fault, now_ms, now_ms)
        )
        return min(frozen, default=None)

    def any_of(self, targets: Collection[str], since_ms: int, until_ms: int) -> bool:
        """Whether one of the targets was in any trouble at any moment of that time."""
        return any(fault.spec.target in targets and _met(fault, since_ms, until_ms) for fault in self._played)


def _silences(fault: Fault) -> bool:
    slow = fault.spec.kind == "slow" and fault.spec.latency_ms > _DEADLINE_MS
    return fault.spec.count is None and not fault.spec.path and (slow or fault.spec.kind in _NO_ANSWER)


def _lasts(fault: Fault, since_ms: int, until_ms: int) -> bool:
    return _begun_ms(fault) <= since_ms and until_ms < _ends_ms(fault)


def _met(fault: Fault, since_ms: int, until_ms: int) -> bool:
    return _begun_ms(fault) <= until_ms and since_ms <= _ends_ms(fault)


def _begun_ms(fault: Fault) -> int:
    return round(fault.begun_at * _MS_PER_S)


def _ends_ms(fault: Fault) -> int:
    return 1 << 60 if fault.ends_at is None else round(fault.ends_at * _MS_PER_S)
