"""The demo's parts: fault switches by name, what the script chooses, and how deeds are matched with reports."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from portfolio.outcomes import Subject
from portfolio.reports import render_settlement
from service.cli.failures import CommandFailed, Exit
from service.demo import parse_faults
from service.demo.script import (
    Deed,
    NothingToDo,
    external_trade,
    failed_trade,
    merge,
    redemption,
    reorganisation,
    split,
    transfer,
)
from service.demo.summary import cycles_text, differences, hints, match, table, told
from service.live import Kind, Line
from storage.queries import Selection
from tests.integration.storage import samples

SHARE = 1_000_000


class FakeSandbox:
    """Books to choose from; remembers what it was asked to do."""

    def __init__(self, *positions: tuple[str, str, int, int]) -> None:
        self.actions: list[Any] = []
        self.orders: list[dict[str, Any]] = []
        self._positions = positions

    def books(self) -> dict[str, Any]:
        rows = [
            {
                "condition_id": condition,
                "token_id": f"{condition}-{outcome}",
                "outcome": outcome,
                "settled_micro": shares * SHARE,
                "in_flight_micro": 0,
                "price_micro": price_cents * 10_000,
            }
            for condition, outcome, shares, price_cents in self._positions
        ]
        markets = [
            {
                "condition_id": name,
                "neg_risk": name == "event",
                "payouts": None,
                "tokens": [f"{name}-Yes", f"{name}-No"],
            }
            for name in {row["condition_id"] for row in rows}
        ]
        return {"positions": rows, "markets": markets, "orders": self.orders}

    def act(self, action: Any) -> dict[str, Any]:
        self.actions.append(action)
        return {"trade_id": "trade-1"}

    def pause(self) -> None:
        self.actions.append("pause")

    def mine(self) -> None:
        self.actions.append("mine")

    def resume(self) -> None:
        self.actions.append("resume")


BOOKS = (("large", "Yes", 1500, 60), ("small", "No", 100, 40), ("both", "Yes", 600, 50), ("both", "No", 600, 50))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("down", ("all", "down", None)),
        ("clob:half_rows", ("clob", "half_rows", None)),
        ("rpc:slow:2.5", ("rpc", "slow", 2.5)),
        ("stale:30", ("all", "stale", 30.0)),
    ],
)
def test_a_fault_is_named_by_target_kind_and_seconds(text: str, fault: tuple[str, str, float | None]) -> None:
    spec = parse_faults([text])[0]
    assert (spec.target, spec.kind, spec.seconds) == fault


@pytest.mark.parametrize("text", ["donw", "clob", "clob:donw", "clob:down:soon", "clob:down:0", "clob:down:1:2"])
def test_a_fault_that_there_is_not_is_a_usage_mistake(text: str) -> None:
    with pytest.raises(CommandFailed, match="--faults") as caught:
        parse_faults([text])
    assert caught.value.code is Exit.USAGE


@pytest.mark.req("X-07")
def test_the_script_trades_merges_and_transfers_in_different_markets() -> None:
    sandbox = FakeSandbox(*BOOKS, ("event", "Yes", 5000, 90))
    deeds = [do(sandbox, 7) for do in (external_trade, merge, transfer)]  # type: ignore[arg-type]
    assert [deed.condition_id for deed in deeds] == ["small", "both", "large"]
    sale, merging, away = (msgspec.to_builtins(action) for action in sandbox.actions)
    assert (sale["side"], sale["size"], sale["price"]) == ("SELL", "25", "0.40")
    assert (merging["kind"], merging["amount"]) == ("merge", "120")
    assert (away["kind"], away["amount"]) == ("transfer_out", "1084")


def test_shares_come_in_where_there_are_too_few_to_send() -> None:
    sandbox = FakeSandbox(("small", "No", 100, 40))
    transfer(sandbox, 7)  # type: ignore[arg-type]
    assert msgspec.to_builtins(sandbox.actions[0])["kind"] == "transfer_in"


def order(name: str, market: str, side: str, size: str) -> dict[str, Any]:
    terms = {"id": name, "market": market, "side": side, "original_size": size}
    return {**terms, "status": "LIVE", "size_matched": "0", "price": "0.4", "outcome": "No"}


@pytest.mark.req("X-07", "L-03")
def test_the_trade_that_fails_is_a_sale_in_the_market_of_the_external_trade() -> None:
    sandbox = FakeSandbox(*BOOKS)
    sandbox.orders = [
        order("buys", "small", "BUY", "500"),
        order("elsewhere", "large", "SELL", "500"),
        order("sells", "small", "SELL", "41"),
        order("tiny", "small", "SELL", "39"),
    ]
    deed = failed_trade(sandbox, 7)  # type: ignore[arg-type]
    assert (deed.condition_id, deed.trade_id) == ("small", "trade-1")
    action = msgspec.to_builtins(sandbox.actions[0])
    assert (action["order_id"], action["size"], action["fail"]) == ("sells", "40", True)
    assert action["delay_blocks"] > 0, "it is seen to count first"
    sandbox.orders = sandbox.orders[3:]
    with pytest.raises(NothingToDo, match="no open order large enough"):
        failed_trade(sandbox, 7)  # type: ignore[arg-type]


@pytest.mark.req("X-07", "R-31")
def test_the_chain_stands_still_between_the_split_and_the_loss_of_its_block() -> None:
    sandbox = FakeSandbox(*BOOKS)
    deeds = [do(sandbox, 7) for do in (split, reorganisation)]  # type: ignore[arg-type]
    assert {deed.condition_id for deed in deeds} == {"both"}
    paused, splitting, mined, dropping, resumed = sandbox.actions
    assert (paused, mined, resumed) == ("pause", "mine", "resume")
    assert msgspec.to_builtins(splitting)["kind"] == "split"
    assert msgspec.to_builtins(dropping)["depth"] == 1


@pytest.mark.req("X-07", "L-15")
def test_the_redeemed_market_resolves_to_what_is_held_in_a_third_market() -> None:
    sandbox = FakeSandbox(*BOOKS, ("third", "No", 50, 10))
    deed = redemption(sandbox, 7)  # type: ignore[arg-type]
    resolved, redeemed = (msgspec.to_builtins(action) for action in sandbox.actions)
    assert (deed.condition_id, resolved["payouts"], redeemed["condition_id"]) == ("third", [0, 1], "third")
    with pytest.raises(NothingToDo):
        redemption(FakeSandbox(*BOOKS), 7)  # type: ignore[arg-type]


def delta(at_ms: int, **changes: object) -> Line:
    row = render_settlement(samples.settlement(synced_at_ms=at_ms, **changes))
    kind = Kind.PAUSE if "PAUSED" in str(row["event_type"]) else Kind.DELTA
    return Line(kind=kind, at_ms=at_ms, text="", row=row)


@pytest.mark.req("L-14", "S-06")
def test_a_deed_is_matched_with_the_first_later_report_of_its_market() -> None:
    deed = Deed(name="merge", text="", condition_id=samples.CONDITION, at_ms=100)
    lines = [
        delta(99, cause="OPENING"),
        delta(150, market_id="0xother"),
        delta(200, cause="POSITION_MERGED"),
        delta(200, event_type="PORTFOLIO_SYNC_STRATEGY_PAUSED", strategy_id="maker"),
        delta(300, cause="TRANSFER_OUT"),
    ]
    found = match([deed], lines)[0]
    assert found.report is not None
    assert (found.report["cause"], found.paused) == ("POSITION_MERGED", ("maker",))
    assert match([deed], lines[:2])[0].report is None


def seen(at_ms: int, status: str, trade_id: str = "t1") -> Line:
    fill = {"trade_id": trade_id, "side": "SELL", "size_micro": 40 * SHARE, "price_micro": 320_000, "status": status}
    return Line(kind=Kind.FILL, at_ms=at_ms, text="", row=fill)


@pytest.mark.req("X-07", "L-03", "R-10")
def test_a_failed_trade_is_matched_by_its_id_and_shows_both_entries() -> None:
    deed = Deed(name="failed trade", text="", condition_id=samples.CONDITION, at_ms=1_000, trade_id="t1")
    lines = [seen(1_100, "MATCHED"), seen(1_150, "FAILED", "t2"), delta(1_200, cause="EXTERNAL_SALE", evidence="0xaa")]
    assert match([deed], lines)[0].report is None
    assert match([deed], lines)[0].entries == "trade t1: SELL 40.0 at 0.32 booked (0.1 s)"
    lines += [seen(3_400, "FAILED"), delta(3_500, cause="FILL_FAILED", evidence="trade t1, FAILED")]
    found = match([deed], lines)[0]
    assert found.report is not None
    assert found.report["cause"] == "FILL_FAILED"
    assert found.entries == "trade t1: SELL 40.0 at 0.32 booked (0.1 s), reversed (2.4 s)"
    (shown,) = ([*column.cells] for column in table([found]).columns if column.header == "evidence")
    assert shown == [found.entries]
    assert match([deed], [])[0].entries == "trade t1"


def test_stories_are_offered_of_the_markets_where_most_was_done() -> None:
    deeds = [Deed(name="", text="", condition_id=name, at_ms=1) for name in ("a", "b", "c", "b", "c", "c")]
    stories = [hint.split()[2] for hint in hints("x.toml", deeds) if " explain " in hint]
    assert stories == ["c", "b"]


def test_openings_are_told_as_one_and_ordinary_orders_not_at_all() -> None:
    lines = [
        delta(1, cause="OPENING"),
        delta(1, cause="OPENING", market_id="0xother"),
        delta(1, subject=Subject.OPEN_ORDERS, drift_micro=0),
        delta(1, cause="TRANSFER_IN"),
    ]
    shown = told([msgspec.structs.replace(line) for line in lines])
    assert [line.kind for line in shown] == [Kind.NOTE, Kind.DELTA]
    assert shown[0].text.startswith("2 positions")


def test_books_that_differ_are_named_by_token() -> None:
    class Ours:
        def positions(self, _selection: Selection) -> list[dict[str, Any]]:
            return [{"token_id": "a", "shares_micro": 5}, {"token_id": "b", "shares_micro": 7}]

    columns = ("token_id", "settled_micro", "in_flight_micro")
    rows = [("a", 4, 1), ("c", 0, 0), ("d", 1, 0)]
    theirs = {"positions": [dict(zip(columns, row, strict=True)) for row in rows]}
    assert [text.partition(":")[0] for text in differences(Ours(), "main", theirs)] == ["token b", "token d"]  # type: ignore[arg-type]


def test_cycles_are_counted_by_how_they_ended() -> None:
    lines = [Line(kind=Kind.CYCLE, at_ms=1, text="", row={"status": word}) for word in ("ok", "stale", "ok")]
    assert cycles_text(lines) == "2 ok, 1 stale"
    assert cycles_text([]) == "none"
