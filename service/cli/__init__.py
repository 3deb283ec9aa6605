"""The command line: one verb per task. Data goes to stdout, talk to stderr.

Exit codes: 0 fine, 1 failed, 2 usage or configuration, 3 drift found or verification failed. Nothing heavy is
imported before a command runs, so that help is fast.
"""

from __future__ import annotations

from service.cli.main import main, polytraders

__all__ = ["main", "polytraders"]
