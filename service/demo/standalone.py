"""The sandbox alone, in this process, for strategies and tests that want a Polymarket to talk to."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import gevent
import msgspec

from polymarket.sandbox.control import SandboxControl
from polymarket.sandbox.faults import FaultSpec
from polymarket.sandbox.options import ServerOptions, WorldOptions
from polymarket.sandbox.server import run
from service.demo.faults import parse_faults


def run_sandbox(seed: int, faults: Sequence[str], port: int) -> int:
    """Serve until SIGTERM or Ctrl-C; prints URLs and credentials as one line of JSON when ready."""
    wanted = parse_faults(faults)

    def ready(info: dict[str, Any]) -> None:
        gevent.spawn(_announce, info, wanted)

    run(WorldOptions(seed=seed), ServerOptions(port=port), ready)
    return 0


def _announce(info: dict[str, Any], faults: Sequence[FaultSpec]) -> None:
    """Switch the faults on, then say where it is: who reads that finds them in force."""
    control = SandboxControl(info["control_url"])
    for fault in faults:
        control.add_fault(fault)
    control.close()
    sys.stdout.write(msgspec.json.encode(info).decode() + "\n")
    sys.stdout.flush()
