"""``replay``, ``verify`` and ``diff``: what the journal gives, whether it is whole, and what changed in it (L-20)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from service.cli.context import load_config
from service.cli.failures import CommandFailed, Exit, say
from service.cli.options import ConfigFile, Json, Wide
from service.cli.output import print_json
from service.cli.parsing import usage

if TYPE_CHECKING:
    from service.config import Config

Shape: TypeAlias = tuple[bool, bool]
"""Whether JSON is wanted, and ids in full length."""

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

Without = Annotated[
    list[int] | None,
    typer.Option("--without", min=1, metavar="SEQ", help="What if this entry had never been? Repeatable.",
                 show_default="none"),
]  # fmt: skip
OtherCode = Annotated[
    Path | None,
    typer.Option("--code", metavar="DIR", help="What if another version ran? Its source tree.",
                 show_default="this version"),
]  # fmt: skip

FromSnapshot = Annotated[
    str | None,
    typer.Option("--snapshot", metavar="SEQ|newest|all", help="From that snapshot too, and compare.",
                 show_default="none"),
]  # fmt: skip

PROGRESS_EVERY = 50_000
"""Entries between two words of progress; a shorter journal is done before anyone wonders."""

commands = typer.Typer()
"""Collected here, added to the application in ``application``."""


def progress(seq: int) -> None:
    """A line now and then, so that a long journal is seen to go on."""
    if seq % PROGRESS_EVERY == 0:
        say(f"{seq:,} entries")


@commands.command(epilog="Example: portfolio-sync replay --without 1200")
def replay(
    context: typer.Context,
    *,
    config: ConfigFile = None,
    json: Json = False,
    wide: Wide = False,
    until: Until = None,
    journal: JournalFile = None,
    export: ExportFile = None,
    without: Without = None,
    code: OtherCode = None,
    snapshot: FromSnapshot = None,
) -> None:
    """Rebuild the state from the journal and compare it with the stored one; 3 where they differ.

    Each difference names the field and the entry that last wrote it. With --until, or of a file, there is nothing to
    compare with: the state at that point is shown, positions, orders, cash, P&L and pauses. With --without or --code
    it is shown what would be different: had these entries never been, or had another version read the same journal.
    With --snapshot the same is rebuilt from a snapshot and the entries behind it too: 3 where that leads elsewhere.
    """
    from service import replaying
    from service.cli.replaying_output import show_replay

    settings = load_config(context, config, secrets_needed=False)
    if sum(map(bool, (without, code, snapshot, export))) > 1:
        raise usage("--without, --code, --snapshot and --export are different questions: ask one at a time")
    if without or code is not None:
        _what_if(settings, (without, code), (until, _existing(journal)), (json, wide))
        return
    if export is not None:
        say(f"{replaying.export(settings, export):,} entries are in {export}")
        return
    if snapshot is None:
        result = replaying.replay(settings, until, _existing(journal), progress)
    else:
        result = _from_snapshot(settings, snapshot, until, journal)
    if json:
        print_json(result)
    else:
        show_replay(result, wide=wide)
    _judge(result)


def _from_snapshot(settings: Config, which: str, until: int | None, journal: Path | None) -> dict[str, Any]:
    from service.snapshots_checked import ALL, NEWEST, replay_from

    if journal is not None:
        raise usage("--snapshot: an exported journal has no snapshots; leave --journal out")
    if which not in {NEWEST, ALL} and not which.isdecimal():
        raise usage(f"--snapshot {which}: expected the number of an entry, {NEWEST} or {ALL}")
    return replay_from(settings, which, until, progress)


def _what_if(
    settings: Config, wanted: tuple[list[int] | None, Path | None], part: tuple[int | None, Path | None], shape: Shape
) -> None:
    """What would be different; it is an answer and no finding, so the exit code is 0."""
    from service.cli.replaying_output import show_other_code, show_without
    from service.other_code import other_code
    from service.what_if import without

    left_out, tree = wanted
    json, wide = shape
    if tree is not None:
        result, show = other_code(settings, tree, *part, progress), show_other_code
    else:
        result, show = without(settings, left_out or (), *part, progress), show_without
    if json:
        print_json(result)
    else:
        show(result, wide=wide)


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
    wrong = [one for one in result.get("snapshots", ()) if one["equal"] is False]
    for one in wrong:
        say(f"error: snapshot of entry {one['seq']}: {one['detail']}; a start passes over a damaged one")
    if result["chain_broken_at"] is not None or not result["equal"] or wrong:
        raise typer.Exit(int(Exit.FOUND))


def _counted(count: int) -> str:
    return "1 field or row" if count == 1 else f"{count:,} fields or rows"
