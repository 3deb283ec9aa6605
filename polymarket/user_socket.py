"""One WebSocket connection: dial, receive whole messages, be interrupted. The only file that knows websocket-client.

Whatever ends a connection comes out as :class:`SocketEnded`. The ``websockets`` package is not used: its synchronous
client can abort the process under gevent. Needs gevent's monkey patching, as the whole process does.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any
from urllib.parse import urlsplit

import gevent
import websocket

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
"""No message comes near it; a peer that sends more is not what we think it is."""

_PORTS = {"ws": 80, "wss": 443}
_REASON_SHOWN = 80


class SocketEnded(Exception):
    """The connection is over, or never came to be. ``reason`` is one line; ``by_peer``: the other side hung up."""

    def __init__(self, reason: str, *, by_peer: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.by_peer = by_peer


class _MessageTooLargeError(Exception):
    """More bytes came than any message may have."""


class UserSocket:
    """A connection after its handshake. One greenlet receives; any may ping, interrupt or close."""

    def __init__(self, connection: Any, max_message_bytes: int) -> None:
        self._connection = connection  # websocket-client annotates half of itself, so it is Any
        self._most = max_message_bytes
        self._taken = 0
        self._read = connection.frame_buffer.recv
        connection.frame_buffer.recv = self._metered

    @classmethod
    def dial(cls, url: str, step_s: float, max_message_bytes: int = MAX_MESSAGE_BYTES) -> UserSocket:
        """Connect. A step (TCP, TLS, a byte of the handshake) may take ``step_s``, everything together twice that.

        The system's defaults decide about TLS. No proxy from the environment, no redirect: what is sent next are
        credentials, and they go where they were addressed, or nowhere.
        """
        host = urlsplit(url).hostname or ""
        patience = gevent.Timeout(2 * step_s)
        try:
            with patience:
                return cls(_connected(url, host, step_s), max_message_bytes)
        except gevent.Timeout as fired:
            if fired is not patience:
                raise
            raise SocketEnded(f"there was no connection to {host} within {2 * step_s:g} s") from None
        except websocket.WebSocketBadStatusException as error:
            raise SocketEnded(f"{host} answered the handshake with status {error.status_code}, expected 101") from None
        except (OSError, ValueError, websocket.WebSocketException) as error:
            # only the error's class is shown: its text may hold the URL or what the server sent
            detail = f"no connection to {host} ({type(error).__name__}); is the URL right and the host up?"
            raise SocketEnded(detail) from None

    def send(self, text: str) -> None:
        """Send a text message; raises :class:`SocketEnded` where that cannot be done."""
        try:
            self._connection.send(text)
        except (OSError, ValueError, websocket.WebSocketException) as error:
            raise SocketEnded(f"the connection could not be written to ({type(error).__name__})") from None

    def receive(self, within_s: float) -> bytes:
        """The next text message; empty for a ping or pong of the protocol, which is a sign of life too.

        Raises :class:`SocketEnded` when nothing whole came in time, and for whatever else ends the connection.
        """
        patience = gevent.Timeout(within_s)
        try:
            with patience:
                opcode, frame = self._connection.recv_data_frame(control_frame=True)
        except gevent.Timeout as fired:
            if fired is not patience:
                raise
            raise SocketEnded(f"nothing was heard for {within_s:g} s, not even a PONG") from None
        except _MessageTooLargeError:
            raise SocketEnded(f"a message was larger than {self._most} bytes") from None
        except (ConnectionError, websocket.WebSocketConnectionClosedException):
            raise SocketEnded("the server hung up without a word", by_peer=True) from None
        except (OSError, ValueError, websocket.WebSocketException) as error:
            raise SocketEnded(f"the connection broke ({type(error).__name__})") from None
        return self._text(opcode, bytes(frame.data))

    def interrupt(self) -> None:
        """Make the greenlet that receives see the end of the connection; for use by others."""
        self._connection.abort()

    def close(self) -> None:
        """Give the socket back. Nothing waits for the peer, which may be the very reason for closing."""
        self._connection.shutdown()

    def _text(self, opcode: int, data: bytes) -> bytes:
        match opcode:
            case websocket.ABNF.OPCODE_TEXT:
                self._taken = 0
                return data
            case websocket.ABNF.OPCODE_CLOSE:
                raise SocketEnded(f"the server closed the connection{_close_reason(data)}", by_peer=True)
            case websocket.ABNF.OPCODE_BINARY:
                raise SocketEnded("a message was binary, expected text")
            case _:
                return b""

    def _metered(self, size: int) -> bytes:
        """The wire, counted: the library would gather fragments for as long as they come."""
        data: bytes = self._read(size)
        self._taken += len(data)
        if self._taken > self._most:
            raise _MessageTooLargeError
        return data


def _connected(url: str, host: str, step_s: float) -> Any:
    wire = _dialled(url, host, step_s)
    try:
        connection = websocket.create_connection(
            url,
            timeout=step_s,
            socket=wire,
            redirect_limit=0,
            header=["User-Agent: portfolio-sync"],
            skip_utf8_validation=True,  # the parser refuses what is no UTF-8, and faster
        )
        connection.settimeout(None)  # receiving has a patience of its own
    except BaseException:
        wire.close()
        raise
    return connection


def _dialled(url: str, host: str, step_s: float) -> socket.socket:
    parts = urlsplit(url)
    wire = socket.create_connection((host, parts.port or _PORTS[parts.scheme]), timeout=step_s)
    if parts.scheme != "wss":
        return wire
    try:
        context = ssl.create_default_context()
        wire = context.wrap_socket(wire, server_hostname=host, do_handshake_on_connect=False)
        wire.do_handshake()
    except BaseException:
        wire.close()
        raise
    return wire


def _close_reason(data: bytes) -> str:
    """Code and words of a close frame, as far as there are any and they can be shown."""
    words = "".join(char for char in data[2:].decode(errors="replace") if char.isprintable())[:_REASON_SHOWN]
    parts = [str(int.from_bytes(data[:2])), words] if len(data) > 1 else []
    return f" ({': '.join(part for part in parts if part)})" if parts else ""
