"""Both runtimes behind one face: gevent with real sockets and time, and the pump with virtual ones (D-05, D-07).

A test asks for what it wants to see with ``until`` and never for a length of time, so that it says the same of both.
"""

from __future__ import annotations

import abc
import gc
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Protocol

import pykka

from actors.base import System
from actors.pump import PumpRuntime, VirtualClock
from actors.runtime import GeventRuntime, Post
from messages.addresses import Address, coordinator_address
from messages.cycle import SyncAsked
from polymarket.reads import PolymarketReads
from polymarket.sandbox.actions import AnyAction, Mine
from polymarket.sandbox.options import ServerOptions, WorldOptions
from polymarket.sandbox.process import SandboxProcess
from polymarket.user_stream import PolymarketUserStream
from portfolio.outcomes import OperationsReport
from service.clock import SystemClock
from service.config import Config, load, polymarket_settings
from service.config.credentials import PARTS, prefix_of
from service.process import Outside, Process
from service.simulation.process import Seen, begin
from service.simulation.timeline import Life, Timeline
from service.simulation.venue import Venue
from storage.database import open_database
from tests.support.live import WALLET, LiveSettings, config_text, until
from tests.support.probes import START_MS

STEPS_MAX = 200_000
LIMIT_MS = 10 * 60_000
"""Virtual time within which what a test waits for has to come."""

CYCLES_MAX = 12
WITHIN_S = 40.0
"""Real time within which it has to come; a loaded machine is slow."""

BLOCK_MS = 2_000
WORLD = WorldOptions(seed=11, markets=3, events=1, activity=False)


class Ground(Protocol):
    """Actors of the test's own on one of the runtimes."""

    system: System

    def until(self, look: Callable[[], object], what: str) -> None:
        """Let everybody go on until ``look`` gives something; fails where that never comes."""
        ...

    def close(self) -> None:
        """Leave no actor behind."""
        ...


class PumpGround:
    """One message at a time, in an order that the seed chooses."""

    def __init__(self, seed: int = 5) -> None:
        clock = VirtualClock(START_MS)
        self._runtime = PumpRuntime(clock, seed)
        self.system = System(clock=clock, post=Post(), runtime=self._runtime)

    def until(self, look: Callable[[], object], what: str) -> None:
        """Take step by step, and jump to the next timer where nobody has mail."""
        end_ms = self.system.clock.now_ms() + LIMIT_MS
        for _ in range(STEPS_MAX):
            if look():
                return
            if not self._runtime.step() and not self._runtime.fire_next_timer(end_ms):
                break
        raise AssertionError(f"{what}: never came")

    def close(self) -> None:
        """They are no threads; the registry alone knows them."""
        _unregister(self.system.post)


class GeventGround:
    """As in production."""

    def __init__(self) -> None:
        self.system = System(clock=SystemClock(), post=Post(), runtime=GeventRuntime())

    def until(self, look: Callable[[], object], what: str) -> None:
        """Let greenlets and timers run meanwhile."""
        until(look, what, within_s=WITHIN_S)

    def close(self) -> None:
        """Each stops behind the mail that it has."""
        for address in self.system.post.addresses:
            ref = self.system.post.ref(address)
            if ref is not None and ref.is_alive():
                ref.stop(timeout=10)


def _unregister(post: Post) -> None:
    for address in post.addresses:
        ref = post.ref(address)
        if ref is not None:
            pykka.ActorRegistry.unregister(ref)


