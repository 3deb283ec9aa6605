"""The user channel of the running sandbox: who may listen, who is told what, and in which words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests
import websocket

from polymarket.sandbox.actions import Cancel, ExternalTrade, FillOrder, Place, Resolve, SetPrice, TransferOut
from polymarket.sandbox.process import SandboxProcess
from polymarket.sandbox.trading import BUY, SELL
from portfolio.facts import OrderStatus, Role, Side
from tests.integration.sandbox.clients import Event, StreamClient, first_frame, order_of, orders, statuses, trade_of
from tests.integration.sandbox.conftest import TIMEOUT_S, clob_get, signed_headers

pytestmark = pytest.mark.req("X-07")

DATA = Path(__file__).resolve().parents[2] / "data"
KILLED = "CANCELED_order couldn't be fully filled. FOK orders are fully filled or killed."


def token(process: SandboxProcess, market: int = 4, outcome: int = 0) -> str:
    """A token of the fifth market, which the wallet has no position in."""
    return str(process.control.books()["markets"][market]["tokens"][outcome])


def place(process: SandboxProcess, **terms: Any) -> dict[str, Any]:
    """Rest an order far below the market, unless other terms are given."""
    asked = {"token_id": token(process), "side": BUY, "price": "0.01", "size": "20", **terms}
    return process.control.act(Place(**asked))


def own_order(process: SandboxProcess, side: str = BUY) -> dict[str, Any]:
    """A resting order of the strategy."""
    found: dict[str, Any] = next(row for row in process.control.books()["orders"] if row["side"] == side)
    return found


def test_the_channel_shares_the_port_of_the_apis(still: SandboxProcess) -> None:
    base = still.urls["clob_url"].removeprefix("http://").removesuffix("/clob")
    assert still.urls["user_ws_url"] == f"ws://{base}/ws/user"


@pytest.mark.parametrize(
    "frame",
    [
        {"auth": {"secret": "d3Jvbmc="}},
        {"auth": {"passphrase": "wrong"}},
        {"auth": {"apiKey": "00000000-0000-0000-0000-000000000000"}},
        {"type": "market"},
        {"auth": None},
        "PING",
        "{",
        "[]",
    ],
)
def test_whom_it_does_not_know_it_leaves_without_a_word(still: SandboxProcess, frame: Any) -> None:
    good = first_frame(still.info)
    if isinstance(frame, dict):
        auth = {**good["auth"], **frame["auth"]} if frame.get("auth") else frame.get("auth", good["auth"])
        frame = {**good, **frame, "auth": auth}
    with StreamClient(still) as client:
        client.say(frame)
        assert client.ended()


def test_who_says_nothing_is_left_too(still: SandboxProcess) -> None:
    still.control.settings(first_frame_ms=50)
    with StreamClient(still) as client:
        assert client.ended()


def test_good_credentials_are_not_acknowledged_and_a_ping_is_answered(still: SandboxProcess) -> None:
    with StreamClient(still) as client:
        client.say(first_frame(still.info))
        client.say("PING")
        assert client.next_text() == "PONG"


def test_a_plain_request_is_no_websocket(still: SandboxProcess) -> None:
    url = still.urls["user_ws_url"].replace("ws:", "http:")
    before = still.control.requests().get("GET /ws/user", 0)
    assert requests.get(url, timeout=TIMEOUT_S).status_code == 400
    assert still.control.requests()["GET /ws/user"] == before + 1


def test_a_placement_has_the_words_of_a_real_one(still: SandboxProcess) -> None:
    real = json.loads((DATA / "nautilus_ws/order_placement.json").read_text(encoding="utf-8"))
    with StreamClient(still).subscribe() as client:
        placed = place(still)["order_id"]
        (event,) = client.events()
    assert event.keys() == real.keys()
    assert {name: type(value) for name, value in event.items()} == {name: type(value) for name, value in real.items()}
    assert len(event["timestamp"]) == len(real["timestamp"]) == 13
    assert orders([event]) == [("PLACEMENT", "LIVE", "0")]
    order = order_of(event)
    assert (order.order_id, order.token_id, order.side) == (placed, token(still), Side.BUY)
    assert (order.original_size_micro, order.price_micro, order.status) == (20_000_000, 10_000, OrderStatus.LIVE)


def test_a_trade_has_the_words_of_a_real_one(still: SandboxProcess) -> None:
    real = json.loads((DATA / "nautilus_ws/user_trade1.json").read_text(encoding="utf-8"))
    with StreamClient(still).subscribe() as client:
        order = own_order(still)
        made = still.control.act(FillOrder(order_id=order["id"], size="7.5"))
        (event,) = [event for event in client.events() if event["event_type"] == "trade"]
    assert event.keys() == real.keys()
    assert {name: type(value) for name, value in event.items()} == {name: type(value) for name, value in real.items()}
    assert event["maker_orders"][0].keys() == real["maker_orders"][0].keys() | {"side"}
    assert (event["status"], event["transaction_hash"], event["trader_side"]) == ("MATCHED", "", "MAKER")
    assert event["owner"] == event["trade_owner"] != event["maker_orders"][0]["owner"]
    trade = trade_of(event)
    assert (trade.trade_id, trade.size_micro, trade.trader_side) == (made["trade_id"], 7_500_000, Role.MAKER)
    (leg,) = trade.legs
    assert (leg.order_id, leg.size_micro, leg.owner) == (order["id"], 7_500_000, still.info["wallet"]["api_key"])
    (row,) = clob_get(still, "/data/trades", id=made["trade_id"]).json()["data"]
    assert row["match_time_nano"].startswith(event["match_time"]), "only REST knows the nanoseconds"


def test_fills_are_told_with_the_size_matched_so_far(still: SandboxProcess) -> None:
    order = own_order(still)
    with StreamClient(still).subscribe() as client:
        first = still.control.act(FillOrder(order_id=order["id"], size="7.5"))["trade_id"]
        second = still.control.act(FillOrder(order_id=order["id"]))["trade_id"]
        events = client.events()
    assert orders(events) == [("UPDATE", "LIVE", "7.5"), ("UPDATE", "MATCHED", order["original_size"])]
    (_, last) = [event for event in events if event["event_type"] == "order"]
    assert last["associate_trades"] == [first, second]


def test_a_trade_is_told_once_for_each_status(still: SandboxProcess) -> None:
    with StreamClient(still).subscribe() as client:
        still.control.act(ExternalTrade(token_id=token(still), side=BUY, size="5", price="0.3"))
        still.control.act(FillOrder(order_id=own_order(still)["id"], size="10"))
        still.control.mine(4)
        trades = [event for event in client.events() if event["event_type"] == "trade"]
    assert statuses(trades) == ["MATCHED", "MINED", "CONFIRMED"]
    hashes = [event["transaction_hash"] for event in trades]
    assert hashes[0] == ""
    assert hashes[1] == hashes[2] != ""


def test_a_taker_is_told_of_its_placement_its_match_and_its_own_side(still: SandboxProcess) -> None:
    with StreamClient(still).subscribe() as client:
        made = place(still, price="0.99", size="25")
        events = client.events()
    assert orders(events) == [("PLACEMENT", "LIVE", "0"), ("UPDATE", "MATCHED", "25")]
    (trade,) = [trade_of(event) for event in events if event["event_type"] == "trade"]
    assert (trade.trade_id, trade.taker_order_id) == (made["trade_id"], made["order_id"])
    assert (trade.trader_side, trade.owner) == (Role.TAKER, still.info["wallet"]["api_key"])


def test_a_cancel_by_the_user(still: SandboxProcess) -> None:
    count = len(still.control.books()["orders"])
    order = own_order(still)
    still.control.act(FillOrder(order_id=order["id"], size="10"))
    with StreamClient(still).subscribe() as client:
        headers = signed_headers(still.info, "/cancel-all", method="DELETE")
        requests.delete(still.urls["clob_url"] + "/cancel-all", headers=headers, timeout=TIMEOUT_S)
        events = client.events()
    assert len(events) == count
    assert {(event["type"], event["status"]) for event in events} == {("CANCELLATION", "CANCELED")}
    (partly,) = [event for event in events if event["id"] == order["id"]]
    assert partly["size_matched"] == "10"
    assert order_of(partly).status is OrderStatus.CANCELED


def test_an_order_that_expires(still: SandboxProcess) -> None:
    at_s = still.control.time().now_ms // 1000 + 60
    with StreamClient(still).subscribe() as client:
        place(still, order_type="GTD", expires_s=at_s)
        assert [event["expiration"] for event in client.events()] == [str(at_s)]
        still.control.advance(61_000)
        assert orders(client.events()) == [("CANCELLATION", "CANCELED_EXPIRED_ORDER", "0")]


def test_of_a_killed_order_only_its_end_is_told_and_no_size(still: SandboxProcess) -> None:
    real = json.loads((DATA / "nautilus_handmade/ws_user_order_fok_killed.json").read_text(encoding="utf-8"))
    with StreamClient(still).subscribe() as client:
        placed = place(still, order_type="FOK")["order_id"]
        (event,) = client.events()
    assert event.keys() == real.keys()
    for name in ("type", "status", "size_matched", "created_at", "outcome", "associate_trades", "order_type"):
        assert event[name] == real[name]
    order = order_of(event)
    assert (order.order_id, order.status, order.size_matched_micro) == (placed, OrderStatus.CANCELED, 0)


def test_what_a_fill_and_kill_order_leaves_open_ends_with_its_last_update(still: SandboxProcess) -> None:
    with StreamClient(still).subscribe() as client:
        place(still, order_type="FAK", price="0.99", size="30000")
        told = orders(client.events())
        place(still, order_type="FAK")
        assert orders(client.events()) == [("PLACEMENT", "LIVE", "0"), ("CANCELLATION", "CANCELED", "0")]
    assert told[0] == ("PLACEMENT", "LIVE", "0")
    ((kind, status, matched),) = told[1:]
    assert (kind, status) == ("UPDATE", "CANCELED")
    assert 0 < float(matched) < 30_000


def test_an_order_that_lost_its_shares_is_cancelled_by_the_exchange(still: SandboxProcess) -> None:
    order = own_order(still, SELL)
    held = still.control.tokens()[order["asset_id"]]
    still.control.act(TransferOut(token_id=order["asset_id"], amount=f"{held // 1_000_000}"))
    still.control.mine()
    with StreamClient(still).subscribe() as client:
        still.control.act(SetPrice(condition_id=order["market"], price="0.9"))
        events = [event for event in client.events() if event["id"] == order["id"]]
    assert orders(events) == [("CANCELLATION", "CANCELED_NOT_ENOUGH_BALANCE", "0")]


def test_a_cancel_can_have_any_status_that_was_seen(still: SandboxProcess) -> None:
    with StreamClient(still).subscribe() as client:
        still.control.act(Cancel(order_id=own_order(still)["id"], status="INVALID"))
        assert orders(client.events()) == [("CANCELLATION", "INVALID", "0")]


def test_a_resolution_cancels_the_orders_of_its_market(still: SandboxProcess) -> None:
    order = own_order(still)
    with StreamClient(still).subscribe() as client:
        still.control.act(Resolve(condition_id=order["market"], payouts=[1, 0]))
        still.control.mine()
        events = client.events()
    assert {event["market"] for event in events} == {order["market"]}
    assert set(orders(events)) == {("CANCELLATION", "CANCELED_MARKET_RESOLVED", "0")}


def test_a_key_is_told_of_its_own_orders_and_trades_only(still: SandboxProcess) -> None:
    with StreamClient(still).subscribe() as own, StreamClient(still).subscribe("other_client") as other:
        still.control.act(ExternalTrade(token_id=token(still), side=BUY, size="5", price="0.3"))
        assert own.events() == []
        told = other.events()
        assert orders(told) == [("PLACEMENT", "LIVE", "0"), ("UPDATE", "MATCHED", "5")]
        assert [trade_of(event).trader_side for event in told if event["event_type"] == "trade"] == [Role.TAKER]
        place(still)
        place(still, client="other")
        assert [len(client.events()) for client in (own, other)] == [1, 1]


def test_a_trade_that_is_not_listed_is_not_told(still: SandboxProcess) -> None:
    with StreamClient(still).subscribe("other_client") as client:
        still.control.act(ExternalTrade(token_id=token(still), side=BUY, size="5", price="0.3", listed=False))
        still.control.mine(4)
        assert client.events() == []


def placed_and_filled(process: SandboxProcess, client: StreamClient, market: int) -> list[str]:
    """What is told of an order in that market and of its fill."""
    placed = place(process, token_id=token(process, market))["order_id"]
    process.control.act(FillOrder(order_id=placed, size="5"))
    events = client.events()
    orders(events)
    statuses(events)
    return sorted(event["event_type"] for event in events)


ALL = ["order", "order", "trade"]
ORDERS = ["order", "order"]
NOTHING: list[str] = []


def test_a_list_of_markets_narrows_and_an_empty_one_hides_the_trades(still: SandboxProcess) -> None:
    chosen = still.control.books()["markets"][4]["condition_id"]
    for more, here, there in (({}, ALL, ALL), ({"markets": []}, ORDERS, ORDERS), ({"markets": [chosen]}, ALL, NOTHING)):
        with StreamClient(still).subscribe(**more) as client:
            assert placed_and_filled(still, client, 4) == here, more
            assert placed_and_filled(still, client, 3) == there, more


def test_markets_can_be_added_and_taken_away(still: SandboxProcess) -> None:
    first, second = (still.control.books()["markets"][index]["condition_id"] for index in (3, 4))
    with StreamClient(still).subscribe(markets=[first]) as client:
        client.say({"operation": "subscribe", "markets": [second.upper().replace("X", "x")]})
        assert placed_and_filled(still, client, 4) == ALL
        client.say({"operation": "unsubscribe", "markets": [first]})
        assert placed_and_filled(still, client, 3) == NOTHING
        assert placed_and_filled(still, client, 4) == ALL


def test_what_it_does_not_understand_it_ignores(still: SandboxProcess) -> None:
    with StreamClient(still).subscribe() as client:
        for frame in ("ping", "{", "[]", {"operation": "dance", "markets": []}, {"operation": "subscribe"}):
            client.say(frame)
        client.socket.send(b"PING", opcode=websocket.ABNF.OPCODE_BINARY)
        place(still)
        assert orders(client.events()) == [("PLACEMENT", "LIVE", "0")]


def test_nothing_is_told_of_what_was_before(still: SandboxProcess) -> None:
    first = place(still)["order_id"]
    with StreamClient(still).subscribe() as client:
        second = place(still)["order_id"]
        assert [event["id"] for event in client.events()] == [second]
    third = place(still)["order_id"]
    with StreamClient(still).subscribe() as client:
        assert client.events() == []
        assert {first, second, third} <= {order["id"] for order in still.control.books()["orders"]}


def test_orders_and_trades_of_a_match_race_and_sometimes_share_a_frame(still: SandboxProcess) -> None:
    order = own_order(still)
    seen: set[tuple[bool, str]] = set()
    with StreamClient(still).subscribe() as client:
        for _ in range(24):
            still.control.act(FillOrder(order_id=order["id"], size="0.5"))
            frames: list[Any] = client.frames()
            events: list[Event] = [
                event for frame in frames for event in (frame if isinstance(frame, list) else [frame])
            ]
            assert sorted(event["event_type"] for event in events) == ["order", "trade"]
            seen.add((isinstance(frames[0], list), events[0]["event_type"]))
    assert seen == {(together, first) for together in (True, False) for first in ("order", "trade")}


def test_every_listener_of_a_key_is_told_and_a_new_world_ends_them_all(still: SandboxProcess) -> None:
    with StreamClient(still).subscribe() as one, StreamClient(still).subscribe() as two, StreamClient(still) as mute:
        place(still)
        assert [len(client.events()) for client in (one, two)] == [1, 1]
        still.control.reseed(7)
        assert [client.ended() for client in (one, two, mute)] == [True] * 3


def test_a_client_that_goes_is_forgotten_and_does_not_disturb_the_others(still: SandboxProcess) -> None:
    with StreamClient(still).subscribe() as staying:
        with StreamClient(still).subscribe():
            pass
        place(still)
        assert len(staying.events()) == 1
