"""A sandbox in a process of its own, started and stopped by whoever needs one: the demo and the tests."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from polymarket.sandbox.control import SandboxControl
from polymarket.sandbox.options import ServerOptions, WorldOptions

_ROOT = Path(__file__).resolve().parents[2]
_CHUNK = 65_536


class SandboxProcessError(Exception):
    """The sandbox did not start, or not in time."""


class SandboxProcess:
    """Context manager around ``python -m polymarket.sandbox``.

    ``info`` is the ready line (URLs, contracts, wallet, keys), ``urls`` its URLs, ``control`` the client of its control
    port. Works with and without gevent's patches.
    """

    def __init__(
        self, world: WorldOptions | None = None, server: ServerOptions | None = None, *, ready_within_s: float = 30
    ) -> None:
        self._command = [sys.executable, "-m", "polymarket.sandbox"]
        self._command += arguments(world or WorldOptions(), server or ServerOptions())
        self._ready_within_s = ready_within_s
        self._process: subprocess.Popen[bytes] | None = None
        self.info: dict[str, Any] = {}
        self.control: SandboxControl

    @property
    def urls(self) -> dict[str, str]:
        """URLs by name: ``{clob,data_api,gamma,rpc,control}_url``, ``user_ws_url``."""
        return {name: value for name, value in self.info.items() if name.endswith("_url")}

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._running().pid

    def start(self) -> Self:
        """Start it and wait until it serves. Raises :class:`SandboxProcessError`."""
        path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, "PYTHONPATH": path}
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, env=environment)  # noqa: S603 - our own
        try:
            self.info = msgspec.json.decode(self._ready_line(), type=dict[str, Any])
        except BaseException:
            self.stop()
            raise
        self.control = SandboxControl(self.info["control_url"])
        return self

    def stop(self) -> int | None:
        """Stop it; returns its exit code, 0 where it ended in order. None where it was never started."""
        if self._process is None:
            return None
        process, self._process = self._process, None
        process.terminate()
        try:
            code = process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait(timeout=10)
        if process.stdout is not None:
            process.stdout.close()
        if self.info:
            self.control.close()
        return code

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise SandboxProcessError("the sandbox is not running; start it first")
        return self._process

    def _ready_line(self) -> bytes:
        process = self._running()
        assert process.stdout is not None  # noqa: S101 - asked for above
        descriptor = process.stdout.fileno()
        deadline = time.monotonic() + self._ready_within_s
        line = b""
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                raise SandboxProcessError(
                    f"the sandbox was not ready within {self._ready_within_s:g} s; see its stderr"
                )
            chunk = os.read(descriptor, _CHUNK)
            if not chunk:
                code = process.wait(timeout=10)
                raise SandboxProcessError(
                    f"the sandbox ended with exit code {code} before it was ready; see its stderr"
                )
            line += chunk
        return line


def arguments(world: WorldOptions, server: ServerOptions) -> list[str]:
    """The command line of a sandbox with these options."""
    given: dict[str, int | None] = {
        "--port": server.port,
        "--latency-ms": server.latency_ms,
        "--page-size": server.page_size,
        "--data-lag-blocks": server.data_lag_blocks,
        "--logs-range-blocks": server.logs_range_blocks,
        "--seed": world.seed,
        "--block-time-ms": world.block_time_ms,
        "--markets": world.markets,
        "--events": world.events,
        "--protocol-v2-markets": world.protocol_v2_markets,
        "--positions": world.positions,
        "--orders": world.orders,
        "--retry-percent": world.retry_percent,
        "--fail-percent": world.fail_percent,
        "--finality-blocks": world.finality_blocks,
    }
    line = [text for name, value in given.items() if value is not None for text in (name, str(value))]
    return [*line, "--activity" if world.activity else "--no-activity", *(["--log"] if server.log else [])]
