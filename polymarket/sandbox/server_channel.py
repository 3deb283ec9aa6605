"""The user channel: WebSocket sessions beside the REST APIs, on the same port.

A client says in its first frame who it is and is then told what happens to its orders and trades, from that moment on:
no acknowledgement, no snapshot, no replay. Whom the channel does not accept it leaves without a word.
"""

from __future__ import annotations

import errno
import hmac
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import msgspec
import simple_websocket  # type: ignore[import-untyped]  # no stubs exist; the server's side of WebSocket, used here only
from gevent.event import Event
from gevent.lock import RLock
from gevent.queue import Full, Queue

from polymarket.sandbox.server_faults import Fault
from polymarket.sandbox.server_state import USER_CHANNEL, Sandbox
from polymarket.sandbox.server_stream import Listener, Selection

Environ = dict[str, Any]
_LONGEST_MESSAGE = 65_536
_MOST_WAITING = 10_000
_GOING_AWAY = 1001
_FAREWELL_S = 1


class _Auth(msgspec.Struct, rename="camel"):
    api_key: str
    secret: str
    passphrase: str


class _First(msgspec.Struct):
    auth: _Auth
    type: str
    markets: list[str] | None = None


class _Operation(msgspec.Struct):
    operation: str
    markets: list[str]


class UserChannel:
    """The WSGI application of the channel, and everybody who is connected to it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._feed = sandbox.world.feed
        self._told = self._feed.number
        self._lines: dict[_Line, Listener | None] = {}

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one client until either side ends it."""
        self._sandbox.requests[f"{environ['REQUEST_METHOD']} {USER_CHANNEL}"] += 1
        if environ.get("HTTP_UPGRADE", "").lower() != "websocket" or "HTTP_SEC_WEBSOCKET_KEY" not in environ:
            start_response("400 Bad Request", [("Content-Type", "text/plain")])
            return [b"Bad Request"]
        cut = self._met("ws_cut")
        if cut is None:
            with self._connected(environ) as line:
                self._serve(line)
        else:
            cut.hit()
        # pywsgi closes a connection without another word where the application meets a broken pipe.
        raise BrokenPipeError(errno.EPIPE, "the session is over")

    def flush(self) -> None:
        """Tell what happened since the last time to everybody who listens; a new world ends all connections."""
        if self._feed is not self._sandbox.world.feed:
            self._feed = self._sandbox.world.feed
            self._told = self._feed.number
            self.hang_up()
        fresh, self._told = self._feed.since(self._told), self._feed.number
        for listener in self._listeners():
            listener.release()
            for bulletin in fresh:
                listener.tell(bulletin)

    def meet_faults(self) -> None:
        """A fault began: connections meet it at once."""
        for line in list(self._lines):
            cut = self._met("ws_cut") or self._met("down")
            if cut is not None:
                cut.hit()
                line.cut()
        close = self._met("ws_close")
        if close is not None:
            self._close(close, [line for line, listener in self._lines.items() if listener is not None])

    def hang_up(self) -> None:
        """Break off every connection."""
        for line in list(self._lines):
            line.cut()

    def _listeners(self) -> list[Listener]:
        return [listener for listener in self._lines.values() if listener is not None]

    @contextmanager
    def _connected(self, environ: Environ) -> Iterator[_Line]:
        line = _Line(environ)
        self._lines[line] = None
        try:
            yield line
        finally:
            del self._lines[line]
            line.cut()

    def _serve(self, line: _Line) -> None:
        try:
            listener = self._listener(line.receive(self._sandbox.first_frame_ms / 1000), line)
            if listener is None:
                return
            self._subscribe(line, listener)
            while True:
                _obey(line.receive(), listener, line)
        except simple_websocket.ConnectionClosed:
            return

    def _listener(self, text: str | None, line: _Line) -> Listener | None:
        """Who speaks in a first frame; None where nobody does who is known."""
        try:
            first = msgspec.json.decode(text or "", type=_First)
        except msgspec.MsgspecError:
            return None
        credentials = self._sandbox.credentials.get(first.auth.api_key)
        if credentials is None or first.type.lower() != "user":
            return None
        given = f"{first.auth.secret}/{first.auth.passphrase}"
        if not hmac.compare_digest(given.encode(), f"{credentials.secret}/{credentials.passphrase}".encode()):
            return None
        refused = self._met("ws_unauthorized")
        if refused is not None:
            refused.hit()
            return None
        return Listener(credentials.key, Selection(first.markets), self._sandbox.board, line.send)

    def _subscribe(self, line: _Line, listener: Listener) -> None:
        """From here on the client is told; what is due by now happened before."""
        self._sandbox.present()
        self.flush()
        self._lines[line] = listener
        close = self._met("ws_close")
        if close is not None:
            self._close(close, [line])

    def _close(self, fault: Fault, lines: list[_Line]) -> None:
        """Play a closing fault on these connections; with the first of them it has done its work."""
        for line in lines:
            fault.hit()
            line.close()
        if lines:
            self._sandbox.board.end(fault)

    def _met(self, kind: str) -> Fault | None:
        return self._sandbox.board.met(kind, "ws", "user")


