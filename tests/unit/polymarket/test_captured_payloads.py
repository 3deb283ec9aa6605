"""Every captured payload parses, and to the right values; none is forgotten.

The captures are copies of published samples: see docs of tests/data. Files that the service never asks for say so.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from polymarket import payloads
from polymarket.rpc import parse_receipt, rpc_request
from portfolio.facts import (
    DataPosition,
    MarketMeta,
    OpenOrder,
    OrderStatus,
    Receipt,
    ReceiptStatus,
    Role,
    Side,
    Trade,
    TradeStatus,
)
from tests.unit.polymarket.script import response
from tests.unit.polymarket.test_log_payloads import CAPTURED
from tests.unit.polymarket.test_log_payloads import parse as parse_log

DATA = Path(__file__).parents[2] / "data"
CONTRACTS = payloads.TokenContracts(v1="0xCTF", v2="0xPM")
TRUMP = "0xdd22472e552920b8438158ea7238bfadfa4f736aa4cee91a6b86c39ead110917"
YES = "21742633143463906290569050155826241533067272736897614950488156847949938836455"
MINTED = "0xb5d41ea99c0da1265fd68c8ef21a185089b5a2d45fc594d7e813cb6a3ca9e6ed"
NO = "48331043336612883890938759509493159234755048973500640148014422747788308965732"

NOT_MET = {
    "data_api_v2/resolutions.json": "payouts are read from the chain",
    "data_api_v2/trades.json": "trades are read from the CLOB",
    "data_api_v2/value.json": "a total is not a position",
    "nautilus_handmade/http_balance_allowance_collateral.json": "a cache of balances that the chain shows itself",
    "nautilus_handmade/http_balance_allowance_no_allowance.json": "a cache of balances that the chain shows itself",
    "nautilus_http/book.json": "order books are not read",
    "nautilus_http/event.json": "events are not read, and these markets lack their tokens",
    "nautilus_http/events_list.json": "events are not read, and these markets lack their tokens",
    "nautilus_http/trades.json": "the Data API's first version is retired",
}


def order(raw: bytes) -> Any:
    return payloads.parse_order(msgspec.Raw(raw))


def trade(raw: bytes) -> Any:
    return payloads.parse_trade(msgspec.Raw(raw))


def orders(raw: bytes) -> Any:
    return [payloads.parse_order(row) for row in payloads.decode_clob_page(raw).rows]


def trades(raw: bytes) -> Any:
    return [payloads.parse_trade(row) for row in payloads.decode_clob_page(raw).rows]


def positions(raw: bytes) -> Any:
    return [payloads.parse_position(row) for row in payloads.decode_data_page(raw).rows]


def gamma(raw: bytes) -> Any:
    return payloads.parse_gamma_market(msgspec.Raw(raw), CONTRACTS)


def gamma_list(raw: bytes) -> Any:
    return [payloads.parse_gamma_market(row, CONTRACTS) for row in payloads.decode_gamma_markets(raw)]


def gamma_event(raw: bytes) -> Any:
    (event,) = json.loads(raw)
    return [gamma(json.dumps(market).encode()) for market in event["markets"]]


def clob_market(raw: bytes) -> Any:
    return payloads.parse_clob_market(msgspec.Raw(raw), CONTRACTS)


def clob_markets(raw: bytes) -> Any:
    return [payloads.parse_clob_market(row, CONTRACTS) for row in payloads.decode_clob_page(raw).rows]


def doc_order(value: Any, status: OrderStatus, matched: int) -> None:
    assert isinstance(value, OpenOrder)
    assert (value.status, value.size_matched_micro, value.side) == (status, matched, Side.SELL)
    assert (value.price_micro, value.original_size_micro) == (570_000, 10_000_000)
    assert (value.created_at_ms, value.expires_at_ms) == (1_672_290_687_000, 1_234_567_000)


def doc_trade(value: Any, status: TradeStatus, transaction: str | None) -> None:
    assert isinstance(value, Trade)
    assert (value.status, value.transaction_hash) == (status, transaction)
    assert (value.size_micro, value.price_micro, value.side) == (10_000_000, 570_000, Side.BUY)
    assert value.matched_at_ns == 1_672_290_701_000_000_000
    (leg,) = value.legs
    assert (leg.side, leg.size_micro, leg.price_micro) == (Side.SELL, 10_000_000, 570_000)


def hand_order(value: Any, status: OrderStatus, matched: int) -> None:
    assert isinstance(value, OpenOrder)
    assert (value.status, value.size_matched_micro) == (status, matched)
    assert (value.original_size_micro, value.price_micro, value.side) == (100_000_000, 500_000, Side.BUY)
    assert (value.created_at_ms, value.expires_at_ms) == (1_703_875_200_000, None)


def killed_order(value: OpenOrder) -> None:
    assert (value.status, value.size_matched_micro, value.original_size_micro) == (OrderStatus.CANCELED, 0, 12_000_000)
    assert value.created_at_ms == 1_777_824_065_000, "the event's own time stands in for an empty one"
    assert (value.token_id, value.order_type) == ("256", "FOK")


def venue_cancel(value: OpenOrder) -> None:
    assert (value.status, value.price_micro, value.original_size_micro) == (OrderStatus.INVALID, 530_000, 20_000_000)


def order_page(value: list[OpenOrder]) -> None:
    assert [(o.price_micro, o.size_matched_micro, o.side) for o in value] == [
        (600_000, 0, Side.BUY),
        (400_000, 50_000_000, Side.SELL),
    ]
    assert [o.order_type for o in value] == ["GTC", "GTD"]


def trade_report(value: Trade) -> None:
    assert (value.size_micro, value.price_micro, value.status) == (25_000_000, 500_000, TradeStatus.CONFIRMED)
    assert (value.matched_at_ns, value.updated_at_ms) == (1_704_067_200_000_000_000, 1_704_067_260_000)
    assert [leg.size_micro for leg in value.legs] == [25_000_000, 5_000_000]


def trade_page(value: list[Trade]) -> None:
    (one,) = value
    assert (one.size_micro, one.status, one.legs) == (10_000_000, TradeStatus.MINED, ())


def user_trade(value: Trade) -> None:
    assert (value.bucket_index, value.transaction_hash, value.trader_side) == (1, None, Role.TAKER)
    assert value.legs[0].side is None


def trade_of_six(value: Trade) -> None:
    assert (value.size_micro, value.price_micro, value.status) == (1_096_870_000, 518_000, TradeStatus.MINED)
    assert sum(leg.size_micro for leg in value.legs) == value.size_micro
    assert (value.legs[0].token_id, value.legs[0].price_micro) == (NO, 482_000)
    assert value.maker_address == "0x64b7a036c378f9cf8163a5480437cd12ae14b6a1"
    assert {leg.side for leg in value.legs} == {None}


def trade_as_taker(value: Trade) -> None:
    assert (value.trader_side, value.status, value.size_micro) == (Role.TAKER, TradeStatus.MATCHED, 5_000_000)


def trade_as_maker(value: Trade) -> None:
    assert (value.trader_side, value.status) == (Role.MAKER, TradeStatus.CONFIRMED)
    assert (value.legs[0].side, value.legs[0].price_micro) == (Side.BUY, 513_000)


def placement(value: OpenOrder) -> None:
    assert (value.token_id, value.price_micro, value.original_size_micro) == (YES, 513_000, 5_000_000)
    assert (value.status, value.created_at_ms) == (OrderStatus.LIVE, 1_725_842_520_000)


def two_positions(value: list[DataPosition]) -> None:
    assert [p.size_micro for p in value] == [28_090_000, 35_440_000]
    assert [p.entry_cost_micro for p in value] == [18_820_200, 19_492_000]
    assert [p.price_micro for p in value] == [715_000, 515_000]
    assert [p.neg_risk for p in value] == [True, True]


def data_status(value: payloads.DataStatus) -> None:
    assert (value.lag_ms, value.block_number) == (4_000, 93_784_294)


def up_or_down(value: MarketMeta) -> None:
    assert [t.outcome for t in value.tokens] == ["Up", "Down"]
    assert [t.price_micro for t in value.tokens] == [505_000, 495_000]
    assert (value.version, value.tokens[0].contract, value.neg_risk_claimed) == ("v1", "0xctf", False)
    assert (value.fee_rate_micro, value.fee_exponent) == (None, None), "no schedule is shown, so none is known"


def event_markets(value: list[MarketMeta]) -> None:
    assert all(isinstance(market, MarketMeta) for market in value)
    assert [len(market.tokens) for market in value] == [2, 2]
    assert [market.neg_risk_claimed for market in value] == [True, True]
    assert all(market.question_index is not None for market in value)


def slug_market(value: MarketMeta) -> None:
    assert value.condition_id.startswith("0x270d5aa3")
    assert [token.outcome for token in value.tokens] == ["", ""], "outcomes are not shown, so they are not made up"


def listed_markets(value: list[MarketMeta]) -> None:
    assert [(market.condition_id[:8], market.closed) for market in value] == [
        ("0x431953", False), ("0xabc123", False), ("0xdef456", True),
    ]  # fmt: skip


def election(value: MarketMeta) -> None:
    assert (value.condition_id, value.neg_risk_claimed, value.question_index) == (TRUMP, True, 0)
    assert value.neg_risk_market_id == "0xe3b1bc389210504ebcb9cffe4b0ed06ccac50561e0f24abb6379984cec030f00"
    assert [t.token_id for t in value.tokens] == [YES, NO]
    assert [t.price_micro for t in value.tokens] == [486_500, 513_500]


def hundred_markets(value: list[Any]) -> None:
    found = [market for market in value if isinstance(market, MarketMeta)]
    refused = [market for market in value if not isinstance(market, MarketMeta)]
    assert len(found) + len(refused) == 100
    assert {row.reason for row in refused} <= {"token_id was not a decimal integer of at most 256 bits"}
    assert found[0].closed
    assert [t.price_micro for t in found[0].tokens] == [0, 1_000_000]


def receipt(raw: bytes) -> Any:
    wanted = rpc_request("http://rpc", "eth_getTransactionReceipt", MINTED)
    return parse_receipt(wanted, response({"jsonrpc": "2.0", "id": 1, "result": json.loads(raw)}), MINTED)


def mint_match(value: Receipt) -> None:
    assert (value.transaction_hash, value.status) == (MINTED, ReceiptStatus.SUCCEEDED)
    assert value.block_number == 0x533B9ED


def chain_logs(_raw: bytes) -> Any:
    return [parse_log(log) for log in CAPTURED.values()]


def eight_logs(value: Any) -> None:
    assert [type(log.events[0]).__name__ for log in value] == [
        *["OrderFilled"] * 2,
        "PositionSplit",
        "PositionsMerged",
        "PayoutRedeemed",
        "ConditionResolved",
        *["TokenTransfer"] * 2,
    ]


Parse = Callable[[bytes], Any]
Check = Callable[[Any], None]

MET: dict[str, tuple[Parse, Check]] = {
    "data_api_v2/positions.json": (positions, two_positions),
    "data_api_v2/status.json": (payloads.parse_data_status, data_status),
    "docs_user_channel/order_cancellation.json": (order, lambda v: doc_order(v, OrderStatus.CANCELED, 5_000_000)),
    "docs_user_channel/order_placement.json": (order, lambda v: doc_order(v, OrderStatus.LIVE, 0)),
    "docs_user_channel/trade_confirmed.json": (trade, lambda v: doc_trade(v, TradeStatus.CONFIRMED, "0xabc123...")),
    "docs_user_channel/trade_matched.json": (trade, lambda v: doc_trade(v, TradeStatus.MATCHED, None)),
    "nautilus_handmade/http_open_order.json": (order, lambda v: hand_order(v, OrderStatus.LIVE, 25_000_000)),
    "nautilus_handmade/http_open_orders_page.json": (orders, order_page),
    "nautilus_handmade/http_trade_report.json": (trade, trade_report),
    "nautilus_handmade/http_trades_page.json": (trades, trade_page),
    "nautilus_handmade/ws_user_order_cancellation.json": (order, lambda v: hand_order(v, OrderStatus.CANCELED, 0)),
    "nautilus_handmade/ws_user_order_fok_killed.json": (order, killed_order),
    "nautilus_handmade/ws_user_order_matched.json": (order, lambda v: hand_order(v, OrderStatus.MATCHED, 100_000_000)),
    "nautilus_handmade/ws_user_order_placement.json": (order, lambda v: hand_order(v, OrderStatus.LIVE, 0)),
    "nautilus_handmade/ws_user_order_update.json": (order, lambda v: hand_order(v, OrderStatus.LIVE, 25_000_000)),
    "nautilus_handmade/ws_user_order_venue_cancel.json": (order, venue_cancel),
    "nautilus_handmade/ws_user_trade.json": (trade, user_trade),
    "nautilus_http/gamma_event.json": (gamma_event, event_markets),
    "nautilus_http/gamma_market.json": (gamma, up_or_down),
    "nautilus_http/market.json": (clob_market, election),
    "nautilus_http/market_slug.json": (gamma, slug_market),
    "nautilus_http/markets.json": (clob_markets, hundred_markets),
    "nautilus_http/markets_list.json": (gamma_list, listed_markets),
    "nautilus_ws/order_placement.json": (order, placement),
    "nautilus_ws/user_trade1.json": (trade, trade_of_six),
    "nautilus_ws/user_trade2.json": (trade, trade_as_taker),
    "nautilus_ws/user_trade3.json": (trade, trade_as_maker),
    "receipts/polygon_logs.json": (chain_logs, eight_logs),
    "receipts/polygon_receipt_b5d41ea9.json": (receipt, mint_match),
}


@pytest.mark.req("R-16", "D-08", "S-22")
@pytest.mark.parametrize("name", sorted(MET))
def test_every_captured_payload_parses(name: str) -> None:
    parse, check = MET[name]
    check(parse((DATA / name).read_bytes()))


def test_no_capture_is_forgotten() -> None:
    present = {str(path.relative_to(DATA)) for path in DATA.rglob("*") if path.is_file() and path.suffix == ".json"}
    assert present == MET.keys() | NOT_MET.keys()
    assert not MET.keys() & NOT_MET.keys()
