"""How a match settles, or does not: what the lists, the user channel and the chain's receipts say of it on the way."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from web3 import HTTPProvider, Web3
from web3.exceptions import TransactionNotFound

from polymarket.sandbox.actions import ExternalTrade, FailTrade, FillOrder, Merge, Place, SettleTrade, Split
from polymarket.sandbox.control import SandboxControlError
from polymarket.sandbox.faults import FaultSpec
from polymarket.sandbox.process import SandboxProcess
from polymarket.sandbox.trading import BUY
from tests.integration.sandbox.clients import Event, StreamClient, statuses
from tests.integration.sandbox.conftest import TIMEOUT_S, clob_get, clob_pages, rpc

pytestmark = pytest.mark.req("X-07")


def fill(process: SandboxProcess, **how: Any) -> str:
    """Somebody takes a part of the strategy's first order; the trade's id."""
    return fill_at(process, 0, **how)


def fill_at(process: SandboxProcess, index: int, **how: Any) -> str:
    """As ``fill``, of another order."""
    order = process.control.books()["orders"][index]
    return str(process.control.act(FillOrder(order_id=order["id"], size="10", **how))["trade_id"])


def listed(process: SandboxProcess, trade_id: str) -> tuple[str, str]:
    """Status and transaction hash in the exchange's list."""
    (row,) = clob_get(process, "/data/trades", id=trade_id).json()["data"]
    return row["status"], row["transaction_hash"]


def told(client: StreamClient) -> list[tuple[str, str]]:
    """Statuses and transaction hashes in the user channel, as they came."""
    events: list[Event] = [event for event in client.events() if event["event_type"] == "trade"]
    return list(zip(statuses(events), (event["transaction_hash"] for event in events), strict=True))


def receipt(process: SandboxProcess, tx_hash: str) -> Any:
    """The chain's receipt; None where it has none."""
    return rpc(process, "eth_getTransactionReceipt", tx_hash)["result"]


def outcome(process: SandboxProcess, tx_hash: str) -> str | None:
    """The status in a receipt."""
    found = receipt(process, tx_hash)
    return None if found is None else str(found["status"])


def test_a_hash_shown_early_is_replaced_when_the_settlement_is_tried_again(still: SandboxProcess) -> None:
    with StreamClient(still).subscribe() as client:
        trade = fill(still, retries=2)
        still.control.mine(6)
        (matched, first), (_, again), (_, second), (mined, third), (confirmed, last) = told(client)
    assert (matched, mined, confirmed) == ("MATCHED", "MINED", "CONFIRMED")
    assert first == again != ""
    assert third == last
    assert len({first, second, third}) == 3
    assert [outcome(still, tx_hash) for tx_hash in (first, second, third)] == ["0x0", "0x0", "0x1"]
    assert listed(still, trade) == ("CONFIRMED", third)
    assert still.control.books()["consistent"]


def test_between_two_attempts_it_is_retrying_and_in_flight(still: SandboxProcess) -> None:
    trade = fill(still, retries=1)
    still.control.mine()
    assert listed(still, trade)[0] == "RETRYING"
    (row,) = [row for row in still.control.books()["positions"] if row["in_flight_micro"]]
    assert row["in_flight_micro"] == 10_000_000


def test_a_settlement_that_is_tried_again_can_fail_for_good(still: SandboxProcess) -> None:
    before = still.control.tokens()
    with StreamClient(still).subscribe() as client:
        trade = fill(still, retries=1, fail=True)
        still.control.mine(4)
        (_, first), (retrying, _), (failed, second) = told(client)
    assert (retrying, failed) == ("RETRYING", "FAILED")
    assert [outcome(still, tx_hash) for tx_hash in (first, second)] == ["0x0", "0x0"]
    assert first != second
    assert listed(still, trade) == ("FAILED", second)
    assert still.control.tokens() == before