class _Line:
    """One WebSocket. What is sent waits in a queue, so that a slow client holds up nobody but itself."""

    def __init__(self, environ: Environ) -> None:
        self._socket = simple_websocket.Server.accept(
            environ, max_message_size=_LONGEST_MESSAGE, thread_class=_Reader, event_class=Event
        )
        self._wire = _Wire(self._socket.sock)
        self._socket.sock = self._wire
        self._waiting: Queue[str] = Queue(maxsize=_MOST_WAITING)
        self._sender = gevent.spawn(self._run)

    def receive(self, within_s: float | None = None) -> str | None:
        """The next text frame; None if none comes in time. Raises ``ConnectionClosed``."""
        frame = self._socket.receive(timeout=within_s)
        return frame if isinstance(frame, str) else None

    def send(self, text: str) -> None:
        """Send a text frame in its turn. Who has read nothing for long is cut off, as the real channel does."""
        try:
            self._waiting.put_nowait(text)
        except Full:
            self.cut()

    def close(self) -> None:
        """End the session in order; a client that does not answer is cut off."""
        if self._socket.connected:
            self._socket.close(_GOING_AWAY)
        gevent.spawn_later(_FAREWELL_S, self.cut)

    def cut(self) -> None:
        """End the connection without a word."""
        self._sender.kill(block=False)
        self._wire.cut()

    def _run(self) -> None:
        while True:
            text = self._waiting.get()
            try:
                self._socket.send(text)
            except (simple_websocket.ConnectionClosed, OSError):
                return


class _Reader(gevent.Greenlet):  # type: ignore[type-arg]
    """What simple-websocket takes for a thread: a greenlet, also in a process that gevent has not patched."""

    def __init__(self, target: Callable[[], None]) -> None:
        super().__init__(target)


class _Wire:
    """The socket as simple-websocket uses it.

    The library counts on ``send`` to take everything. A socket of gevent may take a part only, so here it means
    ``sendall``, one frame at a time.
    """

    def __init__(self, wrapped: socket.socket) -> None:
        self._wrapped = wrapped
        self._lock = RLock()

    def send(self, data: bytes) -> None:
        """Send all of it."""
        with self._lock:
            self._wrapped.sendall(data)

    def recv(self, size: int) -> bytes:
        """What has come, at most so much."""
        return self._wrapped.recv(size)

    def close(self) -> None:
        """Give the descriptor back."""
        self._wrapped.close()

    def cut(self) -> None:
        """End the connection for both sides, whoever else has its descriptor."""
        try:
            self._wrapped.shutdown(socket.SHUT_RDWR)
        except OSError as error:
            if error.errno not in {errno.ENOTCONN, errno.EBADF}:
                raise


def _obey(text: str | None, listener: Listener, line: _Line) -> None:
    """Answer a PING, follow more or fewer markets; what is not understood is ignored, as the real channel does."""
    if text == "PING":
        line.send("PONG")
        return
    try:
        asked = msgspec.json.decode(text or "", type=_Operation)
    except msgspec.MsgspecError:
        return
    if asked.operation == "subscribe":
        listener.selection.add(asked.markets)
    elif asked.operation == "unsubscribe":
        listener.selection.remove(asked.markets)
