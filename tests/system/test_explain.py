"""`explain` of a real run: what happened to a market on the chain and the exchange, each with its transaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from polymarket.sandbox.actions import AnyAction, ExternalTrade, FillOrder, Merge, Redeem, Reorganise, Resolve, Split
from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.process import SandboxProcess
from tests.support.live import LiveService, LiveSettings, Stage, until

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


def story_of(stage: Stage, condition: str) -> dict[str, Any]:
    """The story, which adds up."""
    story: dict[str, Any] = stage.service.json_of("explain", condition)
    assert (story["adds_up"], story["problems"]) == (True, [])
    return story


def seen_in_a_block(stage: Stage, condition: str, **wanted: str) -> list[dict[str, Any]]:
    """Lines of that kind, once the service has them from a log."""

    def shown() -> list[dict[str, Any]]:
        return [line for line in told(story_of(stage, condition), **wanted) if line["finality"] == "seen"]

    return until(shown, f"a line of {wanted} on a block that is not final")


def split_in_a_dropped_block(stage: Stage, condition: str, order_id: str) -> tuple[str, list[str]]:
    """A split and a fill in a block that the chain drops and has again; the trade, and what the chain dropped."""
    stage.control.pause()
    try:
        stage.control.act(Split(condition_id=condition, amount="40"))
        trade: str = stage.control.act(FillOrder(order_id=order_id, size="7"))["trade_id"]
        stage.control.mine()
        seen_in_a_block(stage, condition, cause="POSITION_SPLIT")
        seen_in_a_block(stage, condition, kind="settled", trade_id=trade)
        dropped = stage.control.act(Reorganise(depth=1))["dropped"]
        until(lambda: told(story_of(stage, condition), cause="REORGANISED"), "what was taken back")
        until(lambda: told(story_of(stage, condition), kind="settled", trade_id=trade)[1:], "the fill's new block")
    finally:
        stage.control.resume()
    stage.quiet()
    return trade, [block["hash"] for block in dropped]


@pytest.mark.req("X-04", "L-10", "L-14", "X-01", "X-14", "R-31")
def test_each_change_of_a_market_is_told_with_its_transaction_and_how_firm_that_is(stage: Stage) -> None:
    """A reorganised split and fill, a merge, a failed trade, an external sale, a redemption."""
    stage.quiet()
    books = stage.control.books()
    order = books["orders"][0]
    market = books["markets"][MAKER]
    condition = market["condition_id"]
    moved, dropped = split_in_a_dropped_block(stage, condition, order["id"])
    happens(stage, Merge(condition_id=condition, amount="15"))
    failed = happens(stage, FillOrder(order_id=order["id"], size="5", fail=True, hash_at_match=True))["trade_id"]
    sale = ExternalTrade(token_id=market["tokens"][0], side="SELL", size="3", price="0.4", listed=False)
    happens(stage, sale)
    stage.control.act(Resolve(condition_id=condition, payouts=[1, 0]))
    happens(stage, Redeem(condition_id=condition))

    story = story_of(stage, condition)
    for cause in ("POSITION_SPLIT", "POSITION_MERGED", "EXTERNAL_SALE", "REDEEMED"):
        lines = [line for line in told(story, kind="adjustment", cause=cause) if not line["superseded"]]
        assert lines, cause
        for line in lines:
            assert line["proof"] == "transaction", line
            assert line["transaction_hash"].startswith("0x")
            assert line["log_index"] is not None
            assert line["block_number"] > 0
            assert line["finality"] == "final"
    trade = next(row for row in stage.control.books()["trades"] if row["id"] == failed)
    assert trade["status"] == "FAILED"
    (line,) = told(story, kind="failed", trade_id=failed)
    assert (line["transaction_hash"], line["finality"]) == (trade["transaction_hash"], None)
    _assert_reorganised(story, moved, dropped[0])
    held = {row["token_id"]: row["shares_micro"] for row in story["positions"]}
    assert held == {token: stage.control.tokens().get(token, 0) for token in market["tokens"]}
    assert stage.service.json_of("replay")["equal"]
    assert stage.service.get(f"/v1/explain/{condition}") == story


def _assert_reorganised(story: dict[str, Any], trade_id: str, block_hash: str) -> None:
    """The split was booked, taken back and booked again; the fill settled, flew and settled again."""
    again, taken_back = {}, {}
    for outcome in ("Yes", "No"):
        first, again[outcome] = told(story, cause="POSITION_SPLIT", outcome=outcome)
        (taken_back[outcome],) = told(story, cause="REORGANISED", outcome=outcome)
        assert (first["superseded"], again[outcome]["superseded"]) == (True, False)
        assert first["transaction_hash"] == taken_back[outcome]["transaction_hash"]
        assert first["transaction_hash"] == again[outcome]["transaction_hash"]
        assert first["finality"] == taken_back[outcome]["finality"] == "dropped"
        assert block_hash in taken_back[outcome]["evidence"]
        assert taken_back[outcome]["shares_micro"] == -first["shares_micro"]
        assert again[outcome]["block_number"] > first["block_number"]
    lines = [line for line in told(story, trade_id=trade_id) if line["kind"] != "issue"]
    fills = [(line["kind"], line["finality"]) for line in lines]
    assert fills == [("fill", "final"), ("settled", "dropped"), ("unsettled", "dropped"), ("settled", "final")]
    (flew,) = told(story, kind="unsettled", trade_id=trade_id)
    assert block_hash in flew["evidence"]
