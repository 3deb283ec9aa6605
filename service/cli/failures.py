"""Exit codes, and how a failure is said: one line that names the remedy; a traceback only for what nobody expected."""

from __future__ import annotations

import enum
import sys

from service.client import Refused
from service.errors import ServiceError


class Exit(enum.IntEnum):
    """Exit codes of every command."""

    FINE = 0
    FAILED = 1
    USAGE = 2
    FOUND = 3


class CommandFailed(ServiceError):
    """A command could not do its work; the text says why and what to do."""

    def __init__(self, text: str, code: Exit = Exit.FAILED) -> None:
        """``code`` is the exit code."""
        super().__init__(text)
        self.code = code


def say(text: str) -> None:
    """Talk: to stderr, so that stdout stays data."""
    sys.stderr.write(f"{text}\n")


def explain(error: Exception) -> Exit:
    """Say what went wrong and give the exit code; an error that nobody expected is raised again."""
    from service.config import ConfigError
    from storage.errors import StorageError

    if isinstance(error, ConfigError):
        say(str(error))
        return Exit.USAGE
    if isinstance(error, CommandFailed):
        say(f"error: {error}")
        return error.code
    if isinstance(error, Refused):
        return _refused(error)
    if isinstance(error, ServiceError | StorageError):
        say(f"error: {error}")
        return Exit.FAILED
    raise error


def _refused(error: Refused) -> Exit:
    say(f"error: {error}")
    for problem in error.problems:
        say(": ".join(part for part in ("ConfigError", *(problem.get(key, "") for key in _PARTS)) if part))
    return Exit.USAGE if error.problems else Exit.FAILED


_PARTS = ("code", "place", "key", "text")
