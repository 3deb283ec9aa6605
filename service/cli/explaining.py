"""``explain``: how a market came to its numbers, line by line, and whether the lines add up to them (X-04)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

import typer

from service.cli.context import load_config, stored_state
from service.cli.failures import Exit, say
from service.cli.options import ConfigFile, Json, Wide
from service.cli.output import Grid, cell, moment, print_json, put, shorten, terminal_width

Market = Annotated[str, typer.Argument(metavar="MARKET", help="Condition id, market id or slug.")]
Newest = Annotated[
    int | None,
    typer.Option(
        "--limit",
        min=1,
        max=1_000_000,
        metavar="N",
        help="Only the newest N lines; the totals stay.",
        show_default="all",
    ),
]

commands = typer.Typer()
"""Collected here, added to the application in ``application``."""


@commands.command(epilog="Example: portfolio-sync explain rain-zurich")
def explain(
    context: typer.Context,
    market: Market,
    *,
    config: ConfigFile = None,
    json: Json = False,
    wide: Wide = False,
    limit: Newest = None,
) -> None:
    """Tell how a market came to its numbers: every change with its transaction, and the totals after it.

    Told from the journal, in the order in which things were booked, with issues and pauses among them. Ends with 3
    where the lines do not add up to the stored positions.
    """
    from service import explain as stories
    from service.one_wallet import the_wallet

    settings = load_config(context, config, secrets_needed=False)
    with stored_state(settings) as queries:
        story = stories.document(queries, the_wallet(settings).name, market, limit)
    if json:
        print_json(story)
    else:
        show(story, wide=wide)
    for problem in story["problems"]:
        say(f"error: {problem}")
    if not story["adds_up"]:
        say(
            "error: the story does not add up to what is stored; do not trade on these numbers, keep a copy of the "
            "database, and let `portfolio-sync replay` tell whether the journal is whole"
        )
        raise typer.Exit(int(Exit.FOUND))


Column: TypeAlias = tuple[str, str, str]
"""Heading of a change, heading of what stands beside it or below it, and the unit of both where they are amounts."""

COLUMNS: Sequence[Column] = (
    ("booked", "happened", ""),
    ("what", "", ""),
    ("outcome", "", ""),
    ("shares", "held", "shares"),
    ("cost", "cost basis", "pUSD"),
    ("realised", "in all", "pUSD"),
    ("proceeds", "fee", "pUSD"),
    ("by", "", ""),
)
AMOUNTS = (
    ("shares_micro", "shares_after_micro"),
    ("cost_micro", "cost_basis_after_micro"),
    ("realized_pnl_micro", "realized_pnl_after_micro"),
    ("proceeds_micro", "fee_micro"),
)
DROPPED = "dropped"
UNFIRM = {
    "seen": "its block is not final yet: should the chain drop it, the change is undone",
    DROPPED: "the chain dropped its block, and what it showed was undone",
}
"""Marks of what stands on no final block, with what they mean (X-14)."""

_LONG = re.compile(r"0x[0-9a-f]{64}")

PROVISIONAL = "provisional"
"""In the place of a trade's id, where it is not known yet (D-03)."""

TOTALS = ("shares_micro", "settled_micro", "cost_basis_micro", "realized_pnl_micro", "fees_micro")
HEADINGS = ("shares\nheld", "shares\nsettled", "pUSD\ncost basis", "pUSD\nrealised", "pUSD\nfees", "story")


def show(story: dict[str, Any], *, wide: bool) -> None:
    """Two tables on stdout: the lines, and the positions that they lead to."""
    for condition in story["conditions"]:
        halted = f", halted: {condition['halt_reason']}" if condition["halted"] else ""
        say(f"{condition['title'] or condition['slug'] or 'no title yet'} ({condition['condition_id']}{halted})")
    if len(story["lines"]) < story["lines_total"]:
        say(f"the newest {len(story['lines'])} of {story['lines_total']} lines")
    rows = [_cells(line, wide=wide) for line in story["lines"]]
    grid = _grid(rows, stacked=False)
    if grid.width > terminal_width():
        grid = _grid(rows, stacked=True)
    grid.print()
    marks = {line["finality"] for line in story["lines"]}
    for mark in (mark for mark in UNFIRM if mark in marks):
        put(f"({mark}) {UNFIRM[mark]}")
    put("")
    _show_positions(story)


