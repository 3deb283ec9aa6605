"""Every fault of the APIs: what the client sees while it plays, that its hits are counted, and that it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from polymarket.sandbox.actions import Cancel, Deposit, FillOrder, Place, Split
from polymarket.sandbox.control import SandboxControlError
from polymarket.sandbox.faults import KINDS, FaultSpec
from polymarket.sandbox.process import SandboxProcess
from polymarket.sandbox.trading import BUY
from tests.integration.sandbox.conftest import TIMEOUT_S, clob_get, clob_pages, positions, rpc

pytestmark = pytest.mark.req("X-07")

# What each kind is shown by; the last test checks that none is forgotten.
SHOWN_BY: dict[str, str] = {}


def shows(*kinds: str) -> Callable[[Any], Any]:
    """Note which test shows which kinds of faults."""

    def note(test: Any) -> Any:
        SHOWN_BY.update(dict.fromkeys(kinds, test.__name__))
        return test

    return note


def urls(process: SandboxProcess) -> dict[str, str]:
    """One harmless request of each API."""
    user = process.info["wallet"]["address"]
    return {
        "clob": process.urls["clob_url"] + "/time",
        "data": process.urls["data_api_url"] + f"/v2/positions?user={user}",
        "gamma": process.urls["gamma_url"] + "/markets",
        "rpc": process.urls["rpc_url"],
    }


def ask(process: SandboxProcess, target: str, timeout_s: float = TIMEOUT_S) -> requests.Response:
    """Send that request."""
    if target != "rpc":
        return requests.get(urls(process)[target], timeout=timeout_s)
    body = {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}
    return requests.post(urls(process)[target], json=body, timeout=timeout_s)


def order_ids(process: SandboxProcess) -> list[str]:
    """Ids of the orders that the exchange lists, over all pages."""
    return [row["id"] for page in clob_pages(process, "/data/orders") for row in page]


@pytest.fixture(params=["clob", "data", "gamma", "rpc"])
def target(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@shows("down")
def test_down_closes_the_connection_without_an_answer_until_it_ends(still: SandboxProcess, target: str) -> None:
    fault = still.control.add_fault(FaultSpec(target=target, kind="down", count=2))  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            ask(still, target)
    assert ask(still, target).status_code == 200
    assert still.control.hits(fault) == 2


def test_down_of_all_takes_every_api_but_the_control_port(still: SandboxProcess) -> None:
    with still.control.playing(FaultSpec(target="all", kind="down")) as fault:
        for name in ("clob", "data", "gamma", "rpc"):
            with pytest.raises(requests.ConnectionError):
                ask(still, name)
        assert still.control.hits(fault) == 4
    assert ask(still, "clob").status_code == 200


@shows("slow")
def test_slow_lets_a_client_run_into_its_time_out(still: SandboxProcess) -> None:
    fault = still.control.add_fault(FaultSpec(target="clob", kind="slow", latency_ms=30_000, count=1))
    with pytest.raises(requests.Timeout):
        ask(still, "clob", timeout_s=1)
    assert still.control.hits(fault) == 1
    assert ask(still, "clob").status_code == 200


@shows("http_425", "http_429", "http_503")
@pytest.mark.parametrize("status", [425, 429, 503])
def test_an_error_status_with_the_body_of_the_real_service(still: SandboxProcess, status: int, target: str) -> None:
    with still.control.playing(FaultSpec(target=target, kind=f"http_{status}")) as fault:  # type: ignore[arg-type]
        response = ask(still, target)
        assert (response.status_code, next(iter(response.json()))) == (status, "error")
        assert still.control.hits(fault) == 1
    assert ask(still, target).status_code == 200


@shows("html_error")
def test_an_html_page_instead_of_json(still: SandboxProcess, target: str) -> None:
    with still.control.playing(FaultSpec(target=target, kind="html_error", status=403)):  # type: ignore[arg-type]
        response = ask(still, target)
    assert response.status_code == 403
    assert response.headers["Content-Type"].startswith("text/html")
    assert response.text.startswith("<!DOCTYPE html>")


@shows("malformed_json")
def test_malformed_json_with_a_good_status(still: SandboxProcess, target: str) -> None:
    with still.control.playing(FaultSpec(target=target, kind="malformed_json")) as fault:  # type: ignore[arg-type]
        response = ask(still, target)
        assert still.control.hits(fault) == 1
    assert response.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(response.content)


@shows("wrong_content_type")
def test_the_right_body_under_a_wrong_content_type(still: SandboxProcess, target: str) -> None:
    with still.control.playing(FaultSpec(target=target, kind="wrong_content_type")):  # type: ignore[arg-type]
        response = ask(still, target)
    assert response.headers["Content-Type"].startswith("text/html")
    assert json.loads(response.content) is not None


@shows("bad_number")
@pytest.mark.parametrize("value", ['"NaN"', "NaN", '"1.2345678"', "12.3456789", '"-1"', "1e400"])
def test_a_number_that_is_none_where_the_client_needs_one(still: SandboxProcess, value: str) -> None:
    with still.control.playing(FaultSpec(target="all", kind="bad_number", value=value)) as fault:
        orders = clob_get(still, "/data/orders").text
        shown = requests.get(urls(still)["data"], timeout=TIMEOUT_S).text
        head = ask(still, "rpc").text
        assert still.control.hits(fault) == 3
    assert f'"original_size": {value}' in orders
    assert f'"current_size": {value}' in shown
    assert f'"result": {value}' in head


@shows("half_rows", "empty_page", "short_page")
@pytest.mark.parametrize(("kind", "left"), [("half_rows", 4), ("empty_page", 0), ("short_page", 4)])
def test_a_good_answer_that_lacks_rows_and_says_that_it_is_the_end(still: SandboxProcess, kind: Any, left: int) -> None:
    whole = order_ids(still)
    with still.control.playing(FaultSpec(target="clob", kind=kind, path="/data/orders")) as fault:
        body = clob_get(still, "/data/orders").json()
        assert [row["id"] for row in body["data"]] == whole[:left]
        assert (body["count"], body["next_cursor"]) == (left, "LTE=")
        assert len(clob_get(still, "/data/trades").json()["data"]) == 6
        assert still.control.hits(fault) == 1
    assert order_ids(still) == whole


@pytest.mark.parametrize(("kind", "left"), [("half_rows", 4), ("empty_page", 0), ("short_page", 7)])
def test_the_data_api_can_lack_rows_too(still: SandboxProcess, kind: Any, left: int) -> None:
    assert len(positions(still)) == 9
    with still.control.playing(FaultSpec(target="data", kind=kind, drop=2)):
        assert len(positions(still)) == left


def test_a_short_page_ends_a_list_of_several_pages(still: SandboxProcess) -> None:
    still.control.settings(page_size=3)
    assert [len(page) for page in clob_pages(still, "/data/orders")] == [3, 3, 2]
    with still.control.playing(FaultSpec(target="clob", kind="short_page", drop=1, count=1)):
        assert [len(page) for page in clob_pages(still, "/data/orders")] == [2]


@shows("moved_pages")
def test_rows_move_between_the_pages_while_they_are_read(still: SandboxProcess) -> None:
    whole = order_ids(still)
    still.control.settings(page_size=3)
    with still.control.playing(FaultSpec(target="clob", kind="moved_pages")):
        seen = order_ids(still)
        again = clob_get(still, "/data/orders").json()["data"]
    assert len(seen) == len(whole)
    assert set(seen) < set(whole), "a row slid past the reader"
    assert [row["id"] for row in again] != seen[:3], "a second look at the first page shows the move"
    assert order_ids(still) == whole


@shows("loop_cursor")
def test_a_cursor_that_leads_back_to_the_first_page(still: SandboxProcess) -> None:
    still.control.settings(page_size=3)
    with still.control.playing(FaultSpec(target="clob", kind="loop_cursor")):
        last = clob_get(still, "/data/orders", next_cursor="Ng==").json()
    assert (len(last["data"]), last["next_cursor"]) == (2, "MA==")


@shows("stale")
def test_a_stale_exchange_goes_on_showing_the_lists_of_the_past(still: SandboxProcess) -> None:
    before, (first, second, *_) = order_ids(still), still.control.books()["orders"]
    with still.control.playing(FaultSpec(target="clob", kind="stale")) as fault:
        still.control.act(Cancel(order_id=first["id"]))
        still.control.act(FillOrder(order_id=second["id"], size="20"))
        assert order_ids(still) == before
        assert clob_get(still, f"/data/order/{first['id']}").json()["status"] == "LIVE"
        assert len(clob_get(still, "/data/trades").json()["data"]) == 6
        assert still.control.hits(fault) == 3
    assert order_ids(still) == before[1:]
    assert len(clob_get(still, "/data/trades").json()["data"]) == 7


def test_a_stale_chain_stands_still_or_falls_back(still: SandboxProcess) -> None:
    head = still.control.time().head
    with still.control.playing(FaultSpec(target="rpc", kind="stale", blocks=10)):
        still.control.act(Deposit(amount="5"))
        still.control.mine(3)
        assert int(rpc(still, "eth_blockNumber")["result"], 16) == head - 10
        assert rpc(still, "eth_getBlockByNumber", hex(head), False)["result"] is None
        old = rpc(still, "eth_getBlockByNumber", "latest", False)["result"]
        assert int(old["number"], 16) == head - 10
    assert int(rpc(still, "eth_blockNumber")["result"], 16) == head + 3


@shows("lagging")
def test_a_lagging_data_api_is_behind_and_says_so(still: SandboxProcess) -> None:
    market = still.control.books()["markets"][5]
    sizes = {row["token_id"]: row["current_size"] for row in positions(still)}
    still.control.act(Split(condition_id=market["condition_id"], amount="40"))
    still.control.mine()
    with still.control.playing(FaultSpec(target="data", kind="lagging", blocks=2)):
        assert {row["token_id"]: row["current_size"] for row in positions(still)} == sizes
        status = requests.get(still.urls["data_api_url"] + "/v2/status", timeout=TIMEOUT_S).json()["data"]
        assert status["ingestion"]["min_synced_block"] == still.control.time().head - 2
    assert len(positions(still)) == len(sizes) + 1


@shows("wrong_chain_id")
def test_another_chain_answers(still: SandboxProcess) -> None:
    with still.control.playing(FaultSpec(target="rpc", kind="wrong_chain_id")) as fault:
        assert rpc(still, "eth_chainId")["result"] == "0x1"
        assert still.control.hits(fault) == 1
    assert rpc(still, "eth_chainId")["result"] == "0x89"


@shows("no_code")
def test_a_contract_is_not_there(still: SandboxProcess) -> None:
    gone, there = (still.info["contracts"][name] for name in ("conditional_tokens", "collateral"))
    with still.control.playing(FaultSpec(target="rpc", kind="no_code", value=f'"{gone}"')) as fault:
        assert rpc(still, "eth_getCode", gone, "latest")["result"] == "0x"
        assert rpc(still, "eth_call", {"to": gone, "data": "0x00fdd58e"}, "latest")["result"] == "0x"
        assert rpc(still, "eth_getCode", there, "latest")["result"] != "0x"
        assert still.control.hits(fault) == 2
    assert rpc(still, "eth_getCode", gone, "latest")["result"] != "0x"


@shows("swapped_tokens")
def test_metadata_can_give_outcomes_each_others_tokens(still: SandboxProcess) -> None:
    def stated() -> list[list[str]]:
        rows = requests.get(urls(still)["gamma"], timeout=TIMEOUT_S).json()
        return [json.loads(row["clobTokenIds"]) for row in rows if row["version"] == "v1"]

    markets = [row for row in still.control.books()["markets"] if row["version"] == "v1"]
    truth, first = [row["tokens"] for row in markets], markets[0]["condition_id"]
    with still.control.playing(FaultSpec(target="gamma", kind="swapped_tokens", value=f'"{first}"')) as fault:
        assert stated() == [truth[0][::-1], *truth[1:]]
        assert still.control.hits(fault) == 1
    with still.control.playing(FaultSpec(target="gamma", kind="swapped_tokens")):
        assert stated() == [tokens[::-1] for tokens in truth]
    assert stated() == truth


@shows("rpc_logs_refused")
def test_a_node_can_serve_no_logs(still: SandboxProcess) -> None:
    with still.control.playing(FaultSpec(target="rpc", kind="rpc_logs_refused")) as fault:
        refused = rpc(still, "eth_getLogs", {"fromBlock": "latest"})["error"]
        assert (refused["code"], "eth_getLogs" in refused["message"]) == (-32601, True)
        assert "result" in rpc(still, "eth_blockNumber")
        assert still.control.hits(fault) == 1
    assert rpc(still, "eth_getLogs", {"fromBlock": "latest"})["result"] == []


@shows("rpc_logs_pruned")
def test_a_node_can_have_lost_its_older_logs(still: SandboxProcess) -> None:
    head = still.control.time().head
    with still.control.playing(FaultSpec(target="rpc", kind="rpc_logs_pruned", blocks=10)) as fault:
        assert "result" in rpc(still, "eth_getLogs", {"fromBlock": hex(head - 9), "toBlock": "latest"})
        assert still.control.hits(fault) == 0
        old = rpc(still, "eth_getBlockByNumber", hex(head - 10), False)["result"]["hash"]
        for asked in ({"fromBlock": hex(head - 10), "toBlock": "latest"}, {"blockHash": old}):
            error = rpc(still, "eth_getLogs", asked)["error"]
            assert error == {"code": -32701, "message": "History has been pruned for this block"}
        assert still.control.hits(fault) == 2


def test_a_node_can_keep_logs_back_without_a_word(still: SandboxProcess) -> None:
    whole = {"fromBlock": "earliest", "toBlock": "latest"}
    everything = rpc(still, "eth_getLogs", whole)["result"]
    with still.control.playing(FaultSpec(target="rpc", kind="half_rows", path="eth_getLogs")) as fault:
        assert rpc(still, "eth_getLogs", whole)["result"] == everything[: len(everything) // 2]
        assert still.control.hits(fault) == 1
    assert rpc(still, "eth_getLogs", whole)["result"] == everything


def test_a_fault_can_be_narrowed_to_a_path_and_to_a_method(still: SandboxProcess) -> None:
    still.control.add_fault(FaultSpec(target="clob", kind="http_503", path="/data"))
    still.control.add_fault(FaultSpec(target="rpc", kind="http_503", path="eth_call"))
    assert clob_get(still, "/data/orders").status_code == 503
    assert ask(still, "clob").status_code == 200
    assert ask(still, "rpc").status_code == 200
    assert requests.post(urls(still)["rpc"], json={"method": "eth_call"}, timeout=TIMEOUT_S).status_code == 503


def test_a_fault_ends_after_its_seconds_and_stays_in_the_list_with_its_hits(still: SandboxProcess) -> None:
    ended = still.control.add_fault(FaultSpec(target="clob", kind="down", seconds=0))
    assert ask(still, "clob").status_code == 200
    (listed,) = still.control.faults()
    assert (listed.id, listed.active, listed.hits) == (ended.id, False, 0)
    assert still.control.clear_faults() == [listed]
    assert still.control.faults() == []


def test_an_unknown_fault_is_refused(still: SandboxProcess) -> None:
    response = requests.post(
        still.urls["control_url"] + "/faults", json={"target": "clob", "kind": "grumpy"}, timeout=TIMEOUT_S
    )
    assert response.status_code == 400
    assert "grumpy" in response.json()["error"]


def test_what_happens_in_the_world_is_not_touched_by_a_fault(still: SandboxProcess) -> None:
    token = still.control.books()["markets"][0]["tokens"][0]
    with still.control.playing(FaultSpec(target="all", kind="down")):
        placed = still.control.act(Place(token_id=token, side=BUY, price="0.05", size="10"))
        with pytest.raises(SandboxControlError, match="minimum"):
            still.control.act(Place(token_id=token, side=BUY, price="0.05", size="1"))
    assert placed["order_id"] in order_ids(still)


def test_every_kind_of_fault_of_the_apis_is_shown_by_a_test() -> None:
    assert sorted(kind for kind in KINDS if not kind.startswith("ws_")) == sorted(SHOWN_BY)