class Service(abc.ABC):
    """The whole service, its outside, and the world's own books; a subclass says on which runtime."""

    process: Process

    def __init__(self, seen: Seen) -> None:
        self.seen = seen

    @abc.abstractmethod
    def act(self, action: AnyAction) -> dict[str, Any]:
        """Let something happen in the world."""

    @abc.abstractmethod
    def tokens(self) -> dict[str, int]:
        """The world's own books: shares by token."""

    @abc.abstractmethod
    def until(self, look: Callable[[], object], what: str) -> None:
        """Let everything go on until ``look`` gives something."""

    @abc.abstractmethod
    def close(self) -> None:
        """Leave nothing behind."""

    def begin(self) -> None:
        """Wait until the first cycle is over, and the user stream subscribed with the cycle that this brings."""
        self.until(lambda: self.process.health().stream_connected, "a subscription of the user stream")
        self.until(lambda: len(self.seen.cycles) > 1, "the first cycles")

    def cycle(self) -> OperationsReport:
        """One more cycle, behind a new block; its report."""
        self.act(Mine(blocks=1))
        known = len(self.seen.cycles)
        self.process._post.tell(coordinator_address(WALLET), SyncAsked(why="force"))
        self.until(lambda: len(self.seen.cycles) > known, "a cycle")
        return self.seen.cycles[-1]

    def cycles_until(self, look: Callable[[], object], what: str) -> None:
        """Cycles, each behind a new block, until ``look`` gives something."""
        for _ in range(CYCLES_MAX):
            if look():
                return
            self.cycle()
        raise AssertionError(f"{what}: not within {CYCLES_MAX} cycles")

    def tell(self, address: Address, message: object) -> None:
        """Tell an actor something."""
        self.process._post.tell(address, message)

    def ref(self, address: Address) -> Any:
        """Who is at the address now."""
        return self.process._post.ref(address)

    def shares(self) -> dict[str, int]:
        """Stored shares by token, zero ones left out."""
        return {row["token_id"]: row["shares_micro"] for row in self.process.queries().positions()}

    def held(self) -> dict[str, int]:
        """The world's shares by token, zero ones left out."""
        return {token: shares for token, shares in self.tokens().items() if shares}


def _config(folder: Path, info: dict[str, Any]) -> Config:
    """The same file for both, but for the URLs in it."""
    file = folder / "portfolio-sync.toml"
    file.write_text(config_text(folder, info, LiveSettings()), encoding="utf-8")
    secrets = {f"{prefix_of(WALLET)}_{part}": info["wallet"][part.lower()] for part in PARTS}
    return load(file, secrets)


class PumpService(Service):
    """Production's process, readers and parsers on one thread in virtual time; requests never meet a socket."""

    def __init__(self, folder: Path, seen: Seen) -> None:
        super().__init__(seen)
        self._timeline = Timeline(START_MS)
        self._venue = Venue(WORLD, ServerOptions(), self._timeline)
        self._life = Life(self._timeline, seed=5)
        config = _config(folder, self._venue.sandbox.describe())
        self._tick()
        self._simulated = begin(config, self._venue, self._life, self.seen, Random(5))
        self.process = self._simulated

    def act(self, action: AnyAction) -> dict[str, Any]:
        """Directly."""
        return self._venue.act(action)

    def tokens(self) -> dict[str, int]:
        """Directly."""
        return dict(self._venue.world.books.tokens)

    def until(self, look: Callable[[], object], what: str) -> None:
        """Step by step; where nobody has mail, time goes on."""
        end_ms = self._timeline.clock.now_ms() + LIMIT_MS
        for _ in range(STEPS_MAX):
            if look():
                return
            if not self._life.step() and not self._timeline.fire_next(end_ms):
                break
        raise AssertionError(f"{what}: never came")

    def close(self) -> None:
        """As a crash: the files stay."""
        self._simulated.die()

    def _tick(self) -> None:
        """Blocks come, also while nobody asks."""
        self._venue.tick()
        self._timeline.later(BLOCK_MS, self._tick)


class GeventService(Service):
    """Production's process in this one, against a sandbox in another one: real HTTP, a real web socket, real time."""

    def __init__(self, folder: Path, seen: Seen) -> None:
        super().__init__(seen)
        self._collecting = gc.get_threshold()
        self._sandbox = SandboxProcess(WORLD).start()
        try:
            self.process = self._started(folder)
        except BaseException:
            self._sandbox.stop()
            raise

    def _started(self, folder: Path) -> Process:
        config = _config(folder, self._sandbox.info)
        settings, clock = polymarket_settings(config), SystemClock()
        reads = PolymarketReads(settings, clock.now_ms)
        outside = Outside(
            reads=reads,
            metrics=self.seen,
            sink=self.seen,
            close=lambda: reads.close(5),
            stream=lambda: PolymarketUserStream(settings, WALLET, clock.now_ms),
        )
        process = Process(config, open_database(config.storage_url, owner="test", now_ms=clock.now_ms()), outside)
        process.start()
        return process

    def act(self, action: AnyAction) -> dict[str, Any]:
        """By the control port."""
        return self._sandbox.control.act(action)

    def tokens(self) -> dict[str, int]:
        """By the control port."""
        return self._sandbox.control.tokens()

    def until(self, look: Callable[[], object], what: str) -> None:
        """Look again and again while greenlets run."""
        until(look, what, within_s=WITHIN_S)

    def close(self) -> None:
        """In order; the other tests collect garbage as they did."""
        self.process.stop()
        gc.set_threshold(*self._collecting)
        self._sandbox.stop()
