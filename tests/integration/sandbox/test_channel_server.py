"""When the server sends: to whom it comes too late, to whom too much, and what is left of it at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
import websocket
from gevent import socket

from polymarket.sandbox import server_channel
from polymarket.sandbox.acting import act
from polymarket.sandbox.actions import FillOrder
from polymarket.sandbox.options import ServerOptions, WorldOptions
from polymarket.sandbox.process import SandboxProcess
from polymarket.sandbox.server import SandboxServer
from tests.integration.sandbox.clients import StreamClient, first_frame
from tests.integration.sandbox.conftest import TIMEOUT_S

pytestmark = pytest.mark.req("X-07")


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    """A server in this process, so that a test decides when it sends."""
    running = SandboxServer(WorldOptions(activity=False), ServerOptions())
    running.start()
    yield running
    running.stop()


def subscribed(server: SandboxServer) -> Any:
    """A client of the strategy's key."""
    info = server.sandbox.describe()
    client: Any = websocket.create_connection(info["user_ws_url"], timeout=TIMEOUT_S)
    client.send(json.dumps(first_frame(info)))
    client.send("PING")
    assert client.recv() == "PONG"
    return client


def fill(server: SandboxServer, times: int) -> None:
    """So many fills at once, told in one go."""
    order = server.sandbox.world.exchange.live_orders(server.sandbox.world.wallet.address)[0]
    for _ in range(times):
        act(server.sandbox.world, FillOrder(order_id=order.order_id, size="0.1"))
    server.channel.flush()


def read_all(client: Any) -> None:
    """Every frame that still comes, up to the end of the connection."""
    while True:
        client.recv()


def test_what_nobody_was_told_yet_is_not_told_to_who_comes_now(server: SandboxServer) -> None:
    world, first = server.sandbox.world, subscribed(server)
    act(world, FillOrder(order_id=world.exchange.live_orders(world.wallet.address)[0].order_id, size="5"))
    second = subscribed(server)
    server.channel.flush()
    for client in (first, second):
        client.send("PING")
    assert "MATCHED" in first.recv() + first.recv()
    assert second.recv() == "PONG"
    for client in (first, second):
        client.close(timeout=0)


def test_a_client_for_whom_too_much_waits_is_cut_off(server: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_channel, "_MOST_WAITING", 10)
    client = subscribed(server)
    fill(server, 3)
    assert client.recv()
    fill(server, 20)
    with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError)):
        read_all(client)
    client.shutdown()
    again = subscribed(server)
    again.close(timeout=0)


def test_a_frame_is_sent_whole_where_the_socket_takes_it_in_parts_only() -> None:
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    theirs.settimeout(TIMEOUT_S)
    frame = bytes(range(256)) * 8192
    wire = server_channel._Wire(ours)
    sending = [gevent.spawn(wire.send, part) for part in (frame, b"end")]
    received = b""
    while not received.endswith(b"end"):
        received += theirs.recv(65_536)
    gevent.joinall(sending, timeout=TIMEOUT_S, raise_error=True)
    assert received == frame + b"end"
    wire.cut()
    wire.close()
    theirs.close()


def test_a_server_with_listeners_ends_in_order() -> None:
    with SandboxProcess(WorldOptions(activity=False)) as process, StreamClient(process).subscribe() as client:
        assert process.stop() == 0
        assert client.ended()
