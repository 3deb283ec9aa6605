"""What the sandbox's APIs answer to plain HTTP: authentication, rows, pages, metadata, JSON-RPC, the control port."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import requests
import rlp  # type: ignore[import-untyped]
from eth_utils.crypto import keccak

from polymarket import position_ids
from polymarket.sandbox.actions import Convert, ExternalTrade, FillOrder, Redeem, Resolve, SetPrice, TransferOut
from polymarket.sandbox.process import SandboxProcess
from polymarket.sandbox.trading import BUY, SELL
from tests.integration.sandbox.conftest import TIMEOUT_S, clob_get, clob_pages, gamma, positions, rpc, signed_headers

pytestmark = pytest.mark.req("X-07")

ROOT = Path(__file__).resolve().parents[3]
HEADER_FIELDS = (
    "parentHash sha3Uncles miner stateRoot transactionsRoot receiptsRoot logsBloom difficulty number gasLimit "
    "gasUsed timestamp extraData mixHash nonce baseFeePerGas"
)


@pytest.mark.parametrize("age_s", [61, -70])
def test_an_expired_timestamp_is_refused(still: SandboxProcess, age_s: int) -> None:
    headers = signed_headers(still.info, "/data/orders", age_s=age_s)
    response = requests.get(still.urls["clob_url"] + "/data/orders", headers=headers, timeout=TIMEOUT_S)
    assert (response.status_code, response.json()) == (401, {"error": "Unauthorized/Expired timestamp"})


@pytest.mark.parametrize("header", ["POLY_SIGNATURE", "POLY_API_KEY", "POLY_PASSPHRASE", "POLY_ADDRESS"])
def test_a_wrong_or_missing_credential_is_refused(still: SandboxProcess, header: str) -> None:
    for replacement in ("wrong", None):
        headers = signed_headers(still.info, "/data/orders")
        headers.pop(header)
        if replacement is not None:
            headers[header] = replacement
        response = requests.get(still.urls["clob_url"] + "/data/orders", headers=headers, timeout=TIMEOUT_S)
        assert response.status_code == 401


def test_a_signature_is_good_for_its_own_path_and_method_only(still: SandboxProcess) -> None:
    headers = signed_headers(still.info, "/data/orders")
    assert requests.get(still.urls["clob_url"] + "/data/orders", headers=headers, timeout=TIMEOUT_S).ok
    other = requests.get(still.urls["clob_url"] + "/data/trades", headers=headers, timeout=TIMEOUT_S)
    delete = requests.delete(still.urls["clob_url"] + "/cancel-all", headers=headers, timeout=TIMEOUT_S)
    assert (other.status_code, delete.status_code) == (401, 401)


def test_a_timestamp_of_the_worlds_own_time_is_good_while_it_is_moved_by_hand(still: SandboxProcess) -> None:
    still.control.advance(600_000)
    ahead_s = still.control.time().now_ms // 1000 - int(time.time())
    headers = signed_headers(still.info, "/data/orders", age_s=-ahead_s)
    assert requests.get(still.urls["clob_url"] + "/data/orders", headers=headers, timeout=TIMEOUT_S).ok


def test_a_minted_match_shows_each_leg_with_its_own_token_and_price(still: SandboxProcess) -> None:
    order = still.control.books()["orders"][0]
    made = still.control.act(FillOrder(order_id=order["id"], size="7.5", cross=True))
    (trade,) = clob_get(still, "/data/trades", id=made["trade_id"]).json()["data"]
    (leg,) = trade["maker_orders"]
    assert trade["trader_side"] == "MAKER"
    assert (leg["order_id"], leg["owner"]) == (order["id"], still.info["wallet"]["api_key"])
    assert (leg["asset_id"], leg["price"], leg["side"]) == (order["asset_id"], order["price"], "BUY")
    assert trade["side"] == "BUY"
    assert trade["asset_id"] != leg["asset_id"]
    assert float(trade["price"]) + float(leg["price"]) == pytest.approx(1)
    assert trade["transaction_hash"] == ""
    (shown,) = clob_get(still, "/data/orders", id=order["id"]).json()["data"]
    assert (shown["size_matched"], shown["associate_trades"]) == ("7.5", [made["trade_id"]])


def test_trades_are_filtered_by_time_and_by_the_takers_token(still: SandboxProcess) -> None:
    order = still.control.books()["orders"][0]
    opened = still.control.time().now_ms // 1000
    still.control.advance(5_000)
    made = still.control.act(FillOrder(order_id=order["id"], size="7.5", cross=True))["trade_id"]
    after = clob_get(still, "/data/trades", after=str(opened)).json()["data"]
    assert [row["id"] for row in after] == [made]
    before = clob_get(still, "/data/trades", before=str(opened + 1)).json()["data"]
    assert len(before) == 6
    assert made not in {row["id"] for row in before}
    by_token = clob_get(still, "/data/trades", asset_id=order["asset_id"]).json()["data"]
    assert made not in {row["id"] for row in by_token}, "the filter looks at the taker's order, as the real one does"
    by_market = clob_get(still, "/data/trades", market=order["market"]).json()["data"]
    assert made in {row["id"] for row in by_market}


def test_pages_cover_the_list_once(still: SandboxProcess) -> None:
    whole = clob_get(still, "/data/orders").json()
    assert (whole["limit"], whole["count"], whole["next_cursor"]) == (100, 8, "LTE=")
    still.control.settings(page_size=3)
    pages = clob_pages(still, "/data/orders")
    assert [row for page in pages for row in page] == whole["data"]
    bad = clob_get(still, "/data/orders", next_cursor="LTE=")
    assert bad.status_code == 400


def test_an_unlisted_trade_is_seen_on_the_chain_only(still: SandboxProcess) -> None:
    token = still.control.books()["markets"][0]["tokens"][0]
    before = still.control.tokens()[token]
    made = still.control.act(ExternalTrade(token_id=token, side=SELL, size="1", price="0.3", listed=False))
    still.control.mine()
    assert clob_get(still, "/data/trades", id=made["trade_id"]).json()["data"] == []
    assert still.control.tokens()[token] == before - 1_000_000


def test_positions_are_rounded_and_dust_is_hidden_unless_asked_for(still: SandboxProcess) -> None:
    market = still.control.books()["markets"][0]
    token = market["tokens"][0]
    still.control.act(TransferOut(token_id=token, amount="1499.943219"))
    still.control.mine()
    sizes = {row["token_id"]: row["current_size"] for row in positions(still)}
    assert sizes[token] == 0.0568
    user = still.info["wallet"]["address"]
    url = still.urls["data_api_url"] + "/v2/positions"
    shown = requests.get(url, params={"user": user}, timeout=TIMEOUT_S).json()["data"]
    assert token not in {row["token_id"] for row in shown}


def test_data_pages_follow_an_opaque_cursor_and_refuse_an_offset(still: SandboxProcess) -> None:
    url, user = still.urls["data_api_url"] + "/v2/positions", still.info["wallet"]["address"]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        params = {"user": user, "filter_amount": "0", "limit": "4", **({"cursor": cursor} if cursor else {})}
        body = requests.get(url, params=params, timeout=TIMEOUT_S).json()
        seen += [row["token_id"] for row in body["data"]]
        cursor = body["pagination"]["next_cursor"] if body["pagination"]["has_more"] else None
    assert sorted(seen) == sorted(still.control.tokens())
    refused = requests.get(url, params={"user": user, "offset": "4"}, timeout=TIMEOUT_S)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")


def test_a_position_row_has_the_fields_of_a_real_one(still: SandboxProcess) -> None:
    real = json.loads((ROOT / "tests/data/data_api_v2/positions.json").read_text(encoding="utf-8"))["data"][0]
    shown = positions(still)[0]
    assert shown.keys() == real.keys()
    assert {name: type(value) for name, value in shown.items()} == {name: type(value) for name, value in real.items()}


def test_a_market_has_the_fields_of_a_real_one(still: SandboxProcess) -> None:
    real = json.loads((ROOT / "tests/data/nautilus_http/market.json").read_text(encoding="utf-8"))
    condition = still.control.books()["markets"][0]["condition_id"]
    shown = requests.get(still.urls["clob_url"] + f"/markets/{condition}", timeout=TIMEOUT_S).json()
    assert shown.keys() == real.keys()
    assert shown["tokens"][0].keys() == real["tokens"][0].keys()


def test_activity_hides_deposits_by_default_and_includes_fees_in_the_cash(still: SandboxProcess) -> None:
    url, user = still.urls["data_api_url"] + "/v2/activity", still.info["wallet"]["address"]
    rows = requests.get(url, params={"user": user}, timeout=TIMEOUT_S).json()["data"]
    assert {row["type"] for row in rows} == {"TRADE", "SPLIT"}
    params = {"user": user, "type": "DEPOSIT", "exclude_deposits_withdrawals": "false"}
    assert len(requests.get(url, params=params, timeout=TIMEOUT_S).json()["data"]) == 2
    (opening,) = (row for row in rows if row["size"] == 1500.0)
    token = opening["token_id"]
    fee = next(row for row in still.control.books()["operations"] if token in row["tokens"])["fee_micro"]
    assert opening["usdc_size"] == pytest.approx(1500 * opening["price"] + fee / 1_000_000)


def test_maker_fills_are_hidden_in_the_data_apis_trades_unless_asked_for(still: SandboxProcess) -> None:
    order = still.control.books()["orders"][0]
    still.control.act(FillOrder(order_id=order["id"], size="10"))
    still.control.mine()
    url, user = still.urls["data_api_url"] + "/v2/trades", still.info["wallet"]["address"]
    counts = [
        len(requests.get(url, params={"user": user, "taker_only": only}, timeout=TIMEOUT_S).json()["data"])
        for only in ("true", "false")
    ]
    assert counts == [6, 7]


def test_resolution_redemption_and_conversion_reach_every_api(still: SandboxProcess) -> None:
    books = still.control.books()
    market = books["markets"][0]
    event = books["markets"][-1]["neg_risk_market_id"]
    no_tokens = [row["tokens"][1] for row in books["markets"] if row["neg_risk_market_id"] == event]
    for token in no_tokens[:2]:
        still.control.act(ExternalTrade(token_id=token, side=BUY, size="50", price="0.6"))
    still.control.act(Resolve(condition_id=market["condition_id"], payouts=[1, 0]))
    still.control.mine()
    still.control.act(Redeem(condition_id=market["condition_id"]))
    still.control.act(Convert(neg_risk_market_id=event, questions=[0, 1], amount="50"))
    still.control.mine()
    after = still.control.books()
    assert after["consistent"]
    assert [row["kind"] for row in after["operations"][-2:]] == ["REDEEM", "CONVERSION"]
    assert after["operations"][-2]["cash"] == {"pusd": 1_500_000_000}
    assert after["operations"][-1]["cash"] == {"pusd": 50_000_000}
    (resolved,) = gamma(still, "/markets", condition_ids=market["condition_id"], closed="true")
    assert json.loads(resolved["outcomePrices"]) == ["1", "0"]
    assert gamma(still, "/markets", condition_ids=market["condition_id"]) == []
    params = {"condition": market["condition_id"]}
    data = requests.get(still.urls["data_api_url"] + "/v2/resolutions", params=params, timeout=TIMEOUT_S).json()["data"]
    assert data[0]["payouts"] == [1_000_000, 0]
    assert market["condition_id"] not in {order["market"] for order in after["orders"]}


def test_gamma_writes_its_arrays_as_strings_and_pages_by_cursor(still: SandboxProcess) -> None:
    books = still.control.books()
    rows: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        body = gamma(still, "/markets/keyset", limit=4, **cursor)
        rows += body["markets"]
        if "next_cursor" not in body:
            break
        cursor = {"after_cursor": body["next_cursor"]}
    assert [row["conditionId"] for row in rows] == [row["condition_id"] for row in books["markets"]]
    assert [json.loads(row["clobTokenIds"]) for row in rows] == [row["tokens"] for row in books["markets"]]
    by_token = gamma(still, "/markets", clob_token_ids=books["markets"][3]["tokens"])
    assert [row["conditionId"] for row in by_token] == [books["markets"][3]["condition_id"]]
    event = next(row for row in gamma(still, "/events", limit=50) if row["negRisk"])
    assert {position_ids.neg_risk_market_id(row["questionID"]) for row in event["markets"]} == {
        event["negRiskMarketID"]
    }


def test_metadata_can_deny_that_a_market_is_neg_risk_while_its_ids_prove_it(still: SandboxProcess) -> None:
    market = still.control.books()["markets"][-1]
    changed = still.control.claim_neg_risk(market["neg_risk_market_id"], neg_risk=False)
    assert len(changed) == 3
    (shown,) = gamma(still, "/markets", condition_ids=market["condition_id"])
    listed = requests.get(still.urls["clob_url"] + f"/markets/{market['condition_id']}", timeout=TIMEOUT_S).json()
    assert (shown["negRisk"], listed["neg_risk"], shown["events"][0]["negRisk"]) == (False, False, False)
    contracts = still.info["contracts"]
    assert position_ids.derive_neg_risk(
        market["condition_id"],
        json.loads(shown["clobTokenIds"]),
        usdc_e=contracts["bridged_usdc"],
        wrapped_collateral=contracts["wrapped_collateral"],
    )


def test_a_block_hash_is_that_of_its_own_header(still: SandboxProcess) -> None:
    block = rpc(still, "eth_getBlockByNumber", "latest", False)["result"]
    names = HEADER_FIELDS.split()
    numbers = {"difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas"}
    header = [_integer(block[name]) if name in numbers else bytes.fromhex(block[name][2:]) for name in names]
    assert "0x" + keccak(rlp.encode(header)).hex() == block["hash"]


def _integer(text: str) -> bytes:
    value = int(text, 16)
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("eth_sendRawTransaction", ["0x00"], -32601),
        ("eth_call", [{"to": "0x0"}, "0x1"], -32000),
        ("eth_call", [{"to": "0xcA11bde05977b3631167028862bE2a173976CA11", "data": "0x12345678"}, "latest"], 3),
        ("eth_getBlockByNumber", ["nonsense", False], -32602),
    ],
)
def test_json_rpc_errors_have_their_codes(still: SandboxProcess, method: str, params: list[Any], code: int) -> None:
    assert rpc(still, method, *params)["error"]["code"] == code


def test_json_rpc_answers_batches_in_order(still: SandboxProcess) -> None:
    calls: list[dict[str, Any]] = [{"jsonrpc": "2.0", "id": n, "method": "eth_chainId", "params": []} for n in (5, 6)]
    answers = requests.post(still.urls["rpc_url"], json=calls, timeout=TIMEOUT_S).json()
    assert [(one["id"], one["result"]) for one in answers] == [(5, "0x89"), (6, "0x89")]
    broken = requests.post(still.urls["rpc_url"], data=b"{", timeout=TIMEOUT_S).json()
    assert broken["error"]["code"] == -32700


def test_public_market_data_of_the_exchange(still: SandboxProcess) -> None:
    market = still.control.books()["markets"][-1]
    token, other = market["tokens"]

    def get(path: str, **params: str) -> Any:
        return requests.get(still.urls["clob_url"] + path, params=params, timeout=TIMEOUT_S).json()

    assert get("/neg-risk", token_id=token) == {"neg_risk": True}
    assert get("/tick-size", token_id=token) == {"minimum_tick_size": 0.01}
    assert get("/fee-rate", token_id=token) == {"base_fee": 1000 if market["fee_rate_micro"] else 0}
    assert get(f"/markets-by-token/{other}")["condition_id"] == market["condition_id"]
    assert get(f"/clob-markets/{market['condition_id']}")["nr"] is True
    assert len(get("/markets")["data"]) == 9
    book, mirror = get("/book", token_id=token), get("/book", token_id=other)
    assert [level["size"] for level in book["bids"]] == [level["size"] for level in mirror["asks"]]
    assert float(book["bids"][-1]["price"]) < float(book["asks"][-1]["price"])
    for path in ("/book?token_id=1", "/markets/0x00", "/clob-markets/0x00", "/markets-by-token/1", "/nothing"):
        assert "error" in get(path)


def test_gamma_finds_one_market_by_id_and_by_slug(still: SandboxProcess) -> None:
    row = gamma(still, "/markets", limit=1)[0]
    assert gamma(still, f"/markets/{row['id']}") == gamma(still, f"/markets/slug/{row['slug']}") == row
    assert gamma(still, "/markets", question_ids=row["questionID"], id=row["id"], slug=row["slug"]) == [row]
    assert "error" in gamma(still, "/markets/1")
    assert "error" in gamma(still, "/markets/keyset", after_cursor="?")


def test_the_control_port_refuses_what_it_does_not_understand(still: SandboxProcess) -> None:
    for path, body in (
        ("/actions", {"kind": "steal"}),
        ("/advance", {"ms": -1}),
        ("/metadata", {"neg_risk": True, "condition_id": "0x00"}),
        ("/faults", {"target": "moon", "kind": "down"}),
    ):
        response = requests.post(still.urls["control_url"] + path, json=body, timeout=TIMEOUT_S)
        assert response.status_code == 400
        assert response.json()["error"]
    assert requests.get(still.urls["control_url"] + "/actions", timeout=TIMEOUT_S).status_code == 405


def test_time_stands_still_until_it_is_moved(still: SandboxProcess) -> None:
    before = still.control.time()
    assert before.paused
    after = still.control.advance(1_000)
    assert (after.now_ms - before.now_ms, after.head - before.head) == (1_000, 5)
    clob = requests.get(still.urls["clob_url"] + "/time", timeout=TIMEOUT_S).json()
    assert clob == after.now_ms // 1000


def test_a_price_that_moves_through_an_order_fills_it(still: SandboxProcess) -> None:
    books = still.control.books()
    order = next(order for order in books["orders"] if order["side"] == "SELL")
    still.control.act(SetPrice(condition_id=order["market"], price="0.7"))
    assert order["id"] not in {live["id"] for live in still.control.books()["orders"]}
    assert clob_get(still, f"/data/order/{order['id']}").json()["status"] == "MATCHED"


def test_a_price_can_be_moved(still: SandboxProcess) -> None:
    market = still.control.books()["markets"][5]
    still.control.act(SetPrice(condition_id=market["condition_id"], price="0.61"))
    params = {"token_id": market["tokens"][1]}
    assert requests.get(still.urls["clob_url"] + "/midpoint", params=params, timeout=TIMEOUT_S).json() == {
        "mid": "0.39"
    }


def test_requests_are_counted_by_path(still: SandboxProcess) -> None:
    path = "GET /clob/data/orders"
    before = still.control.requests().get(path, 0)
    clob_get(still, "/data/orders")
    assert still.control.requests()[path] == before + 1
