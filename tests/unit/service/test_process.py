"""A started process keeps the collector off the hot path, and gives back what it changed (L-02)."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.config import load
from service.process import COLLECT_AFTER, Outside, Process
from service.telemetry import NoMetrics
from storage.database import open_database
from tests.support.probes import FakeSink

ADDRESS = "0x" + "a1" * 20
CONFIG = f"""
[[wallets]]
name = "main"
address = "{ADDRESS}"
signer_address = "{ADDRESS}"
signature_type = 0
"""


class Unasked:
    """Port ``ExternalReads``: a process without cycles reads nothing."""

    def request(self, read: object, reply: object, correlation: str) -> None:
        """Never called."""
        raise AssertionError(f"{read} was asked for as {correlation}, to be told {reply}")


@pytest.fixture
def _collected_as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


@pytest.mark.req("L-02")
@pytest.mark.usefixtures("_collected_as_before")
def test_what_is_loaded_at_the_start_is_left_out_of_collection_until_the_stop(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'[storage]\nurl = "sqlite:///{tmp_path}/books.db"\n{CONFIG}', encoding="utf-8")
    config = load(file, {"HOME": str(tmp_path)}, secrets_needed=False)
    database = open_database(config.storage_url, owner="test", now_ms=1)
    outside = Outside(reads=Unasked(), metrics=NoMetrics(), sink=FakeSink(), close=lambda: None)
    process = Process(config, database, outside)
    before = gc.get_freeze_count()
    process.start(cycles=False)
    assert gc.get_freeze_count() > before + 10_000
    assert gc.get_threshold() == COLLECT_AFTER
    process.stop()
    assert gc.get_freeze_count() == 0
