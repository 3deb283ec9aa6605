"""The chain's logs over the wire: what a filter finds, what is refused and how, batches, and an unmodified web3."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from web3 import HTTPProvider, Web3
from web3.exceptions import Web3RPCError

from polymarket.sandbox import addresses
from polymarket.sandbox.actions import ExternalTrade, Split, TransferOut
from polymarket.sandbox.faults import FaultSpec
from polymarket.sandbox.logs import ORDER_FILLED, TRANSFER, TRANSFER_BATCH, TRANSFER_SINGLE
from polymarket.sandbox.options import ServerOptions, WorldOptions
from polymarket.sandbox.process import SandboxProcess
from polymarket.sandbox.trading import BUY
from tests.integration.sandbox.conftest import TIMEOUT_S, rpc

pytestmark = pytest.mark.req("X-07")

ALWAYS = {"fromBlock": "earliest", "toBlock": "latest"}
Row = dict[str, Any]


def logs(process: SandboxProcess, **asked: Any) -> list[Row]:
    """What a filter finds; over the whole chain unless it says otherwise."""
    found: list[Row] = rpc(process, "eth_getLogs", asked if "blockHash" in asked else {**ALWAYS, **asked})["result"]
    return found


def refusal(process: SandboxProcess, **asked: Any) -> tuple[int, str]:
    error = rpc(process, "eth_getLogs", asked)["error"]
    return error["code"], error["message"]


def word(address: str) -> str:
    return "0x" + address[2:].lower().rjust(64, "0")


def split(process: SandboxProcess) -> str:
    """The hash of a split that is in the latest block."""
    condition = process.control.books()["markets"][2]["condition_id"]
    tx_hash: str = process.control.act(Split(condition_id=condition, amount="5"))["transaction_hash"]
    process.control.mine()
    return tx_hash


@pytest.mark.req("X-01")
def test_a_receipt_shows_the_logs_of_its_transaction_in_their_places(still: SandboxProcess) -> None:
    token = still.control.books()["markets"][4]["tokens"][0]
    still.control.act(ExternalTrade(token_id=token, side=BUY, size="5", price="0.4"))
    split_hash = split(still)
    block = rpc(still, "eth_getBlockByNumber", "latest", False)["result"]
    receipts = [rpc(still, "eth_getTransactionReceipt", tx_hash)["result"] for tx_hash in block["transactions"]]
    assert split_hash in block["transactions"]
    rows = [row for receipt in receipts for row in receipt["logs"]]
    assert rows == logs(still, blockHash=block["hash"]) == logs(still, fromBlock=block["number"])
    assert [row["logIndex"] for row in rows] == [hex(place) for place in range(len(rows))]
    for row in rows:
        assert (row["blockNumber"], row["blockHash"], row["blockTimestamp"], row["removed"]) == (
            block["number"],
            block["hash"],
            block["timestamp"],
            False,
        )
    assert int(block["logsBloom"], 16) == int(receipts[0]["logsBloom"], 16) != 0, "a filter must not rule out its logs"


def test_addresses_and_topics_narrow_each_on_its_own(still: SandboxProcess) -> None:
    wallet = word(still.info["wallet"]["address"])
    everything = logs(still)
    ctf, pusd = addresses.CONDITIONAL_TOKENS.lower(), addresses.PUSD.lower()
    assert logs(still, address=addresses.CONDITIONAL_TOKENS) == [row for row in everything if row["address"] == ctf]
    both = [row for row in everything if row["address"] in {ctf, pusd}]
    assert logs(still, address=[ctf, pusd]) == both
    singles = {TRANSFER_SINGLE.topic, TRANSFER_BATCH.topic}
    expected = [row for row in everything if row["topics"][0] in singles and wallet in row["topics"][2:]]
    to_wallet = logs(still, topics=[sorted(singles), None, None, wallet])
    from_wallet = logs(still, topics=[sorted(singles), None, wallet])
    assert to_wallet
    assert sorted([*to_wallet, *from_wallet], key=order) == expected
    fills = logs(still, topics=[ORDER_FILLED.topic, None, wallet])
    assert len(fills) == 6, "one for each order of the wallet, whatever its role (its topic is that of the maker)"
    assert logs(still, topics=[TRANSFER.topic, None, None, None]) == [], "a Transfer has three topics, not four"
    assert logs(still, topics=[], address=[]) == everything


def order(row: Row) -> tuple[int, int]:
    return int(row["blockNumber"], 16), int(row["logIndex"], 16)


def test_numbers_and_tags_bound_the_blocks(still: SandboxProcess) -> None:
    tx_hash = split(still)
    head = still.control.time().head
    assert {row["transactionHash"] for row in logs(still, fromBlock="latest")} == {tx_hash}
    assert logs(still, fromBlock=hex(head), toBlock=hex(head)) == logs(still, fromBlock="latest")
    assert rpc(still, "eth_getLogs", {})["result"] == logs(still, fromBlock="latest")
    assert logs(still, toBlock="finalized") == logs(still, toBlock=hex(head - 4))
    assert tx_hash not in {row["transactionHash"] for row in logs(still, toBlock="safe")}


@pytest.mark.parametrize(
    ("asked", "code", "text"),
    [
        ({"fromBlock": "0x0", "toBlock": "latest"}, -32701, "exceed maximum block range: 10000"),
        ({"fromBlock": "latest", "toBlock": "earliest"}, -32000, "invalid block range params"),
        ({"fromBlock": "latest", "toBlock": "0x7fffffff"}, -32000, "invalid block range params"),
        ({"blockHash": "0x" + "11" * 32}, -32000, "unknown block"),
        ({"blockHash": "0x" + "11" * 32, "fromBlock": "0x1"}, -32602, "choose one"),
        ({"address": "0x12"}, -32602, "0x12 is no address"),
        ({"topics": ["0x12"]}, -32602, "0x12 is no topic"),
        ({"topics": [None] * 5}, -32602, "at most 4"),
        ({"topics": "0x12"}, -32602, "at most 4"),
        ({"adress": addresses.PUSD}, -32602, "unknown field"),
        ({"fromBlock": "soon"}, -32602, "invalid params"),
    ],
)
def test_what_a_node_would_not_answer_is_refused(still: SandboxProcess, asked: Row, code: int, text: str) -> None:
    found = refusal(still, **asked)
    assert (found[0], text in found[1]) == (code, True), found


def test_the_most_blocks_of_one_request_can_be_set(still: SandboxProcess) -> None:
    head = still.control.time().head
    still.control.settings(logs_range_blocks=3)
    assert "result" in rpc(still, "eth_getLogs", {"fromBlock": hex(head - 2), "toBlock": hex(head)})
    assert refusal(still, fromBlock=hex(head - 3)) == (-32701, "exceed maximum block range: 3")


def test_a_sandbox_can_be_started_with_another_limit() -> None:
    with SandboxProcess(WorldOptions(activity=False), ServerOptions(logs_range_blocks=2)) as process:
        process.control.pause()
        head = process.control.time().head
        assert refusal(process, fromBlock=hex(head - 2)) == (-32701, "exceed maximum block range: 2")


def test_a_node_that_is_behind_has_no_logs_of_later_blocks_and_says_so(still: SandboxProcess) -> None:
    with still.control.playing(FaultSpec(target="rpc", kind="stale")):
        tx_hash = split(still)
        head = still.control.time().head
        assert tx_hash not in {row["transactionHash"] for row in logs(still)}
        assert refusal(still, fromBlock=hex(head), toBlock=hex(head))[1] == "invalid block range params"
    assert tx_hash in {row["transactionHash"] for row in logs(still)}


def test_a_batch_is_answered_in_its_order_with_the_errors_in_place(still: SandboxProcess) -> None:
    calls = [
        {"jsonrpc": "2.0", "id": 5, "method": "eth_getLogs", "params": [ALWAYS]},
        {"jsonrpc": "2.0", "id": 6, "method": "eth_getLogs", "params": [{"fromBlock": "0x0"}]},
        {"jsonrpc": "2.0", "id": 7, "method": "eth_blockNumber", "params": []},
        "nonsense",
    ]
    first, second, third, fourth = requests.post(still.urls["rpc_url"], json=calls, timeout=TIMEOUT_S).json()
    assert (first["id"], len(first["result"])) == (5, len(logs(still)))
    assert (second["id"], second["error"]["code"]) == (6, -32701)
    assert (third["id"], third["result"]) == (7, hex(still.control.time().head))
    assert fourth["error"]["code"] == -32600
    empty = requests.post(still.urls["rpc_url"], json=[], timeout=TIMEOUT_S).json()
    assert empty["error"]["code"] == -32600


def test_an_unmodified_web3_reads_logs_and_decodes_them(still: SandboxProcess) -> None:
    books = still.control.books()
    token = books["markets"][0]["tokens"][0]
    tx_hash = still.control.act(TransferOut(token_id=token, amount="12.345678"))["transaction_hash"]
    still.control.mine()
    web3 = Web3(HTTPProvider(still.urls["rpc_url"], session=requests.Session()))
    abi = [
        {
            "type": "event",
            "name": "TransferSingle",
            "anonymous": False,
            "inputs": [
                {"name": "operator", "type": "address", "indexed": True},
                {"name": "from", "type": "address", "indexed": True},
                {"name": "to", "type": "address", "indexed": True},
                {"name": "id", "type": "uint256", "indexed": False},
                {"name": "value", "type": "uint256", "indexed": False},
            ],
        }
    ]
    contract = web3.eth.contract(address=Web3.to_checksum_address(addresses.CONDITIONAL_TOKENS), abi=abi)
    wallet = still.info["wallet"]["address"]
    (found,) = contract.events.TransferSingle().get_logs(from_block="latest", argument_filters={"from": wallet})
    assert (found["args"]["id"], found["args"]["value"]) == (int(token), 12_345_678)
    assert found["transactionHash"].to_0x_hex() == tx_hash
    receipt = web3.eth.get_transaction_receipt(found["transactionHash"])
    assert [log["logIndex"] for log in receipt["logs"]] == [0, 1]
    with pytest.raises(Web3RPCError, match="exceed maximum block range"):
        web3.eth.get_logs({"fromBlock": 0, "toBlock": "latest"})
