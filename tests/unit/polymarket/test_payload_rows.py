"""Rows that cannot be believed are refused by value, with their reason; bodies that are no pages fail (R-16)."""

from __future__ import annotations

import json

import msgspec
import pytest

from polymarket import payloads
from polymarket.payloads.markets import is_protocol_v2_id
from portfolio.facts import MarketMeta, OpenOrder, OrderStatus, Trade, TradeStatus
from tests.unit.polymarket.script import order_row, trade_row

CONTRACTS = payloads.TokenContracts(v1="0xC1", v2="0xC2")


def order(**changes: object) -> OpenOrder | payloads.RejectedRow:
    return payloads.parse_order(msgspec.Raw(json.dumps(order_row(1, **changes)).encode()))


def trade(**changes: object) -> Trade | payloads.RejectedRow:
    return payloads.parse_trade(msgspec.Raw(json.dumps(trade_row(1, **changes)).encode()))


def market(**changes: object) -> object:
    row = {
        "conditionId": "0xC0", "closed": False, "questionID": "0xQ5", "question": "?", "slug": "s",
        "outcomes": '["Yes", "No"]', "outcomePrices": '["0.25", "0.75"]', "clobTokenIds": '["1", "2"]',
    }  # fmt: skip
    return payloads.parse_gamma_market(msgspec.Raw(json.dumps(row | changes).encode()), CONTRACTS)


def known(**changes: object) -> MarketMeta:
    row = market(**changes)
    assert isinstance(row, MarketMeta)
    return row


@pytest.mark.req("R-16")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"price": "0.1234567"}, "price was finer than 1e-6"),
        ({"original_size": "-1"}, "original_size was not a plain non-negative"),
        ({"original_size": "NaN"}, "original_size was not a plain non-negative"),
        ({"original_size": ""}, "original_size was empty"),
        ({"size_matched": ""}, "size_matched was empty"),
        ({"size_matched": None}, "size_matched was empty"),
        ({"price": "50"}, "price was above 1"),
        ({"price": True}, "price was neither a number nor"),
        ({"price": ["0.5"]}, "price was neither a number nor"),
        ({"status": "SLEEPING"}, "status was 'SLEEPING'"),
        ({"status": "GONE"}, "status was 'GONE'"),
        ({"status": 1}, "Expected `str`"),
        ({"side": "HOLD"}, "side was 'HOLD'"),
        ({"asset_id": 123}, "Expected `str`"),
        ({"asset_id": "0x12"}, "asset_id was not a decimal integer"),
        ({"asset_id": str(1 << 256)}, "asset_id was not a decimal integer"),
        ({"id": ""}, "id was empty"),
        ({"created_at": ""}, "created_at was empty"),
        ({"created_at": "yesterday"}, "created_at was not a time"),
        ({"created_at": "2024-01-01T00:00:00"}, "created_at was a time without its zone"),
    ],
)
def test_an_order_that_cannot_be_believed_is_refused_with_its_reason(changes: dict[str, object], reason: str) -> None:
    row = order(**changes)
    assert isinstance(row, payloads.RejectedRow)
    assert row.reason.startswith(reason)


@pytest.mark.req("R-16")
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("LIVE", OrderStatus.LIVE),
        ("ORDER_STATUS_LIVE", OrderStatus.LIVE),
        ("CANCELED_MARKET_RESOLVED", OrderStatus.CANCELED),
        ("CANCELED_order couldn't be fully filled. FOK orders are fully filled or killed.", OrderStatus.CANCELED),
        ("DELAYED", OrderStatus.DELAYED),
        ("INVALID", OrderStatus.INVALID),
    ],
)
def test_prefixes_and_reasons_are_dropped_from_a_status(status: str, expected: OrderStatus) -> None:
    row = order(status=status, original_size="100.5")
    assert isinstance(row, OpenOrder)
    assert row.status is expected


@pytest.mark.req("R-16")
@pytest.mark.parametrize("prefixed", ["ORDER_STATUS_LIVE", "ORDER_STATUS_CANCELED"])
def test_a_prefixed_row_of_bare_integers_is_refused_because_its_scale_is_unknown(prefixed: str) -> None:
    row = order(status=prefixed, original_size="100000000", size_matched="25000000")
    assert isinstance(row, payloads.RejectedRow)
    assert "millionths" in row.reason


