"""Simulations in a process of their own, as the command runs them.

``python -m gevent.monkey --module benchmarks.simulate_subject``. Each line on stdin is a run: ``{"seed": …, "steps": …,
"markets": …, "faults": "all", "floor": …}``. It is answered with ``{"seconds": …, "virtual_s": …,
"messages": …, "cycles": …, "floor_s": …}``, seconds of processor time. With ``floor``, which goes without faults
only, what the run did to its world and asked of it is done and asked once more, of a world of its own and without the
service; ``floor_s`` is what that took.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from unittest.mock import patch

import msgspec

from polymarket.requests import HttpRequest
from polymarket.sandbox.options import ServerOptions, WorldOptions
from polymarket.sandbox.trading import OrderRefusedError
from service.simulation.faults import parse
from service.simulation.quiet import quiet
from service.simulation.run import START_MS, Options, simulate
from service.simulation.timeline import Timeline
from service.simulation.venue import Answered, Venue


class Run(msgspec.Struct):
    """What to simulate."""

    seed: int
    steps: int
    markets: int
    faults: str
    floor: bool = False


class Recorded:
    """What was done to a venue, and when: enough to do it again."""

    def __init__(self) -> None:
        self.options = (WorldOptions(), ServerOptions())
        self.now_ms: Callable[[], int] = int
        self._calls: list[tuple[int, Callable[..., Any], tuple[Any, ...]]] = []

    def noting(
        self, method: Callable[..., Any], kept: Callable[..., tuple[Any, ...]] = lambda *arguments: arguments
    ) -> Callable[..., Any]:
        """The method, with each call noted; ``kept`` are the arguments for the next time."""

        def call(venue: Venue, *arguments: Any) -> Any:
            self._calls.append((self.now_ms(), method, kept(*arguments)))
            return method(venue, *arguments)

        return call

    def again(self) -> float:
        """Do it to another one; returns the seconds that it took."""
        timeline = Timeline(START_MS)
        began = time.process_time()
        venue = Venue(*self.options, timeline)
        for at_ms, method, arguments in self._calls:
            timeline.clock.advance_to(at_ms)
            with suppress(OrderRefusedError):  # as it was the first time
                method(venue, *arguments)
        return time.process_time() - began


@contextmanager
def recording() -> Iterator[Recorded]:
    """Within the block it is noted what is done to a venue."""
    recorded = Recorded()
    begin = Venue.__init__

    def began(venue: Venue, world: WorldOptions, server: ServerOptions, timeline: Timeline) -> None:
        recorded.options, recorded.now_ms = (world, server), timeline.clock.now_ms
        begin(venue, world, server, timeline)

    with (
        patch.object(Venue, "__init__", began),
        patch.object(Venue, "answer", recorded.noting(Venue.answer, unheard)),
        patch.object(Venue, "act", recorded.noting(Venue.act)),
        patch.object(Venue, "tick", recorded.noting(Venue.tick)),
    ):
        yield recorded


def unheard(request: HttpRequest, headers: Mapping[str, str], _answered: Answered) -> tuple[Any, ...]:
    """A request whose answer nobody waits for."""
    return request, headers, lambda _answer: None


def measured(run: Run) -> dict[str, float]:
    """Run it; it has to pass."""
    options = Options(seed=run.seed, steps=run.steps, markets=run.markets, faults=parse(run.faults))
    gc.collect()
    began = time.process_time()
    result = simulate(options)
    seconds = time.process_time() - began
    assert result.ok, f"seed {run.seed}, step {result.at_step}: {result.finding}"
    floor_s = _floor(options) if run.floor else 0.0
    return {
        "seconds": seconds,
        "virtual_s": result.virtual_ms / 1000,
        "messages": result.pump_steps,
        "cycles": result.cycles,
        "floor_s": floor_s,
    }


def _floor(options: Options) -> float:
    with recording() as recorded:
        simulate(options)
    gc.collect()
    return recorded.again()


def main() -> None:
    """Serve until stdin ends."""
    with quiet():
        print('"ready"', flush=True)
        for line in sys.stdin:
            print(msgspec.json.encode(measured(msgspec.json.decode(line, type=Run))).decode(), flush=True)


if __name__ == "__main__":
    main()