def test_a_transaction_that_is_dropped_never_reaches_the_chain(still: SandboxProcess) -> None:
    with StreamClient(still).subscribe() as client:
        fill(still, retries=1, dropped=True)
        still.control.mine(2)
        hashes = dict(told(client))
        assert [outcome(still, hashes[status]) for status in ("RETRYING", "MINED")] == [None, "0x1"]
        fill(still, fail=True, dropped=True, hash_at_match=True)
        still.control.mine()
        (_, matched), (status, failed) = told(client)
    assert (status, outcome(still, failed)) == ("FAILED", None)
    assert matched == failed != ""


def test_an_ordinary_match_can_show_its_hash_before_its_block(still: SandboxProcess) -> None:
    trade = fill(still, hash_at_match=True)
    status, early = listed(still, trade)
    assert (status, outcome(still, early)) == ("MATCHED", None)
    still.control.mine()
    assert listed(still, trade) == ("MINED", early)
    assert outcome(still, early) == "0x1"


def test_a_match_that_is_not_yet_sent_has_a_name_of_its_own_in_the_list_only(still: SandboxProcess) -> None:
    with StreamClient(still).subscribe() as client:
        trade = fill(still, unbroadcast=True, delay_blocks=1)
        assert [status for status, _ in told(client)] == ["MATCHED"]
        assert listed(still, trade) == ("MATCHED_NOT_BROADCASTED", "")
        still.control.mine(2)
        assert [status for status, _ in told(client)] == ["MINED"]
        assert listed(still, trade)[0] == "MINED"


def test_a_stuck_match_stays_as_it_is_until_it_is_let_settle(still: SandboxProcess) -> None:
    before = still.control.tokens()
    with StreamClient(still).subscribe() as client:
        trade = fill(still, stuck=True)
        still.control.mine(50)
        assert told(client) == [("MATCHED", "")]
        assert still.control.tokens() == before
        still.control.act(SettleTrade(trade_id=trade))
        still.control.mine()
        ((status, tx_hash),) = told(client)
    assert (status, outcome(still, tx_hash)) == ("MINED", "0x1")
    assert still.control.tokens() != before
    assert still.control.books()["consistent"]


def test_a_stuck_match_can_be_let_fail(still: SandboxProcess) -> None:
    with StreamClient(still).subscribe() as client:
        trade = fill(still, stuck=True, retries=1)
        still.control.mine(10)
        assert [status for status, _ in told(client)] == ["MATCHED", "RETRYING"]
        still.control.act(FailTrade(trade_id=trade))
        still.control.mine()
        ((status, tx_hash),) = told(client)
    assert (status, outcome(still, tx_hash)) == ("FAILED", "0x0")


def test_a_late_settlement_takes_no_more_retries(still: SandboxProcess) -> None:
    trade = fill(still, retries=5, delay_blocks=5)
    still.control.act(SettleTrade(trade_id=trade))
    still.control.mine()
    assert listed(still, trade)[0] == "MINED"


def test_a_match_that_fails_on_request_can_vanish_without_a_transaction(still: SandboxProcess) -> None:
    trade = fill(still)
    still.control.act(FailTrade(trade_id=trade, dropped=True))
    still.control.mine()
    assert listed(still, trade) == ("FAILED", "")


def test_the_fate_of_a_settled_match_cannot_be_changed(still: SandboxProcess) -> None:
    trade = fill(still)
    still.control.mine()
    for action in (FailTrade(trade_id=trade), SettleTrade(trade_id=trade), SettleTrade(trade_id="unknown")):
        with pytest.raises(SandboxControlError, match="its fate stands"):
            still.control.act(action)
    with pytest.raises(SandboxControlError, match="expected neither below 0"):
        fill(still, retries=-1)


