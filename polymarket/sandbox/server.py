"""The sandbox's server: all APIs and the user channel on one port under their prefixes, in a process of its own.

gevent serves it (keep-alive, HTTP/1.1); the world moves on by itself between requests, and is brought up to now before
each one.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterable
from http import HTTPStatus
from http.client import responses
from typing import Any
from urllib.parse import parse_qsl

import gevent
from gevent.pywsgi import WSGIHandler, WSGIServer

from polymarket.sandbox.application import Apis
from polymarket.sandbox.options import ServerOptions, WorldOptions
from polymarket.sandbox.server_channel import Environ, UserChannel
from polymarket.sandbox.server_control import ControlApi
from polymarket.sandbox.server_faults import FaultGate
from polymarket.sandbox.server_request import Answer, Application, Arguments, Request
from polymarket.sandbox.server_state import USER_CHANNEL, Sandbox

_TICKS_PER_BLOCK = 4
_LONGEST_TICK_S = 0.5


class SandboxServer:
    """A sandbox that listens. ``start`` binds it; ``serve_forever`` returns after ``stop``."""

    def __init__(self, world: WorldOptions, options: ServerOptions) -> None:
        self.sandbox = Sandbox(world, options)
        self.channel = UserChannel(self.sandbox)
        control = ControlApi(self.sandbox, self.channel, self.set_latency)
        apis = Apis(self.sandbox, self.channel.flush, {"control": control.routes()})
        self._gate = FaultGate(_beside_the_channel(apis), self.sandbox.board, options.latency_ms)
        log = "default" if options.log else None
        self._server = WSGIServer((options.host, options.port), self._serve, log=log, handler_class=_Handler)
        self._ticker: gevent.Greenlet[..., Any] | None = None

    def start(self) -> dict[str, Any]:
        """Listen; returns what a client needs to know."""
        self._server.start()
        self.sandbox.base_url = f"http://{self.sandbox.options.host}:{self._server.server_port}"
        self._ticker = gevent.spawn(self._tick)
        return self.sandbox.describe()

    def serve_forever(self) -> None:
        """Serve until ``stop``."""
        self._server.serve_forever()

    def stop(self) -> None:
        """Stop listening; what is being answered may take another second."""
        if self._ticker is not None:
            self._ticker.kill(block=False)
        self.channel.hang_up()
        self._server.stop(timeout=1)

    def set_latency(self, latency_ms: int) -> None:
        """Let every answer take that much longer from now on."""
        self._gate.latency_ms = latency_ms

    def _serve(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The WSGI application. pywsgi closes a connection without an answer where it meets a broken pipe."""
        answer = self._gate(_request(environ))
        if answer.status == HTTPStatus.SWITCHING_PROTOCOLS:
            return self.channel(environ, start_response)
        headers = [*answer.headers.items(), ("content-length", str(len(answer.body)))]
        start_response(f"{answer.status} {responses.get(answer.status, '')}", headers)
        return [answer.body]

    def _tick(self) -> None:
        """Blocks come in time, also while nobody asks."""
        while True:
            self.sandbox.present()
            self.channel.flush()
            gevent.sleep(min(_LONGEST_TICK_S, self.sandbox.world.options.block_time_ms / 1000 / _TICKS_PER_BLOCK))


class _Handler(WSGIHandler):
    """pywsgi drops header names with an underscore, which the exchange's have, and leaves Nagle's algorithm on.

    With it, a small answer waits 40 ms for the client's delayed acknowledgement.
    """

    def handle(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().handle()

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        for line in self.headers.headers:
            name, _, value = line.partition(":")
            if name.upper().startswith("POLY_"):
                environ[f"HTTP_{name.upper()}"] = value.strip()
        return environ


def run(world: WorldOptions, options: ServerOptions, ready: Callable[[dict[str, Any]], None]) -> None:
    """Serve until SIGTERM or SIGINT; ``ready`` is told what a client needs to know."""
    server = SandboxServer(world, options)
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, server.stop)
    ready(server.start())
    server.serve_forever()


def _beside_the_channel(apis: Application) -> Application:
    """The APIs, and the gate's leave to speak on the user channel, which is no answer."""

    def application(request: Request) -> Answer:
        if request.path == USER_CHANNEL:
            return Answer(status=HTTPStatus.SWITCHING_PROTOCOLS, headers={"content-type": ""}, body=b"")
        return apis(request)

    return application


def _request(environ: Environ) -> Request:
    """A request as it came in."""
    return Request(
        method=environ["REQUEST_METHOD"],
        path=environ["PATH_INFO"],
        args=Arguments(parse_qsl(environ["QUERY_STRING"], keep_blank_values=True)),
        headers={name.removeprefix("HTTP_"): value for name, value in environ.items() if name.startswith("HTTP_")},
        body=b"" if "HTTP_UPGRADE" in environ else environ["wsgi.input"].read(),  # what follows an upgrade is no body
    )
