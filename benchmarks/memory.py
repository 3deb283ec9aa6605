"""``memory``: what the installed command ``run`` keeps resident with 1,000 markets, a position and an order in each."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil

from benchmarks.floors import bare_cycle
from benchmarks.places import ROOT, Place, place
from benchmarks.results import Result
from polymarket.sandbox.options import WorldOptions

NAME = "memory"
MARKETS = 1000
QUESTIONS = 3
CYCLES = 10
INTERVAL_S = 1
WITHIN_S = 180
LOOK_EVERY_S = 0.1
GOAL_MB = 200
MB = 1_000_000


def measure() -> Result:
    """The highest of all samples while ten cycles are run, the first of which registers every market."""
    world = WorldOptions(markets=MARKETS - QUESTIONS, events=1, positions=MARKETS, orders=MARKETS, activity=False)
    with place(world, interval_s=INTERVAL_S) as at:
        floor = bare_cycle(at)
        floor.ask("cycles 1")
        bare = psutil.Process(floor.pid).memory_info().rss
        floor.close()
        highest, last = _service(at)
    return Result(
        name=NAME,
        value=highest / MB,
        unit="MB resident, highest",
        floor=bare / MB,
        ratio=highest / bare,
        goal=f"< {GOAL_MB} MB",
        met=highest < GOAL_MB * MB,
        further={"last_mb": last / MB, "markets": MARKETS, "cycles": CYCLES},
    )


def _service(at: Place) -> tuple[int, int]:
    """Bytes: the highest sample, and the last one."""
    command = [sys.executable, str(ROOT / "bin" / "portfolio-sync"), "run", "--config", str(at.config)]
    with subprocess.Popen(command, env=at.environment, stderr=subprocess.DEVNULL) as service:
        try:
            return _watch(psutil.Process(service.pid), at.database)
        finally:
            service.terminate()


def _watch(service: psutil.Process, database: Path) -> tuple[int, int]:
    highest = last = 0
    deadline_s = time.monotonic() + WITHIN_S
    while _completed(database) < CYCLES:
        assert time.monotonic() < deadline_s, f"{CYCLES} cycles were not completed within {WITHIN_S} s"
        last = service.memory_info().rss
        highest = max(highest, last)
        time.sleep(LOOK_EVERY_S)
    return highest, last


def _completed(database: Path) -> int:
    """Cycles that compared every market, by their reports."""
    if not database.exists():
        return 0
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            rows = connection.execute("SELECT count(*) FROM operations_reports WHERE status = 'ok'").fetchone()
        except sqlite3.OperationalError:
            return 0  # the tables are not made yet
    return int(rows[0])
