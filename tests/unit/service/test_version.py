"""Which code computed a state: another answer where any source of it is another (D-20)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from service import version

ROOT = Path(__file__).parents[3]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the packages, which is looked at in place of the real ones."""
    for name in ("messages", "portfolio", "actors", "service"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr("importlib.resources.files", lambda name: tmp_path / name)
    return tmp_path


def code() -> str:
    version.code.cache_clear()
    try:
        return version.code()
    finally:
        version.code.cache_clear()


@pytest.mark.req("D-20", "L-20")
@pytest.mark.parametrize(
    "changed", ["portfolio/booking.py", "messages/codec.py", "actors/readings.py", "service/replay.py"]
)
def test_an_edit_of_what_makes_states_is_another_code(tree: Path, changed: str) -> None:
    before = code()
    assert code() == before
    file = tree / changed
    file.write_bytes(file.read_bytes() + b"\n")
    assert code() != before


@pytest.mark.req("D-20", "L-20")
def test_a_new_module_is_another_code_and_what_only_shows_states_is_not(tree: Path) -> None:
    before = code()
    for name in ("service/version.py", "actors/market.py", "portfolio/py.typed"):
        (tree / name).write_text("changed")
    assert code() == before
    (tree / "portfolio" / "another.py").write_text("")
    assert code() != before


@pytest.mark.req("D-20")
def test_another_release_is_another_code(monkeypatch: pytest.MonkeyPatch) -> None:
    before = code()
    monkeypatch.setattr(version, "version", lambda: "0.0.0")
    assert code() != before