@pytest.mark.parametrize("how", [{"retries": 1}, {"stuck": True}, {"fail": True}])
def test_takers_and_external_trades_settle_as_they_are_told(still: SandboxProcess, how: dict[str, Any]) -> None:
    token = still.control.books()["markets"][4]["tokens"][0]
    taken = still.control.act(Place(token_id=token, side=BUY, price="0.99", size="20", **how))["trade_id"]
    external = still.control.act(ExternalTrade(token_id=token, side=BUY, price="0.3", size="20", **how))["trade_id"]
    still.control.mine()
    expected = {"retries": "RETRYING", "stuck": "MATCHED", "fail": "FAILED"}[next(iter(how))]
    assert [listed(still, trade)[0] for trade in (taken, external)] == [expected, expected]


def test_a_receipt_names_its_block_and_its_contract(still: SandboxProcess) -> None:
    trades = [fill_at(still, 0), fill_at(still, -1)]
    still.control.mine()
    block = rpc(still, "eth_getBlockByNumber", "latest", False)["result"]
    receipts = [receipt(still, listed(still, trade)[1]) for trade in trades]
    assert [row["transactionHash"] for row in receipts] == block["transactions"]
    assert [row["transactionIndex"] for row in receipts] == ["0x0", "0x1"]
    for row in receipts:
        assert (row["blockNumber"], row["blockHash"]) == (block["number"], block["hash"])
        assert {log["transactionHash"] for log in row["logs"]} == {row["transactionHash"]}
    exchanges = [still.info["contracts"][name].lower() for name in ("exchange", "neg_risk_exchange")]
    assert [row["to"] for row in receipts] == exchanges


def test_an_operation_has_a_receipt_too_and_a_refused_one_says_so(still: SandboxProcess) -> None:
    market = still.control.books()["markets"][0]["condition_id"]
    split = still.control.act(Split(condition_id=market, amount="5"))["transaction_hash"]
    merge = still.control.act(Merge(condition_id=market, amount="500"))["transaction_hash"]
    assert [outcome(still, tx_hash) for tx_hash in (split, merge)] == [None, None]
    still.control.mine()
    assert [outcome(still, tx_hash) for tx_hash in (split, merge)] == ["0x1", "0x0"]
    assert list(still.control.books()["refused"]) == [merge]
    assert receipt(still, split)["from"] == still.info["wallet"]["signer_address"].lower()


def test_a_node_that_is_behind_knows_no_receipts_of_later_blocks(still: SandboxProcess) -> None:
    market = still.control.books()["markets"][0]["condition_id"]
    with still.control.playing(FaultSpec(target="rpc", kind="stale")):
        split = still.control.act(Split(condition_id=market, amount="5"))["transaction_hash"]
        still.control.mine()
        assert receipt(still, split) is None
    assert receipt(still, split) is not None


def test_an_unmodified_web3_reads_receipts(still: SandboxProcess) -> None:
    market = still.control.books()["markets"][0]["condition_id"]
    split = still.control.act(Split(condition_id=market, amount="5"))["transaction_hash"]
    web3 = Web3(HTTPProvider(still.urls["rpc_url"], session=requests.Session()))
    with pytest.raises(TransactionNotFound):
        web3.eth.get_transaction_receipt(split)
    still.control.mine()
    found = web3.eth.get_transaction_receipt(split)
    assert (found["status"], found["blockNumber"]) == (1, still.control.time().head)


def test_one_trade_is_asked_for_by_its_id_in_signed_pages(still: SandboxProcess) -> None:
    trade = fill(still)
    still.control.settings(page_size=3)
    pages = clob_pages(still, "/data/trades")
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [[row["id"] for row in page] for page in clob_pages(still, "/data/trades", id=trade)] == [[trade]]
    assert clob_get(still, "/data/trades", id="unknown").json() == {
        "limit": 3,
        "count": 0,
        "next_cursor": "LTE=",
        "data": [],
    }
    unsigned = requests.get(still.urls["clob_url"] + "/data/trades", params={"id": trade}, timeout=TIMEOUT_S)
    assert unsigned.status_code == 401
