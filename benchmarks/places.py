"""Where a benchmark runs: a sandbox in its process, a configuration of a service against it, and children on lines."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from polymarket.sandbox.options import ServerOptions, WorldOptions
from polymarket.sandbox.process import SandboxProcess
from service.demo.folder import world_text

ROOT = Path(__file__).resolve().parents[1]
GREENLETS = (sys.executable, "-m", "gevent.monkey", "--module")
WALLET = "bench"
END_WITHIN_S = 30


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A directory with ``config.toml`` for a service, the sandbox's ready line, and the environment with secrets."""

    folder: Path
    info: dict[str, Any]
    environment: dict[str, str]

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "config.toml"

    @property
    def database(self) -> Path:
        """The service's SQLite file."""
        return self.folder / "books.db"


@contextmanager
def place(world: WorldOptions, *, latency_ms: int = 0, interval_s: int = 300) -> Iterator[Place]:
    """A running sandbox and a service's configuration against it; both are gone afterwards."""
    server = ServerOptions(latency_ms=latency_ms)
    with (
        SandboxProcess(world, server, ready_within_s=120) as sandbox,
        tempfile.TemporaryDirectory(prefix="portfolio-sync-bench-", dir="/tmp") as name,
    ):
        folder, info = Path(name), sandbox.info
        (folder / "config.toml").write_text(_config(folder, info, interval_s), encoding="utf-8")
        yield Place(folder=folder, info=info, environment={**os.environ, **_secrets(info["wallet"])})


def _secrets(wallet: Mapping[str, Any]) -> dict[str, str]:
    parts = ("api_key", "api_secret", "api_passphrase")
    return {f"PORTFOLIO_SYNC_{WALLET.upper()}_{part.upper()}": wallet[part] for part in parts}


def _config(folder: Path, info: Mapping[str, Any], interval_s: int) -> str:
    wallet = info["wallet"]
    service = f"""
[service]
state_dir = "{folder}"
[sync]
sync_interval_s = {interval_s}
[[wallets]]
name = "{WALLET}"
address = "{wallet["address"]}"
signer_address = "{wallet["signer_address"]}"
signature_type = {wallet["signature_type"]}
[storage]
url = "sqlite:///{folder}/books.db"
[statsd]
host = ""
[http]
bind = "127.0.0.1:0"
"""
    return service + world_text(info)


class Child:
    """A process that answers each line on its stdin with a line of JSON on its stdout."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Start it and wait for its first line."""
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=None if environment is None else dict(environment),
        )
        self.ready = self._answer()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def ask(self, command: str) -> Any:
        """Send a command and wait for its answer."""
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(command.encode() + b"\n")
        stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        stdout = self._process.stdout
        assert stdout is not None
        line = stdout.readline()
        if not line:
            code = self._process.wait(timeout=END_WITHIN_S)
            raise RuntimeError(f"{self._process.args!r} ended with exit code {code} before it answered; see its stderr")
        return msgspec.json.decode(line)

    def close(self) -> None:
        """Close its stdin and wait for its end."""
        self._process.communicate(timeout=END_WITHIN_S)
