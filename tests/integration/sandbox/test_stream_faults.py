"""Every fault of the user channel: what a client meets while it plays, that REST does not feel it, and that it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import requests
import websocket

from polymarket.payloads import RejectedRow, parse_order, parse_trade
from polymarket.sandbox.actions import FillOrder, Place
from polymarket.sandbox.faults import KINDS, FaultSpec
from polymarket.sandbox.process import SandboxProcess
from polymarket.sandbox.trading import BUY
from tests.integration.sandbox.clients import StreamClient, first_frame, orders
from tests.integration.sandbox.conftest import clob_get

pytestmark = pytest.mark.req("X-07", "L-30")

LATENCY_MS = 2_000

# What each kind is shown by; the last test checks that none is forgotten.
SHOWN_BY: dict[str, str] = {}


def shows(*kinds: str) -> Callable[[Any], Any]:
    """Note which test shows which kinds of faults."""

    def note(test: Any) -> Any:
        SHOWN_BY.update(dict.fromkeys(kinds, test.__name__))
        return test

    return note


def fault(kind: Any, **more: Any) -> FaultSpec:
    return FaultSpec(target="ws", kind=kind, **more)


def place(process: SandboxProcess) -> str:
    """One event: an order comes to rest."""
    token = process.control.books()["markets"][4]["tokens"][0]
    return str(process.control.act(Place(token_id=token, side=BUY, price="0.01", size="20"))["order_id"])


def fill(process: SandboxProcess) -> None:
    """Two events: an order is filled in part by a trade."""
    order = process.control.books()["orders"][0]
    process.control.act(FillOrder(order_id=order["id"], size="5"))


def placed(client: StreamClient) -> list[str]:
    """Orders whose placements have come."""
    events = client.events()
    orders(events)
    return [event["id"] for event in events if event["type"] == "PLACEMENT"]


def rest_answers(process: SandboxProcess) -> bool:
    return clob_get(process, "/data/orders").status_code == 200


@shows("ws_drop")
def test_events_are_lost_as_often_as_asked_for(still: SandboxProcess) -> None:
    with StreamClient(still).subscribe() as client:
        lost = still.control.add_fault(fault("ws_drop", count=2))
        ids = [place(still) for _ in range(3)]
        assert placed(client) == ids[2:]
        assert still.control.hits(lost) == 2


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("order", ["trade/MATCHED", "trade/MINED"]),
        ("trade", ["order/UPDATE"]),
        ("trade/MATCHED", ["order/UPDATE", "trade/MINED"]),
    ],
)
def test_events_of_one_kind_can_be_lost(still: SandboxProcess, path: str, left: list[str]) -> None:
    with StreamClient(still).subscribe() as client, still.control.playing(fault("ws_drop", path=path)):
        fill(still)
        still.control.mine()
        events = client.events()
    kinds = [
        f"order/{event['type']}" if event["event_type"] == "order" else f"trade/{event['status']}" for event in events
    ]
    assert sorted(kinds) == left


@shows("ws_double")
def test_an_event_comes_twice(still: SandboxProcess) -> None:
    with StreamClient(still).subscribe() as client:
        doubled = still.control.add_fault(fault("ws_double", count=1))
        first, second = place(still), place(still)
        assert placed(client) == [first, first, second]
        assert still.control.hits(doubled) == 1


@shows("ws_delay")
def test_an_event_comes_late_and_holds_nobody_up(still: SandboxProcess) -> None:
    with StreamClient(still).subscribe() as client:
        late = still.control.add_fault(fault("ws_delay", latency_ms=LATENCY_MS, count=1))
        first, second = place(still), place(still)
        assert placed(client) == [second]
        assert rest_answers(still)
        assert json.loads(client.next_text())["id"] == first
        assert still.control.hits(late) == 1


@shows("ws_reorder")
def test_an_event_is_overtaken_by_the_next(still: SandboxProcess) -> None:
    with StreamClient(still).subscribe() as client:
        turned = still.control.add_fault(fault("ws_reorder", count=1))
        first = place(still)
        assert placed(client) == []
        second, third = place(still), place(still)
        assert placed(client) == [second, first, third]
        assert still.control.hits(turned) == 1


def test_an_event_that_waits_to_be_overtaken_comes_when_the_fault_ends(still: SandboxProcess) -> None:
    with StreamClient(still).subscribe() as client:
        with still.control.playing(fault("ws_reorder")):
            held = place(still)
            assert placed(client) == []
        assert placed(client) == [held]


@shows("ws_freeze")
def test_a_frozen_channel_answers_pings_and_says_nothing_else(still: SandboxProcess) -> None:
    with StreamClient(still).subscribe() as client:
        with still.control.playing(fault("ws_freeze")) as frozen:
            place(still)
            assert placed(client) == []
            with StreamClient(still).subscribe() as another:
                place(still)
                assert placed(another) == []
            assert still.control.hits(frozen) == 3
            assert rest_answers(still)
        seen = place(still)
        assert placed(client) == [seen], "what was due while it was frozen is lost"


@shows("ws_cut")
@pytest.mark.parametrize(
    "spec", [fault("ws_cut"), fault("down"), FaultSpec(target="all", kind="ws_cut")], ids=["cut", "down", "all"]
)
def test_the_plug_is_pulled_and_put_back(still: SandboxProcess, spec: FaultSpec) -> None:
    with (
        StreamClient(still).subscribe() as subscribed,
        StreamClient(still) as silent,
        still.control.playing(spec) as cut,
    ):
        assert subscribed.ended()
        assert silent.ended()
        with pytest.raises((websocket.WebSocketException, ConnectionError)):
            StreamClient(still)
        assert rest_answers(still)
        assert still.control.hits(cut) == 3
    with StreamClient(still).subscribe() as again:
        assert placed(again) == []


def test_where_everything_is_down_the_channel_is_too(still: SandboxProcess) -> None:
    with StreamClient(still).subscribe() as client, still.control.playing(FaultSpec(target="all", kind="down")):
        assert client.ended()
        with pytest.raises(requests.ConnectionError):
            rest_answers(still)


@shows("ws_close")
def test_it_closes_once_and_in_order(still: SandboxProcess) -> None:
    with StreamClient(still).subscribe() as one, StreamClient(still).subscribe("other_client") as two:
        closed = still.control.add_fault(fault("ws_close"))
        for client in (one, two):
            opcode, data = client.socket.recv_data(control_frame=True)
            assert (opcode, int.from_bytes(data[:2], "big")) == (websocket.ABNF.OPCODE_CLOSE, 1001)
            assert client.ended()
    with StreamClient(still).subscribe() as again:
        seen = place(still)
        assert placed(again) == [seen]
    (played,) = still.control.faults()
    assert (played.id, played.hits, played.active) == (closed.id, 2, False)


def test_a_client_that_does_not_answer_the_close_is_cut_off(still: SandboxProcess) -> None:
    with StreamClient(still).subscribe() as client:
        still.control.add_fault(fault("ws_close"))
        assert client.socket.recv_frame().opcode == websocket.ABNF.OPCODE_CLOSE
        assert client.socket.sock.recv(1) == b""


def test_where_nobody_listens_the_next_to_come_is_closed(still: SandboxProcess) -> None:
    closed = still.control.add_fault(fault("ws_close"))
    with StreamClient(still) as client:
        client.say(first_frame(still.info))
        opcode, _ = client.socket.recv_data(control_frame=True)
        assert opcode == websocket.ABNF.OPCODE_CLOSE
    with StreamClient(still).subscribe():
        assert still.control.hits(closed) == 1


@shows("ws_garbage")
def test_garbage_comes_between_the_events_and_replaces_none(still: SandboxProcess) -> None:
    with StreamClient(still).subscribe() as client, still.control.playing(fault("ws_garbage")) as spoiled:
        seen = place(still)
        torn, broken, good = (client.next_text() for _ in range(3))
        with pytest.raises(json.JSONDecodeError):
            json.loads(torn)
        rejected = parse_order(msgspec.Raw(broken.encode()))
        assert isinstance(rejected, RejectedRow)
        assert "original_size" in rejected.reason
        assert json.loads(good)["id"] == seen
        assert still.control.hits(spoiled) == 1


def test_garbage_in_place_of_a_trade(still: SandboxProcess) -> None:
    with StreamClient(still).subscribe() as client:
        still.control.add_fault(fault("ws_garbage", path="trade", value='"-1"'))
        still.control.add_fault(fault("ws_drop", path="trade"))
        fill(still)
        client.say("PING")
        texts = list(iter(client.next_text, "PONG"))
    broken = [text for text in texts if '"event_type": "trade"' in text]
    rejected = parse_trade(msgspec.Raw(broken[0].encode()))
    assert isinstance(rejected, RejectedRow)
    assert "size" in rejected.reason
    assert len(texts) == 3, "the trade's torn frame, its broken row, and the order's update"


@shows("ws_unauthorized")
def test_good_credentials_are_refused_for_a_while(still: SandboxProcess) -> None:
    with still.control.playing(fault("ws_unauthorized", count=1)) as refused, StreamClient(still) as client:
        client.say(first_frame(still.info))
        assert client.ended()
        assert still.control.hits(refused) == 1
        with StreamClient(still).subscribe() as again:
            assert placed(again) == []


@pytest.mark.parametrize(("kind", "status"), [("http_503", 503), ("http_429", 429), ("html_error", 502)])
def test_the_handshake_can_be_refused_with_a_status(still: SandboxProcess, kind: str, status: int) -> None:
    with still.control.playing(fault(kind)), pytest.raises(websocket.WebSocketBadStatusException) as refused:
        StreamClient(still)
    assert refused.value.status_code == status


def test_a_fault_of_the_apis_is_not_felt_by_the_channel(still: SandboxProcess) -> None:
    with StreamClient(still).subscribe() as client, still.control.playing(FaultSpec(target="clob", kind="down")):
        seen = place(still)
        assert placed(client) == [seen]


def test_every_kind_of_fault_of_the_channel_is_shown_by_a_test() -> None:
    assert sorted(kind for kind in KINDS if kind.startswith("ws_")) == sorted(SHOWN_BY)
