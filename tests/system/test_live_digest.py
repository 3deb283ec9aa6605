"""What the running process has in memory is what a replay of its journal gives, at the entry that it names (L-20)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.process import SandboxProcess
from tests.support.live import LiveService, LiveSettings, until

ENTRIES = 30


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    """A service in a world where something happens all the time."""
    options = WorldOptions(seed=43, block_time_ms=250, finality_blocks=2)
    folder = tmp_path_factory.mktemp("digest")
    with SandboxProcess(options) as sandbox, LiveService(folder, sandbox.info, LiveSettings()) as running:
        running.ready()
        yield running


def settled(service: LiveService) -> dict[str, Any]:
    """A dump in which all actors stood behind one entry."""

    def look() -> dict[str, Any] | None:
        service.require_running()
        shown: dict[str, Any] = service.get("/v1/dump")
        seq = shown["journal"]["head_seq"]
        return shown if seq is not None and seq >= ENTRIES else None

    return until(look, f"a dump behind at least {ENTRIES} entries")


@pytest.mark.req("L-20", "D-20", "L-19")
def test_replay_up_to_the_entry_that_a_dump_names_gives_its_digest_and_every_actors(service: LiveService) -> None:
    for _ in range(3):
        shown = settled(service)
        head = shown["journal"]
        done = service.command("replay", "--until", str(head["head_seq"]), "--json")
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        assert document["entries"] == head["head_seq"]
        assert document["state_digest"] == head["state_digest"]
        deciding = {address: one["digest"] for address, one in shown.items() if "digest" in one}
        assert {address: deciding[address] for address in document["states"]} == document["states"]
        service.sync()
