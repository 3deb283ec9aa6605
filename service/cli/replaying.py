"""``replay``, ``verify`` and ``diff``: what the journal gives, whether it is whole, and what changed in it (L-20)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.context import load_config
from service.cli.failures import CommandFailed, Exit, say
from service.cli.options import ConfigFile, Json, Wide
from service.cli.output import print_json
from service.cli.parsing import usage

Until = Annotated[
    int | None,
    typer.Option("--until", min=0, metavar="SEQ", help="Show the state after this entry.", show_default="the last"),
]
JournalFile = Annotated[
    Path | None,
    typer.Option("--journal", metavar="FILE", help="Exported journal to read.", show_default="the stored journal"),
]
ExportFile = Annotated[
    Path | None,
    typer.Option("--export", metavar="FILE", help="Write the stored journal there, replay nothing.", show_default="no"),
]

PROGRESS_EVERY = 50_000
"""Entries between two words of progress; a shorter journal is done before anyone wonders."""

commands = typer.Typer()
"""Collected here, added to the application in ``application``."""


def progress(seq: int) -> None:
    """A line now and then, so that a long journal is seen to go on."""
    if seq % PROGRESS_EVERY == 0:
        say(f"{seq:,} entries")


@commands.command(epilog="Example: portfolio-sync replay --until 1200")
def replay(
    context: typer.Context,
    *,
    config: ConfigFile = None,
    json: Json = False,
    wide: Wide = False,
    until: Until = None,
    journal: JournalFile = None,
    export: ExportFile = None,
) -> None:
    """Rebuild the state from the journal and compare it with the stored one; 3 where they differ.

    Each difference names the field and the entry that last wrote it. With --until, or of a file, there is nothing to
    compare with: the state at that point is shown, positions, orders, cash, P&L and pauses.
    """
    from service import replaying
    from service.cli.replaying_output import show_replay

    settings = load_config(context, config, secrets_needed=False)
    if export is not None:
        say(f"{replaying.export(settings, export):,} entries are in {export}")
        return
    result = replaying.replay(settings, until, _existing(journal), progress)
    if json:
        print_json(result)
    else:
        show_replay(result, wide=wide)
    _judge(result)


@commands.command(epilog="Example: portfolio-sync verify --json")
def verify(context: typer.Context, *, config: ConfigFile = None, json: Json = False) -> None:
    """Prove the books from the database: the journal's chain, every invariant, and the stored state; 3 where one fails.

    A byte that was changed in the journal is located: entry, and header, payload or link. The books are not compared
    with the exchange and the chain here: each cycle does that, and `force-sync` runs one now.
    """
    from service import verify as verification
    from service.cli.replaying_output import show_verification

    settings = load_config(context, config, secrets_needed=False)
    result = verification.verify(settings, progress)
    if json:
        print_json(result)
    else:
        show_verification(result)
    for problem in result["problems"]:
        say(f"error: {problem}")
    if not result["ok"]:
        say("error: the books are not proven; do not trade on these numbers, and keep a copy of the database")
        raise typer.Exit(int(Exit.FOUND))


First = Annotated[int, typer.Argument(metavar="A", min=0, help="Number of an entry; 0 is before the first.")]
Last = Annotated[int, typer.Argument(metavar="B", min=0, help="Number of a later entry.")]


@commands.command(epilog="Example: portfolio-sync diff 1200 1250")
def diff(
    context: typer.Context,
    first: First,
    last: Last,
    *,
    config: ConfigFile = None,
    json: Json = False,
    wide: Wide = False,
    journal: JournalFile = None,
) -> None:
    """Show what changed between two journal entries: positions, orders, fills, adjustments, P&L, cash and pauses.

    Per market, with the numbers of the entries that did it. `portfolio-sync explain` tells one market's whole story.
    """
    from service.cli.replaying_output import show_changes
    from service.diff import diff as changes_between

    if first > last:
        raise usage(f"diff {first} {last}: name the earlier entry first")
    settings = load_config(context, config, secrets_needed=False)
    result = changes_between(settings, first, last, _existing(journal), progress)
    if json:
        print_json(result)
    else:
        show_changes(result, wide=wide)


def _existing(journal: Path | None) -> Path | None:
    if journal is not None and not journal.is_file():
        raise CommandFailed(f"--journal {journal} is no file; write one with `portfolio-sync replay --export FILE`")
    return journal


def _judge(result: dict[str, Any]) -> None:
    """Say what is wrong, and end with 3."""
    from service.replaying import told

    if result["chain_broken_at"] is not None:
        say(
            f"error: the journal was changed at entry {result['chain_broken_at']}; `portfolio-sync verify` tells what "
            "of it, and nothing from there on proves anything"
        )
    if not result["equal"]:
        for difference in result["differences"]:
            say(f"error: {told(difference)}")
        say(
            f"error: the stored state is not what the journal gives ({_counted(result['difference_count'])}, the "
            "earliest entry first); do not trade on these numbers, and keep a copy of the database"
        )
    if result["chain_broken_at"] is not None or not result["equal"]:
        raise typer.Exit(int(Exit.FOUND))


def _counted(count: int) -> str:
    return "1 field or row" if count == 1 else f"{count:,} fields or rows"
