"""Between a service and its node: hands each JSON-RPC request on, and keeps what was asked."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit

import msgspec


class _Call(msgspec.Struct):
    method: str


_calls = msgspec.json.Decoder(_Call | list[_Call])


class Recorder:
    """A server on a port of its own, in threads. ``requests`` are the methods that each request named."""

    def __init__(self, node_url: str) -> None:
        self._node = urlsplit(node_url)
        self._lines = threading.local()
        self._connections: list[http.client.HTTPConnection] = []
        self.requests: list[tuple[str, ...]] = []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            """One connection."""

            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                """Ask the node, and answer what it answers."""
                status, content = recorder.ask(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                self.wfile.flush()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """As ``[polygon] rpc_url`` takes it."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def ask(self, body: bytes) -> tuple[int, bytes]:
        """The node's status and body; every connection has one of its own to the node."""
        calls = _calls.decode(body)
        self.requests.append(tuple(call.method for call in (calls if isinstance(calls, list) else [calls])))
        if not hasattr(self._lines, "connection"):
            self._lines.connection = http.client.HTTPConnection(self._node.netloc)
            self._connections.append(self._lines.connection)
        connection: http.client.HTTPConnection = self._lines.connection
        connection.request("POST", self._node.path or "/", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        for connection in self._connections:
            connection.close()
