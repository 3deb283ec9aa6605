"""The replay of a journal, in a process of its own without gevent, as the commands run it.

``python -m benchmarks.replay_subject CONFIG``. Each line on stdin names what to do: ``rebuild`` makes the states of all
actors, as a starting process does, ``replay`` is the command with its comparison of every table, ``verify`` looks at
chain and invariants too. Each is answered with ``{"seconds": …, "entries": …}``.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from service.config import Config, load
from service.one_wallet import the_wallet
from service.replay import rebuild
from service.replaying import replay
from service.verify import verify
from storage.database import open_readonly
from storage.journal import Journal


def rebuilt(config: Config) -> int:
    """The states of all actors; returns how many entries there were."""
    database = open_readonly(config.storage_url)
    try:
        name = the_wallet(config).name
        return rebuild(name, Journal(database).read(name)).entries
    finally:
        database.close()


def replayed(config: Config) -> int:
    """The command; the state must be the stored one."""
    document = replay(config)
    assert document["equal"], document["differences"]
    return int(document["entries"])


def verified(config: Config) -> int:
    """The command; everything must hold."""
    document = verify(config)
    assert document["ok"], document["problems"]
    return int(document["entries"])


WORK: Mapping[str, Callable[[Config], int]] = {"rebuild": rebuilt, "replay": replayed, "verify": verified}


def timed(work: Callable[[Config], int], config: Config) -> dict[str, Any]:
    """Seconds and entries."""
    gc.collect()
    started = time.perf_counter()
    entries = work(config)
    return {"seconds": time.perf_counter() - started, "entries": entries}


def main(file: str) -> None:
    """Serve until stdin ends."""
    config = load(Path(file), secrets_needed=False)
    print('"ready"', flush=True)
    for line in sys.stdin:
        print(msgspec.json.encode(timed(WORK[line.strip()], config)).decode(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
