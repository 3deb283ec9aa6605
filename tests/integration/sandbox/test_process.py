"""The sandbox as a process: how it starts, how large it can be, how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests

from polymarket.sandbox.options import ServerOptions, WorldOptions
from polymarket.sandbox.process import SandboxProcess, SandboxProcessError
from tests.integration.sandbox.conftest import TIMEOUT_S, clob_get, gamma, rpc

pytestmark = pytest.mark.req("X-07")

ROOT = Path(__file__).resolve().parents[3]


def test_protocol_v2_markets_hold_their_balances_on_the_position_manager() -> None:
    with SandboxProcess(WorldOptions(activity=False, protocol_v2_markets=1, markets=6, positions=8)) as process:
        market = next(row for row in process.control.books()["markets"] if row["version"] == "v2")
        (shown,) = gamma(process, "/markets", condition_ids=market["condition_id"])
        assert (shown["version"], shown["positionIds"]) == ("v2", market["tokens"])
        assert json.loads(shown["clobTokenIds"]) == []
        held = process.control.tokens()[market["tokens"][0]]
        wallet = process.info["wallet"]["address"][2:].lower()
        call = f"0x00fdd58e{wallet:0>64}{int(market['tokens'][0]):064x}"
        contracts = process.info["contracts"]
        balances = [
            int(rpc(process, "eth_call", {"to": contracts[name], "data": call}, "latest")["result"], 16)
            for name in ("position_manager", "conditional_tokens")
        ]
        assert balances == [held, 0]
        assert held > 0


def test_a_thousand_markets_with_fifty_positions_and_a_hundred_orders() -> None:
    with SandboxProcess(WorldOptions(activity=False, markets=1000, positions=50, orders=100)) as process:
        books = process.control.books()
        assert (len(books["markets"]), len(books["positions"]), len(books["orders"])) == (1003, 50, 100)
        assert books["consistent"]
        assert len(clob_get(process, "/data/orders").json()["data"]) == 100


def test_it_prints_one_line_of_json_and_ends_in_order_on_sigint() -> None:
    command = [sys.executable, "-m", "polymarket.sandbox", "--no-activity", "--seed", "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        info = msgspec.json.decode(process.stdout.readline(), type=dict[str, Any])
        assert requests.get(info["clob_url"] + "/ok", timeout=TIMEOUT_S).json() == "OK"
        assert info["seed"] == 3
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=TIMEOUT_S) == 0
        assert (process.stdout.read(), process.stderr.read()) == (b"", b"")


def test_a_process_that_cannot_start_says_so() -> None:
    with SandboxProcess() as running:
        port = int(running.urls["clob_url"].split(":")[2].split("/")[0])
        with pytest.raises(SandboxProcessError, match="exit code"), SandboxProcess(server=ServerOptions(port=port)):
            pytest.fail("two sandboxes listen on one port")
        assert running.stop() == 0
