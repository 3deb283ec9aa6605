"""One simulation: a world, the service, faults and crashes, all from one seed, and what is checked meanwhile.

The process's own code decides everything; here is only what is around it. The same seed gives the same run.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from random import Random
from traceback import extract_tb

import msgspec

from polymarket.sandbox.options import ServerOptions, WorldOptions
from service.replay import digest_of
from service.simulation import convergence
from service.simulation.accidents import Accidents
from service.simulation.chance import Chance
from service.simulation.faults import CLOCK_JUMPS, STALE_CLOB, SourceFaults
from service.simulation.findings import Finding, Found, require
from service.simulation.lives import Lives, Scene
from service.simulation.nodes import Nodes
from service.simulation.safety import Safety
from service.simulation.script import Script
from service.simulation.settings import FILL_TTL_S, WALLET, Settings
from service.simulation.story import Happening, Story
from service.simulation.timeline import Timeline
from service.wiring import DEADLINE_TIMEOUTS
from storage.database import open_readonly
from storage.journal import Journal

START_MS = 1_790_000_000_000
BLOCK_MS = 2_000
FINALITY_BLOCKS = 4
"""What the exchange calls CONFIRMED is final on the chain too, as it promises: no reorganisation reaches it."""

MARKETS = 6
QUIET_CYCLES = 6
"""Intervals without faults, behind the time to live of a fill, in which the books have to become the world's."""

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
"""Where the system has it, a folder in memory: what a commit costs on a disk is not what is looked for here."""

_MOST_STEPS_AT_ONCE = 100_000
_LATEST = 50
"""More operations of the wallet than there are between two looks at them."""

_GAP_MS = (100, 6_000)
MEAN_GAP_MS = sum(_GAP_MS) / 2
"""Virtual time that goes by in a step."""

