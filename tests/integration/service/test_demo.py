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
