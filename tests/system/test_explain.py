"""`explain` of a real run: what happened to a market on the chain and the exchange, each with its transaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from polymarket.sandbox.actions import AnyAction, ExternalTrade, FillOrder, Merge, Redeem, Resolve, Split
from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.process import SandboxProcess
from tests.support.live import LiveService, LiveSettings, Stage

MAKER = 0
"""The market of the first resting order."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with SandboxProcess(WorldOptions(seed=47, block_time_ms=250, finality_blocks=2, activity=False)) as sandbox:
        settings = LiveSettings(sync_interval_s=120)
        with LiveService(tmp_path_factory.mktemp("explain"), sandbox.info, settings) as service:
            service.ready()
            yield Stage(sandbox, service)


def happens(stage: Stage, action: AnyAction) -> dict[str, Any]:
    """It is done, in a final block, and in the books."""
    done: dict[str, Any] = stage.control.act(action)
    stage.quiet()
    return done


def told(story: dict[str, Any], **wanted: str) -> list[dict[str, Any]]:
    return [line for line in story["lines"] if all(line[name] == value for name, value in wanted.items())]


@pytest.mark.req("X-04", "L-10", "L-14", "X-01")
def test_a_merge_a_redemption_an_external_sale_and_a_failed_trade_are_told_with_their_transactions(
    stage: Stage,
) -> None:
    stage.quiet()
    books = stage.control.books()
    order = books["orders"][0]
    market = books["markets"][MAKER]
    condition = market["condition_id"]
    happens(stage, Split(condition_id=condition, amount="40"))
    happens(stage, Merge(condition_id=condition, amount="15"))
    failed = happens(stage, FillOrder(order_id=order["id"], size="5", fail=True, hash_at_match=True))["trade_id"]
    sale = ExternalTrade(token_id=market["tokens"][0], side="SELL", size="3", price="0.4", listed=False)
    happens(stage, sale)
    stage.control.act(Resolve(condition_id=condition, payouts=[1, 0]))
    happens(stage, Redeem(condition_id=condition))

    story = stage.service.json_of("explain", condition)
    assert (story["adds_up"], story["problems"]) == (True, [])
    for cause in ("POSITION_SPLIT", "POSITION_MERGED", "EXTERNAL_SALE", "REDEEMED"):
        lines = told(story, kind="adjustment", cause=cause)
        assert lines, cause
        for line in lines:
            assert line["proof"] == "transaction", line
            assert line["transaction_hash"].startswith("0x")
            assert line["log_index"] is not None
            assert line["block_number"] > 0
    trade = next(row for row in stage.control.books()["trades"] if row["id"] == failed)
    assert trade["status"] == "FAILED"
    (line,) = told(story, kind="failed", trade_id=failed)
    assert line["transaction_hash"] == trade["transaction_hash"]
    held = {row["token_id"]: row["shares_micro"] for row in story["positions"]}
    assert held == {token: stage.control.tokens().get(token, 0) for token in market["tokens"]}
    assert stage.service.json_of("replay")["equal"]
    assert stage.service.get(f"/v1/explain/{condition}") == story
