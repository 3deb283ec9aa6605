"""The service as a benchmark sees it: a process of its own, told by lines on stdin, answering by lines of JSON.

``python -m gevent.monkey --module benchmarks.subject CONFIG``. One command: ``cycles N`` answers with the milliseconds
of each of so many cycles; it ends with its stdin. A cycle begins when it falls due and ends when its report is durable:
the metrics port hears of a report no earlier (D-18).
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import msgspec
from gevent.event import Event

from messages.addresses import coordinator_address
from messages.cycle import SyncAsked
from portfolio.outcomes import CycleStatus, OperationsReport
from service.bootstrap import open_outside, owner_name
from service.clock import SystemClock
from service.config import load
from service.logs import set_up
from service.process import Process
from service.telemetry import NoMetrics
from storage.database import open_database

CYCLE_WITHIN_S = 30


class Stopwatch(NoMetrics):
    """The metrics port: notes when a report reached it."""

    def __init__(self) -> None:
        self.at_s = 0.0
        self.status = CycleStatus.ABORTED
        self.heard = Event()

    def cycle(self, report: OperationsReport) -> None:
        """The report is durable."""
        self.at_s = time.perf_counter()
        self.status = report.status
        self.heard.set()


class Subject(Process):
    """The process, with a cycle begun as its timer begins one; a forced one would also read all metadata anew."""

    def cycle(self, watch: Stopwatch) -> float:
        """Milliseconds of one cycle, which must succeed."""
        watch.heard.clear()
        started_s = time.perf_counter()
        self._post.tell(coordinator_address(self._wallet.name), SyncAsked(why="interval"))
        assert watch.heard.wait(CYCLE_WITHIN_S), f"no cycle ended within {CYCLE_WITHIN_S} s"
        assert watch.status is CycleStatus.OK, f"a cycle ended with {watch.status}"
        return (watch.at_s - started_s) * 1000


def main(file: str) -> None:
    """Serve commands until stdin ends."""
    config = load(Path(file))
    watch = Stopwatch()
    outside = msgspec.structs.replace(open_outside(config), metrics=watch)
    with Path(os.devnull).open("w", encoding="utf-8") as log:
        set_up(config, log)
        database = open_database(config.storage_url, owner=owner_name(), now_ms=SystemClock().now_ms())
        process = Subject(config, database, outside)
        try:
            process.start()
            process.force_sync()
            print('"ready"', flush=True)
            for line in sys.stdin:
                found = [process.cycle(watch) for _ in range(int(line.split()[1]))]
                print(msgspec.json.encode(found).decode(), flush=True)
        finally:
            process.stop()


if __name__ == "__main__":
    main(sys.argv[1])
