"""What benchmarks promise of themselves: floors without the product, names that are refused, sums that are right."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS, main
from benchmarks.results import percentile

FOLDER = Path(__file__).resolve().parents[3] / "benchmarks"
FLOORS = sorted(FOLDER.glob("floor_*.py"))
PRODUCT = {"actors", "benchmarks", "messages", "polymarket", "portfolio", "service", "storage"}


def imported(file: Path) -> set[str]:
    """Top-level packages that a file imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.req("D-27")
@pytest.mark.parametrize("file", FLOORS, ids=lambda file: file.stem)
def test_a_floor_imports_nothing_of_the_product(file: Path) -> None:
    assert not imported(file) & PRODUCT


@pytest.mark.req("D-27")
def test_there_are_floors() -> None:
    assert FLOORS


def test_a_name_that_is_not_built_is_refused_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["cycle-50", "cycle-fifty"])
    assert ended.value.code == 2
    assert f"there is no benchmark cycle-fifty; there are {', '.join(BENCHMARKS)}" in capsys.readouterr().err


def test_every_benchmark_is_described() -> None:
    lines = (FOLDER / "README.md").read_text(encoding="utf-8").splitlines()
    headings = " ".join(line for line in lines if line.startswith("## "))
    assert [name for name in BENCHMARKS if f"`{name}`" not in headings] == []


@pytest.mark.parametrize(("share", "expected"), [(0.5, 100), (0.99, 198), (1.0, 200), (0.001, 1)])
def test_a_percentile_is_the_nearest_rank(share: float, expected: int) -> None:
    assert percentile([float(number) for number in range(200, 0, -1)], share) == expected
