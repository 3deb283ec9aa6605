"""The real service in a process of its own, as it is installed, against a sandbox in another.

Nothing is injected: what a test knows of the service it has from its control socket, its command line, its database
and its log; what it does to the service are signals. Waiting is for conditions, with generous deadlines, because a
loaded machine of two cores is slow and a test must not be.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import gevent

from polymarket.sandbox.control import SandboxControl
from polymarket.sandbox.process import SandboxProcess
from service.client import CYCLE_TIMEOUT_S, ControlClient, NotRunning, Refused
from service.demo.folder import world_text

ROOT = Path(__file__).parents[2]
WALLET = "main"
READY_WITHIN_S = 120.0
STOP_WITHIN_S = 60.0
COMMAND_WITHIN_S = 120.0
_LOOK_EVERY_S = 0.01
_UNQUIET = ("pending_count", "delta_count", "cash_unexplained")

T = TypeVar("T")


class NotInTimeError(Exception):
    """A condition did not come true in time; the text says which."""


def until(look: Callable[[], T | None], what: str, *, within_s: float = READY_WITHIN_S) -> T:
    """What ``look`` returns once that is something: neither None nor False nor empty."""
    deadline = time.monotonic() + within_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise NotInTimeError(f"{what}: not within {within_s:g} s")
        gevent.sleep(_LOOK_EVERY_S)


@dataclass(frozen=True, kw_only=True)
class LiveSettings:
    """What differs from test to test in the service's configuration. ``extra`` is appended to the file as it is.

    ``statsd_port`` is where metrics go on this machine; None sends none.
    """

    sync_interval_s: int = 15
    settle_window_s: int = 1
    timeout_ms: int = 3000
    strategies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    alert_urls: tuple[str, ...] = ()
    endpoints: Mapping[str, str] = field(default_factory=dict)
    statsd_port: int | None = None
    extra: str = ""


class LiveService:
    """``portfolio-sync run`` over one folder with configuration, database, log and control socket."""

    def __init__(self, folder: Path, info: Mapping[str, Any], settings: LiveSettings | None = None) -> None:
        """Write the configuration; nothing runs before ``start``."""
        self.folder = folder
        self.info = info
        self.config = folder / "portfolio-sync.toml"
        self.storage_url = f"sqlite:///{folder}/books.db"
        self.log_file = folder / "service.log"
        self.write_config(settings or LiveSettings())
        self.client = ControlClient(folder / "control.sock")
        self._process: subprocess.Popen[bytes] | None = None

    def write_config(self, settings: LiveSettings) -> None:
        """Write the configuration anew; a running process reads it on SIGHUP."""
        self.config.write_text(config_text(self.folder, self.info, settings), encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the service and its commands, with the wallet's credentials."""
        wallet = self.info["wallet"]
        names = ("API_KEY", "API_SECRET", "API_PASSPHRASE")
        secrets = {f"PORTFOLIO_SYNC_{WALLET.upper()}_{name}": wallet[name.lower()] for name in names}
        return {**os.environ, **secrets}

    # -- life -----------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start the process; returns at once."""
        command = [sys.executable, str(ROOT / "bin" / "portfolio-sync"), "run", "--config", str(self.config)]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment, cwd=self.folder
            )
        return self

    def ready(self) -> Self:
        """Wait until the process that runs now has completed a cycle."""

        def completed() -> bool:
            self.require_running()
            try:
                return self.health()["facts"]["cycle_age_ms"] is not None
            except (NotRunning, Refused):
                return False

        until(completed, "the first completed cycle")
        return self

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process is not None, "the service was not started"
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        assert self._process is not None, "the service was not started"
        return self._process.poll()

    def require_running(self) -> None:
        """Fail with the end of the log where the process has ended by itself."""
        if self.exit_code is not None:
            raise AssertionError(f"the service ended with exit code {self.exit_code}:\n{self.log_tail()}")

    def signal(self, number: int) -> None:
        """Send a signal to this process and no other."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self.wait_ended()

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait_ended()

    def wait_ended(self, *, within_s: float = STOP_WITHIN_S) -> int:
        """The exit code once it has ended."""
        until(lambda: self.exit_code is not None, "the end of the service", within_s=within_s)
        assert self._process is not None
        return self._process.wait()

    def close(self) -> None:
        """For fixtures: leave no process behind, whatever happened."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_details: object) -> None:
        self.close()

    # -- what it says ---------------------------------------------------------------------------------------------

    def sync(self) -> dict[str, Any]:
        """A forced cycle: its report, settlement reports and issues."""
        cycle: dict[str, Any] = self.client.post("/v1/sync", timeout_s=CYCLE_TIMEOUT_S)
        return cycle

    def get(self, target: str) -> Any:
        """What the control socket answers."""
        return self.client.get(target)

    def health(self) -> dict[str, Any]:
        """The healthcheck's document, of any colour."""
        document: dict[str, Any] = self.get("/internal/health/portfolio-sync")
        return document

    def settlements(self) -> list[dict[str, Any]]:
        """All settlement reports, the newest first."""
        rows: list[dict[str, Any]] = self.get("/v1/reports?kind=settlement&limit=1000")
        return rows

    def shares(self) -> dict[str, int]:
        """Shares (1e-6) by token id; zeros left out."""
        return {row["token_id"]: row["shares_micro"] for row in self.get("/v1/positions")}

    def live_orders(self) -> set[str]:
        """Ids of the orders that the service holds for live."""
        return {row["order_id"] for row in self.get("/v1/orders")}

    def command(self, *arguments: str, program: str = "portfolio-sync") -> subprocess.CompletedProcess[str]:
        """Run a command of the installed command line on this configuration."""
        return subprocess.run(
            [sys.executable, str(ROOT / "bin" / program), *arguments, "--config", str(self.config)],
            capture_output=True,
            text=True,
            timeout=COMMAND_WITHIN_S,
            env=self.environment,
            cwd=self.folder,
            check=False,
        )

    def json_of(self, *arguments: str) -> Any:
        """The JSON that a command prints; any exit code but 0 fails."""
        done = self.command(*arguments, "--json")
        assert done.returncode == 0, (arguments, done.returncode, done.stderr)
        return json.loads(done.stdout)

    def log(self) -> list[dict[str, Any]]:
        """The structured lines of the log; a line that a kill cut off is left out."""
        found = []
        for line in self.log_file.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict):
                found.append(row)
        return found

    def events(self, name: str) -> list[dict[str, Any]]:
        """Lines of the log with that event."""
        return [row for row in self.log() if row.get("event") == name]

    def log_tail(self) -> str:
        """The end of the log, for failures."""
        return "\n".join(self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()[-30:])


