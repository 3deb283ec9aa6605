"""The clients that real users have, unmodified, against the sandbox (X-07)."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import (
    ApiCreds,
    AssetType,
    BalanceAllowanceParams,
    MarketOrderArgsV2,
    OpenOrderParams,
    OrderArgsV2,
    OrderMarketCancelParams,
    OrderPayload,
    OrderType,
    PostOrdersV2Args,
    TradeParams,
)
from py_clob_client_v2.exceptions import PolyApiException
from web3 import HTTPProvider, Web3
from web3.exceptions import BlockNotFound, ContractLogicError

from polymarket.sandbox.actions import ExternalTrade, Merge, Resolve, Split
from polymarket.sandbox.process import SandboxProcess
from polymarket.sandbox.trading import BUY, SELL

pytestmark = pytest.mark.req("X-07")

ERC1155_ABI: list[dict[str, Any]] = [
    {
        "type": "function",
        "name": "balanceOfBatch",
        "stateMutability": "view",
        "inputs": [{"name": "owners", "type": "address[]"}, {"name": "ids", "type": "uint256[]"}],
        "outputs": [{"name": "", "type": "uint256[]"}],
    },
    {
        "type": "function",
        "name": "payoutDenominator",
        "stateMutability": "view",
        "inputs": [{"name": "condition", "type": "bytes32"}],
        "outputs": [{"name": "", "type": "uint256"}],
    },
]
ERC20_ABI: list[dict[str, Any]] = [
    {
        "type": "function",
        "name": "balanceOf",
        "stateMutability": "view",
        "inputs": [{"name": "owner", "type": "address"}],
        "outputs": [{"name": "", "type": "uint256"}],
    },
]
MULTICALL_ABI: list[dict[str, Any]] = [
    {
        "type": "function",
        "name": "aggregate3",
        "stateMutability": "payable",
        "inputs": [
            {
                "name": "calls",
                "type": "tuple[]",
                "components": [
                    {"name": "target", "type": "address"},
                    {"name": "allowFailure", "type": "bool"},
                    {"name": "callData", "type": "bytes"},
                ],
            }
        ],
        "outputs": [
            {
                "name": "",
                "type": "tuple[]",
                "components": [{"name": "success", "type": "bool"}, {"name": "returnData", "type": "bytes"}],
            }
        ],
    },
    {
        "type": "function",
        "name": "getBlockNumber",
        "stateMutability": "view",
        "inputs": [],
        "outputs": [{"name": "", "type": "uint256"}],
    },
]


def sdk(process: SandboxProcess, *, who: str = "wallet") -> ClobClient:
    """The official client as its README shows it."""
    wallet, keys = process.info["wallet"], process.info[who]
    return ClobClient(
        process.urls["clob_url"],
        chain_id=process.info["chain_id"],
        key=wallet["private_key"],
        creds=ApiCreds(keys["api_key"], keys["api_secret"], keys["api_passphrase"]),
        signature_type=wallet["signature_type"],
        funder=wallet["address"],
    )


def test_the_unmodified_official_sdk_reads_places_and_cancels(sandbox: SandboxProcess) -> None:
    sandbox.control.reseed(7)
    sandbox.control.settings(page_size=3)
    client = sdk(sandbox)
    books = sandbox.control.books()

    assert client.get_ok() == "OK"
    assert client.get_version() == 2
    assert {order["id"] for order in client.get_open_orders()} == {order["id"] for order in books["orders"]}
    assert {trade["id"] for trade in client.get_trades()} == {trade["id"] for trade in books["trades"]}
    for market in (books["markets"][0], books["markets"][-1]):
        shown = client.get_market(market["condition_id"])
        assert [token["token_id"] for token in shown["tokens"]] == market["tokens"]
        assert shown["neg_risk"] is market["neg_risk"]
        for token in market["tokens"]:
            placed = client.create_and_post_order(OrderArgsV2(token_id=token, price=0.05, size=12.5, side=BUY))
            assert (placed["success"], placed["status"]) == (True, "live")
            (order,) = client.get_open_orders(OpenOrderParams(id=placed["orderID"]))
            assert (order["price"], order["original_size"], order["size_matched"]) == ("0.05", "12.5", "0")
            assert client.cancel_order(OrderPayload(orderID=placed["orderID"]))["canceled"] == [placed["orderID"]]
            assert client.get_order(placed["orderID"])["status"] == "CANCELED"
    after = {order["id"] for order in client.get_open_orders()}
    assert after == {order["id"] for order in books["orders"]}


def test_the_sdks_market_order_settles_and_names_its_transaction(sandbox: SandboxProcess) -> None:
    sandbox.control.reseed(7)
    client = sdk(sandbox)
    token = sandbox.control.books()["markets"][4]["tokens"][0]
    before = sandbox.control.tokens().get(token, 0)
    placed = client.create_and_post_market_order(
        MarketOrderArgsV2(token_id=token, amount=50, side=BUY, order_type=OrderType.FAK), order_type=OrderType.FAK
    )
    (trade,) = client.get_trades(TradeParams(id=placed["tradeIDs"][0]))
    assert placed["transactionsHashes"] == [trade["transaction_hash"]]
    assert trade["status"] in {"MINED", "CONFIRMED"}
    assert trade["trader_side"] == "TAKER"
    bought = sandbox.control.tokens()[token] - before
    assert bought == round(float(trade["size"]) * 1_000_000)
    assert sandbox.control.books()["consistent"]


def test_the_sdk_cancels_all_orders_of_its_own_key_only(still: SandboxProcess) -> None:
    own, other = sdk(still), sdk(still, who="other_client")
    token = still.control.books()["markets"][4]["tokens"][0]
    theirs = other.create_and_post_order(OrderArgsV2(token_id=token, price=0.05, size=10, side=BUY))["orderID"]
    mine = [order["id"] for order in own.get_open_orders() if order["id"] != theirs]
    assert sorted(own.cancel_all()["canceled"]) == sorted(mine)
    assert [order["id"] for order in own.get_open_orders()] == [theirs]


def test_the_sdk_cancels_lists_and_markets_and_is_told_what_was_not_there(still: SandboxProcess) -> None:
    client = sdk(still)
    first, second, *_ = client.get_open_orders()
    result = client.cancel_orders([first["id"], "0x00"])
    assert result["canceled"] == [first["id"]]
    assert list(result["not_canceled"]) == ["0x00"]
    assert client.get_order(second["id"])["status"] == "LIVE"


def test_the_sdk_derives_the_keys_that_the_sandbox_announced(still: SandboxProcess) -> None:
    client = sdk(still)
    creds = client.create_or_derive_api_key()
    wallet = still.info["wallet"]
    assert (creds.api_key, creds.api_secret, creds.api_passphrase) == (
        wallet["api_key"],
        wallet["api_secret"],
        wallet["api_passphrase"],
    )
    assert client.derive_api_key(nonce=1).api_key == still.info["other_client"]["api_key"]


def test_the_sdk_reads_balances_prices_and_fees(still: SandboxProcess) -> None:
    client = sdk(still)
    market = still.control.books()["markets"][0]
    token = market["tokens"][0]
    cash = client.get_balance_allowance(BalanceAllowanceParams(asset_type=AssetType.COLLATERAL))
    shares = client.get_balance_allowance(BalanceAllowanceParams(asset_type=AssetType.CONDITIONAL, token_id=token))
    assert int(cash["balance"]) == 52_341_000_000 == still.control.cash()["pusd"]
    assert int(shares["balance"]) == still.control.tokens()[token]
    assert client.get_midpoint(token)["mid"] == f"{market['price_micro'] / 1_000_000:g}"
    assert client.get_clob_market_info(market["condition_id"])["fd"] == {"r": 0.05, "e": 1, "to": True}
    assert client.get_fee_exponent(token) == 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"price": 0.5, "size": 1, "side": BUY}, "Size lower than the minimum"),
        ({"price": 0.99, "size": 90_000, "side": BUY}, "not enough balance"),
        ({"price": 0.9, "size": 9_000, "side": SELL}, "not enough balance"),
    ],
)
def test_the_sdk_is_refused_an_order_that_the_exchange_would_refuse(
    still: SandboxProcess, arguments: dict[str, Any], reason: str
) -> None:
    token = still.control.books()["markets"][0]["tokens"][0]
    with pytest.raises(PolyApiException) as refused:
        sdk(still).create_and_post_order(OrderArgsV2(token_id=token, **arguments))
    assert refused.value.status_code == 400
    assert reason in refused.value.error_msg["error"]
    assert len(still.control.books()["orders"]) == 8


def test_an_order_signed_by_another_key_is_refused(still: SandboxProcess) -> None:
    client = sdk(still)
    token = still.control.books()["markets"][0]["tokens"][0]
    order = client.create_order(OrderArgsV2(token_id=token, price=0.05, size=10, side=BUY))
    order.signature = "0x" + "11" * 64 + "1b"
    with pytest.raises(PolyApiException) as refused:
        client.post_order(order)
    assert refused.value.error_msg == {"error": "invalid signature"}


def test_the_sdk_posts_several_orders_at_once_and_cancels_a_market(still: SandboxProcess) -> None:
    client = sdk(still)
    market = still.control.books()["markets"][5]
    orders = [
        client.create_order(OrderArgsV2(token_id=token, price=0.05, size=size, side=BUY))
        for token, size in zip(market["tokens"], (10, 1), strict=True)
    ]
    good, bad = client.post_orders([PostOrdersV2Args(order=order, orderType=OrderType.GTC) for order in orders])
    assert (good["status"], bad["orderID"]) == ("live", "")
    assert "minimum" in bad["errorMsg"]
    result = client.cancel_market_orders(OrderMarketCancelParams(market=market["condition_id"]))
    assert result["canceled"] == [good["orderID"]]


def test_a_fill_or_kill_order_that_cannot_be_filled_is_an_error(still: SandboxProcess) -> None:
    client = sdk(still)
    token = still.control.books()["markets"][5]["tokens"][0]
    order = client.create_order(OrderArgsV2(token_id=token, price=0.05, size=10, side=BUY))
    with pytest.raises(PolyApiException, match="fully filled"):
        client.post_order(order, OrderType.FOK)


def web3_of(process: SandboxProcess) -> Web3:
    """web3 with nothing but a URL."""
    return Web3(HTTPProvider(process.urls["rpc_url"], session=requests.Session()))


def test_unmodified_web3_reads_blocks_calls_and_multicall(still: SandboxProcess) -> None:
    web3, books, contracts = web3_of(still), still.control.books(), still.info["contracts"]
    wallet = still.info["wallet"]["address"]
    assert web3.is_connected()
    assert web3.eth.chain_id == 137
    latest = web3.eth.get_block("latest")
    assert latest["number"] == web3.eth.block_number == books["block"]["number"]
    assert latest["parentHash"] == web3.eth.get_block(latest["number"] - 1)["hash"]
    assert web3.eth.get_block("finalized")["number"] == books["finalized"]
    assert web3.eth.get_block(latest["hash"])["number"] == latest["number"]

    tokens = [int(token) for token in books["tokens"]]
    ctf = web3.eth.contract(address=contracts["conditional_tokens"], abi=ERC1155_ABI)
    batch = ctf.functions.balanceOfBatch([wallet] * len(tokens), tokens)
    assert batch.call() == list(books["tokens"].values())
    adapter = web3.eth.contract(address=contracts["neg_risk_adapter"], abi=ERC1155_ABI)
    assert adapter.functions.balanceOfBatch([wallet] * len(tokens), tokens).call() == batch.call()

    pusd = web3.eth.contract(address=contracts["collateral"], abi=ERC20_ABI)
    multicall = web3.eth.contract(address=contracts["multicall"], abi=MULTICALL_ABI)
    calls = [
        (contracts["collateral"], False, pusd.encode_abi("balanceOf", [wallet])),
        (contracts["conditional_tokens"], False, ctf.encode_abi("balanceOfBatch", [[wallet] * len(tokens), tokens])),
        (contracts["multicall"], False, multicall.encode_abi("getBlockNumber")),
        (contracts["collateral"], True, "0xdeadbeef"),
    ]
    results = multicall.functions.aggregate3(calls).call(block_identifier=latest["hash"])
    cash, shares, number, unknown = results
    assert web3.codec.decode(["uint256"], cash[1]) == (books["cash"]["pusd"],)
    assert list(web3.codec.decode(["uint256[]"], shares[1])[0]) == list(books["tokens"].values())
    assert web3.codec.decode(["uint256"], number[1]) == (latest["number"],)
    assert unknown[0] is False


def test_web3_reads_the_past_by_number_and_by_hash(still: SandboxProcess) -> None:
    web3, contracts = web3_of(still), still.info["contracts"]
    wallet, market = still.info["wallet"]["address"], still.control.books()["markets"][2]
    ctf = web3.eth.contract(address=contracts["conditional_tokens"], abi=ERC1155_ABI)
    shares = ctf.functions.balanceOfBatch([wallet] * 2, [int(token) for token in market["tokens"]])
    resolved = ctf.functions.payoutDenominator(bytes.fromhex(market["condition_id"][2:]))
    before = web3.eth.get_block("latest")
    still.control.act(Split(condition_id=market["condition_id"], amount="25.5"))
    still.control.mine()
    middle = web3.eth.get_block("latest")
    still.control.act(Merge(condition_id=market["condition_id"], amount="100"))
    still.control.act(Resolve(condition_id=market["condition_id"], payouts=[0, 1]))
    still.control.mine(3)
    assert shares.call(block_identifier=before["number"]) == [600_000_000] * 2
    assert shares.call(block_identifier=middle["hash"]) == [625_500_000] * 2
    assert shares.call() == [525_500_000] * 2
    assert [resolved.call(block_identifier=block) for block in (middle["number"], "latest")] == [0, 1]


def test_web3_is_told_of_unknown_blocks_and_reverts(still: SandboxProcess) -> None:
    web3, contracts = web3_of(still), still.info["contracts"]
    with pytest.raises(BlockNotFound):
        web3.eth.get_block(web3.eth.block_number + 1)
    ctf = web3.eth.contract(address=contracts["conditional_tokens"], abi=ERC1155_ABI)
    with pytest.raises(ContractLogicError, match="same lengths"):
        ctf.functions.balanceOfBatch([], [1]).call()


def test_a_trade_of_the_other_client_shows_its_own_owner_in_the_sdk(still: SandboxProcess) -> None:
    market = still.control.books()["markets"][0]
    made = still.control.act(ExternalTrade(token_id=market["tokens"][0], side=SELL, size="100", price="0.31"))
    (trade,) = sdk(still).get_trades(TradeParams(id=made["trade_id"]))
    assert trade["owner"] == still.info["other_client"]["api_key"]
    assert (trade["status"], trade["transaction_hash"]) == ("MATCHED", "")
    still.control.mine()
    (trade,) = sdk(still).get_trades(TradeParams(id=made["trade_id"]))
    assert trade["status"] == "MINED"
    assert trade["transaction_hash"].startswith("0x")
