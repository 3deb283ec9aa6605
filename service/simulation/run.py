"""One simulation: a world, the service, faults and crashes, all from one seed, and what is checked meanwhile.

The process's own code decides everything; here is only what is around it. The same seed gives the same run.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from traceback import extract_tb

import msgspec

from polymarket.sandbox.options import ServerOptions, WorldOptions
from service.simulation import convergence
from service.simulation.faults import ACTOR_CRASH, CRASH, CRASH_AT_COMMIT, STALE_CLOB, SourceFaults
from service.simulation.findings import Finding, Found, require
from service.simulation.process import FILL_TTL_S, WALLET, Seen, SimulatedProcess, begin, configuration
from service.simulation.safety import Safety
from service.simulation.script import Script
from service.simulation.timeline import Life, Timeline
from service.simulation.venue import Venue
from service.wiring import DEADLINE_TIMEOUTS
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
_FAULT_SHARE = 0.15
_CYCLE_MS = DEADLINE_TIMEOUTS * 5_000
"""The longest that a cycle may take."""

_CRASH_SHARE = 0.03
_CRASH_STEPS = (0, 60)
_POISONABLE = frozenset({"market", "ingest", "coordinator", "gate", "watcher", "reporter"})


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What to simulate; ``steps`` is how often the script lets something happen."""

    seed: int
    steps: int
    faults: frozenset[str]
    markets: int = MARKETS


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How a simulation ended. ``digest`` is the head of the journal's hash chain; ``finding`` None: all held."""

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


