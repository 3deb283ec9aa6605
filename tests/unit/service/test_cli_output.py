"""Tables on terminals of any width: amounts whole and to the right, units in headings, text gives way."""

from __future__ import annotations

import pytest

from service.cli import output
from service.cli.output import Grid, moment, print_rows

ROWS = [
    {"market_id": "0x" + "ab" * 32, "price_micro": 410_000, "size_micro": 1_234_567_890_123, "why": "one two three"},
    {"market_id": "0x" + "cd" * 32, "price_micro": 5_000, "size_micro": 1, "why": "[bold]four[/bold]"},
]


def table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int) -> list[str]:
    monkeypatch.setattr(output, "terminal_width", lambda: width)
    print_rows(ROWS, ("market_id", "price_micro", "size_micro", "why"), empty="", wide=False)
    return capsys.readouterr().out.splitlines()


def test_amounts_stand_right_under_their_units(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names, units, first, second = (line.rstrip() for line in table(capsys, monkeypatch, 100))
    assert names.split() == ["price", "size"]
    assert units.split() == ["market_id", "pUSD", "shares", "why"]
    end = units.index("shares") + len("shares")
    assert [line[:end].split()[-1] for line in (first, second)] == ["1234567.890123", "0.000001"]
    assert all(line[end : end + 1] == " " for line in (first, second))


@pytest.mark.parametrize("width", [1, 20, 40, 60])
def test_no_digit_is_cut_off_on_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    shown = "\n".join(table(capsys, monkeypatch, width))
    assert all(amount in shown for amount in ("0.41", "1234567.890123", "0.005", "0.000001"))
    assert "".join(word for word in shown.split() if word in {"one", "two", "three"}) == "onetwothree"


def test_text_of_a_market_is_no_markup(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "[bold]four[/bold]" in "\n".join(table(capsys, monkeypatch, 100))


def test_a_rule_stands_above_a_total(capsys: pytest.CaptureFixture[str]) -> None:
    grid = Grid([("name", False), ("cost\npUSD", True)])
    grid.add(["first", "1234.5"])
    grid.add_rule()
    grid.add(["total", "1234.5"])
    grid.print()
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["         cost", "name     pUSD", "first  1234.5", "       ──────", "total  1234.5"]
    assert grid.width == len("total  1234.5")


def test_a_time_beside_one_of_the_same_day_leaves_its_date_out() -> None:
    noon, day_ms = 1_746_792_000_000, 86_400_000
    assert moment(noon) == "2025-05-09 12:00:00Z"
    assert moment(noon, beside_ms=noon - 1_000) == "12:00:00Z"
    assert moment(noon, beside_ms=noon - day_ms) == "2025-05-09 12:00:00Z"
