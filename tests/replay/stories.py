"""A system with a story behind it, and the configuration of a command that reads its database."""

from __future__ import annotations

from pathlib import Path

import msgspec

from portfolio.table import Table
from service.config import Config, load
from service.keeping import Keeper
from service.replay import Books
from storage.snapshots import Snapshots
from tests.acceptance.test_crash_at_every_step import CHAPTERS, steps
from tests.support.system import WALLET, Harness

CONFIG = """
[storage]
url = "{url}"

[[wallets]]
name = "main"
address = "0x1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0b"
"""

PLAIN = msgspec.json.Encoder(enc_hook=Table.as_dict)
"""In an object's own order: what is equal by it is equal to the last place."""


def tell(harness: Harness) -> Harness:
    """Let all chapters happen: fills, a merge, a drift with its pause, orders."""
    for chapter in range(len(CHAPTERS)):
        for _ in steps(harness, chapter):
            pass
    return harness


def config_file(harness: Harness, folder: Path) -> Path:
    """A configuration file that names the harness's database."""
    file = folder / "portfolio-sync.toml"
    file.write_text(CONFIG.format(url=harness.url), encoding="utf-8")
    return file


def config_of(harness: Harness, folder: Path) -> Config:
    """The same, read."""
    return load(config_file(harness, folder), {"HOME": str(folder)}, secrets_needed=False)


def spoil(harness: Harness, sql: str) -> int:
    """Edit the database behind the service's back; returns how many rows changed."""
    return harness.database.write(lambda transaction: transaction.execute(sql))


def keeper_of(harness: Harness, every: int = 1) -> Keeper:
    """Keeps the harness's snapshots, as a process keeps its own."""
    return Keeper(WALLET, harness.database, harness.system, lambda: harness.ledger.head(WALLET), every)


def as_it_is(books: Books) -> tuple[bytes, ...]:
    """Everything of them, in its order."""
    return (PLAIN.encode(books.span), *(PLAIN.encode(state) for state in books.states().values()))


def seqs(harness: Harness) -> list[int]:
    """Entries of the stored snapshots, the newest first."""
    return [snapshot.seq for snapshot in Snapshots(harness.database).all(WALLET)]
