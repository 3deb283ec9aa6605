"""``chain-steady``: what an ordinary cycle asks of the RPC endpoint, whatever the number of markets (X-01, D-28)."""

from __future__ import annotations

import msgspec

from benchmarks.chain_recorder import Recorder
from benchmarks.places import GREENLETS, Child, place
from benchmarks.results import Result
from polymarket.sandbox.control import SandboxControl
from polymarket.sandbox.options import WorldOptions

NAME = "chain-steady"
TOKENS = (10, 100, 500)
TOKENS_OF_MARKET = 2
CYCLES = 10
WARM_UP = 8
"""Cycles before the first that counts: all is read for the first time, and token ids are checked, 100 a cycle."""

LEAST = 3
"""A block to compare at, everything at that block, and the logs up to it: each needs the answer before it."""

QUIET_S = 600
"""Between two looks at the head by themselves: only cycles ask here."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Requests of one cycle, on average: all of them, those for logs, multicalls, and those for headers alone."""

    requests: float
    logs: float
    multicalls: float
    headers: float


def measure() -> Result:
    """Three services, one after the other, each against a world of its own."""
    found = {tokens: asked(tokens, CYCLES) for tokens in TOKENS}
    value = max(each.requests for each in found.values())
    return Result(
        name=NAME,
        value=value,
        unit="requests a cycle",
        floor=LEAST,
        ratio=value / LEAST,
        goal=f"one query for logs and one multicall a cycle with {', '.join(map(str, TOKENS))} tokens",
        met=all((each.logs, each.multicalls) == (1, 1) for each in found.values()),
        further={
            f"{name}_{tokens}": amount
            for tokens, each in found.items()
            for name, amount in msgspec.structs.asdict(each).items()
        },
    )


def asked(tokens: int, cycles: int) -> Asked:
    """What a service with so many tokens asks in a cycle, when nothing is new any more but a block."""
    markets = tokens // TOKENS_OF_MARKET
    world = WorldOptions(markets=markets, events=0, positions=markets, orders=0, activity=False)
    with place(world) as at, Recorder(at.info["rpc_url"]) as recorder:
        changes = {"RPC_URL": recorder.url, "FOLLOW_INTERVAL_S": str(QUIET_S)}
        environment = at.environment | {f"PORTFOLIO_SYNC__POLYGON__{key}": value for key, value in changes.items()}
        control = SandboxControl(at.info["control_url"])
        service = Child([*GREENLETS, "benchmarks.subject", str(at.config)], environment)
        try:
            service.ask(f"cycles {WARM_UP}")
            recorder.requests.clear()
            for _ in range(cycles):
                control.mine(1)
                service.ask("cycles 1")
            requests = tuple(recorder.requests)
        finally:
            control.close()
            service.close()
    return Asked(
        requests=len(requests) / cycles,
        logs=sum("eth_getLogs" in methods for methods in requests) / cycles,
        multicalls=sum("eth_call" in methods for methods in requests) / cycles,
        headers=sum({*methods} == {"eth_getBlockByNumber"} for methods in requests) / cycles,
    )
