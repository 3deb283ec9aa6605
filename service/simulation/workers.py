"""Seeds on several cores: a process each, fed one seed after the other; results come in the order asked for."""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from service.errors import ServiceError
from service.simulation.run import Options, Result

FEW = 8
"""Seeds that are as soon run here as a process is started for them."""

_COMMAND = (sys.executable, "-m", "gevent.monkey", "--module", f"{__package__}.worker")


class WorkerEnded(ServiceError):
    """A process that ran a seed is gone; the text names the seed."""


def jobs_for(seeds: int) -> int:
    """How many processes so many seeds are worth: one for each core, none for a few."""
    return 1 if seeds < FEW else min(seeds, os.cpu_count() or 1)


class Workers:
    """So many processes, until the block ends; with an error or an interrupt they end at once."""

    def __init__(self, jobs: int) -> None:
        """Starts them."""
        self._pool = ThreadPoolExecutor(jobs)
        self._all = [_Worker() for _ in range(jobs)]
        self._free: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._all:
            self._free.put(worker)

    def run(self, asked: Sequence[Options]) -> Iterator[Result]:
        """Results in the order of what was asked. Raises WorkerEnded."""
        return self._pool.map(self._play, asked)

    def _play(self, options: Options) -> Result:
        worker = self._free.get()
        try:
            return worker.play(options)
        finally:
            self._free.put(worker)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: object, _place: TracebackType | None) -> None:
        self.end()
        self._pool.shutdown(cancel_futures=True)
        for worker in self._all:
            worker.close()

    def end(self) -> None:
        """End the processes at once; who waits for them is told WorkerEnded."""
        for worker in self._all:
            worker.end()


class _Worker:
    """One process. An interrupt from the keyboard does not reach it: who started it ends it."""

    def __init__(self) -> None:
        path = os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH"))))
        self._line, theirs = socket.socketpair()
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter and a module of ours
            _COMMAND,
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )
        theirs.close()
        self._heard = self._line.makefile("rb")

    def play(self, options: Options) -> Result:
        try:
            self._line.sendall(msgspec.json.encode(options) + b"\n")
            return msgspec.json.decode(self._heard.readline(), type=Result)
        except (OSError, msgspec.DecodeError) as error:
            raise WorkerEnded(
                f"the process that ran seed {options.seed} is gone; run that seed alone with --seed"
            ) from error

    def end(self) -> None:
        self._process.terminate()

    def close(self) -> None:
        self._process.wait()
        self._heard.close()
        self._line.close()
