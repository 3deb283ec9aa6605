"""A server of bytes on a local socket, and a driver that talks to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import gevent.monkey
import gevent.server
import msgspec
import pytest

from polymarket.driver import HttpDriver
from polymarket.settings import ApiCredentials, PolymarketSettings, Secret
from polymarket.user_stream import PolymarketUserStream, StreamTimings
from tests.integration.polymarket.channel import Channel, Jitter
from tests.unit.polymarket.script import SETTINGS

Handler = Callable[["Connection"], object]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture(autouse=True, scope="session")
def _patched() -> None:
    if not gevent.monkey.is_module_patched("socket"):
        pytest.fail("these tests need gevent's patches: run python -m gevent.monkey --module pytest (or make test)")


class Connection:
    """One connection of a client: what it sent, and raw bytes to answer with."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.head = b""

    def read_request(self) -> bytes:
        """The next request's head and body; empty when the client has gone."""
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = self.socket.recv(65_536)
            if not chunk:
                return b""
            data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while len(body) < length:
            body += self.socket.recv(65_536)
        self.head = head
        return head + b"\r\n\r\n" + body

    def answer(
        self, body: bytes, status: str = "200 OK", *headers: str, content_type: str = "application/json"
    ) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", f"Content-Type: {content_type}", *headers]
        self.socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


class Server:
    """Counts connections and requests; each request is given to ``handler``."""

    def __init__(self) -> None:
        self.handler: Handler = lambda connection: connection.answer(b"{}")
        self.heads: list[bytes] = []
        self.connections = 0
        self.busy = 0
        self.busiest = 0
        self._server = gevent.server.StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.stop(timeout=1)

    def _serve(self, socket: Any, _address: object) -> None:
        self.connections += 1
        connection = Connection(socket)
        try:
            while connection.read_request():
                self.heads.append(connection.head)
                self.busy += 1
                self.busiest = max(self.busiest, self.busy)
                try:
                    self.handler(connection)
                finally:
                    self.busy -= 1
        except OSError:
            return  # the client hung up, as it does after a time-out
        finally:
            socket.close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def settings(server: Server) -> PolymarketSettings:
    return msgspec.structs.replace(
        SETTINGS,
        clob_url=server.url,
        data_api_url=server.url,
        gamma_url=server.url,
        rpc_url=server.url,
        timeout_ms=20_000,
        max_body_bytes=100_000,
    )


@pytest.fixture
def hasty(settings: PolymarketSettings) -> PolymarketSettings:
    """For what never answers: gives up soon."""
    return msgspec.structs.replace(settings, timeout_ms=300)


@pytest.fixture
def driver(settings: PolymarketSettings) -> Iterator[HttpDriver]:
    driver = HttpDriver(settings, now_ms)
    yield driver
    driver.close()


CREDENTIALS = ApiCredentials(key=Secret("k-7f3a11"), secret=Secret("c2VjcmV0LTk5"), passphrase=Secret("p-5b60d2"))
SECRETS = ("k-7f3a11", "c2VjcmV0LTk5", "p-5b60d2")


class Streams:
    """Makes user streams that wait but a moment, and closes them when the test is over."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.jitter: Callable[[float], float] = Jitter()
        self.clock = now_ms
        self._made: list[PolymarketUserStream] = []

    def make(self, url: str = "", **timings: Any) -> PolymarketUserStream:
        wallet = msgspec.structs.replace(SETTINGS.wallets[0], credentials=CREDENTIALS)
        settings = msgspec.structs.replace(SETTINGS, user_ws_url=url or self.url, wallets=(wallet,))
        stream = PolymarketUserStream(settings, "main", self.clock, StreamTimings(**timings), self.jitter)
        self._made.append(stream)
        return stream

    @property
    def ceilings(self) -> list[float]:
        assert isinstance(self.jitter, Jitter)
        return self.jitter.ceilings

    def close(self) -> None:
        for stream in self._made:
            stream.close()


@pytest.fixture
def channel() -> Iterator[Channel]:
    channel = Channel()
    yield channel
    channel.stop()


@pytest.fixture
def streams(channel: Channel) -> Iterator[Streams]:
    streams = Streams(channel.url)
    yield streams
    streams.close()
