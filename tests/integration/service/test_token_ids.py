"""A market whose metadata gives its outcomes each other's tokens, seen by the real service against the sandbox."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from polymarket.sandbox.faults import FaultSpec
from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.process import SandboxProcess
from tests.support.live import LiveService, Stage


@pytest.mark.req("R-18", "R-06", "S-16", "X-07")
def test_metadata_that_the_contract_contradicts_is_loud_and_the_books_are_right(tmp_path: Path) -> None:
    """Nothing else shows it: both tokens are the condition's own, and every balance is right."""
    options = WorldOptions(seed=43, block_time_ms=250, finality_blocks=2, activity=False)
    with SandboxProcess(options) as sandbox, closing(LiveService(tmp_path, sandbox.info)) as service:
        held = sandbox.control.tokens()
        market = next(row for row in sandbox.control.books()["markets"] if row["tokens"][0] in held)
        condition, (yes, no) = market["condition_id"], market["tokens"]
        wrong = FaultSpec(target="gamma", kind="swapped_tokens", value=f'"{condition}"')
        with sandbox.control.playing(wrong) as fault:
            service.start().ready()
            assert sandbox.control.hits(fault) > 0
            stage = Stage(sandbox, service)
            stage.quiet()
            reasons = service.sync()["operations_report"]["reasons"]
            (issue,) = [row for row in service.json_of("issues") if row["type"] == "POSITION_IDS_MISMATCH"]
            (said,) = service.events("PORTFOLIO_SYNC_POSITION_IDS_MISMATCH")
        assert any(condition in reason and f"the contract says {yes} and {no}" in reason for reason in reasons)
        assert (issue["subject"], issue["action"], issue["severity"]) == (condition, "REQUIRES_MANUAL", "WARN")
        assert (issue["before"], issue["after"]) == (
            f"metadata says {no} and {yes}",
            f"the contract says {yes} and {no}",
        )
        assert (said["route"], condition in said["text"]) == ("page", True)
        assert service.shares() == sandbox.control.tokens()
        assert service.json_of("replay")["equal"]
        reports = [service.sync()["operations_report"] for _ in range(2)]
        assert not any("contract says" in reason for reason in reports[-1]["reasons"]), "metadata is right again"
