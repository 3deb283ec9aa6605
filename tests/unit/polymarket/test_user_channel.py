"""Frames of the user channel: the numbers of every capture, and nothing that bytes could do to the parser (R-16)."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymarket.payloads import UserFrame, parse_user_frame
from portfolio.facts import OpenOrder, OrderChange, OrderMessage, OrderStatus, Trade, TradeMessage, TradeStatus
from tests.unit.polymarket.script import order_row, trade_row

DATA = Path(__file__).parents[2] / "data"
CAPTURES = sorted(
    path
    for pattern in ("nautilus_ws/*.json", "docs_user_channel/*.json", "nautilus_handmade/ws_*.json")
    for path in DATA.glob(pattern)
)
ORDERS = [path for path in CAPTURES if "order" in path.name]
TRADES = [path for path in CAPTURES if "trade" in path.name]


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def micro(text: str) -> int:
    exact = Decimal(text or "0") * 1_000_000
    assert exact == int(exact)
    return int(exact)


def at_ms(text: str) -> int:
    return int(text) * 1000 if len(text) == 10 else int(text)


def event_of(frame: UserFrame) -> Any:
    assert (frame.rejected, frame.unknown, len(frame.events)) == ((), 0, 1)
    return frame.events[0]


def order_event(**changes: object) -> dict[str, object]:
    return order_row(1) | {"event_type": "order", "type": "UPDATE", "timestamp": "1725842520990"} | changes


def trade_event(**changes: object) -> dict[str, object]:
    return trade_row(1) | {"event_type": "trade", "type": "TRADE"} | changes


def parse(*rows: object) -> UserFrame:
    return parse_user_frame(json.dumps(rows[0] if len(rows) == 1 else rows))


@pytest.mark.req("R-16", "D-08")
@pytest.mark.parametrize("path", ORDERS, ids=name_of)
def test_a_captured_order_event_has_the_numbers_of_its_file(path: Path) -> None:
    row = json.loads(path.read_bytes())
    message = event_of(parse_user_frame(path.read_bytes()))
    assert isinstance(message, OrderMessage)
    order = message.order
    assert (message.change, message.at_ms) == (row["type"], at_ms(row["timestamp"]))
    assert order.price_micro == micro(row["price"])
    assert order.original_size_micro == micro(row["original_size"])
    assert order.size_matched_micro == micro(row["size_matched"])
    assert (order.order_id, order.condition_id, order.token_id) == (row["id"], row["market"], row["asset_id"])
    assert (order.side, order.owner, order.order_type) == (row["side"], row["owner"], row["order_type"])
    assert order.maker_address == row["maker_address"].lower()
    assert order.trade_ids == tuple(row["associate_trades"] or ())
    assert row["status"].startswith(order.status)


@pytest.mark.req("R-16", "D-08")
@pytest.mark.parametrize("path", TRADES, ids=name_of)
def test_a_captured_trade_event_has_the_numbers_of_its_file(path: Path) -> None:
    row = json.loads(path.read_bytes())
    message = event_of(parse_user_frame(path.read_bytes()))
    assert isinstance(message, TradeMessage)
    trade = message.trade
    assert (trade.trade_id, trade.taker_order_id, trade.status) == (row["id"], row["taker_order_id"], row["status"])
    assert (trade.size_micro, trade.price_micro) == (micro(row["size"]), micro(row["price"]))
    assert (trade.token_id, trade.side, trade.owner) == (row["asset_id"], row["side"], row["owner"])
    assert trade.transaction_hash == (row.get("transaction_hash") or None)
    assert [(leg.order_id, leg.size_micro, leg.price_micro, leg.token_id, leg.side) for leg in trade.legs] == [
        (leg["order_id"], micro(leg["matched_amount"]), micro(leg["price"]), leg["asset_id"], leg.get("side"))
        for leg in row["maker_orders"]
    ]


@pytest.mark.req("R-16")
def test_all_captures_in_one_array_give_the_same_events_in_its_order() -> None:
    array = b"[" + b",\n".join(path.read_bytes() for path in CAPTURES) + b"]"
    frame = parse_user_frame(array)
    assert frame.events == tuple(event_of(parse_user_frame(path.read_bytes())) for path in CAPTURES)
    assert len(frame.events) == len(ORDERS) + len(TRADES) == 15


@pytest.mark.parametrize("data", [b"", b" \r\n", b"PONG", "PONG\n", b"[]"])
def test_a_sign_of_life_says_nothing(data: bytes | str) -> None:
    frame = parse_user_frame(data)
    assert frame == UserFrame()
    assert not frame.says_something


@pytest.mark.parametrize(
    "row",
    [
        {"event_type": "market_resolved", "id": "1"},
        {"event_type": "book", "price": "x"},
        {"event_type": 5},
        {"error": "invalid auth"},
        {},
        5,
        "text",
        None,
        [order_event()],
    ],
)
def test_what_is_no_event_of_ours_is_counted_and_leaves_the_others(row: object) -> None:
    frame = parse(order_event(), row, trade_event())
    assert (frame.unknown, frame.rejected, len(frame.events)) == (1, (), 2)
    assert frame.says_something


@pytest.mark.parametrize(("kind", "expected"), [("TRADE", TradeMessage), ("PLACEMENT", OrderMessage)])
def test_an_event_without_its_event_type_is_known_by_its_type(kind: str, expected: type) -> None:
    row = (trade_event if expected is TradeMessage else order_event)(type=kind)
    del row["event_type"]
    assert isinstance(event_of(parse(row)), expected)


@pytest.mark.req("R-16")
@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (order_event(price="0.1234567"), "order 0x000000000000000000: price was finer than 1e-6"),
        (order_event(size_matched=""), "order 0x000000000000000000: size_matched was empty"),
        (order_event(type="AMENDMENT"), "order 0x000000000000000000: type was 'AMENDMENT'"),
        (order_event(timestamp=""), "order 0x000000000000000000: timestamp was empty"),
        (order_event(original_size="9" * 70), "order 0x000000000000000000: original_size was not a plain"),
        (order_event(original_size="1e300"), "order 0x000000000000000000: original_size was larger"),
        ({"event_type": "order", "id": "0xab"}, "order 0xab: "),
        ({"event_type": "order"}, "order ?: "),
        (trade_event(size="-1"), "trade t-1: size was not a plain"),
        (trade_event(status="SETTLED"), "trade t-1: status was 'SETTLED'"),
        (trade_event(size=10**400), "trade t-1: size was not a plain"),
    ],
)
def test_a_row_that_cannot_be_believed_is_refused_with_a_sentence_and_leaves_the_others(
    row: dict[str, object], sentence: str
) -> None:
    frame = parse(order_event(), row, trade_event())
    assert (len(frame.events), frame.unknown, len(frame.rejected)) == (2, 0, 1)
    assert frame.rejected[0].startswith(sentence)


@pytest.mark.req("R-16")
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            '{"event_type": "order", "id": "0x1", "price": "0.5", "price": "0.6"}',
            "order 0x1: 'price' stood there twice",
        ),
        ('{"event_type": "trade", "id": "t", "maker_orders": [{"price": 1, "price": 2}]}', "trade t: 'price' stood"),
        ('{"event_type": "order", "event_type": "trade"}', "trade ?: 'event_type' stood"),
        ('{"a": {"b": 1, "b": 1}}', "row ?: 'b' stood there twice"),
    ],
)
def test_a_row_with_a_key_twice_is_refused_for_nobody_knows_which_one_counts(text: str, sentence: str) -> None:
    frame = parse_user_frame(f"[{text}, {json.dumps(trade_event())}]")
    assert (len(frame.events), frame.unknown, len(frame.rejected)) == (1, 0, 1)
    assert frame.rejected[0].startswith(sentence)


@pytest.mark.req("R-16")
@pytest.mark.parametrize(
    "data",
    [
        b"[" * 200_000,
        b"[" * 200_000 + b"]" * 200_000,
        b'{"event_type":' * 100_000,
        b'{"event_type": "order", "price": NaN}',
        b'{"event_type": "order", "price": Infinity}',
        b'{"event_type": "order"',
        b'{"event_type": "order"}{"event_type": "order"}',
        b'{"event_type": "\xff\xfe"}',
        b'[{"event_type": "order", "id": "\xc3\x28"}]',
        b"\xff\xfe{\x00}\x00",
        b"\xef\xbb\xbf{}",
        "{'event_type': 'order'}",
        '{"event_type": "\ud800"}',
        b"<html>",
    ],
)
def test_a_frame_that_is_not_json_is_refused_and_breaks_nothing(data: bytes | str) -> None:
    frame = parse_user_frame(data)
    assert (frame.events, frame.unknown, len(frame.rejected)) == ((), 0, 1)


@pytest.mark.req("L-06")
@pytest.mark.parametrize(
    ("change", "status", "expected"),
    [
        ("UPDATE", "CANCELED", OrderStatus.CANCELED),
        ("UPDATE", "MATCHED", OrderStatus.MATCHED),
        ("UPDATE", "LIVE", OrderStatus.LIVE),
        ("CANCELLATION", "LIVE", OrderStatus.CANCELED),
        ("CANCELLATION", "INVALID", OrderStatus.INVALID),
        ("CANCELLATION", "MATCHED", OrderStatus.MATCHED),
    ],
)
def test_both_the_change_and_the_status_can_end_an_order(change: str, status: str, expected: OrderStatus) -> None:
    message = event_of(parse(order_event(type=change, status=status)))
    assert isinstance(message, OrderMessage)
    assert (message.change, message.order.status) == (OrderChange(change), expected)


@pytest.mark.req("L-06")
@pytest.mark.parametrize(
    ("status", "because"),
    [
        ("CANCELED", ""),
        ("CANCELED_MARKET_RESOLVED", "MARKET_RESOLVED"),
        ("ORDER_STATUS_CANCELED_NOT_ENOUGH_BALANCE", "NOT_ENOUGH_BALANCE"),
        ("CANCELED_order couldn't be fully filled. FOK orders are fully filled or killed.",
         "order couldn't be fully filled. FOK orders are fully filled or killed."),
        ("CANCELED_" + "x" * 500, "x" * 200),
    ],
)  # fmt: skip
def test_why_an_order_was_cancelled_is_kept(status: str, because: str) -> None:
    message = event_of(parse(order_event(type="CANCELLATION", status=status, original_size="100.5")))
    assert isinstance(message.order, OpenOrder)
    assert (message.order.status, message.order.ended_because) == (OrderStatus.CANCELED, because)


@pytest.mark.parametrize("text", ["1725842520", "1725842520000", 1725842520])
def test_the_time_of_an_event_may_be_in_seconds_or_milliseconds(text: object) -> None:
    assert event_of(parse(order_event(timestamp=text))).at_ms == 1_725_842_520_000


@pytest.mark.req("L-01")
@pytest.mark.parametrize("status", [status for status in TradeStatus if status is not TradeStatus.CONFIRMED])
def test_every_status_of_a_trade_comes_through(status: TradeStatus) -> None:
    trade = event_of(parse(trade_event(status=status))).trade
    assert isinstance(trade, Trade)
    assert trade.status is status


KEYS = st.sampled_from(["event_type", "type", "id", "status", "size", "price", "timestamp", "maker_orders", "market"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["order", "trade", "TRADE", "UPDATE", "LIVE", "BUY", "0.5", "1e99", ""])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=20
)


@given(st.binary(max_size=300))
@pytest.mark.req("R-16")
def test_arbitrary_bytes_never_raise(data: bytes) -> None:
    assert isinstance(parse_user_frame(data), UserFrame)


@given(st.text(max_size=300))
@pytest.mark.req("R-16")
def test_arbitrary_text_never_raises(text: str) -> None:
    assert isinstance(parse_user_frame(text), UserFrame)


@given(VALUES)
@pytest.mark.req("R-16")
def test_arbitrary_json_never_raises_and_every_row_is_accounted_for(value: object) -> None:
    frame = parse_user_frame(json.dumps(value))
    rows = len(value) if isinstance(value, list) else 1
    assert len(frame.events) + frame.unknown + len(frame.rejected) in {rows, 1}


@given(st.dictionaries(st.sampled_from(sorted({*order_event(), *trade_event()})), VALUES, max_size=5), st.booleans())
@pytest.mark.req("R-16")
def test_an_event_with_arbitrary_fields_is_an_event_or_refused(changes: dict[str, object], is_order: bool) -> None:
    frame = parse(order_event(**changes) if is_order else trade_event(**changes))
    assert len(frame.events) + frame.unknown + len(frame.rejected) == 1


@given(st.sampled_from(CAPTURES), st.data())
@pytest.mark.req("R-16")
def test_a_damaged_capture_never_raises(path: Path, data: st.DataObject) -> None:
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    assert isinstance(parse_user_frame(bytes(raw[: data.draw(st.integers(0, len(raw)))])), UserFrame)
