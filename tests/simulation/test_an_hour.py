"""An hour of a wallet in virtual time: journal, snapshots and what the process has in memory give one digest (L-20)."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.replay import digest_of
from service.simulation.faults import CRASH, ORDERLY_STOP
from service.simulation.quiet import quiet
from service.simulation.run import Options, Simulation
from service.simulation.settings import WALLET
from service.snapshots_checked import replay_from
from service.verify import verify
from storage.snapshots import Snapshots

STEPS = 1_250
"""With three seconds on average between two."""

HOUR_MS = 3_600_000


@pytest.mark.req("L-20", "D-20", "D-23", "X-12", "X-03")
def test_an_hours_journal_replays_to_the_live_digest_from_its_beginning_and_from_any_snapshot(tmp_path: Path) -> None:
    played = frozenset(range(1, STEPS + 1, 3))
    faults = frozenset({CRASH, ORDERLY_STOP})
    simulation = Simulation(Options(seed=3, steps=STEPS, faults=faults, only=played), tmp_path)
    try:
        with quiet():
            simulation.run()
        assert simulation.virtual_ms >= HOUR_MS
        process, config = simulation.lives.process, simulation.scene.settings.load()
        kept = Snapshots(process.database).all(WALLET)
        document = replay_from(config, "all")
        live = process.remembered()
        proven = verify(config)
    finally:
        simulation.end()
    assert document["equal"]
    assert document["state_digest"] == digest_of(live)
    assert len(kept) > 1
    assert [(one["seq"], one["state_digest"]) for one in document["snapshots"]] == [
        (one.seq, document["state_digest"]) for one in reversed(kept)
    ]
    assert proven["ok"], proven["problems"]
    assert [one["sound"] for one in proven["snapshots"]] == [True] * len(kept)
