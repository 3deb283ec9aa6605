"""Floor of ``replay``: the same entries, read from SQLite in order and decoded as JSON, nothing done with them (D-27).

Imports nothing of the product. ``python benchmarks/floor_replay.py FILE``: each line on stdin is answered with
``{"seconds": …, "entries": …}``. Rows come by the driver, in batches; the JSON decoder is the fast one.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from contextlib import closing

import msgspec

READ = "SELECT * FROM journal ORDER BY stream, seq"
BATCH = 500


def read(file: str) -> dict[str, float]:
    """Read and decode them all."""
    started, entries = time.perf_counter(), 0
    decode = msgspec.json.Decoder().decode
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        cursor = connection.execute(READ)
        place = [column[0] for column in cursor.description].index("payload")
        while batch := cursor.fetchmany(BATCH):
            for row in batch:
                decode(row[place])
            entries += len(batch)
    return {"seconds": time.perf_counter() - started, "entries": entries}


def main(file: str) -> None:
    """Serve until stdin ends."""
    print('"ready"', flush=True)
    for _ in sys.stdin:
        print(msgspec.json.encode(read(file)).decode(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
