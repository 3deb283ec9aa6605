"""Listening: the control socket in the state directory, for its owner alone, and the loopback port (D-22)."""

from __future__ import annotations

import errno
import logging
import os
import socket
from pathlib import Path
from typing import Any

import flask
from gevent import socket as gevent_socket
from gevent.pywsgi import WSGIServer

from service.api import ServiceApi
from service.config import Config
from service.errors import ServiceError
from service.http.app import create_app

BACKLOG = 64
STOP_WITHIN_S = 5

_log = logging.getLogger(__name__)


class ListenFailed(ServiceError):
    """A socket could not be had; the text says which, why, and what to do."""


class Servers:
    """Both servers of a process. ``start`` raises ListenFailed with neither left behind; ``stop`` waits a moment."""

    def __init__(self, api: ServiceApi, config: Config) -> None:
        """Nothing listens before ``start``."""
        self._api = api
        self._config = config
        self._servers: list[WSGIServer] = []
        self._socket_path: Path | None = None

    def start(self) -> None:
        """Listen on the control socket, and on ``[http] bind`` unless it is empty."""
        try:
            self._start_control(self._config.service.control_socket)
            if self._config.http.bind is not None:
                self._start_tcp(self._config.http.bind)
        except BaseException:
            self.stop()
            raise

    @property
    def tcp_port(self) -> int | None:
        """The port in use; that the system chose, where 0 was configured. None without TCP."""
        return self._servers[1].server_port if len(self._servers) > 1 else None

    def stop(self) -> None:
        """Take no more connections, let running requests end, and remove the control socket."""
        while self._servers:
            self._servers.pop().stop(timeout=STOP_WITHIN_S)
        if self._socket_path is not None:
            self._socket_path.unlink(missing_ok=True)
            self._socket_path = None

    def _start_control(self, path: Path) -> None:
        listener = control_listener(path)
        self._socket_path = path
        self._serve(listener, create_app(self._api, token=None, trusted=True))

    def _start_tcp(self, bind: tuple[str, int]) -> None:
        token = self._config.http.token
        app = create_app(self._api, token=None if token is None else token.reveal(), trusted=False)
        self._serve(tcp_listener(bind), app)

    def _serve(self, listener: gevent_socket.socket, app: flask.Flask) -> None:
        server = _Server(listener, app, log=None, error_log=_log)
        server.start()
        self._servers.append(server)


class _Server(WSGIServer):
    """Sends small answers at once: Nagle's algorithm would hold each kept-alive one back for some 40 ms."""

    def handle(self, sock: gevent_socket.socket, address: Any) -> None:
        """Serve one connection."""
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().handle(sock, address)


def tcp_listener(bind: tuple[str, int]) -> gevent_socket.socket:
    """A listening TCP socket. Raises ListenFailed."""
    family = socket.AF_INET6 if ":" in bind[0] else socket.AF_INET
    listener = gevent_socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(bind)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ListenFailed(
            f"[http] bind = {bind[0]}:{bind[1]} cannot be listened on: {error.strerror}. "
            'Stop what uses it, choose another port, or set bind = "" for none.'
        ) from error
    return listener


def control_listener(path: Path) -> gevent_socket.socket:
    """A listening UNIX socket that only its owner can open; one that a dead process left is replaced."""
    _refuse_second(path)
    listener = gevent_socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)  # the socket is never, not for a moment, open to others
    try:
        listener.bind(str(path))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ListenFailed(f"Control socket {path} cannot be made: {error.strerror}; check state_dir.") from error
    finally:
        os.umask(before)
    return listener


def _refuse_second(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ListenFailed(f"state_dir {path.parent} cannot be made: {error.strerror}.") from error
    probe = gevent_socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        refused = probe.connect_ex(str(path))
    finally:
        probe.close()
    if refused == 0:
        raise ListenFailed(
            f"Control socket {path} is in use: another process runs with this state_dir. "
            "Stop it, or give this one a state_dir of its own."
        )
    if refused == errno.ECONNREFUSED:
        path.unlink(missing_ok=True)