def config_text(folder: Path, info: Mapping[str, Any], settings: LiveSettings) -> str:
    """A configuration file of a service against a sandbox."""
    return _service_text(folder, info["wallet"], settings) + _world_text(info, settings) + settings.extra


def _service_text(folder: Path, wallet: Mapping[str, Any], settings: LiveSettings) -> str:
    return f"""
[service]
state_dir = "{folder}"
log_format = "json"

[sync]
sync_interval_s = {settings.sync_interval_s}
settle_window_s = {settings.settle_window_s}
timeout_ms = {settings.timeout_ms}

[[wallets]]
name = "{WALLET}"
address = "{wallet["address"]}"
signer_address = "{wallet["signer_address"]}"
signature_type = {wallet["signature_type"]}

[storage]
url = "sqlite:///{folder}/books.db"

[statsd]
{_statsd_text(settings.statsd_port)}

[alerts]
urls = {json.dumps(list(settings.alert_urls))}

[http]
bind = ""
"""


def _statsd_text(port: int | None) -> str:
    return 'host = ""' if port is None else f'host = "127.0.0.1"\nport = {port}'


def _world_text(info: Mapping[str, Any], settings: LiveSettings) -> str:
    strategies = "".join(
        f"\n[strategies.{name}]\nmarkets = {json.dumps(list(markets))}\n"
        for name, markets in settings.strategies.items()
    )
    return world_text({**info, **settings.endpoints}) + strategies


class Stage:
    """A sandbox and a service against it, with what tests of both need."""

    def __init__(self, sandbox: SandboxProcess, service: LiveService) -> None:
        self.sandbox = sandbox
        self.service = service
        self.control: SandboxControl = sandbox.control

    def finalize(self) -> None:
        """Let everything that waits for a block be in a finalized one."""
        self.control.mine(8)

    def cycle(self) -> dict[str, Any]:
        """A forced cycle that looks at a later block than the one before."""
        self.control.mine(1)
        return self.service.sync()

    def quiet(self, *, within: int = 12) -> None:
        """Cycles until one finds nothing to do, with nothing pending and all cash explained."""
        self.finalize()
        report: dict[str, Any] = {}
        for _ in range(within):
            report = self.cycle()["operations_report"]
            if report["status"] == "ok" and not any(report[name] for name in _UNQUIET):
                return
        raise NotInTimeError(f"a quiet cycle: not within {within} cycles; the last one was {report}")
