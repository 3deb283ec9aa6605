"""SIGHUP with another configuration file: what may change at once does, what is wrong changes nothing (S-10, R-07)."""

from __future__ import annotations

from random import Random

from service.config import ConfigError
from service.simulation.findings import compare
from service.simulation.lives import Lives, Scene
from service.simulation.settings import WALLET, Section

_WRONG: tuple[tuple[str, Section], ...] = (
    ("sync", {"sync_interval_s": 301}),
    ("sync", {"discrepancy_alert_usd": 501}),
    ("sync", {"auto_pause_strategy_on_drift": False, "operator": ""}),
    ("sync", {"no_such_key": 1}),
    ("strategies.one", {"markets": ["no condition"]}),
)


class Reloads:
    """Writes files, and lets the process read them."""

    def __init__(self, scene: Scene, lives: Lives) -> None:
        """``scene`` has the file that was accepted last."""
        self._scene = scene
        self._lives = lives
        self._accepted: dict[str, Section] = {}

    def reload(self, random: Random) -> str:
        """Of three files one is wrong; the right one is put back behind it. Says what was tried."""
        if random.random() < 1 / 3:
            return self._reject(*random.choice(_WRONG))
        return self._accept(self._drawn(random))

    def _drawn(self, random: Random) -> dict[str, Section]:
        """Some markets are a strategy's; auto-pause is off where somebody answers for it."""
        markets = sorted(market.condition_id for market in self._scene.venue.world.directory.markets)
        changes: dict[str, Section] = {}
        if random.random() < 0.7:
            changes["strategies.one"] = {"markets": random.sample(markets, random.randint(1, len(markets)))}
        if random.random() < 0.5:
            changes["sync"] = {"auto_pause_strategy_on_drift": False, "operator": "ops", "reason": "a try"}
        return changes

    def _accept(self, changes: dict[str, Section]) -> str:
        self._accepted = changes
        self._scene.settings.write(changes)
        process = self._lives.process
        with self._scene.settings.environment():
            process.reload_config()
        wanted = self._scene.settings.load().strategy_map
        compare("a reloaded configuration is in force", WALLET, wanted, process.strategy_map())
        return f"accepted: {', '.join(sorted(changes)) or 'as at first'}"

    def _reject(self, section: str, keys: Section) -> str:
        process = self._lives.process
        before, found = process.strategy_map(), "accepted"
        self._scene.settings.write({**self._accepted, section: {**self._accepted.get(section, {}), **keys}})
        try:
            with self._scene.settings.environment():
                process.reload_config()
        except ConfigError:
            found = "rejected"
        compare(f"a wrong configuration is rejected ({section})", str(keys), "rejected", found)
        compare("a rejected configuration changes nothing", WALLET, before, process.strategy_map())
        self._scene.settings.write(self._accepted)
        return f"rejected: {section} {keys}"