@pytest.mark.req("R-16")
@pytest.mark.parametrize(("size", "matched"), [("20000", "0.5"), ("20000.0", "0"), ("100", "25")])
def test_a_fraction_or_a_small_order_proves_that_sizes_are_shares(size: str, matched: str) -> None:
    row = order(status="ORDER_STATUS_LIVE", original_size=size, size_matched=matched)
    assert isinstance(row, OpenOrder)
    assert row.original_size_micro == round(float(size) * 1_000_000)


@pytest.mark.req("R-16")
def test_a_prefixed_trade_of_bare_integers_is_refused_and_one_with_fractions_is_not() -> None:
    assert isinstance(trade(status="TRADE_STATUS_MINED", size="1219511"), payloads.RejectedRow)
    row = trade(status="TRADE_STATUS_MINED", size="1.219511")
    assert isinstance(row, Trade)
    assert (row.size_micro, row.status) == (1_219_511, TradeStatus.MINED)


@pytest.mark.req("R-16")
def test_numbers_as_strings_and_strings_as_numbers_are_the_same_amount() -> None:
    assert order(original_size=100, price=0.5, size_matched=25) == order()


@pytest.mark.req("R-16")
def test_an_empty_matched_size_is_zero_only_for_a_cancelled_order() -> None:
    row = order(status="CANCELED", size_matched="")
    assert isinstance(row, OpenOrder)
    assert row.size_matched_micro == 0


@pytest.mark.parametrize(
    "text", ["1703875200", 1703875200, "1703875200000", "2023-12-29T18:40:00Z", "1703875200000000000"]
)
def test_times_of_all_scales_are_the_same_instant(text: object) -> None:
    row = order(created_at=text)
    assert isinstance(row, OpenOrder)
    assert row.created_at_ms == 1_703_875_200_000


@pytest.mark.req("D-02")
def test_a_match_time_in_nanoseconds_wins_and_must_agree_with_the_one_in_seconds() -> None:
    row = trade(match_time="1725958682", match_time_nano="1725958682123456789")
    assert isinstance(row, Trade)
    assert row.matched_at_ns == 1_725_958_682_123_456_789
    assert isinstance(trade(match_time="1725958680", match_time_nano="1725958682123456789"), payloads.RejectedRow)


@pytest.mark.req("R-16")
@pytest.mark.parametrize(
    "changes",
    [
        {"size": "0.1234567"},
        {"match_time": ""},
        {"status": "SETTLED"},
        {"trader_side": "BOTH"},
        {"maker_orders": [{"order_id": "0x1", "owner": "k", "asset_id": "1", "matched_amount": "x", "price": "0.5"}]},
        {"maker_orders": [{"order_id": "0x1"}]},
    ],
)
def test_a_trade_that_cannot_be_believed_is_refused(changes: dict[str, object]) -> None:
    assert isinstance(trade(**changes), payloads.RejectedRow)


def test_a_rejected_row_has_a_short_id_and_a_short_reason() -> None:
    row = order(id="0x" + "e" * 500, status="x" * 5_000)
    assert isinstance(row, payloads.RejectedRow)
    assert len(row.row_id) <= 20
    assert len(row.reason) <= 200


@pytest.mark.parametrize("raw", [b"null", b"1", b'"x"', b"[]", b"{}", b'{"id": 5}', b'{"id": "\xff"}'])
def test_a_row_that_is_no_order_is_refused(raw: bytes) -> None:
    assert isinstance(payloads.parse_order(msgspec.Raw(raw)), payloads.RejectedRow)


@pytest.mark.req("R-15")
@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html><html>down</html>", b"", b"{", b"[]", b"{}", b'{"data": {}}', b"\xff\xfe",
        b'{"data": [], "next_cursor": ""}', b'{"data": []}', b'{"data": [NaN], "next_cursor": "LTE="}',
        b'{"data": null, "next_cursor": "LTE="}',
    ],
)  # fmt: skip
def test_a_body_that_is_no_page_is_malformed(body: bytes) -> None:
    with pytest.raises(payloads.MalformedPayload):
        payloads.decode_clob_page(body)


def test_an_html_page_is_called_one() -> None:
    with pytest.raises(payloads.MalformedPayload, match="HTML"):
        payloads.decode_clob_page(b"  <html><body>Bad gateway</body></html>")


