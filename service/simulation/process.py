"""The service's own process on virtual ground: production wiring, with a clock, a scheduler and an outside of ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import msgspec

from actors.streaming import StreamShown
from messages.addresses import Address
from portfolio.outcomes import Alert, CycleStatus, DeltaType, OperationsReport
from portfolio.state import digest
from service.config import Config
from service.config.outside import polymarket_settings
from service.process import Outside, Process
from service.simulation.ledger import CrashingLedger
from service.simulation.reads import Network, VirtualReads
from service.simulation.settings import WALLET
from service.simulation.stream import VirtualStream
from service.simulation.timeline import Life
from service.simulation.venue import Venue
from service.wiring import Ground
from storage.database import Database, open_database

SNAPSHOT_EVERY = 60
"""Entries; so that most lives begin from a snapshot, for which production's would need a far longer journal."""


class Seen:
    """What leaves the process: cycles and counters as metrics, and alerts."""

    def __init__(self) -> None:
        """Nothing yet; kept over crashes."""
        self.cycles: list[OperationsReport] = []
        self.alerts: list[Alert] = []

    def cycle(self, report: OperationsReport) -> None:
        """A cycle's report is durable."""
        self.cycles.append(report)

    def send(self, alert: Alert) -> None:
        """An alert is said."""
        self.alerts.append(alert)

    def positions_synced(self, delta_type: DeltaType, count: int) -> None:
        """Not looked at."""

    def strategy_paused(self, strategy_id: str) -> None:
        """Not looked at."""

    def counted(self, name: str, count: int = 1) -> None:
        """Not looked at."""

    def stream_gap(self, gap_ms: int) -> None:
        """Not looked at."""

    def known_statuses(self, statuses: Sequence[CycleStatus]) -> None:
        """Not looked at."""


class Poison(msgspec.Struct, frozen=True):
    """A message that no actor takes: whoever gets it crashes."""


class SimulatedProcess(Process):
    """One life of the service's process. ``seen`` is what left it, in this life and those before."""

    seen: Seen

    def __init__(self, config: Config, database: Database, outside: Outside, life: Life) -> None:
        """Everything that is not virtual is production's."""
        super().__init__(
            config, database, outside, Ground(clock=life.wall, runtime=life, snapshot_every=SNAPSHOT_EVERY)
        )
        self.life = life
        self.database = database
        self.ledger = CrashingLedger(database, life)
        self._ledger = self.ledger
        self._poisoned: list[Address] = []
        self.crashed_by_itself: list[Address] = []
        self.restarted_at_ms: int | None = None

    @property
    def interval_ms(self) -> int:
        """Between two cycles."""
        return self._config.sync.sync_interval_ms

    @property
    def stream(self) -> StreamShown | None:
        """What the ingest shows of the user stream."""
        return self._stream_shown()

    def poison(self, choose: Callable[[Sequence[Any]], Any], kinds: frozenset[str]) -> str:
        """Let one actor of these kinds crash at its next message but those before; its address, empty for none."""
        alive = [one for one in self._post.addresses if one.partition(":")[0] in kinds]
        if not alive:
            return ""
        address: Address = choose(alive)
        self._poisoned.append(address)
        self._post.tell(address, Poison())
        return address

    def remembered(self) -> dict[str, str]:
        """Digests of the states of all actors that decide, as they are in memory, by address."""
        states = {str(vars(actor)["address"]): vars(actor).get("_state") for actor in self.life.actors}
        return {address: digest(state) for address, state in sorted(states.items()) if state is not None}

    def die(self) -> None:
        """Crash: memory is gone, the files stay."""
        self.life.end()
        self.database.close()

    def _stop_actor(self, address: Address) -> None:
        """As in production, though nobody can wait here for an actor while the others go on."""
        ref = self._post.ref(address)
        self._post.unregister(address)
        if ref is not None and ref.is_alive():
            self.life.stop(ref)

    def _began(self) -> None:
        """A life is short: the collector is left as it is."""

    def _restart(self, address: Address) -> None:
        self.restarted_at_ms = self.life.clock.now_ms()
        if address in self._poisoned:
            self._poisoned.remove(address)
        else:
            self.crashed_by_itself.append(address)
        super()._restart(address)


def begin(config: Config, venue: Venue, life: Life, seen: Seen, random: Random) -> SimulatedProcess:
    """Start the process, as from the command line."""
    database = open_database(config.storage_url, owner="simulation", now_ms=life.wall.now_ms(), threads=False)
    network = Network(polymarket_settings(config), venue, life, random)
    outside = Outside(
        reads=VirtualReads(network),
        metrics=seen,
        sink=seen,
        close=lambda: None,
        stream=lambda: VirtualStream(venue, life, random),
    )
    process = SimulatedProcess(config, database, outside, life)
    process.seen = seen
    process.start()
    return process


__all__ = ["WALLET", "Seen", "SimulatedProcess", "begin"]
