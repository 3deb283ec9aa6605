"""What the fill benchmarks book: trades and frames that the product's own parsers read, and nothing sold unheld."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from benchmarks.fill_latency_subject import frames
from benchmarks.fills_subject import pages
from benchmarks.floor_inserts import Pace, sqlite_latencies
from polymarket.payloads import decode_clob_page, parse_trade, parse_user_frame
from portfolio.facts import Side, Trade, TradeMessage, TradeStatus

OWNER = ("0x" + "a1" * 20, "key")
MARKETS = 7


def traded(count: int) -> list[Trade]:
    """The trades of all pages."""
    parsed = [parse_trade(raw) for body in pages(count, MARKETS, OWNER) for raw in decode_clob_page(body).rows]
    return [trade for trade in parsed if isinstance(trade, Trade)]


@pytest.mark.req("D-27")
def test_the_trades_differ_and_never_sell_what_is_not_held() -> None:
    trades = traded(600)
    held: Counter[str] = Counter()
    for trade in trades:
        held[trade.token_id] += trade.size_micro if trade.side is Side.BUY else -trade.size_micro
        assert held[trade.token_id] >= 0
    assert len(trades) == len({trade.trade_id for trade in trades}) == 600
    assert len({(trade.size_micro, trade.price_micro) for trade in trades}) > 500
    assert {trade.side for trade in trades} == set(Side)


@pytest.mark.req("D-27")
def test_the_frames_are_read_as_matches_of_the_same_trades() -> None:
    read = [parse_user_frame(frame) for frame in frames(50, MARKETS, OWNER)]
    assert all(len(frame.events) == 1 and not frame.rejected for frame in read)
    shown = [frame.events[0] for frame in read]
    found = [event.trade for event in shown if isinstance(event, TradeMessage)]
    assert [trade.trade_id for trade in found] == [trade.trade_id for trade in traded(50)]
    assert {trade.status for trade in found} == {TradeStatus.MATCHED}


@pytest.mark.req("D-27")
def test_the_floor_of_latency_measures_what_comes_after_the_warm_up(tmp_path: Path) -> None:
    found = sqlite_latencies(tmp_path / "floor.db", Pace(rate=1_000, warm_up=3, fills=5), MARKETS)
    assert len(found) == 5
    assert min(found) > 0
