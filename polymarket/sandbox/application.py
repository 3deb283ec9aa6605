"""All APIs of the sandbox as one application, whoever calls it: the server with its sockets, or a simulation."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from polymarket.sandbox.faults import FaultSpec
from polymarket.sandbox.server_clob import ClobReads
from polymarket.sandbox.server_data import DataApi
from polymarket.sandbox.server_faults import Fault
from polymarket.sandbox.server_gamma import GammaApi
from polymarket.sandbox.server_orders import ClobWrites
from polymarket.sandbox.server_request import Answer, Request, answer, serving
from polymarket.sandbox.server_rpc import RpcApi
from polymarket.sandbox.server_state import Route, Sandbox, View


class Apis:
    """The APIs under their prefixes, and ``further`` ones. ``flush`` tells the user channel what a request made happen.

    Every request finds the world at its present. A path is one of the APIs', or one of theirs that ends with a
    parameter.
    """

    def __init__(
        self, sandbox: Sandbox, flush: Callable[[], None], further: Mapping[str, list[Route]] | None = None
    ) -> None:
        self._sandbox = sandbox
        self._flush = flush
        self._views: dict[str, dict[str, View]] = {}
        self._parameters: dict[str, str] = {}
        apis: dict[str, list[Route]] = {
            "clob": [*ClobReads(sandbox).routes(), *ClobWrites(sandbox).routes()],
            "data": DataApi(sandbox).routes(),
            "gamma": GammaApi(sandbox).routes(),
            "rpc": RpcApi(sandbox).routes(),
            **(further or {}),
        }
        for prefix, routes in apis.items():
            for method, path, view in routes:
                self._add(method, f"/{prefix}{path}", view)

    def __call__(self, request: Request) -> Answer:
        """Answer a request; what it made happen is told on the user channel before the answer goes out."""
        self._sandbox.present()
        rule, arguments = self._rule(request.path)
        views = self._views.get(rule, {})
        view = views.get(request.method)
        self._count(request, rule if view is not None else request.path)
        if view is None:
            found = answer({"error": "method not allowed"}, 405) if views else answer({"error": "not found"}, 404)
        else:
            with serving(request):
                found = view(**arguments)
        self._flush()
        found.headers["x-trace-id"] = "sandbox"
        return found

    def _add(self, method: str, path: str, view: View) -> None:
        stem, _, last = path.rpartition("/")
        if last.startswith("<"):
            self._parameters[stem] = last[1:-1]
        self._views.setdefault(path, {})[method] = view

    def _rule(self, path: str) -> tuple[str, dict[str, str]]:
        """The rule that a path falls under, with its parameter; the path itself where that is a rule, or none is."""
        stem, _, last = path.rpartition("/")
        name = self._parameters.get(stem)
        if path in self._views or name is None or not last:
            return path, {}
        return f"{stem}/<{name}>", {name: last}

    def _count(self, request: Request, rule: str) -> None:
        if not request.path.startswith("/control"):
            self._sandbox.requests[f"{request.method} {rule}"] += 1


def play(sandbox: Sandbox, spec: FaultSpec) -> Fault:
    """Begin to play a fault; a ``stale`` one shows what there is at this moment."""
    if spec.kind != "stale":
        return sandbox.board.add(spec)
    block = sandbox.world.chain.head.number - spec.blocks
    frozen = {"block": block, **ClobReads(sandbox).frozen(), **GammaApi(sandbox).frozen()}
    return sandbox.board.add(spec, frozen)
