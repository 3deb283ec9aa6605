"""A user channel on a local socket, a receiver that can be waited for, a jitter that writes down what it is asked."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from typing import Any, TypeVar

import gevent
import gevent.event
import gevent.pywsgi
import simple_websocket  # type: ignore[import-untyped]  # no stubs exist; the server's side of WebSocket
from wsproto.events import TextMessage

from messages.stream import StreamClosed, StreamEvents, StreamMessage, StreamOpened

M = TypeVar("M", StreamOpened, StreamEvents, StreamClosed)
DEADLINE_S = 60
"""Generous for a loaded machine; what comes needs milliseconds."""


class Peer:
    """One connection, from the server's side."""

    def __init__(self, socket: simple_websocket.Server, number: int) -> None:
        self.socket = socket
        self.number = number
        self.texts: list[str] = []

    def read(self) -> str:
        """The next message; ConnectionClosed when the client has gone."""
        text = self.socket.receive()
        assert isinstance(text, str)
        self.texts.append(text)
        return text

    def send(self, *rows: object) -> None:
        """A frame of one object, or of an array where there are several."""
        self.send_raw(json.dumps(rows[0] if len(rows) == 1 else rows))

    def send_raw(self, text: str) -> None:
        self.socket.sock.sendall(self.socket.ws.send(TextMessage(data=text)))

    def answer_pings(self) -> None:
        """As the channel does, until the client has gone."""
        while True:
            if self.read() == "PING":
                self.send_raw("PONG")

    def listen(self) -> None:
        """Say nothing, until the client has gone."""
        while True:
            self.read()

    @property
    def pings(self) -> int:
        return self.texts.count("PING")


Serve = Callable[[Peer], object]


class Channel:
    """Accepts connections and gives each to ``serve``, after its subscription was read."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.serve: Serve = Peer.answer_pings
        self.peers: list[Peer] = []
        self.subscriptions: list[str] = []
        self.heads: list[dict[str, Any]] = []
        self._scheme = "ws" if tls is None else "wss"
        options: dict[str, Any] = {} if tls is None else {"ssl_context": tls}
        self._server = gevent.pywsgi.WSGIServer(("127.0.0.1", 0), self._accept, log=None, **options)
        self._server.start()

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}/ws/user"

    def stop(self) -> None:
        self._server.stop(timeout=1)

    def _accept(self, environ: dict[str, Any], _start: object) -> list[bytes]:
        self.heads.append(environ)
        peer = Peer(simple_websocket.Server.accept(environ), len(self.peers) + 1)
        self.peers.append(peer)
        try:
            self.subscriptions.append(peer.read())
            self.serve(peer)
            peer.socket.close()
        except (simple_websocket.ConnectionClosed, OSError):
            return []
        return []


class Receiver:
    """Keeps what it is told and lets a test wait for it."""

    def __init__(self) -> None:
        self.messages: list[StreamMessage] = []
        self._more = gevent.event.Event()

    def __call__(self, message: StreamMessage) -> None:
        self.messages.append(message)
        self._more.set()

    def of(self, kind: type[M]) -> list[M]:
        return [message for message in self.messages if isinstance(message, kind)]

    def wait(self, kind: type[M], count: int = 1) -> list[M]:
        """So many messages of that kind, or the end of the test."""
        with gevent.Timeout(DEADLINE_S, AssertionError(f"no {count} {kind.__name__} came: {self.messages}")):
            while len(self.of(kind)) < count:
                self._more.wait()
                self._more.clear()
        return self.of(kind)


class Jitter:
    """Waits a moment, and remembers how long it might have been."""

    def __init__(self) -> None:
        self.ceilings: list[float] = []

    def __call__(self, ceiling_s: float) -> float:
        self.ceilings.append(ceiling_s)
        return 0.01


def until(condition: Callable[[], object]) -> None:
    """Let the others run until the condition holds; a deadline, not a measurement."""
    with gevent.Timeout(DEADLINE_S, AssertionError("it did not come to pass")):
        while not condition():
            gevent.sleep(0.001)
