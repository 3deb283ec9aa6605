"""``demo`` and ``sandbox``: the local Polymarket, the service against it, and a view of what it finds (X-07).

``run_demo`` shows it all in one process beside the sandbox's; ``run_sandbox`` is the local Polymarket alone.
"""

from __future__ import annotations

from service.demo.faults import parse_faults
from service.demo.show import DemoOptions, run_demo
from service.demo.standalone import run_sandbox

__all__ = ["DemoOptions", "parse_faults", "run_demo", "run_sandbox"]
