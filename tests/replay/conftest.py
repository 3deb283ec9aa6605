"""Replay tests write their journals with the whole actor system under the deterministic pump."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from service.config import Config
from storage.journal import Journal
from tests.replay.stories import config_of, tell
from tests.support.system import WALLET, Build, Harness
from tests.support.worlds import build


@pytest.fixture
def told(build: Build) -> Harness:
    """A system whose journal holds every kind of event a run writes: fills, a merge, a drift, a pause, orders."""
    return tell(build())


@pytest.fixture
def exported(told: Harness, tmp_path: Path) -> Path:
    """The journal as a file."""
    file = tmp_path / "journal.jsonl"
    file.write_bytes(b"".join(Journal(told.database).export_lines(WALLET)))
    return file


@pytest.fixture
def config(told: Harness, tmp_path: Path) -> Config:
    """A configuration that names the system's database."""
    return config_of(told, tmp_path)


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Commands set logs up for their process; the next test has another stderr."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield
    root.handlers[:], level = before
    root.setLevel(level)
    structlog.reset_defaults()


__all__ = ["build"]