def _show_positions(story: dict[str, Any]) -> None:
    grid = Grid([("now", False), *((heading, heading != "story") for heading in HEADINGS)])
    for held in story["positions"]:
        sound = not any(held["difference"].values())
        amounts = [cell(name, held[name], wide=True) for name in TOTALS]
        grid.add([held["outcome"] or shorten(held["token_id"]), *amounts, "adds up" if sound else "DOES NOT ADD UP"])
    grid.print()


Pair: TypeAlias = tuple[str, str]


def _grid(rows: Sequence[Sequence[Pair]], *, stacked: bool) -> Grid:
    """Beside each other, or on a narrow terminal below each other, so that no amount is cut off."""
    headings: list[tuple[str, bool]] = []
    for first, second, unit in COLUMNS:
        shown = (f"{first}\n{second}",) if stacked else (first, second)
        headings += [(f"{heading.strip()}\n{unit}".strip(), bool(unit)) for heading in shown if heading]
    grid = Grid(headings)
    for row in rows:
        if stacked:
            grid.add([f"{first}\n{second}".rstrip() for first, second in row])
        else:
            pairs = zip(row, COLUMNS, strict=True)
            grid.add(
                [text for pair, column in pairs for text, heading in zip(pair, column[:2], strict=True) if heading]
            )
    return grid


def _cells(line: dict[str, Any], *, wide: bool) -> list[Pair]:
    booked, happened = line["booked_at_ms"], line["happened_at_ms"]
    when = (moment(booked), "" if happened // 1000 == booked // 1000 else moment(happened, beside_ms=booked))
    if line["shares_after_micro"] is None:
        amounts = [("", "")] * len(AMOUNTS)
    else:
        amounts = [
            (cell(first, line[first], wide=True), cell(second, line[second], wide=True)) for first, second in AMOUNTS
        ]
    return [when, (_what(line, wide=wide), ""), (line["outcome"], ""), *amounts, (_shown_by(line, wide=wide), "")]


def _what(line: dict[str, Any], *, wide: bool) -> str:
    """The kind of change in words, with a fill's terms."""
    kind, cause = line["kind"], line["cause"]
    parts = [kind if cause.lower() == kind else f"{kind} {cause}"]
    if line["size_micro"] is not None:
        terms = f"{line['side']} {cell('size_micro', line['size_micro'], wide=True)} at "
        parts.append(f"{terms}{cell('price_micro', line['price_micro'], wide=True)}, {line['role'].lower()}")
    if line["external"]:
        parts.append("by another key")
    if line["order_id"]:
        parts.append(f"order {_id(line['order_id'], wide=wide)}")
    undone = line["superseded"] and line["finality"] == DROPPED
    notes = {
        "estimated": line["estimated"],
        "superseded since": line["superseded"] and not undone,
        "taken back since": undone,
    }
    parts += [note for note, holds in notes.items() if holds]
    return "; ".join(parts)


def _shown_by(line: dict[str, Any], *, wide: bool) -> str:
    """What shows it: the transaction with log and block, else what there is."""
    evidence, trade_id = line["evidence"], line["trade_id"]
    parts = [_transaction(line, wide=wide)] if line["transaction_hash"] else []
    if trade_id not in {"", PROVISIONAL} and trade_id not in evidence:
        parts.append(f"trade {_id(trade_id, wide=wide)}")
        parts += ["no transaction told"] if line["kind"] == "fill" and not line["transaction_hash"] else []
    if evidence and not (evidence.startswith("transaction ") and line["transaction_hash"]):
        inferred = line["proof"] == "inferred" and "inferred" not in evidence
        evidence = evidence if wide else _LONG.sub(lambda found: shorten(found[0]), evidence)
        parts.append(f"inferred: {evidence}" if inferred else evidence)
    parts += [f"by {line['operator']}"] if line["operator"] else []
    parts += [line["reason"]] if line["reason"] else []
    return "; ".join(parts)


def _transaction(line: dict[str, Any], *, wide: bool) -> str:
    numbers = [("log", line["log_index"]), ("block", line["block_number"])]
    mark = f" ({line['finality']})" if line["finality"] in UNFIRM else ""
    if line["evidence"].startswith(f"block {line['block_number']} "):
        numbers, mark = numbers[:1], ""  # the evidence says what became of the block
    told = [f"{name} {number}" for name, number in numbers if number is not None]
    return ", ".join([f"transaction {_id(line['transaction_hash'], wide=wide)}", *told]) + mark


def _id(text: str, *, wide: bool) -> str:
    return text if wide else shorten(text)
