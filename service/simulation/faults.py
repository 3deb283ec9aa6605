"""The kinds of faults that a simulation knows by name, and their play: which one, where, when and for how long."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from random import Random
from types import MappingProxyType
from typing import Final

from polymarket.sandbox.faults import FaultSpec
from polymarket.sandbox.server_faults import Fault
from service.errors import ServiceError
from service.simulation.chance import Chance
from service.simulation.nodes import Nodes
from service.simulation.story import Kind, Story, of_fault

FAILED, RETRIED, LATE, REORGANISED = "failed_trades", "retried_trades", "late_trades", "reorganisations"
STALE_CLOB = "stale_clob"
CRASH, CRASH_AT_COMMIT, TORN_COMMITS, ORDERLY_STOP = "crash", "crash_at_commit", "torn_commits", "orderly_stop"
ACTOR_CRASH, LEASE_FIGHT, RELOADS, CLOCK_JUMPS = "actor_crash", "lease_fight", "config_reloads", "clock_jumps"
SILENT_RPC, CONTRADICTING_RPC = "silent_rpc", "contradicting_rpc"

_HTTP = ("clob", "data", "gamma", "rpc")
_LISTS = ("clob", "data")

Play = tuple[tuple[str, str], ...]
"""Target and kind of the sandbox's fault; one of them is drawn."""


def _of(targets: Sequence[str], *kinds: str) -> Play:
    return tuple((target, kind) for target in targets for kind in kinds)


OF_SOURCES: Final = MappingProxyType(
    {
        "http_errors": _of(_HTTP, "http_425", "http_429", "http_503", "html_error"),
        "timeouts": _of(_HTTP, "slow"),
        "slow_answers": _of(_HTTP, "slow"),
        "outages": _of(_HTTP, "down"),
        "rpc_outages": _of(("rpc",), "down"),
        "broken_bodies": _of(_HTTP, "malformed_json", "wrong_content_type", "bad_number"),
        "short_pages": _of(_LISTS, "short_page", "half_rows"),
        "empty_pages": _of(_LISTS, "empty_page"),
        "moving_pages": _of(_LISTS, "moved_pages"),
        "stale_data_api": _of(("data",), "stale", "lagging"),
        STALE_CLOB: _of(("clob",), "stale"),
        "stale_rpc": _of(("rpc",), "stale"),
        "refused_logs": _of(("rpc",), "rpc_logs_refused", "rpc_logs_pruned"),
        "lost_frames": _of(("ws",), "ws_drop"),
        "doubled_frames": _of(("ws",), "ws_double"),
        "delayed_frames": _of(("ws",), "ws_delay"),
        "reordered_frames": _of(("ws",), "ws_reorder"),
        "frozen_stream": _of(("ws",), "ws_freeze"),
        "broken_frames": _of(("ws",), "ws_garbage"),
        "disconnects": _of(("ws",), "ws_close", "ws_cut"),
    }
)
OF_WORLD: Final = (FAILED, RETRIED, LATE, REORGANISED)
OF_PROCESS: Final = (
    CRASH,
    CRASH_AT_COMMIT,
    TORN_COMMITS,
    ORDERLY_STOP,
    ACTOR_CRASH,
    LEASE_FIGHT,
    RELOADS,
    CLOCK_JUMPS,
)
OF_NODES: Final = (SILENT_RPC, CONTRADICTING_RPC)
"""Of one of two endpoints; where a seed has one, they are not played."""

ALL: Final = (*OF_SOURCES, *OF_NODES, *OF_WORLD, *OF_PROCESS)

_SLOW_MS = {"slow_answers": (200, 4_000), "timeouts": (6_000, 12_000), "delayed_frames": (500, 20_000)}
_BLOCKS = (1, 12)
_PLAYED_S = (2, 45)
_LONG_S = (10, 150)
_LONG = frozenset({"outages", "rpc_outages", "stale_data_api", "lost_frames", "frozen_stream"})
_SHARE = 0.15
"""Of the steps, those in which some begin."""

_MOST_AT_ONCE = 3
_DRAWN = (*OF_SOURCES, *OF_NODES)


