"""Data for stdout: one JSON document, a line, or a table. Colour only on a terminal; ids are short unless wanted."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from service.cli.failures import say

if TYPE_CHECKING:
    from rich.console import Console

ID_SHOWN_CHARS = 14
_WIDE_CONSOLE = 100_000
_AMOUNT_ENDINGS = ("_micro",)
_TIME_ENDING = "at_ms"


def print_json(value: Any) -> None:
    """One JSON document and a newline."""
    from service.encoding import pretty

    put(pretty(value))


def put(text: str) -> None:
    """A line of data."""
    sys.stdout.write(f"{text}\n")


def console() -> Console:
    """Stdout for tables. Where it is no terminal lines are as long as they need to be, so that nothing is cut off."""
    from rich.console import Console

    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, width=_WIDE_CONSOLE, color_system=None, force_terminal=False)


def print_rows(rows: Sequence[Mapping[str, Any]], columns: Iterable[str], *, empty: str, wide: bool) -> None:
    """A table of ``columns``; ``empty`` is said on stderr where there is nothing."""
    from rich.table import Table

    if not rows:
        say(empty)
        return
    names = list(columns)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        right = name.endswith(_AMOUNT_ENDINGS)
        table.add_column(title(name), justify="right" if right else "left", overflow="fold", no_wrap=right)
    for row in rows:
        table.add_row(*(cell(name, row.get(name), wide=wide) for name in names))
    console().print(table)


def print_pairs(pairs: Iterable[tuple[str, Any]]) -> None:
    """Names and values, one a line."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in pairs:
        table.add_row(Text(name, style="bold"), Text(cell(name, value, wide=True)))
    console().print(table)


def title(name: str) -> str:
    """A column's heading: the field's name without the unit that its cells no longer have."""
    for ending in ("_micro", "_ms"):
        name = name.removesuffix(ending)
    return name


def cell(name: str, value: Any, *, wide: bool) -> str:
    """A value for people: amounts as decimals, times in UTC, ids short."""
    from portfolio.units import format_micro

    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith(_AMOUNT_ENDINGS) and isinstance(value, int):
        return format_micro(value)
    if name.endswith(_TIME_ENDING) and isinstance(value, int):
        return moment(value)
    if isinstance(value, list | tuple):
        return "; ".join(str(item) for item in value) or "-"
    text = str(value)
    is_id = name.endswith(("_id", "_hash")) or name == "address"
    return shorten(text) if is_id and not wide else text


def shorten(text: str) -> str:
    """``0x9b0c1d…8b0c`` for a long id."""
    if len(text) <= ID_SHOWN_CHARS + 4:
        return text
    return f"{text[: ID_SHOWN_CHARS - 6]}…{text[-5:]}"


def moment(at_ms: int) -> str:
    """A time in UTC, to the second."""
    return dt.datetime.fromtimestamp(at_ms // 1000, tz=dt.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
