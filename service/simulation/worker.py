"""One of several processes that run seeds: options in, a line each; results out, a line each.

Started by ``workers`` with gevent's patching, as the command itself is.
"""

from __future__ import annotations

import sys

import msgspec

from service.simulation.quiet import quiet
from service.simulation.run import Options, simulate


def serve() -> None:
    """Until the input ends."""
    with quiet():
        for line in sys.stdin.buffer:
            result = simulate(msgspec.json.decode(line, type=Options))
            sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    serve()
