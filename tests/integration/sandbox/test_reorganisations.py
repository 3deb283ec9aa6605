"""Reorganisations over the wire: blocks, receipts, logs and balances of a node; trades and activity beside it."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from web3 import HTTPProvider, Web3
from web3.exceptions import BlockNotFound, TransactionNotFound

from polymarket.sandbox import addresses
from polymarket.sandbox.actions import Deposit, FillOrder, Reorganise, TransferOut
from polymarket.sandbox.control import SandboxControlError
from polymarket.sandbox.process import SandboxProcess
from tests.integration.sandbox.clients import StreamClient
from tests.integration.sandbox.conftest import TIMEOUT_S, clob_get, rpc

pytestmark = pytest.mark.req("X-07", "R-31")


def transfer(process: SandboxProcess) -> str:
    """The hash of a transfer out that is in the latest block."""
    token = process.control.books()["markets"][0]["tokens"][0]
    tx_hash: str = process.control.act(TransferOut(token_id=token, amount="7"))["transaction_hash"]
    process.control.mine()
    return tx_hash


def pusd_call(process: SandboxProcess) -> dict[str, str]:
    owner = process.info["wallet"]["address"][2:].lower()
    return {"to": addresses.PUSD, "data": "0x70a08231" + owner.rjust(64, "0")}


def block(process: SandboxProcess, tag: str = "latest") -> dict[str, Any]:
    found: dict[str, Any] = rpc(process, "eth_getBlockByNumber", tag, False)["result"]
    return found


def test_a_transaction_comes_back_in_another_block_with_the_same_logs(still: SandboxProcess) -> None:
    tx_hash = transfer(still)
    old = block(still)
    before = rpc(still, "eth_getTransactionReceipt", tx_hash)["result"]
    told = still.control.act(Reorganise(depth=1))
    assert told["dropped"] == [{"number": int(old["number"], 16), "hash": old["hash"]}]
    after = rpc(still, "eth_getTransactionReceipt", tx_hash)["result"]
    new = block(still)
    assert (after["blockHash"], int(after["blockNumber"], 16)) == (new["hash"], int(old["number"], 16) + 1)
    same = ("address", "topics", "data", "transactionHash", "logIndex", "removed")
    assert [[log[name] for name in same] for log in after["logs"]] == [
        [log[name] for name in same] for log in before["logs"]
    ]
    assert rpc(still, "eth_getLogs", {"blockHash": new["hash"]})["result"] == after["logs"]
    replaced = block(still, old["number"])
    assert (replaced["hash"] != old["hash"], replaced["parentHash"]) == (True, old["parentHash"])
    assert new["parentHash"] == replaced["hash"]
    assert still.control.books()["consistent"]


def test_a_dropped_block_is_known_no_more_and_reads_of_it_say_so(still: SandboxProcess) -> None:
    still.control.act(Deposit(amount="10"))
    still.control.mine()
    old, call = block(still), pusd_call(still)
    before = int(rpc(still, "eth_call", call, {"blockHash": old["hash"]})["result"], 16)
    still.control.act(Reorganise(depth=1))
    assert rpc(still, "eth_getBlockByHash", old["hash"], False)["result"] is None
    assert rpc(still, "eth_getLogs", {"blockHash": old["hash"]})["error"] == {
        "code": -32000,
        "message": "unknown block",
    }
    pinned = {"blockHash": old["hash"], "requireCanonical": True}
    assert rpc(still, "eth_call", call, pinned)["error"] == {
        "code": -32000,
        "message": "hash is not currently canonical",
    }
    lax = rpc(still, "eth_call", call, {"blockHash": old["hash"]})["error"]
    assert lax == {"code": -32000, "message": "header for hash not found"}
    assert int(rpc(still, "eth_call", call, old["number"])["result"], 16) == before - 10_000_000
    assert int(rpc(still, "eth_call", call, "latest")["result"], 16) == before


def test_an_unmodified_web3_sees_a_transaction_go_for_good(still: SandboxProcess) -> None:
    web3 = Web3(HTTPProvider(still.urls["rpc_url"], session=requests.Session()))
    tokens = still.control.tokens()
    tx_hash = transfer(still)
    receipt = web3.eth.get_transaction_receipt(tx_hash)  # type: ignore[arg-type]
    still.control.act(Reorganise(depth=1, drop=[tx_hash]))
    with pytest.raises(TransactionNotFound):
        web3.eth.get_transaction_receipt(tx_hash)  # type: ignore[arg-type]
    with pytest.raises(BlockNotFound):
        web3.eth.get_block(receipt["blockHash"])
    assert web3.eth.get_logs({"fromBlock": receipt["blockNumber"], "toBlock": "latest"}) == []
    assert still.control.tokens() == tokens


def test_a_fill_is_told_again_and_stays_in_the_lists(still: SandboxProcess) -> None:
    order = still.control.books()["orders"][0]
    with StreamClient(still).subscribe() as client:
        trade = still.control.act(FillOrder(order_id=order["id"], size="10"))["trade_id"]
        still.control.mine()
        shares = still.control.tokens()
        still.control.act(Reorganise(depth=1, delay=2))
        (row,) = clob_get(still, "/data/trades", id=trade).json()["data"]
        assert row["status"] == "RETRYING"
        (pending,) = [one for one in still.control.books()["positions"] if one["in_flight_micro"]]
        assert pending["in_flight_micro"] == 10_000_000
        assert trade not in activity_hashes(still)
        still.control.mine()
        told = [event for event in client.events() if event["event_type"] == "trade"]
    assert [event["status"] for event in told] == ["MATCHED", "MINED", "RETRYING", "MINED"]
    assert len({event["transaction_hash"] for event in told[1:]}) == 1
    assert still.control.tokens() == shares
    assert told[-1]["transaction_hash"] in activity_hashes(still)


def activity_hashes(process: SandboxProcess) -> set[str]:
    """Transactions of the Data API's activity."""
    url = process.urls["data_api_url"] + "/v2/activity"
    user = {"user": process.info["wallet"]["address"], "limit": "1000"}
    return {row["transaction_hash"] for row in requests.get(url, params=user, timeout=TIMEOUT_S).json()["data"]}


def test_finalized_blocks_stay(still: SandboxProcess) -> None:
    finalized, latest = block(still, "finalized"), block(still)
    with pytest.raises(SandboxControlError, match="is finalized; at most 4 blocks can be dropped"):
        still.control.act(Reorganise(depth=5))
    assert block(still) == latest
    still.control.act(Reorganise(depth=4, blocks=0))
    assert block(still) == block(still, "safe") == block(still, "finalized") == finalized
