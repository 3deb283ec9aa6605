"""The lives of the simulated process: what outlives each, how one ends, and what is checked before the next begins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from messages.addresses import Address, market_of
from messages.ledger import PendingAlert
from portfolio.state import MarketState, digest
from service.replay import rebuild
from service.simulation.chance import Chance
from service.simulation.findings import compare
from service.simulation.nodes import Nodes
from service.simulation.process import Seen, SimulatedProcess, begin
from service.simulation.safety import Safety
from service.simulation.settings import WALLET, Settings
from service.simulation.story import Kind, Story
from service.simulation.timeline import Life, Timeline
from storage.database import open_database, open_readonly
from storage.errors import LeaseHeld
from storage.journal import Journal
from storage.lease import Leases
from storage.outbox import Outbox


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What outlives every life of the process: the world, time, what was seen, and the files."""

    chance: Chance
    timeline: Timeline
    venue: Nodes
    settings: Settings
    story: Story
    safety: Safety
    seen: Seen = field(default_factory=Seen)


ANOTHER = "another process"


class Lives:
    """One life after another. ``ended`` counts what ended them, by its name."""

    def __init__(self, scene: Scene) -> None:
        """Nothing lives before ``begin``."""
        self._scene = scene
        self._network = scene.chance.of("network")
        self._usurper: _Usurper | None = None
        self.process: SimulatedProcess
        self.count = 0
        self.ended: Counter[str] = Counter()

    def begin(self) -> None:
        """Start the process; its gate is closed then (S-14)."""
        scene = self._scene
        self.count += 1
        life = Life(scene.timeline, scene.chance.of("life", self.count).getrandbits(32))
        self.process = begin(scene.settings.load(), scene.venue, life, scene.seen, self._network)
        scene.safety.closed_at_start(self.process)

    def crash(self, why: str) -> None:
        """The process is gone, and starts again; what is on disk is checked in between."""
        self._over(why)
        self.process.die()
        self._next()

    def stop(self, why: str) -> None:
        """The process stops in order; nothing that it decided is lost, nothing that it had to say is left.

        Of one that another process fenced off nothing more can become durable.
        """
        self._over(why)
        self.process.ledger.spare()
        self.process.stop()
        if self._usurper is None:
            pending, stored = self._on_disk()
            compare("a stop in order leaves no alert unsaid", WALLET, [], pending)
            self.remember(stored)
        self._next()

    def remember(self, stored: Mapping[str, str]) -> None:
        """At rest and behind a stop in order, what the actors have in memory is what the journal gives (L-20)."""
        for address, remembered in self.process.remembered().items():
            expected = stored.get(address, _fresh(address))
            compare("what is in memory is what the journal gives", address, expected, remembered)

    def usurp(self) -> None:
        """A second process takes the database over while the first one lives: its lock is gone, as with its session."""
        self._usurper = _Usurper(self._scene.settings, self._scene.timeline.wall.now_ms())

    def refused(self) -> None:
        """A second process wants the database; it is refused, and the first one goes on (D-22)."""
        try:
            second = open_database(self._scene.settings.url, owner=ANOTHER, now_ms=self._scene.timeline.wall.now_ms())
        except LeaseHeld:
            return
        second.close()
        compare("a second process is refused", WALLET, "LeaseHeld", "opened")

    @property
    def usurped(self) -> bool:
        """Whether another process has the lease."""
        return self._usurper is not None

    def written_by_both(self) -> None:
        """Whoever lost the lease writes nothing any more (D-17)."""
        if self._usurper is not None:
            head = self.process.ledger.head(WALLET).head_seq
            compare("a process without its lease writes nothing", WALLET, self._usurper.entries, head)

    def give_way(self, why: str) -> None:
        """The first one has noticed, and stops; the other one goes on."""
        compare("a process without its lease lets nobody trade", WALLET, [], self._open_gates())
        self._over(why)
        self.process.stop()
        self.written_by_both()
        self._next()

    def step(self, step: int) -> None:
        """From here on schedule and network go by what the step draws, so that steps left out shift them little."""
        self._network.seed(self._scene.chance.text("network", step))
        self.process.life.reschedule(self._scene.chance.of("schedule", step).getrandbits(32))

    def _over(self, why: str) -> None:
        self.ended[why] += 1
        self._scene.story.tell(Kind.ACCIDENT, why, f"life {self.count} of the process ends, the next one begins")

    def _next(self) -> None:
        if self._usurper is not None:
            self._usurper.leave()
            self._usurper = None
        self._scene.venue.forget()
        self.begin()
        self._scene.safety.stored(self.process)

    def _open_gates(self) -> list[str]:
        return [gate.strategy_id for gate in self.process.gates() if gate.allowed]

    def _on_disk(self) -> tuple[list[PendingAlert], Mapping[str, str]]:
        """Alerts that were not said, and the digests of all states."""
        database = open_readonly(self._scene.settings.url)
        try:
            return Outbox(database).pending(limit=100), rebuild(WALLET, Journal(database).read(WALLET)).digests()
        finally:
            database.close()


def _fresh(address: str) -> str:
    """A market that nothing happened to yet stands in no journal."""
    return digest(MarketState(wallet=WALLET, market_id=market_of(Address(address))))


class _Usurper:
    """Another process that has the database; ``entries`` is what its journal had when it came."""

    def __init__(self, settings: Settings, now_ms: int) -> None:
        settings.lock_file.unlink()
        self._database = open_database(settings.url, owner=ANOTHER, now_ms=now_ms)
        self.entries = Leases(self._database).acquire(WALLET, ANOTHER, now_ms).head_seq

    def leave(self) -> None:
        self._database.close()