class UnknownFault(ServiceError):
    """There is no such kind; the text names the nearest."""


def parse(text: str) -> frozenset[str]:
    """The kinds of a comma-separated list; ``all`` and ``none`` are words for themselves. Raises UnknownFault."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names in (["none"], []):
        return frozenset()
    if names == ["all"]:
        return frozenset(ALL)
    for name in names:
        if name not in ALL:
            near = difflib.get_close_matches(name, ALL, n=1, cutoff=0.0)[0]
            raise UnknownFault(
                f"--faults has no {name!r}; the nearest kind is {near!r}, all are: {', '.join(ALL)}; "
                "or one of the words all and none"
            )
    return frozenset(names)


def shown(kinds: frozenset[str]) -> str:
    """As ``parse`` reads it."""
    if kinds == frozenset(ALL):
        return "all"
    return ",".join(name for name in ALL if name in kinds) or "none"


class SourceFaults:
    """Plays the faults of sources. ``played`` counts them by name."""

    def __init__(self, venue: Nodes, chance: Chance, faults: frozenset[str], story: Story) -> None:
        """Those of ``faults`` that are of sources."""
        self._venue = venue
        self._chance = chance
        self._story = story
        self._wanted = faults & {*OF_SOURCES, *(OF_NODES if venue.endpoints > 1 else ())}
        self._begun: list[tuple[Fault, int]] = []
        self.played: Counter[str] = Counter()

    def _now_ms(self) -> int:
        return self._venue.sandbox.clock.now_ms()

    def begin_some(self, step: int) -> None:
        """Perhaps let some begin; what hurts most is what comes together.

        The first ones of all in a drawn order that are wanted: to want fewer changes only what those did.
        """
        random = self._chance.of("faults", step)
        if random.random() < _SHARE:
            most = random.randint(1, _MOST_AT_ONCE)
            drawn = [name for name in random.sample(_DRAWN, len(_DRAWN)) if name in self._wanted]
            for name in drawn[:most]:
                self._begin(name, step)

    def _begin(self, name: str, step: int) -> None:
        random = self._chance.of("fault", name, step)
        self.played[name] += 1
        self._story.tell(Kind.FAULT, name, self._node(name, random) if name in OF_NODES else self._source(name, random))

    def _source(self, name: str, random: Random) -> str:
        spec = _spec(name, random)
        self._begun.append((self._venue.play(spec), self._now_ms()))
        return of_fault(spec)

    def _node(self, name: str, random: Random) -> str:
        place, seconds = random.randint(1, 2), random.randint(*_LONG_S)
        play = self._venue.silence if name == SILENT_RPC else self._venue.contradict
        play(place, seconds)
        return f"endpoint {place} for {seconds} s"

    def blind(self, target: str, for_ms: int) -> bool:
        """Whether a source has not answered anything for so long."""
        board, since_ms = self._venue.sandbox.board, self._now_ms() - for_ms
        return any(
            fault.spec.target == target and fault.spec.kind == "down" and at_ms <= since_ms and not board.is_over(fault)
            for fault, at_ms in self._begun
        )

    def end_all(self) -> None:
        """From here on everything answers as it should."""
        self._begun.clear()
        self._venue.sandbox.board.clear()
        self._venue.agree()
        self._venue.flush()


def _spec(name: str, draw: Random) -> FaultSpec:
    target, kind = draw.choice(OF_SOURCES[name])
    least_ms, most_ms = _SLOW_MS.get(name, (0, 0))
    return FaultSpec(
        target=target,  # type: ignore[arg-type]  # drawn from the table above
        kind=kind,  # type: ignore[arg-type]  # as target
        seconds=float(draw.randint(*(_LONG_S if name in _LONG else _PLAYED_S))),
        count=draw.randint(1, 6) if name not in _LONG and draw.random() < 0.4 else None,
        latency_ms=draw.randint(least_ms, most_ms),
        blocks=draw.randint(*_BLOCKS),
        value=draw.choice(('"NaN"', "-1", '""', "0.1234567")),
    )