@pytest.mark.req("R-15")
@pytest.mark.parametrize(
    "body", [b'{"data": []}', b'{"data": [], "pagination": {}}', b'{"data": [], "pagination": {"has_more": true}}']
)
def test_a_data_page_must_say_whether_more_follows(body: bytes) -> None:
    with pytest.raises(payloads.MalformedPayload):
        payloads.decode_data_page(body)


@pytest.mark.req("R-18", "X-08")
def test_the_version_of_a_market_decides_its_ids_and_their_contract() -> None:
    first = known(positionIds=["8", "9"])
    second = known(positionIds=["8", "9"], version="v2")
    assert [(t.token_id, t.contract) for t in first.tokens] == [("1", "0xc1"), ("2", "0xc1")]
    assert [(t.token_id, t.contract) for t in second.tokens] == [("8", "0xc2"), ("9", "0xc2")]


@pytest.mark.req("R-18")
@pytest.mark.parametrize(
    "changes",
    [{"version": "v3"}, {"version": "v2"}, {"clobTokenIds": ""}, {"clobTokenIds": "[1, 2]"}, {"clobTokenIds": "{"},
     {"clobTokenIds": '["1"]'}, {"outcomes": '["Yes"]'}, {"conditionId": None}, {"closed": None},
     {"outcomePrices": '["x", "y"]'}, {"feeSchedule": {"rate": "-1"}}],
)  # fmt: skip
def test_a_market_whose_tokens_are_not_known_is_refused(changes: dict[str, object]) -> None:
    assert isinstance(market(**changes), payloads.RejectedRow)


@pytest.mark.req("R-20")
def test_fees_are_taken_from_the_schedule_and_unknown_without_one() -> None:
    with_fees = known(feesEnabled=True, feeSchedule={"rate": 0.07, "exponent": 1})
    assert (with_fees.fee_rate_micro, with_fees.fee_exponent) == (70_000, 1)
    assert known(feesEnabled=False).fee_rate_micro == 0
    assert known(feesEnabled=True).fee_rate_micro is None


@pytest.mark.req("R-18", "X-08")
def test_a_market_of_the_clob_shows_its_version_by_the_structure_of_its_ids() -> None:
    ids = [(2 << 248) | (12345 << 120) | (3 << 104) | (outcome << 24) for outcome in (0, 1)]
    row = {"condition_id": "0xC", "closed": False, "tokens": [{"token_id": str(token)} for token in ids]}
    parsed = payloads.parse_clob_market(msgspec.Raw(json.dumps(row).encode()), CONTRACTS)
    assert isinstance(parsed, MarketMeta)
    assert (parsed.version, parsed.tokens[0].contract) == ("v2", "0xc2")
    empty = payloads.parse_clob_market(msgspec.Raw(json.dumps(row | {"tokens": []}).encode()), CONTRACTS)
    assert isinstance(empty, payloads.RejectedRow)


@pytest.mark.req("R-18")
def test_a_protocol_v2_id_is_told_by_its_structure() -> None:
    structured = (2 << 248) | (12345 << 120) | (3 << 104) | (1 << 24)
    assert is_protocol_v2_id(str(structured))
    assert not is_protocol_v2_id("21742633143463906290569050155826241533067272736897614950488156847949938836455")


@pytest.mark.req("D-13")
def test_a_position_may_have_a_negative_cost_but_no_negative_size() -> None:
    row = {"token_id": "1", "condition_id": "0xC", "current_size": 1.5, "entry_cost_usdc": -0.25}
    position = payloads.parse_position(msgspec.Raw(json.dumps(row).encode()))
    assert not isinstance(position, payloads.RejectedRow)
    assert (position.size_micro, position.entry_cost_micro, position.price_micro) == (1_500_000, -250_000, None)
    row["current_size"] = -1.5
    assert isinstance(payloads.parse_position(msgspec.Raw(json.dumps(row).encode())), payloads.RejectedRow)


@pytest.mark.parametrize(
    ("body", "ms"), [(b"1725958681", 1_725_958_681_000), (b'{"time": "1725958681"}', 1_725_958_681_000)]
)
def test_the_server_time_is_a_bare_integer_or_an_object(body: bytes, ms: int) -> None:
    assert payloads.decode_time(body) == ms


@pytest.mark.parametrize("body", [b"null", b'"x"', b"{}", b"[]", b"<html>"])
def test_a_server_time_that_is_none_is_malformed(body: bytes) -> None:
    with pytest.raises(payloads.MalformedPayload):
        payloads.decode_time(body)
