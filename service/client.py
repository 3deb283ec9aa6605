"""The command line's way to the running process: HTTP over its control socket."""

from __future__ import annotations

import http.client
import socket
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from service.encoding import encode
from service.errors import ServiceError

TIMEOUT_S = 10.0
CYCLE_TIMEOUT_S = 120.0
"""For commands that wait for a whole cycle, with the one before it."""

BACKFILL_TIMEOUT_S = 620.0
"""A little longer than the process itself gives a backfill."""


class NotRunning(ServiceError):
    """Nobody listens on the control socket."""

    def __init__(self, path: Path) -> None:
        """``path`` is the socket that nobody listens on."""
        super().__init__(
            f"No running process: nobody listens on {path}. Start `portfolio-sync run`, "
            "or name the configuration of the running one with --config."
        )


class Refused(ServiceError):
    """The process answered with an error. ``status`` is HTTP's; ``problems`` are those of a configuration."""

    def __init__(self, status: int, message: str, problems: list[dict[str, str]]) -> None:
        """``message`` is the process's own sentence."""
        super().__init__(message)
        self.status = status
        self.problems = problems


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class ControlClient:
    """Requests to the process that owns ``path``; one connection each."""

    def __init__(self, path: Path) -> None:
        """Nothing is opened yet."""
        self._path = path

    def get(self, target: str) -> Any:
        """The answer's JSON. Raises NotRunning and Refused; a 503 of the healthcheck is an answer, not a refusal."""
        return self._call("GET", target, None, TIMEOUT_S)

    def post(self, target: str, body: dict[str, Any] | None = None, *, timeout_s: float = TIMEOUT_S) -> Any:
        """As ``get``, for requests that change something."""
        return self._call("POST", target, body or {}, timeout_s)

    def _call(self, method: str, target: str, body: dict[str, Any] | None, timeout_s: float) -> Any:
        connection = _UnixConnection(self._path, timeout_s)
        try:
            connection.request(
                method,
                target,
                body=None if body is None else encode(body),
                headers={"Content-Type": "application/json"},
            )
            response = connection.getresponse()
            status, payload = response.status, response.read()
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NotRunning(self._path) from error
        except TimeoutError as error:
            message = f"The running process did not answer {method} {target} within {timeout_s:g} s; see its log."
            raise Refused(504, message, []) from error
        except (OSError, http.client.HTTPException) as error:
            message = f"The control socket {self._path} failed: {error.__class__.__name__}: {error}."
            raise Refused(502, message, []) from error
        finally:
            connection.close()
        return _read(status, payload)


def _read(status: int, payload: bytes) -> Any:
    try:
        body = msgspec.json.Decoder(float_hook=Decimal).decode(payload)
    except msgspec.DecodeError as error:
        raise Refused(status, f"The running process answered {status} without JSON.", []) from error
    if isinstance(body, dict) and "error" in body:
        raise Refused(status, str(body["error"]), list(body.get("problems", [])))
    return body
