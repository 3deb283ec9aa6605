"""Entry points: run a command, and turn every expected failure into one line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

import typer

from service.cli.application import build, build_polytraders
from service.cli.failures import Exit, explain, say


def main(arguments: Sequence[str] | None = None) -> int:
    """``portfolio-sync``: run the command line and return the exit code."""
    return _run(build, arguments, "portfolio-sync")


def polytraders(arguments: Sequence[str] | None = None) -> int:
    """``polytraders gov portfolio …``: the document's names for the same commands (S-19)."""
    return _run(build_polytraders, arguments, "polytraders")


def _run(builder: Callable[[], typer.Typer], arguments: Sequence[str] | None, name: str) -> int:
    application = builder()
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        application(given, prog_name=name)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else Exit.FAILED
    except KeyboardInterrupt:
        say("interrupted")
        return Exit.FAILED
    except BrokenPipeError:
        # Whoever read us (head, less) has seen enough; keep the interpreter from complaining at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FINE
    except Exception as error:  # noqa: BLE001 - expected ones become a line, the others are raised again
        return explain(error)
    return Exit.FINE
