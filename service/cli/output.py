"""Data for stdout: one JSON document, a line, or a table. Colour only on a terminal; ids are short unless wanted."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from service.cli.failures import say

if TYPE_CHECKING:
    from rich.console import Console

ID_SHOWN_CHARS = 14
_WIDE_CONSOLE = 100_000
_GAP = 2
"""Spaces between two columns."""

_WORD_MIN = 10
"""Columns that a word of text keeps on a narrow terminal; a table that is then too wide goes beyond its edge."""

_AMOUNT_ENDINGS = ("_micro",)
_TIME_ENDING = "at_ms"
_SHARES = frozenset({"shares", "settled", "in_flight", "size", "original_size", "size_matched"})
"""Amounts in shares; all others are in pUSD."""


def print_json(value: Any) -> None:
    """One JSON document and a newline."""
    from service.encoding import pretty

    put(pretty(value))


def put(text: str) -> None:
    """A line of data."""
    sys.stdout.write(f"{text}\n")


def terminal_width() -> int:
    """Columns of the terminal; where stdout is none, as many as are wanted, so that nothing is cut off."""
    from rich.console import Console

    return Console().width if sys.stdout.isatty() else _WIDE_CONSOLE


def console(width: int) -> Console:
    """Stdout for tables; without colour where it is no terminal."""
    from rich.console import Console

    if sys.stdout.isatty():
        return Console(highlight=False, width=width)
    return Console(highlight=False, width=width, color_system=None, force_terminal=False)


def print_rows(rows: Sequence[Mapping[str, Any]], columns: Iterable[str], *, empty: str, wide: bool) -> None:
    """A table of ``columns``; ``empty`` is said on stderr where there is nothing."""
    if not rows:
        say(empty)
        return
    names = list(columns)
    table = Grid([(title(name), name.endswith(_AMOUNT_ENDINGS)) for name in names])
    for row in rows:
        table.add([cell(name, row.get(name), wide=wide) for name in names])
    table.print()


class Grid:
    """A table under headings, each with whether its column holds amounts.

    Amounts stand right, and no digit of one is ever cut off, however narrow the terminal is; text folds.
    """

    def __init__(self, headings: Sequence[tuple[str, bool]]) -> None:
        """No rows yet."""
        self._headings = headings
        self._rows: list[Sequence[str]] = []

    def add(self, cells: Sequence[str]) -> None:
        """One more row."""
        self._rows.append(cells)

    def add_rule(self) -> None:
        """A rule under the amounts, above their total."""
        self.add(["─" * self._needed(number) if amounts else "" for number, (_, amounts) in enumerate(self._headings)])

    @property
    def width(self) -> int:
        """Columns of the terminal that it takes without folding any text."""
        return _with_gaps([self._needed(number) for number in range(len(self._headings))])

    def print(self) -> None:
        """To stdout."""
        from rich.table import Table
        from rich.text import Text

        widths = self._widths(terminal_width())
        table = Table(box=None, pad_edge=False, header_style="bold")
        for (heading, amounts), width in zip(self._headings, widths, strict=True):
            justify: Literal["left", "right"] = "right" if amounts else "left"
            table.add_column(heading, justify=justify, overflow="fold", no_wrap=amounts, width=width)
        for cells in self._rows:
            table.add_row(*(Text(cell) for cell in cells))
        console(_with_gaps(widths)).print(table)

    def _widths(self, available: int) -> list[int]:
        """Of the columns: text gives way, the widest first, and never below what keeps it readable."""
        widths = [self._needed(number) for number in range(len(self._headings))]
        least = [self._least(number) for number in range(len(widths))]
        while _with_gaps(widths) > available:
            shrinkable = [number for number, width in enumerate(widths) if width > least[number]]
            if not shrinkable:
                break
            widths[max(shrinkable, key=lambda number: widths[number])] -= 1
        return widths

    def _lines(self, number: int) -> Iterator[str]:
        for cell in (self._headings[number][0], *(cells[number] for cells in self._rows)):
            yield from cell.splitlines()

    def _needed(self, number: int) -> int:
        from rich.cells import cell_len

        return max(map(cell_len, self._lines(number)), default=0)

    def _least(self, number: int) -> int:
        from rich.cells import cell_len

        if self._headings[number][1]:
            return self._needed(number)
        words = (word for line in self._lines(number) for word in line.split())
        return min(max(map(cell_len, words), default=0), _WORD_MIN)


def _with_gaps(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def print_pairs(pairs: Iterable[tuple[str, Any]]) -> None:
    """Names and values, one a line."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in pairs:
        table.add_row(Text(name, style="bold"), Text(cell(name, value, wide=True)))
    console(terminal_width()).print(table)


def title(name: str) -> str:
    """A column's heading: the field's name, below it the unit of its amounts."""
    if name.endswith(_AMOUNT_ENDINGS):
        amount = name.removesuffix("_micro")
        return f"{amount}\n{'shares' if amount in _SHARES else 'pUSD'}"
    return name.removesuffix("_ms")


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


def moment(at_ms: int, *, beside_ms: int | None = None) -> str:
    """A time in UTC, to the second; without its date where the time beside it has the same."""
    at = dt.datetime.fromtimestamp(at_ms // 1000, tz=dt.UTC)
    same_day = beside_ms is not None and dt.datetime.fromtimestamp(beside_ms // 1000, tz=dt.UTC).date() == at.date()
    return at.strftime("%H:%M:%SZ" if same_day else "%Y-%m-%d %H:%M:%SZ")
