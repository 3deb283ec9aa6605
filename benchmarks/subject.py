"""The service as a benchmark sees it: a process of its own, told by lines on stdin, answering by lines of JSON.

``python -m gevent.monkey --module benchmarks.subject CONFIG``. One command: ``cycles N`` answers with the milliseconds
of each of so many cycles; it ends with its stdin. A cycle begins when it is asked for and ends when its report is
durable: the metrics port hears of a report no earlier (D-18).
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import msgspec

from portfolio.outcomes import OperationsReport
from service.bootstrap import open_outside, running
from service.config import load
from service.logs import set_up
from service.process import Process
from service.telemetry import NoMetrics


class Stopwatch(NoMetrics):
    """The metrics port: notes when a report reached it."""

    def __init__(self) -> None:
        self.at_s = 0.0
        self.statuses: set[str] = set()

    def cycle(self, report: OperationsReport) -> None:
        """The report is durable."""
        self.at_s = time.perf_counter()
        self.statuses.add(report.status.value)


def cycles(process: Process, watch: Stopwatch, count: int) -> list[float]:
    """Milliseconds of each of so many cycles. Every one must have succeeded."""
    watch.statuses.clear()
    found = []
    for _ in range(count):
        started_s = time.perf_counter()
        process.force_sync()
        found.append((watch.at_s - started_s) * 1000)
    assert watch.statuses == {"ok"}, f"a cycle ended with {sorted(watch.statuses)}"
    return found


def main(file: str) -> None:
    """Serve commands until stdin ends."""
    config = load(Path(file))
    watch = Stopwatch()
    outside = msgspec.structs.replace(open_outside(config), metrics=watch)
    with Path(os.devnull).open("w", encoding="utf-8") as log:
        set_up(config, log)
        with running(config, outside) as process:
            process.force_sync()
            print('"ready"', flush=True)
            for line in sys.stdin:
                print(msgspec.json.encode(cycles(process, watch, int(line.split()[1]))).decode(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
