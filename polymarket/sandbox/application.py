"""All APIs of the sandbox as one WSGI application, whoever calls it: the server with its sockets, or a simulation."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flask import Flask, Response, g, request

from polymarket.sandbox.faults import FaultSpec
from polymarket.sandbox.server_clob import ClobReads
from polymarket.sandbox.server_data import DataApi
from polymarket.sandbox.server_faults import Fault
from polymarket.sandbox.server_gamma import GammaApi
from polymarket.sandbox.server_orders import ClobWrites
from polymarket.sandbox.server_rpc import RpcApi
from polymarket.sandbox.server_state import Route, Sandbox, answer


def build_application(
    sandbox: Sandbox, flush: Callable[[], None], further: Mapping[str, list[Route]] | None = None
) -> Flask:
    """The APIs under their prefixes, and ``further`` ones. ``flush`` tells the user channel what a request made happen.

    Every request finds the world at its present.
    """
    app = Flask("polymarket-sandbox", static_folder=None)
    apis: dict[str, list[Route]] = {
        "clob": [*ClobReads(sandbox).routes(), *ClobWrites(sandbox).routes()],
        "data": DataApi(sandbox).routes(),
        "gamma": GammaApi(sandbox).routes(),
        "rpc": RpcApi(sandbox).routes(),
        **(further or {}),
    }
    for prefix, routes in apis.items():
        for method, path, view in routes:
            app.add_url_rule(f"/{prefix}{path}", f"{method} {prefix} {path}", view, methods=[method])
    app.before_request(lambda: _before(sandbox))
    app.after_request(lambda response: _after(flush, response))
    app.register_error_handler(404, lambda _error: answer({"error": "not found"}, 404))
    app.register_error_handler(405, lambda _error: answer({"error": "method not allowed"}, 405))
    return app


def play(sandbox: Sandbox, spec: FaultSpec) -> Fault:
    """Begin to play a fault; a ``stale`` one shows what there is at this moment."""
    if spec.kind != "stale":
        return sandbox.board.add(spec)
    block = sandbox.world.chain.head.number - spec.blocks
    frozen = {"block": block, **ClobReads(sandbox).frozen(), **GammaApi(sandbox).frozen()}
    return sandbox.board.add(spec, frozen)


def _before(sandbox: Sandbox) -> None:
    """Bring the world to its present, and note the faults that the request meets."""
    sandbox.present()
    g.faults = request.environ.get("sandbox.faults", [])
    if request.path.split("/")[1] != "control":
        rule = request.url_rule.rule if request.url_rule is not None else request.path
        sandbox.requests[f"{request.method} {rule}"] += 1


def _after(flush: Callable[[], None], response: Response) -> Response:
    """What a request made happen is told on the user channel before the answer goes out."""
    flush()
    response.headers["x-trace-id"] = "sandbox"
    return response