_CYCLE_MS = DEADLINE_TIMEOUTS * 5_000
"""The longest that a cycle may take."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What to simulate.

    ``steps`` is how often something may happen in the world; with ``only`` that and faults come in these steps alone.
    """

    seed: int
    steps: int
    faults: frozenset[str]
    markets: int = MARKETS
    only: frozenset[int] | None = None

    def plays(self, step: int) -> bool:
        """Whether the step's deed and faults are played; of the others only time passes."""
        return self.only is None or step in self.only


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How a simulation ended; ``finding`` None: all held.

    ``digest`` is the head of the journal's hash chain, ``state_digest`` that of the live process's state.
    """

    seed: int
    ok: bool
    finding: Finding | None
    at_step: int
    virtual_ms: int
    pump_steps: int
    cycles: int
    lives: int
    checks: int
    requests: int
    happened: dict[str, int]
    faults: dict[str, int]
    journal_entries: int
    digest: str
    state_digest: str
    story: tuple[Happening, ...]

    def without_story(self) -> Result:
        """The numbers alone, where there are many."""
        return msgspec.structs.replace(self, story=())


class Simulation:
    """One run; ``run`` goes through it once."""

    def __init__(self, options: Options, folder: Path) -> None:
        """``folder`` holds the database."""
        self.options = options
        chance = Chance(options.seed)
        drawn = chance.of("simulation")
        self._timeline = Timeline(START_MS)
        world, server = _world(options, drawn), ServerOptions(page_size=drawn.choice((2, 5, 100)))
        self.venue = Nodes(world, server, self._timeline, drawn.choice((1, 2)))
        self.interval_ms = drawn.choice((5_000, 10_000, 30_000))
        self._begin_within_ms = drawn.randint(0, 2 * self.interval_ms)
        self.scene = Scene(
            chance=chance,
            timeline=self._timeline,
            venue=self.venue,
            settings=Settings(folder, self.venue, self.interval_ms // 1000),
            story=Story(lambda: self.virtual_ms),
            safety=Safety(self.venue),
        )
        self.lives = Lives(self.scene)
        self.script = Script(self.venue, chance, options.faults, self.scene.story)
        self.sources = SourceFaults(self.venue, chance, options.faults, self.scene.story)
        self.accidents = Accidents(self.scene, self.lives, options.faults)
        self._moved: set[str] = set()
        self.pump_steps = 0
        self._checked_cycles = 0

    @property
    def virtual_ms(self) -> int:
        """Virtual time since the beginning."""
        return self._now_ms - START_MS

    @property
    def _now_ms(self) -> int:
        return self._timeline.clock.now_ms()

    def run(self) -> None:
        """The story, then quiet; raises Found at the first thing that does not hold."""
        self.lives.begin()
        self._tick()
        self._go_on(self._begin_within_ms)
        for step in range(1, self.options.steps + 1):
            self.scene.story.step = step
            self.lives.step(step)
            if self.options.plays(step):
                self.sources.begin_some(step)
                self.accidents.begin_some(step)
                self.script.step(step)
            self._go_on(self.scene.chance.of("gap", step).randint(*_GAP_MS))
            if self.sources.blind("clob", 2 * self.interval_ms + _CYCLE_MS):
                self.scene.safety.closed_while_blind(self.lives.process, "the CLOB is silent")
        self._quiet()

    def state_digest(self) -> str:
        """Over the states of the actors in memory, as ``replay`` shows it of those that the journal gives."""
        remembered = self.lives.process.remembered()
        return digest_of(
            {address: remembered.get(address, "") for address in self.scene.safety.rebuilt.books.digests()}
        )

    def end(self) -> None:
        """Take down what runs."""
        self.lives.process.die()

    def digest(self) -> tuple[int, str]:
        """Number and hash of the journal's last entry."""
        database = open_readonly(self.scene.settings.url)
        try:
            report = Journal(database).verify_chain(WALLET)
        finally:
            database.close()
        return report.entries, report.head_hash

    # -- time ---------------------------------------------------------------------------------------------------------

    def _go_on(self, duration_ms: int) -> None:
        """So much virtual time, with everything that falls due in it."""
        until_ms = self._now_ms + duration_ms
        while True:
            self._settle_mail()
            if not self._timeline.fire_next(until_ms):
                break
        self._timeline.clock.advance_to(until_ms)

    def _settle_mail(self) -> None:
        """Until nobody has mail; a process that died or gave up is started again."""
        for _ in range(_MOST_STEPS_AT_ONCE):
            life = self.lives.process.life
            handled = life.step()
            if not handled and not life.over:
                self._look()
                return
            self.pump_steps += handled
            self.accidents.after_message()
        raise Found(
            Finding(
                rule="the actors come to rest",
                subject="mailboxes",
                expected="empty",
                found=f"mail after {_MOST_STEPS_AT_ONCE} steps at one moment",
            )
        )

    def _look(self) -> None:
        """After each cycle everything is checked."""
        if len(self.scene.seen.cycles) > self._checked_cycles:
            self._checked_cycles = len(self.scene.seen.cycles)
            self._check()

    def _check(self) -> None:
        believable = not self.sources.played[STALE_CLOB]
        self.scene.safety.check(self.lives.process, self._now_ms, believable=believable)

    def _tick(self) -> None:
        """Blocks come, also while nobody asks."""
        self.venue.tick()
        latest = self.venue.world.books.operations[-_LATEST:]
        self._moved.update(token for operation in latest for token in operation.tokens)
        self._timeline.later(BLOCK_MS, self._tick)

    # -- the end ------------------------------------------------------------------------------------------------------

    def _quiet(self) -> None:
        """No more faults; what is on its way arrives, and then the books are the world's."""
        self.sources.end_all()
        self.script.settle_all()
        self.accidents.end_all()
        for _ in range(QUIET_CYCLES + (FILL_TTL_S * 1000 + self.accidents.ahead_ms) // self.interval_ms):
            self._go_on(self.interval_ms)
            self.script.settle_all()
        self._check()
        process, world = self.lives.process, self.venue.world
        self.scene.safety.stored(process)
        self.lives.remember(self.scene.safety.rebuilt.books.digests())
        require(next(convergence.differences(process, world, self.scene.seen, self._moved), None))
        require(next(convergence.inferred(self.scene.safety.rebuilt.books), None))
        if not self.sources.played and not self.accidents.played[CLOCK_JUMPS]:
            require(next(convergence.unnamed(process, world), None))


def _world(options: Options, drawn: Random) -> WorldOptions:
    """A small wallet, or an empty one."""
    held = None if drawn.random() < 0.5 and options.markets == MARKETS else 0
    return WorldOptions(
        seed=options.seed,
        block_time_ms=BLOCK_MS,
        markets=options.markets,
        protocol_v2_markets=drawn.choice((0, 1)),
        positions=held,
        orders=held,
        activity=False,
        confirm_blocks=FINALITY_BLOCKS,
        finality_blocks=FINALITY_BLOCKS,
    )


def simulate(options: Options, keep: Path | None = None) -> Result:
    """Run one seed in a folder of its own, which is gone afterwards; or in ``keep``, which stays."""
    if keep is not None:
        return _in_folder(options, keep)
    with tempfile.TemporaryDirectory(
        prefix="portfolio-sync-simulation-", dir=MEMORY if MEMORY.is_dir() else None
    ) as folder:
        return _in_folder(options, Path(folder))


def _in_folder(options: Options, folder: Path) -> Result:
    simulation = Simulation(options, folder)
    finding = None
    try:
        simulation.run()
    except Found as found:
        finding = found.finding
    except Exception as error:  # noqa: BLE001 - told as what was found, with its place
        finding = _raised(error)
    result = _result(simulation, finding)
    simulation.end()
    return result


def _raised(error: Exception) -> Finding:
    """An error that left a reader, the wiring or a port: in production it would have ended the process or a read."""
    place = " < ".join(f"{frame.name} {frame.lineno}" for frame in reversed(extract_tb(error.__traceback__)[-4:]))
    text = f"{type(error).__name__}: {error}"
    return Finding(rule="nothing raises", subject="process", expected="no error", found=text, detail=place)


def _result(simulation: Simulation, finding: Finding | None) -> Result:
    entries, digest = simulation.digest()
    faults: Counter[str] = simulation.sources.played + simulation.accidents.played + simulation.lives.ended
    scene = simulation.scene
    return Result(
        seed=simulation.options.seed,
        ok=finding is None,
        finding=finding,
        at_step=scene.story.step,
        virtual_ms=simulation.virtual_ms,
        pump_steps=simulation.pump_steps,
        cycles=len(scene.seen.cycles),
        lives=simulation.lives.count,
        checks=scene.safety.checks,
        requests=sum(simulation.venue.sandbox.requests.values()),
        happened=dict(sorted(simulation.script.done.items())),
        faults=dict(sorted(faults.items())),
        journal_entries=entries,
        digest=digest,
        state_digest=simulation.state_digest(),
        story=tuple(scene.story.happened),
    )


__all__ = ["Options", "Result", "Simulation", "simulate"]
