"""Cash that comes by a plain transfer is a reward where its sender is known to pay them, and else a deposit (X-10)."""

from __future__ import annotations

import json
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from polymarket.sandbox.actions import Deposit, TransferIn
from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.process import SandboxProcess
from tests.integration.sandbox.conftest import rpc
from tests.support.live import LiveService, Stage

SENDERS = "PORTFOLIO_SYNC__POLYGON__REWARD_SENDERS"


def sender_of(sandbox: SandboxProcess, transaction_hash: str) -> str:
    """Who sent the collateral of a transaction, by the receipt's log."""
    (log,) = rpc(sandbox, "eth_getTransactionReceipt", transaction_hash)["result"]["logs"][:1]
    return "0x" + str(log["topics"][1])[-40:]


@pytest.mark.req("X-10", "X-01", "L-14")
def test_cash_of_a_configured_sender_is_a_reward_and_of_anybody_else_a_deposit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = WorldOptions(seed=44, block_time_ms=250, finality_blocks=2, activity=False)
    with SandboxProcess(options) as sandbox, closing(LiveService(tmp_path, sandbox.info)) as service:
        stage = Stage(sandbox, service)
        service.start().ready()
        stage.quiet()
        paid: dict[str, Any] = sandbox.control.act(TransferIn(amount="3.25", asset="pusd"))
        stage.finalize()
        stage.quiet()
        sender = sender_of(sandbox, paid["transaction_hash"])
        service.stop()
        monkeypatch.setenv(SENDERS, json.dumps([sender]))
        service.start().ready()
        for action in (TransferIn(amount="4.5", asset="pusd"), Deposit(amount="5")):
            sandbox.control.act(action)
            stage.finalize()
            stage.quiet()
        rows = [row for row in service.json_of("issues") if row["type"] == "CASH_MOVED"]
        named = [
            (row["cause"].partition(":")[0], Decimal(row["after"]) - Decimal(row["before"])) for row in reversed(rows)
        ]
        assert named == [("DEPOSIT", Decimal("3.25")), ("REWARD", Decimal("4.5")), ("DEPOSIT", 5)]
        assert not [row for row in service.json_of("issues") if row["type"] == "CASH_UNEXPLAINED"]
        assert service.json_of("replay")["equal"]
