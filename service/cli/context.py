"""What a command works with: the configuration, the stored state, and the running process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from service.client import ControlClient
    from service.config import Config
    from storage.queries import Queries


def chosen_file(context: typer.Context, file: Path | None) -> Path | None:
    """``--config`` behind the command, else the one before it."""
    above: Any = context.find_root().obj
    return file if file is not None else above


def load_config(context: typer.Context, file: Path | None, *, secrets_needed: bool) -> Config:
    """The configuration; raises ConfigError."""
    from service.config import load

    return load(chosen_file(context, file), secrets_needed=secrets_needed)


def control(config: Config) -> ControlClient:
    """The way to the running process."""
    from service.client import ControlClient

    return ControlClient(config.service.control_socket)


@contextlib.contextmanager
def stored_state(config: Config) -> Iterator[Queries]:
    """The stored state, opened beside its owner, for reading only."""
    from storage.database import open_readonly
    from storage.queries import Queries

    database = open_readonly(config.storage_url)
    try:
        yield Queries(database)
    finally:
        database.close()
