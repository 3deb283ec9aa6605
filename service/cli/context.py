"""What a command works with: the configuration, the stored state, and the running process."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from service.cli.failures import CommandFailed

if TYPE_CHECKING:
    from messages.control import Command
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


def obey(config: Config, target: str, body: dict[str, Any], command: Command) -> str:
    """Have a command obeyed: by the running process, else by taking the lease (D-22); its word on it.

    A refusal is a failure: Refused from the process, CommandFailed without one.
    """
    from service.client import NotRunning

    try:
        return str(control(config).post(target, body)["detail"])
    except NotRunning:
        from service.bootstrap import offline_command

        outcome = offline_command(config, command)
        if not outcome.ok:
            raise CommandFailed(outcome.detail) from None
        return outcome.detail


def new_id() -> str:
    """A request id."""
    return uuid.uuid4().hex
