"""A process on greenlets: it begins from its snapshots, and says behind which entry its actors stand (L-20, D-20)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from actors.runtime import GeventRuntime
from messages.control import SetKillSwitch
from service.clock import SystemClock
from service.config import load
from service.process import Outside, Process
from service.replay import digest_of, rebuild
from service.telemetry import NoMetrics
from service.wiring import Ground
from storage.database import open_database, open_readonly
from storage.journal import Journal
from storage.snapshots import Snapshots
from tests.support.live import until
from tests.support.probes import FakeSink
from tests.unit.service.test_process import CONFIG, Unasked

pytestmark = pytest.mark.req("L-20", "D-20", "L-19")

EVERY = 4


@contextmanager
def running(folder: Path) -> Iterator[Process]:
    """One life of a process without cycles, whose snapshots are of a few entries."""
    file = folder / "config.toml"
    file.write_text(f'[storage]\nurl = "sqlite:///{folder}/books.db"\n{CONFIG}', encoding="utf-8")
    config = load(file, {"HOME": str(folder)}, secrets_needed=False)
    database = open_database(config.storage_url, owner="test", now_ms=1)
    outside = Outside(reads=Unasked(), metrics=NoMetrics(), sink=FakeSink(), close=lambda: None)
    ground = Ground(clock=SystemClock(), runtime=GeventRuntime(), snapshot_every=EVERY)
    process = Process(config, database, outside, ground)
    process.start(cycles=False)
    try:
        yield process
    finally:
        process.stop()


def switch(process: Process, times: int) -> None:
    for _ in range(times):
        active = not process.kill_switch()
        assert process.command(SetKillSwitch(request_id="", active=active, operator="ada", reason="a drill")).ok


def snapshots(folder: Path) -> list[int]:
    database = open_readonly(f"sqlite:///{folder}/books.db")
    try:
        return [one.seq for one in Snapshots(database).all("main")]
    finally:
        database.close()


def given(folder: Path) -> str:
    """The digest of the whole journal, but for the coordinator: without cycles there is none."""
    database = open_readonly(f"sqlite:///{folder}/books.db")
    try:
        digests = rebuild("main", Journal(database).read("main")).digests()
        return digest_of({address: one for address, one in digests.items() if address != "coordinator:main"})
    finally:
        database.close()


@pytest.mark.req("D-23", "L-30")
def test_a_start_begins_from_the_newest_snapshot_and_makes_the_next_behind_a_long_tail(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        switch(process, EVERY)
    assert snapshots(tmp_path) == [], "none is made at a stop"
    with running(tmp_path) as process:
        (first,) = until(lambda: snapshots(tmp_path), "a snapshot")
        switch(process, 1)
    with capture_logs() as lines, running(tmp_path) as process:
        switched = process.kill_switch()
        shown = process.describe()
    (started,) = (line for line in lines if line["event"] == "started")
    assert (started["snapshot"], started["entries"]) == (first, first + 1)
    assert switched is (EVERY % 2 == 0)
    assert shown["journal"]["state_digest"] == given(tmp_path)


def test_what_all_actors_hold_is_named_with_the_entry_behind_which_they_stand(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        switch(process, 3)
        shown = process.describe()
        lease = process._ledger.head("main")
        assert shown["journal"] == {
            "head_seq": lease.head_seq,
            "head_hash": lease.head_hash,
            "state_digest": given(tmp_path),
        }
        assert shown["gate:main"]["state"]["kill_switch"] is True


def test_actors_that_answered_between_different_entries_are_of_no_one_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path) as process:
        described = process._described

        def while_entries_come() -> dict[str, Any]:
            told = described()
            switch(process, 1)
            return told

        monkeypatch.setattr(process, "_described", while_entries_come)
        shown = process.describe()
        assert shown["journal"] == {"head_seq": None, "head_hash": None, "state_digest": None}
        assert shown["gate:main"]["digest"]


def test_what_was_on_its_way_to_the_disk_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An actor that decided is ahead of the disk: its state belongs to an entry that has no number yet."""
    with running(tmp_path) as process:
        described = process._described
        asked: list[int] = []

        def with_one_on_its_way() -> dict[str, Any]:
            if not asked:
                switch_soon(process)
            asked.append(1)
            return described()

        def switch_soon(process: Process) -> None:
            gate = process._post.ref(next(one for one in process._post.addresses if one.startswith("gate:")))
            assert gate is not None
            gate.tell(SetKillSwitch(request_id="nobody", active=True, operator="ada", reason="a drill"))

        monkeypatch.setattr(process, "_described", with_one_on_its_way)
        shown = process.describe()
        assert len(asked) == 2
        assert shown["gate:main"]["state"]["kill_switch"] is True
        assert shown["journal"]["state_digest"] == given(tmp_path)


@pytest.mark.req("L-12")
def test_with_a_market_in_quarantine_there_is_no_digest_of_all(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        process._board.quarantined = ("0xa",)
        journal = process.describe()["journal"]
        assert journal["state_digest"] is None
        assert journal["head_seq"] > 0
