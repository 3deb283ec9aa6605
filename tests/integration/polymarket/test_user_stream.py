"""The user stream over a real socket: what it sends and hands on, how it keeps a connection and makes a new one."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from pathlib import Path
from shutil import which

import gevent
import gevent.event
import pytest
from wsproto.events import Ping, TextMessage

from messages.stream import StreamClosed, StreamEvents, StreamMessage, StreamOpened
from polymarket.user_stream import full_jitter
from portfolio.facts import OrderMessage, TradeMessage
from tests.integration.polymarket.channel import DEADLINE_S, Channel, Peer, Receiver, until
from tests.integration.polymarket.conftest import Streams, now_ms
from tests.unit.polymarket.script import order_row, trade_row

SUBSCRIPTION = '{"auth":{"apiKey":"k-7f3a11","secret":"c2VjcmV0LTk5","passphrase":"p-5b60d2"},"type":"user"}'


def order_event(number: int) -> dict[str, object]:
    return order_row(number) | {"event_type": "order", "type": "PLACEMENT", "timestamp": "1725842520990"}


def trade_event(number: int) -> dict[str, object]:
    return trade_row(number) | {"event_type": "trade", "type": "TRADE"}


def ids(messages: list[StreamEvents]) -> list[str]:
    return [
        event.trade.trade_id if isinstance(event, TradeMessage) else str(int(event.order.order_id, 16))
        for message in messages
        for event in message.events
    ]


def burst(peer: Peer) -> None:
    """A thousand frames in one go."""
    peer.socket.sock.sendall(peer.socket.ws.send(TextMessage(data='{"event_type":"book"}')) * 1_000)
    peer.listen()


@pytest.mark.req("R-17", "S-21")
def test_it_subscribes_to_all_markets_and_sends_nothing_else_but_pings(channel: Channel, streams: Streams) -> None:
    receiver = Receiver()
    streams.make(ping_s=0.02).open(receiver)
    until(lambda: channel.peers and channel.peers[0].pings >= 3)
    assert channel.subscriptions == [SUBSCRIPTION]
    assert set(channel.peers[0].texts[1:]) == {"PING"}
    assert (channel.heads[0]["PATH_INFO"], channel.heads[0]["HTTP_USER_AGENT"]) == ("/ws/user", "portfolio-sync")
    (opened,) = receiver.messages
    assert isinstance(opened, StreamOpened)
    assert opened.connection == 1
    assert abs(opened.at_ms - now_ms()) < 60_000


@pytest.mark.req("D-06")
def test_events_are_handed_on_frame_by_frame_in_their_order(channel: Channel, streams: Streams) -> None:
    def serve(peer: Peer) -> None:
        peer.send(order_event(1))
        peer.send_raw("PONG")
        peer.send(trade_event(2), order_event(3))
        peer.send_raw("")
        peer.send(trade_event(4))
        peer.listen()

    channel.serve = serve
    receiver = Receiver()
    streams.make().open(receiver)
    frames = receiver.wait(StreamEvents, 3)
    assert [type(message) for message in receiver.messages] == [StreamOpened, *[StreamEvents] * 3]
    assert [len(frame.events) for frame in frames] == [1, 2, 1]
    assert ids(frames) == ["1", "t-2", "3", "t-4"]
    assert isinstance(frames[0].events[0], OrderMessage)
    assert {frame.connection for frame in frames} == {1}
    assert [frame.received_at_ms for frame in frames] == sorted(frame.received_at_ms for frame in frames)


@pytest.mark.req("R-16")
def test_garbage_is_told_and_breaks_neither_the_frame_nor_the_connection(channel: Channel, streams: Streams) -> None:
    def serve(peer: Peer) -> None:
        peer.send_raw("{")
        peer.send(order_event(1) | {"price": "0.1234567"}, {"event_type": "book"}, order_event(2))
        peer.send(order_event(3))
        peer.listen()

    channel.serve = serve
    receiver = Receiver()
    streams.make().open(receiver)
    first, second, third = receiver.wait(StreamEvents, 3)
    assert (first.events, len(first.rejected), first.unknown) == ((), 1, 0)
    assert (len(second.events), second.unknown) == (1, 1)
    assert second.rejected[0].endswith("price was finer than 1e-6, the smallest unit there is")
    assert (ids([third]), third.connection) == (["3"], 1)


def test_a_receiver_is_never_called_before_it_has_returned(channel: Channel, streams: Streams) -> None:
    def serve(peer: Peer) -> None:
        for number in range(20):
            peer.send(order_event(number))
        peer.listen()

    channel.serve = serve
    receiver, depth, deepest = Receiver(), 0, 0

    def slow(message: StreamMessage) -> None:
        nonlocal depth, deepest
        depth += 1
        deepest = max(deepest, depth)
        gevent.sleep(0.001)
        receiver(message)
        depth -= 1

    streams.make().open(slow)
    assert ids(receiver.wait(StreamEvents, 20)) == [str(number) for number in range(20)]
    assert deepest == 1


def test_answers_to_pings_keep_a_connection_on_which_nothing_happens(channel: Channel, streams: Streams) -> None:
    receiver = Receiver()
    streams.make(ping_s=0.02, stale_s=3).open(receiver)
    until(lambda: channel.peers and channel.peers[0].pings >= 200)
    assert [type(message) for message in receiver.messages] == [StreamOpened]


def test_a_quiet_connection_outlives_the_patience_that_connecting_had(channel: Channel, streams: Streams) -> None:
    receiver = Receiver()
    streams.make(connect_s=1, ping_s=1.2).open(receiver)
    until(lambda: channel.peers and channel.peers[0].pings >= 2)
    assert [type(message) for message in receiver.messages] == [StreamOpened]


def test_a_burst_leaves_their_turns_to_others(channel: Channel, streams: Streams) -> None:
    turns = 0

    def another() -> None:
        nonlocal turns
        while True:
            turns += 1
            gevent.sleep(0)

    channel.serve = burst
    receiver = Receiver()
    seen: list[int] = []

    def counting(message: StreamMessage) -> None:
        receiver(message)
        seen.append(turns)

    beside = gevent.spawn(another)
    streams.make().open(counting)
    receiver.wait(StreamEvents, 1_000)
    beside.kill()
    assert seen[-1] - seen[1] > 500


def test_pings_of_the_protocol_are_answered_and_are_a_sign_of_life(channel: Channel, streams: Streams) -> None:
    beats = gevent.event.Event()

    def serve(peer: Peer) -> None:
        for _ in range(200):
            peer.socket.sock.sendall(peer.socket.ws.send(Ping()))
            peer.socket.pong_received = False
            until(lambda: peer.socket.pong_received)
            gevent.sleep(0.02)
        beats.set()
        peer.listen()

    channel.serve = serve
    receiver = Receiver()
    streams.make(stale_s=3).open(receiver)
    assert beats.wait(DEADLINE_S)
    assert [type(message) for message in receiver.messages] == [StreamOpened]


@pytest.mark.req("D-06")
def test_a_server_that_falls_silent_is_given_up_and_dialled_again(channel: Channel, streams: Streams) -> None:
    channel.serve = Peer.listen
    receiver = Receiver()
    streams.make(ping_s=0.02, stale_s=0.5).open(receiver)
    receiver.wait(StreamOpened, 2)
    assert channel.peers[0].pings >= 1
    assert receiver.of(StreamClosed)[0].reason == "nothing was heard for 0.5 s, not even a PONG"
    assert [(type(message), message.connection) for message in receiver.messages[:3]] == [
        (StreamOpened, 1),
        (StreamClosed, 1),
        (StreamOpened, 2),
    ]


def test_waits_between_connections_that_fail_double_up_to_the_longest(channel: Channel, streams: Streams) -> None:
    channel.serve = lambda _peer: None
    receiver = Receiver()
    streams.make(first_wait_s=0.25, longest_wait_s=2).open(receiver)
    receiver.wait(StreamOpened, 7)
    assert streams.ceilings == [0.25, 0.5, 1.0, 2.0, 2.0, 2.0]
    assert [message.connection for message in receiver.of(StreamClosed)] == [1, 2, 3, 4, 5, 6]


def test_a_wait_is_drawn_anywhere_below_its_ceiling() -> None:
    drawn = [full_jitter(30.0) for _ in range(200)]
    assert all(0 <= wait <= 30 for wait in drawn)
    assert (min(drawn) < 10, max(drawn) > 20) == (True, True)


def test_a_connection_that_worked_for_some_time_is_followed_by_one_at_once(channel: Channel, streams: Streams) -> None:
    channel.serve = lambda peer: peer.send(order_event(1)) if peer.number == 3 else None
    receiver = Receiver()
    streams.make(proven_s=0).open(receiver)
    receiver.wait(StreamOpened, 6)
    assert streams.ceilings == [0.25, 0.5, 0.25, 0.5], "no wait after the third, and then from the beginning"


def test_a_connection_that_only_began_well_counts_as_a_failure(channel: Channel, streams: Streams) -> None:
    channel.serve = lambda peer: peer.send(order_event(1))
    receiver = Receiver()
    streams.make(proven_s=3600).open(receiver)
    receiver.wait(StreamOpened, 4)
    assert streams.ceilings == [0.25, 0.5, 1.0]


def test_reconnect_gives_the_connection_up_and_makes_a_new_one_at_once(channel: Channel, streams: Streams) -> None:
    receiver = Receiver()
    stream = streams.make()
    stream.reconnect("nobody listens yet")
    stream.open(receiver)
    receiver.wait(StreamOpened)
    stream.reconnect("3 fills were missed")
    stream.reconnect("told twice")
    receiver.wait(StreamOpened, 2)
    assert [(type(message), message.connection) for message in receiver.messages] == [
        (StreamOpened, 1),
        (StreamClosed, 1),
        (StreamOpened, 2),
    ]
    assert receiver.of(StreamClosed)[0].reason == "3 fills were missed"
    assert (streams.ceilings, len(channel.peers)) == ([], 2)


def test_what_had_come_before_reconnect_and_was_not_told_is_dropped(channel: Channel, streams: Streams) -> None:
    channel.serve = burst
    receiver = Receiver()
    stream = streams.make()

    def giving_up(message: StreamMessage) -> None:
        receiver(message)
        if message.connection == 1 and isinstance(message, StreamEvents):
            stream.reconnect("enough")

    stream.open(giving_up)
    receiver.wait(StreamOpened, 2)
    assert [type(message) for message in receiver.messages[:3]] == [StreamOpened, StreamEvents, StreamClosed]


def test_a_receiver_may_reconnect_and_close_from_within(channel: Channel, streams: Streams) -> None:
    receiver = Receiver()
    stream = streams.make()

    def deciding(message: StreamMessage) -> None:
        receiver(message)
        if isinstance(message, StreamOpened):
            (stream.reconnect if message.connection == 1 else lambda _reason: stream.close())("from within")

    stream.open(deciding)
    receiver.wait(StreamOpened, 2)
    until(lambda: not channel.peers[1].socket.connected)
    assert [type(message) for message in receiver.messages] == [StreamOpened, StreamClosed, StreamOpened]


def test_nothing_is_delivered_after_close(channel: Channel, streams: Streams) -> None:
    receiver = Receiver()
    stream = streams.make()
    stream.open(receiver)
    receiver.wait(StreamOpened)
    stream.close()
    channel.peers[0].send(order_event(1))
    until(lambda: not channel.peers[0].socket.connected)
    stream.reconnect("too late")
    stream.close()
    assert [type(message) for message in receiver.messages] == [StreamOpened]
    assert len(channel.peers) == 1


def test_close_in_a_burst_is_the_end_of_it(channel: Channel, streams: Streams) -> None:
    channel.serve = burst
    receiver = Receiver()
    stream = streams.make()
    stream.open(receiver)
    receiver.wait(StreamEvents, 10)
    stream.close()
    told = len(receiver.messages)
    until(lambda: not channel.peers[0].socket.connected)
    assert told == len(receiver.messages) < 1_000


def test_close_leaves_a_delivery_under_way_undisturbed(channel: Channel, streams: Streams) -> None:
    begun, go_on, ended = gevent.event.Event(), gevent.event.Event(), gevent.event.Event()

    def slow(_message: StreamMessage) -> None:
        begun.set()
        go_on.wait()
        ended.set()

    stream = streams.make()
    stream.open(slow)
    assert begun.wait(DEADLINE_S)
    stream.close()
    gevent.sleep(0)
    go_on.set()
    assert ended.wait(DEADLINE_S)
    until(lambda: not channel.peers[0].socket.connected)


def test_close_ends_a_wait_between_connections(channel: Channel, streams: Streams) -> None:
    channel.serve = lambda _peer: None
    waiting = gevent.event.Event()

    def for_an_hour(_ceiling_s: float) -> float:
        waiting.set()
        return 3600

    streams.jitter = for_an_hour
    receiver = Receiver()
    stream = streams.make()
    stream.open(receiver)
    assert waiting.wait(DEADLINE_S)
    stream.reconnect("a wait is not cut short")
    stream.close()
    assert stream._greenlet is not None
    until(lambda: stream._greenlet is not None and stream._greenlet.dead)
    assert [type(message) for message in receiver.messages] == [StreamOpened, StreamClosed]


def test_a_stream_that_was_closed_before_does_not_open_and_one_opens_once(channel: Channel, streams: Streams) -> None:
    closed, stream, receiver = streams.make(), streams.make(), Receiver()
    closed.close()
    closed.open(receiver)
    stream.open(Receiver())
    until(lambda: len(channel.peers) == 1)
    with pytest.raises(RuntimeError, match="opened once"):
        stream.open(receiver)
    assert receiver.messages == []


def test_proxies_of_the_environment_are_not_used(
    channel: Channel, streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy)
        monkeypatch.delenv("no_proxy", raising=False)
        streams.make().open(Receiver())
        until(lambda: channel.subscriptions == [SUBSCRIPTION])


@pytest.mark.req("S-21")
@pytest.mark.skipif(which("openssl") is None, reason="the certificate is made by openssl")
@pytest.mark.parametrize("trusted", [True, False])
def test_credentials_go_only_to_a_server_with_a_certificate_that_the_system_trusts(
    trusted: bool, streams: Streams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    options = f"-x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=local -addext subjectAltName=IP:127.0.0.1 -keyout {key}"
    subprocess.run(["openssl", "req", *options.split(), "-out", certificate], check=True, capture_output=True)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    secure = Channel(tls)
    receiver = Receiver()
    stream = streams.make(secure.url, ping_s=0.02)
    stream.open(receiver)
    if trusted:
        receiver.wait(StreamOpened)
        until(lambda: secure.peers[0].pings >= 2)
        stream.reconnect("the socket of TLS is interrupted like any other")
        receiver.wait(StreamOpened, 2)
        assert receiver.of(StreamClosed)[0].reason == "the socket of TLS is interrupted like any other"
    else:
        (closed, *_) = receiver.wait(StreamClosed)
        assert "SSLCertVerificationError" in closed.reason
    assert set(secure.subscriptions) == ({SUBSCRIPTION} if trusted else set())
    stream.close()
    secure.stop()


def test_the_subscription_is_json_of_three_credentials_and_a_type(channel: Channel, streams: Streams) -> None:
    streams.make().open(Receiver())
    until(lambda: channel.subscriptions)
    assert json.loads(channel.subscriptions[0]).keys() == {"auth", "type"}, "an empty list of markets hides all trades"
