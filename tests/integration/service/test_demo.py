"""The demo and the sandbox command as processes: they start, show, and end as asked."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import requests
from gevent.os import tp_read

ROOT = Path(__file__).parents[3]
ENDS_WITHIN_S = 180
"""Generous for a loaded machine; an idle one needs seconds."""


def started(*arguments: str, folder: Path, terminal: int = subprocess.PIPE) -> subprocess.Popen[str]:
    """The command line as a process of its own, in a process group of its own, as a terminal does it."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PORTFOLIO_SYNC")}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "bin" / "portfolio-sync"), *arguments],
        stdout=terminal,
        stderr=terminal,
        text=True,
        env={**environ, "PYTHONPATH": str(ROOT), "HOME": str(folder)},
        start_new_session=True,
    )


@pytest.fixture
def made_folders() -> Iterator[list[Path]]:
    """Directories that demos leave for looking further; here nobody looks."""
    import shutil

    folders: list[Path] = []
    yield folders
    for folder in folders:
        shutil.rmtree(folder)


def folder_of(shown: str) -> Path:
    """The directory that a demo names at its end."""
    found = re.search(r"--config (\S+)/portfolio-sync\.toml", shown)
    assert found, shown
    return Path(found.group(1))


@pytest.mark.req("X-07")
def test_the_demo_ends_after_its_cycles_with_equal_books(tmp_path: Path, made_folders: list[Path]) -> None:
    process = started("demo", "--cycles", "2", "--headless", "--seed", "5", folder=tmp_path)
    shown, said = process.communicate(timeout=ENDS_WITHIN_S)
    assert process.returncode == 0, said
    made_folders.append(folder_of(shown))
    assert len(re.findall(r" cycle +\d+ +ok ", shown)) >= 2, shown
    assert "the service's books equal the sandbox's own, to the base unit" in shown
    assert said == ""


@pytest.mark.req("X-07", "L-14", "X-01", "R-31")
def test_in_twelve_cycles_everything_happens_and_is_found_with_its_transaction(
    tmp_path: Path, made_folders: list[Path]
) -> None:
    process = started("demo", "--cycles", "12", "--headless", "--seed", "7", folder=tmp_path)
    shown, said = process.communicate(timeout=ENDS_WITHIN_S)
    assert process.returncode == 0, said
    made_folders.append(folder_of(shown))
    rows = _table(shown)
    assert list(rows) == [
        "external trade",
        "merge",
        "transfer above 500 pUSD",
        "failed trade",
        "redemption",
        "split",
        "reorganisation",
    ]
    assert [name for name, row in rows.items() if not re.match(r"\d+\.\d s", row["found after"])] == [], shown
    own = {"external trade": "EXTERNAL_SALE", "merge": "POSITION_MERGED", "redemption": "REDEEMED"}
    for name, cause in {**own, "split": "POSITION_SPLIT"}.items():
        assert cause in rows[name]["cause"], shown
        assert re.search(r"transaction 0x\w+…\w+, log \d+, block \d+", rows[name]["evidence"]), shown
    assert re.fullmatch(
        r"trade \S+: SELL 40\.0 at \S+ booked \(.*\), reversed \(.*\)", rows["failed trade"]["evidence"]
    )
    assert "was dropped by the chain" in rows["reorganisation"]["evidence"]
    assert rows["transfer above 500 pUSD"]["paused"] == "market-maker"
    assert "the service's books equal the sandbox's own, to the base unit" in shown


def _table(shown: str) -> dict[str, dict[str, str]]:
    """The rows of the summary by their first cell; cells that take several lines are joined."""
    lines = [line for line in shown.splitlines() if line.startswith(("┃", "│"))]
    heading, *rest = ([cell.strip() for cell in re.split("[┃│]", line)[1:-1]] for line in lines)
    rows: dict[str, dict[str, str]] = {}
    name = ""
    for cells in rest:
        name = cells[0] or name
        before = rows.get(name, dict.fromkeys(heading, ""))
        rows[name] = {column: f"{before[column]} {cell}".strip() for column, cell in zip(heading, cells, strict=True)}
    return rows


@pytest.mark.req("X-07")
def test_on_a_terminal_nothing_is_written_into_the_panel(tmp_path: Path, made_folders: list[Path]) -> None:
    shown = on_a_terminal("demo", "--cycles", "2", "--seed", "5", folder=tmp_path)
    made_folders.append(folder_of(shown))
    assert "what happened" in shown
    assert re.findall(r"cycle +\d+ +ok ", shown) == [], "cycles stand in the panel's table"


def on_a_terminal(*arguments: str, folder: Path) -> str:
    """All that the command writes to a terminal of 140 columns."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (45, 140))
    process = started(*arguments, folder=folder, terminal=theirs)
    os.close(theirs)
    found = b""
    with contextlib.suppress(OSError):  # a terminal that nobody has open any more
        while part := tp_read(ours, 65_536):
            found += part
    os.close(ours)
    assert process.wait(timeout=ENDS_WITHIN_S) == 0, found
    return found.decode()


@pytest.mark.req("X-07")
def test_ctrl_c_ends_the_demo_in_order(tmp_path: Path, made_folders: list[Path]) -> None:
    process = started("demo", "--headless", folder=tmp_path)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if " cycle " in line:
            break
    os.killpg(process.pid, signal.SIGINT)
    shown, said = process.communicate(timeout=ENDS_WITHIN_S)
    assert process.returncode == 0, said
    made_folders.append(folder_of(shown))
    assert "books equal the sandbox's own" in shown
    assert said == ""


@pytest.mark.req("X-07")
def test_the_sandbox_prints_where_it_is_and_plays_the_wanted_faults(tmp_path: Path) -> None:
    process = started("sandbox", "--seed", "3", "--faults", "clob:http_503", folder=tmp_path)
    assert process.stdout is not None
    try:
        info = msgspec.json.decode(process.stdout.readline())
        answer = requests.get(f"{info['clob_url']}/time", timeout=ENDS_WITHIN_S)
        assert (info["seed"], answer.status_code) == (3, 503)
    finally:
        process.terminate()
        _, said = process.communicate(timeout=ENDS_WITHIN_S)
    assert (process.returncode, said) == (0, "")
