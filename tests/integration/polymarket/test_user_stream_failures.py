"""The user stream against servers that misbehave and receivers that fail: always a reason, a wait and a new attempt."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator

import gevent
import gevent.event
import msgspec
import pytest
import structlog.testing
from simple_websocket import ConnectionClosed  # type: ignore[import-untyped]  # no stubs exist
from wsproto.events import BytesMessage, TextMessage

from messages.stream import StreamClosed, StreamEvents, StreamMessage, StreamOpened
from polymarket.user_stream import PolymarketUserStream
from tests.integration.polymarket.channel import DEADLINE_S, Channel, Jitter, Peer, Receiver, until
from tests.integration.polymarket.conftest import SECRETS, Connection, Handler, Server, Streams, now_ms
from tests.unit.polymarket.script import SETTINGS

ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"


@pytest.fixture
def failing(server: Server, streams: Streams) -> Iterator[Streams]:
    """Streams to a server of bytes, which answers the handshake as the test wants."""
    streams.url = server.url.replace("http:", "ws:")
    yield streams
    streams.close()


def reasons(receiver: Receiver, count: int = 1) -> list[str]:
    return [message.reason for message in receiver.wait(StreamClosed, count)]


def silent(_connection: Connection) -> None:
    gevent.event.Event().wait()


def trickling(connection: Connection) -> None:
    connection.socket.sendall(ACCEPTED)
    while True:
        connection.socket.sendall(b"X: y\r\n")
        gevent.sleep(0.02)


def wrong_key(connection: Connection) -> None:
    connection.socket.sendall(ACCEPTED + b"Sec-WebSocket-Accept: AAAA\r\n\r\n")
    silent(connection)


def not_http(connection: Connection) -> None:
    connection.socket.sendall(b"\xff\xfe\x00\r\n\r\n")
    silent(connection)


def hanging_up(connection: Connection) -> None:
    connection.socket.close()
    raise OSError


@pytest.mark.req("D-06", "S-21")
@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (silent, "no connection to 127.0.0.1 (WebSocketTimeoutException); is the URL right and the host up?"),
        (trickling, "there was no connection to 127.0.0.1 within 1 s"),
        (wrong_key, "no connection to 127.0.0.1 (WebSocketException); is the URL right and the host up?"),
        (not_http, "no connection to 127.0.0.1 (WebSocketException); is the URL right and the host up?"),
        (
            hanging_up,
            "no connection to 127.0.0.1 (WebSocketConnectionClosedException); is the URL right and the host up?",
        ),
        (
            lambda connection: connection.answer(b"<html>k-7f3a11</html>", "403 Forbidden"),
            "127.0.0.1 answered the handshake with status 403, expected 101",
        ),
        (
            lambda connection: connection.answer(b"", "302 Found", "Location: ws://127.0.0.1:1/elsewhere"),
            "no connection to 127.0.0.1 (WebSocketException); is the URL right and the host up?",
        ),
    ],
    ids=["silent", "trickling", "wrong key", "not HTTP", "hanging up", "forbidden", "redirect"],
)
def test_a_handshake_that_fails_is_told_and_tried_again_without_the_credentials_having_been_sent(
    handler: Handler, reason: str, server: Server, failing: Streams
) -> None:
    server.handler = handler
    receiver = Receiver()
    # What comes of a wait has to be waited for; whatever else fails has time to, on a loaded machine too.
    failing.make(connect_s=0.5 if handler in {silent, trickling} else DEADLINE_S).open(receiver)
    assert reasons(receiver, 2)[:2] == [reason, reason]
    assert [message.connection for message in receiver.of(StreamClosed)][:2] == [1, 2]
    assert failing.ceilings[:2] == [0.25, 0.5]
    assert receiver.of(StreamOpened) == []
    assert all(secret.encode() not in head for head in server.heads for secret in SECRETS)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("ws://no-such-host.invalid/ws/user", "no connection to no-such-host.invalid (gaierror)"),
        ("ws://127.0.0.1:{free}/ws/user", "no connection to 127.0.0.1 (ConnectionRefusedError)"),
        ("ws:///ws/user", "no connection to "),
    ],
    ids=["DNS", "nobody there", "no host"],
)
def test_a_host_that_is_not_there_is_told_and_tried_again(url: str, named: str, streams: Streams) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    receiver = Receiver()
    streams.make(url.replace("{free}", str(port))).open(receiver)
    assert all(reason.startswith(named) for reason in reasons(receiver, 3))
    assert streams.ceilings[:2] == [0.25, 0.5]


def test_a_host_that_takes_no_connection_is_given_up_in_time(streams: Streams) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        receiver = Receiver()
        streams.make(f"ws://127.0.0.1:{full.getsockname()[1]}/", connect_s=0.2).open(receiver)
        assert reasons(receiver)[0].startswith("no connection to 127.0.0.1 (Timeout")
        for one in waiting:
            one.close()


def test_nothing_comes_of_a_stream_that_is_closed_while_it_connects(server: Server, failing: Streams) -> None:
    asked = gevent.event.Event()

    def slow(connection: Connection) -> None:
        asked.set()
        silent(connection)

    server.handler = slow
    receiver = Receiver()
    stream = failing.make()
    stream.open(receiver)
    assert asked.wait(DEADLINE_S)
    stream.reconnect("there is nothing to give up yet")
    stream.close()
    until(lambda: stream._greenlet is not None and stream._greenlet.dead)
    assert (receiver.messages, server.connections) == ([], 1)


def binary(peer: Peer) -> None:
    peer.socket.sock.sendall(peer.socket.ws.send(BytesMessage(data=b"[]")))
    peer.listen()


def large(peer: Peer) -> None:
    peer.send_raw(" " * 2_000)
    peer.listen()


def fragments_without_end(peer: Peer) -> None:
    while True:
        peer.socket.sock.sendall(peer.socket.ws.send(TextMessage(data=" " * 100, message_finished=False)))


def not_websocket(peer: Peer) -> None:
    peer.socket.sock.sendall(b"\xf1\x00")
    peer.listen()


def cut_off(peer: Peer) -> None:
    peer.socket.sock.sendall(b"\x81\x7e\x10")
    peer.socket.sock.shutdown(socket.SHUT_RDWR)
    peer.listen()


def announcing_much(peer: Peer) -> None:
    peer.socket.sock.sendall(b"\x81\x7f" + (1 << 40).to_bytes(8))
    peer.listen()


def going_away(peer: Peer) -> None:
    peer.socket.close(1013, "slow\nconsumer " + "x" * 90)
    raise ConnectionClosed


@pytest.mark.req("D-06")
@pytest.mark.parametrize(
    ("serve", "reason"),
    [
        (binary, "a message was binary, expected text"),
        (large, "a message was larger than 1000 bytes"),
        (fragments_without_end, "a message was larger than 1000 bytes"),
        (not_websocket, "the connection broke (WebSocketProtocolException)"),
        (cut_off, "the server hung up without a word"),
        (announcing_much, "nothing was heard for 0.3 s, not even a PONG"),
        (going_away, "the server closed the connection (1013: slowconsumer " + "x" * 67 + ")"),
    ],
)
def test_a_connection_that_goes_wrong_is_ended_with_its_reason_and_a_wait(
    serve: object, reason: str, channel: Channel, streams: Streams
) -> None:
    channel.serve = serve  # type: ignore[assignment]  # parametrised
    receiver = Receiver()
    streams.clock = lambda: 0  # so that every close comes within a second of subscribing
    streams.make(max_message_bytes=1_000, stale_s=0.3 if serve is announcing_much else DEADLINE_S).open(receiver)
    receiver.wait(StreamOpened, 4)
    said = reasons(receiver)[:3]
    assert [text.partition(";")[0] for text in said] == [reason] * 3
    assert ["credentials" in text for text in said] == [False, False, reason.startswith("the server")]
    assert streams.ceilings == [0.25, 0.5, 1.0]


def test_the_bound_is_on_each_message_and_not_on_all_together(channel: Channel, streams: Streams) -> None:
    def serve(peer: Peer) -> None:
        for _ in range(20):
            peer.send({"event_type": "book", "pad": "x" * 200})
        peer.listen()

    channel.serve = serve
    receiver = Receiver()
    streams.make(max_message_bytes=1_000).open(receiver)
    assert {frame.connection for frame in receiver.wait(StreamEvents, 20)} == {1}


def test_a_message_of_several_megabytes_is_taken_and_one_of_nine_is_not(channel: Channel, streams: Streams) -> None:
    def serve(peer: Peer) -> None:
        peer.send_raw("[" + "5," * 3_500_000 + "5]" if peer.number == 1 else " " * 9_000_000)
        peer.listen()

    channel.serve = serve
    receiver = Receiver()
    stream = streams.make()
    stream.open(receiver)
    assert receiver.wait(StreamEvents)[0].unknown == 3_500_001
    stream.reconnect("next")
    assert reasons(receiver, 2)[1] == "a message was larger than 8388608 bytes"


@pytest.mark.req("D-06")
def test_silent_closes_right_after_subscribing_raise_a_suspicion_of_the_credentials(
    channel: Channel, streams: Streams
) -> None:
    channel.serve = lambda peer: peer.socket.sock.shutdown(socket.SHUT_RDWR)
    streams.clock = lambda: 0  # so that every close comes within a second of subscribing
    receiver = Receiver()
    streams.make().open(receiver)
    first, second, third, fourth = reasons(receiver, 4)[:4]
    assert first == second == "the server hung up without a word"
    assert third == (
        "the server hung up without a word; 3 connections in a row were closed within a second of subscribing:"
        " are the API credentials of wallet 'main' right?"
    )
    assert "4 connections in a row" in fourth


def test_a_connection_on_which_anything_was_heard_takes_the_suspicion_away(channel: Channel, streams: Streams) -> None:
    channel.serve = lambda peer: peer.send_raw("PONG") if peer.number % 3 == 0 else None
    receiver = Receiver()
    streams.make().open(receiver)
    assert {"credentials" in reason for reason in reasons(receiver, 8)} == {False}


def test_closes_that_come_later_are_no_sign_of_wrong_credentials(channel: Channel, streams: Streams) -> None:
    channel.serve = lambda _peer: None
    settings = msgspec.structs.replace(SETTINGS, user_ws_url=channel.url)
    ticks = iter(range(0, 10**9, 1_001))
    receiver = Receiver()
    stream = PolymarketUserStream(settings, "main", lambda: next(ticks), jitter=Jitter())
    stream.open(receiver)
    assert {"credentials" in reason for reason in reasons(receiver, 5)} == {False}
    stream.close()


@pytest.mark.req("S-21")
def test_a_wallet_without_credentials_is_told_so_once_and_nobody_is_called(channel: Channel) -> None:
    bare = msgspec.structs.replace(SETTINGS.wallets[0], credentials=None)
    settings = msgspec.structs.replace(SETTINGS, user_ws_url=channel.url, wallets=(bare,))
    receiver = Receiver()
    stream = PolymarketUserStream(settings, "main", now_ms)
    stream.open(receiver)
    assert reasons(receiver) == ["wallet 'main' has no API credentials; set its API_KEY variables"]
    until(lambda: stream._greenlet is not None and stream._greenlet.dead)
    assert (len(receiver.messages), channel.peers) == (1, [])


@pytest.mark.req("L-01")
@pytest.mark.parametrize("failing_on", [StreamOpened, StreamEvents, StreamClosed])
def test_a_receiver_that_fails_loses_the_connection_and_not_the_stream(
    failing_on: type[StreamMessage], channel: Channel, streams: Streams
) -> None:
    def serve(peer: Peer) -> None:
        peer.send({"event_type": "book"})
        if failing_on is not StreamClosed or peer.number > 1:
            peer.listen()

    channel.serve = serve
    receiver = Receiver()

    def fragile(message: StreamMessage) -> None:
        receiver(message)
        if isinstance(message, failing_on) and message.connection == 1:
            raise ValueError("k-7f3a11 is not for the ears of the exchange")

    with structlog.testing.capture_logs() as logs:
        streams.make().open(fragile)
        receiver.wait(StreamOpened, 2)
    assert [log["message"] for log in logs if log["event"] == "user_stream_receiver_failed"] == [failing_on.__name__]
    expected = "the server closed the connection (1000)"
    if failing_on is not StreamClosed:
        expected = "the receiver failed (ValueError); see the log for its traceback"
    assert reasons(receiver)[0] == expected
    assert len(streams.ceilings) == 1


def test_a_time_out_that_the_receiver_left_behind_ends_the_connection_and_not_the_stream(
    channel: Channel, streams: Streams
) -> None:
    receiver = Receiver()

    def careless(message: StreamMessage) -> None:
        receiver(message)
        if isinstance(message, StreamOpened) and message.connection == 1:
            gevent.Timeout(0.05).start()

    streams.make().open(careless)
    receiver.wait(StreamOpened, 2)
    assert reasons(receiver) == ["a time-out fired in the stream that was not its own"]
    until(lambda: len(channel.peers) == 2)


def test_a_time_out_left_behind_that_fires_in_a_wait_ends_the_wait_and_not_the_stream(
    channel: Channel, streams: Streams
) -> None:
    channel.serve = lambda peer: peer.listen() if peer.number > 1 else None
    streams.jitter = lambda _ceiling_s: 3600
    receiver = Receiver()

    def careless(message: StreamMessage) -> None:
        receiver(message)
        if isinstance(message, StreamClosed):
            gevent.Timeout(0.05).start()

    with structlog.testing.capture_logs() as logs:
        streams.make(first_wait_s=0.01).open(careless)
        receiver.wait(StreamOpened, 2)
    assert [log["event"] for log in logs].count("user_stream_crashed") == 1


@pytest.mark.req("S-21")
def test_credentials_stand_in_no_log_and_in_no_reason(
    channel: Channel, streams: Streams, caplog: pytest.LogCaptureFixture
) -> None:
    def echoing(peer: Peer) -> None:
        peer.send_raw(channel.subscriptions[-1])
        peer.send({"event_type": "order", "id": "0x1", "owner": SECRETS[0], "price": "x"})
        peer.socket.close(1008, f"bad {SECRETS[0]} {SECRETS[1]} {SECRETS[2]}")
        raise ConnectionClosed

    channel.serve = echoing
    receiver = Receiver()
    with structlog.testing.capture_logs() as logs, caplog.at_level(logging.DEBUG):
        streams.make(ping_s=0.01).open(receiver)
        assert reasons(receiver, 2)[1] == "the server closed the connection (1008: bad *** *** ***)"
    said = f"{logs} {caplog.text} {receiver.messages}"
    assert "user_stream_closed" in said
    assert [secret for secret in SECRETS if secret in said] == []