class Simulation:
    """One run; ``run`` goes through it once."""

    def __init__(self, options: Options, folder: Path) -> None:
        """``folder`` holds the database."""
        self._options = options
        self._random = Random(f"simulation/{options.seed}")  # noqa: S311 - a story, not a secret
        self._timeline = Timeline(START_MS)
        small = options.markets == MARKETS
        held = None if small and self._random.random() < 0.5 else 0
        world = WorldOptions(
            seed=options.seed,
            block_time_ms=BLOCK_MS,
            markets=options.markets,
            positions=held,
            orders=held,
            activity=False,
            confirm_blocks=FINALITY_BLOCKS,
            finality_blocks=FINALITY_BLOCKS,
        )
        server = ServerOptions(page_size=self._random.choice((2, 5, 100)))
        self.venue = Venue(world, server, self._timeline)
        self.interval_ms = self._random.choice((5_000, 10_000, 30_000))
        self._config = configuration(folder, self.venue, self.interval_ms // 1000)
        self.script = Script(self.venue, Random(f"script/{options.seed}"), options.faults)  # noqa: S311 - as above
        self.sources = SourceFaults(self.venue, Random(f"faults/{options.seed}"), options.faults)  # noqa: S311
        self._crashes = Random(f"crashes/{options.seed}")  # noqa: S311 - as above
        self._network = Random(f"network/{options.seed}")  # noqa: S311 - as above
        self.seen = Seen()
        self.safety = Safety(self.venue)
        self.crashed: Counter[str] = Counter()
        self._moved: set[str] = set()
        self.process: SimulatedProcess
        self.lives = 0
        self.pump_steps = 0
        self.step = 0
        self._checked_cycles = 0
        self._crash_in: int | None = None

    @property
    def now_ms(self) -> int:
        """Virtual time."""
        return self._timeline.clock.now_ms()

    def run(self) -> None:
        """The story, then quiet; raises Found at the first thing that does not hold."""
        self._begin()
        self._tick()
        self._go_on(self._random.randint(0, 2 * self.interval_ms))
        for self.step in range(1, self._options.steps + 1):  # noqa: B020 - the step is told where it stops
            self._disturb()
            self.script.step()
            self._go_on(self._random.randint(*_GAP_MS))
            if self.sources.blind("clob", 2 * self.interval_ms + _CYCLE_MS):
                self.safety.closed_while_blind(self.process, "the CLOB is silent")
        self._quiet()

    def end(self) -> None:
        """Take down what runs."""
        self.process.die()

    def digest(self) -> tuple[int, str]:
        """Number and hash of the journal's last entry."""
        report = Journal(self.process.database).verify_chain(WALLET)
        return report.entries, report.head_hash

    # -- time ---------------------------------------------------------------------------------------------------------

    def _go_on(self, duration_ms: int) -> None:
        """So much virtual time, with everything that falls due in it."""
        until_ms = self.now_ms + duration_ms
        while True:
            self._settle_mail()
            if not self._timeline.fire_next(until_ms):
                break
        self._timeline.clock.advance_to(until_ms)

    def _settle_mail(self) -> None:
        """Until nobody has mail; a process that died or gave up is started again."""
        for _ in range(_MOST_STEPS_AT_ONCE):
            if not self.process.life.step():
                if self.process.life.over:
                    self._restart(CRASH_AT_COMMIT)
                    continue
                self._look()
                return
            self.pump_steps += 1
            if self.process.life.over:
                self._restart(CRASH_AT_COMMIT)
            elif self._crash_in is not None:
                self._count_down(self._crash_in)
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
        if len(self.seen.cycles) > self._checked_cycles:
            self._checked_cycles = len(self.seen.cycles)
            self.safety.check(self.process, self.now_ms, believable=not self.sources.played[STALE_CLOB])

    def _tick(self) -> None:
        """Blocks come, also while nobody asks."""
        self.venue.tick()
        latest = self.venue.world.books.operations[-_LATEST:]
        self._moved.update(token for operation in latest for token in operation.tokens)
        self._timeline.later(BLOCK_MS, self._tick)

    # -- faults -------------------------------------------------------------------------------------------------------

    def _disturb(self) -> None:
        """Perhaps a fault begins, or a crash comes near."""
        if self._crashes.random() < _FAULT_SHARE:
            self.sources.begin_some()
        for name, begin_crash in self._kinds_of_crash().items():
            drawn = self._crashes.random() < _CRASH_SHARE
            if drawn and name in self._options.faults:
                begin_crash()

    def _kinds_of_crash(self) -> dict[str, Callable[[], None]]:
        return {CRASH: self._plan_crash, CRASH_AT_COMMIT: self._plan_crash_at_commit, ACTOR_CRASH: self._poison}

    def _plan_crash(self) -> None:
        self._crash_in = self._crashes.randint(*_CRASH_STEPS)

    def _count_down(self, left: int) -> None:
        self._crash_in = left - 1 if left else None
        if self._crash_in is None:
            self._restart(CRASH)

    def _plan_crash_at_commit(self) -> None:
        ledger = self.process.ledger
        if self._crashes.random() < 0.5:
            ledger.die_before = True
        else:
            ledger.die_after = True

    def _poison(self) -> None:
        if self.process.poison(self._crashes.choice, _POISONABLE):
            self.crashed[ACTOR_CRASH] += 1

    # -- lives --------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self.lives += 1
        life = Life(self._timeline, self._random.getrandbits(32))
        self.process = begin(self._config, self.venue, life, self.seen, self._network)
        self.safety.closed_at_start(self.process)

    def _restart(self, why: str) -> None:
        """A crash, and the next life; what is on disk is checked in between."""
        self.crashed[why] += 1
        self._crash_in = None
        self.process.die()
        self.venue.forget()
        self._begin()
        self.safety.stored(self.process)

    # -- the end ------------------------------------------------------------------------------------------------------

    def _quiet(self) -> None:
        """No more faults; what is on its way arrives, and then the books are the world's."""
        self.sources.end_all()
        self.script.settle_all()
        self._crash_in = None
        self.process.ledger.die_before = self.process.ledger.die_after = False
        for _ in range(QUIET_CYCLES + FILL_TTL_S * 1000 // self.interval_ms):
            self._go_on(self.interval_ms)
            self.script.settle_all()
        self.safety.check(self.process, self.now_ms, believable=not self.sources.played[STALE_CLOB])
        self.safety.stored(self.process)
        require(next(convergence.differences(self.process, self.venue.world, self.seen, self._moved), None))
        if not self.sources.played:
            require(next(convergence.unnamed(self.process, self.venue.world), None))


def simulate(options: Options) -> Result:
    """Run one seed in a folder of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(
        prefix="portfolio-sync-simulation-", dir=MEMORY if MEMORY.is_dir() else None
    ) as folder:
        simulation = Simulation(options, Path(folder))
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
    faults: Counter[str] = simulation.sources.played + simulation.crashed
    return Result(
        seed=simulation._options.seed,  # noqa: SLF001 - one module
        ok=finding is None,
        finding=finding,
        at_step=simulation.step,
        virtual_ms=simulation.now_ms - START_MS,
        pump_steps=simulation.pump_steps,
        cycles=len(simulation.seen.cycles),
        lives=simulation.lives,
        checks=simulation.safety.checks,
        requests=sum(simulation.venue.sandbox.requests.values()),
        happened=dict(sorted(simulation.script.done.items())),
        faults=dict(sorted(faults.items())),
        journal_entries=entries,
        digest=digest,
    )


__all__ = ["Options", "Result", "Simulation", "simulate"]
