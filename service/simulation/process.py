"""The service's own process on virtual ground: production wiring, with a clock, a scheduler and an outside of ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from messages.addresses import Address
from messages.ledger import Decision, JournalEntry
from polymarket.settings import ApiCredentials, Secret
from portfolio.outcomes import Alert, CycleStatus, DeltaType, OperationsReport
from service.config import Config
from service.config.building import build
from service.config.outside import polymarket_settings
from service.config.schema import RawConfig
from service.process import Outside, Process
from service.simulation.reads import Network, VirtualReads
from service.simulation.stream import VirtualStream
from service.simulation.timeline import Life
from service.simulation.venue import Venue
from service.wiring import Ground
from storage.database import Database, open_database
from storage.ledger import Ledger

WALLET = "main"
FOLLOW_S = 4
FILL_TTL_S = 60
"""A minute, not a quarter of an hour: what becomes of a fill whose end nobody shows has to be seen (R-10)."""


def configuration(folder: Path, venue: Venue, interval_s: int) -> Config:
    """The configuration of a service against the venue, with the defaults of production wherever it can have them."""
    info = venue.sandbox.describe()
    contracts, wallet = info["contracts"], info["wallet"]
    raw = RawConfig.model_validate(
        {
            "service": {"state_dir": str(folder)},
            "sync": {
                "sync_interval_s": interval_s,
                "settle_window_s": interval_s,
                "pending_fill_ttl_s": FILL_TTL_S,
            },
            "wallets": [
                {name: wallet[name] for name in ("address", "signer_address", "signature_type")} | {"name": WALLET}
            ],
            "polymarket": {name: info[name] for name in ("clob_url", "data_api_url", "gamma_url", "user_ws_url")},
            "polygon": {
                "rpc_url": info["rpc_url"],
                "chain_id": info["chain_id"],
                "collateral": contracts["collateral"],
                "usdc_e": contracts["bridged_usdc"],
                "wrapped_collateral": contracts["wrapped_collateral"],
                "conditional_tokens": contracts["conditional_tokens"],
                "neg_risk_adapter": contracts["neg_risk_adapter"],
                "exchanges": [contracts["exchange"], contracts["neg_risk_exchange"]],
                "position_contracts": [contracts["position_manager"]],
                "multicall": contracts["multicall"],
                "follow_interval_s": FOLLOW_S,
            },
            "storage": {"url": f"sqlite:///{folder}/books.db"},
            "statsd": {"host": ""},
            "http": {"bind": ""},
        }
    )
    key = ApiCredentials(
        key=Secret(wallet["api_key"]),
        secret=Secret(wallet["api_secret"]),
        passphrase=Secret(wallet["api_passphrase"]),
    )
    return build(None, raw, folder, {WALLET: key}, None)


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


class CrashingLedger(Ledger):
    """The ledger of a process that may die at a commit: just before it, or behind it with nobody told yet (D-18)."""

    def __init__(self, database: Database, life: Life) -> None:
        """``life`` is what ends."""
        super().__init__(database)
        self._life = life
        self.die_before = False
        self.die_after = False

    def commit(self, decisions: Sequence[Decision]) -> tuple[JournalEntry, ...]:
        """As the ledger does it, with a crash where one is due."""
        if self.die_before:
            self._life.die_here()
        entries = super().commit(decisions)
        if self.die_after:
            self._life.die_here()
        return entries


class SimulatedProcess(Process):
    """One life of the service's process."""

    def __init__(self, config: Config, database: Database, outside: Outside, life: Life) -> None:
        """Everything that is not virtual is production's."""
        super().__init__(config, database, outside, Ground(clock=life.clock, runtime=life))
        self.life = life
        self.database = database
        self.ledger = CrashingLedger(database, life)
        self._ledger = self.ledger
        self._poisoned: list[Address] = []
        self.crashed_by_itself: list[Address] = []

    def poison(self, choose: Callable[[Sequence[Any]], Any], kinds: frozenset[str]) -> str:
        """Let one actor of these kinds crash at its next message but those before; its address, empty for none."""
        alive = [one for one in self._post.addresses if one.partition(":")[0] in kinds]
        if not alive:
            return ""
        address: Address = choose(alive)
        self._poisoned.append(address)
        self._post.tell(address, Poison())
        return address

    def die(self) -> None:
        """Crash: memory is gone, the files stay."""
        self.life.end()
        self.database.close()

    def _began(self) -> None:
        """A life is short: the collector is left as it is."""

    def _restart(self, address: Address) -> None:
        if address in self._poisoned:
            self._poisoned.remove(address)
        else:
            self.crashed_by_itself.append(address)
        super()._restart(address)


def begin(config: Config, venue: Venue, life: Life, seen: Seen, random: Random) -> SimulatedProcess:
    """Start the process, as from the command line."""
    database = open_database(config.storage_url, owner="simulation", now_ms=life.clock.now_ms())
    network = Network(polymarket_settings(config), venue, life, random)
    outside = Outside(
        reads=VirtualReads(network),
        metrics=seen,
        sink=seen,
        close=lambda: None,
        stream=lambda: VirtualStream(venue, life, random),
    )
    process = SimulatedProcess(config, database, outside, life)
    process.start()
    return process


__all__ = ["WALLET", "Seen", "SimulatedProcess", "begin", "configuration"]
