"""Routes that read: health, portfolio, positions, orders, P&L, exposure, strategies, reports, fills, stories, dump.

Lists are arrays of objects with the interface's field names, as the command line prints them (S-18, S-23).
"""

from __future__ import annotations

import flask

from portfolio.entries import FillState
from service import explain, exposure, finding, health, pnl, status
from service.api import ServiceApi
from service.http.answers import BadRequest, answer, flag, integer, only, selection
from storage.queries import FillFilter, ReportKind, Selection

HEALTH_PATH = "/internal/health/portfolio-sync"


def blueprint(api: ServiceApi) -> flask.Blueprint:
    """All reading routes over ``api``."""
    routes = flask.Blueprint("reads", __name__)
    _process_routes(routes, api)
    _state_routes(routes, api)
    _history_routes(routes, api)
    return routes


def _process_routes(routes: flask.Blueprint, api: ServiceApi) -> None:
    @routes.get(HEALTH_PATH)
    def healthcheck() -> flask.Response:
        facts = api.health()
        return answer(health.document(facts), health.http_status(health.judge(facts).level))

    @routes.get("/v1/status")
    def whole_status() -> flask.Response:
        return answer(status.status(api.queries(), status.live_facts(api)))

    @routes.get("/v1/strategies")
    def strategies() -> flask.Response:
        live = status.live_facts(api)
        configured = [gate.strategy_id for gate in live.gates]
        return answer(status.strategies(api.queries(), configured, live))

    @routes.get("/v1/strategies/<strategy_id>")
    def strategy(strategy_id: str) -> flask.Response:
        gate = api.gate(strategy_id)
        if gate is not None:
            return answer(status.gate_document(gate))
        known = ", ".join(each.strategy_id for each in api.gates()) or "none"
        return answer({"error": f"No strategy is called {strategy_id!r}; configured are {known}."}, 404)

    @routes.get("/v1/dump")
    def dump() -> flask.Response:
        return answer(api.describe())


def _state_routes(routes: flask.Blueprint, api: ServiceApi) -> None:
    @routes.get("/v1/portfolio")
    def portfolio() -> flask.Response:
        queries = api.queries()
        document = status.status(queries, status.live_facts(api))
        return answer({**document, "positions": queries.positions(), "orders": queries.orders()})

    @routes.get("/v1/positions")
    def positions() -> flask.Response:
        chosen = selection(limited=False, known=("all",))
        return answer(api.queries().positions(chosen, include_zero=flag("all")))

    @routes.get("/v1/orders")
    def orders() -> flask.Response:
        chosen = selection(limited=False, known=("all",))
        return answer(api.queries().orders(chosen, include_closed=flag("all")))

    @routes.get("/v1/exposure")
    def exposures() -> flask.Response:
        return answer(exposure.exposure(api.queries(), api.strategy_map()))

    @routes.get("/v1/pnl")
    def profit_and_loss() -> flask.Response:
        chosen = selection(limited=False, known=("all",))
        return answer(pnl.document(api.queries(), api.marks(), chosen, everything=flag("all")))


def _history_routes(routes: flask.Blueprint, api: ServiceApi) -> None:
    @routes.get("/v1/fills")
    def fills() -> flask.Response:
        chosen = selection(limited=True, known=("order", "state", "all"))
        return answer(api.queries().fills(chosen, _fill_filter()))

    @routes.get("/v1/issues")
    def issues() -> flask.Response:
        return answer(api.queries().issues(selection(limited=True)))

    @routes.get("/v1/adjustments")
    def adjustments() -> flask.Response:
        return answer(api.queries().adjustments(selection(limited=True)))

    @routes.get("/v1/explain/<market>")
    def explanation(market: str) -> flask.Response:
        return _explanation(api, market)

    @routes.get("/v1/reports")
    def reports() -> flask.Response:
        chosen: Selection = selection(limited=True, known=("kind",))
        return answer(api.queries().reports(_kind(), chosen))


def _explanation(api: ServiceApi, market: str) -> flask.Response:
    only("wallet", "limit")
    queries = api.queries()
    wallet = flask.request.args.get("wallet") or next((row["wallet"] for row in queries.wallets()), "")
    limit = integer("limit")
    if limit == 0:
        raise BadRequest("Parameter 'limit' must be at least 1, was 0.")
    try:
        return answer(explain.document(queries, wallet, market, limit))
    except finding.NotFound as error:
        return answer({"error": f"{error}."}, 404)


def _fill_filter() -> FillFilter:
    order, state = flask.request.args.get("order"), flask.request.args.get("state")
    if state is not None and state.upper() not in set(FillState):
        raise BadRequest(f"Parameter 'state' must be one of {', '.join(FillState)}, was {state[:40]!r}.")
    return FillFilter(
        order_id=None if order is None else order.lower(),
        state=None if state is None else FillState(state.upper()),
        notices=flag("all"),
    )


def _kind() -> ReportKind:
    text = flask.request.args.get("kind", ReportKind.OPERATIONS.value)
    if text not in set(ReportKind):
        raise BadRequest(f"Parameter 'kind' must be {' or '.join(ReportKind)}, was {text[:40]!r}.")
    return ReportKind(text)
