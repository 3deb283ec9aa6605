"""A process's servers over a small stored state, with a fake in the place of the actors."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from service.config import Config, load
from service.http import Servers
from tests.integration.service.books import FakeProcess, configured, stored


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Commands set logs up for their process; the next test has another stderr."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield
    root.handlers[:], level = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    token = tmp_path / "token"
    token.write_text("let-me-in\n", encoding="utf-8")
    return configured(tmp_path, f'[http]\nbind = "127.0.0.1:0"\ntoken_file = "{token}"\n')


@pytest.fixture
def config(config_file: Path) -> Config:
    return load(config_file, {"HOME": "/"}, secrets_needed=False)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[FakeProcess]:
    fake = FakeProcess(stored(tmp_path))
    yield fake
    fake.database.close()


@pytest.fixture
def servers(process: FakeProcess, config: Config) -> Iterator[Servers]:
    listening = Servers(process, config)
    listening.start()
    yield listening
    listening.stop()


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Commands find the configuration that a test gives them and no other."""
    for name in [name for name in os.environ if name.startswith(("PORTFOLIO_SYNC", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "110")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """A configuration over a small stored state, without a running process."""
    stored(tmp_path)
    return configured(tmp_path)
