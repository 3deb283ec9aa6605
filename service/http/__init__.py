"""The read API, the few commands, and the healthcheck over HTTP; on a loopback port and on the control socket (D-22).

``app`` makes the Flask application, ``reads`` and ``writes`` are its routes, ``servers`` listens. The control socket
can be opened only by the service's own user and is trusted; over TCP whatever changes state needs the bearer token.
"""

from __future__ import annotations

from service.http.app import create_app
from service.http.servers import ListenFailed, Servers

__all__ = ["ListenFailed", "Servers", "create_app"]
