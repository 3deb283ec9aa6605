"""A system with a story behind it, and the configuration of a command that reads its database."""

from __future__ import annotations

from pathlib import Path

from service.config import Config, load
from tests.acceptance.test_crash_at_every_step import CHAPTERS, steps
from tests.support.system import Harness

CONFIG = """
[storage]
url = "{url}"

[[wallets]]
name = "main"
address = "0x1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0b"
"""


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
