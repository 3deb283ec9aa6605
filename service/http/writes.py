"""Routes that change state: sync, pause and resume, resume a market, kill switch, reload (S-06, S-07, S-19, R-29).

What changes books or gates is a command to its actor, answered once it is durable; a refusal is 409. No route can set
a parameter: ``reload`` reads the file again, whose locked maxima are enforced there (S-10, S-21).
"""

from __future__ import annotations

import uuid

import flask
import msgspec

from messages.control import Command, PauseStrategy, ResumeMarket, ResumeStrategy, SetKillSwitch
from service.api import ServiceApi
from service.http.answers import BadRequest, answer, body_as


class Operator(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who does it, and why; both go into the records."""

    operator: str = ""
    reason: str = ""


class Switch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The kill switch, wanted."""

    active: bool
    operator: str = ""
    reason: str = ""


def blueprint(api: ServiceApi) -> flask.Blueprint:
    """All changing routes over ``api``."""
    routes = flask.Blueprint("writes", __name__)

    @routes.post("/v1/sync")
    def sync() -> flask.Response:
        return answer(api.force_sync())

    @routes.post("/v1/config/reload")
    def reload() -> flask.Response:
        return answer(api.reload_config())

    @routes.post("/v1/kill-switch")
    def kill_switch() -> flask.Response:
        body = body_as(Switch)
        _require(body.operator, "operator")
        command = SetKillSwitch(request_id=_id(), active=body.active, operator=body.operator, reason=body.reason)
        return _obey(api, command)

    _strategy_routes(routes, api)
    return routes


def _strategy_routes(routes: flask.Blueprint, api: ServiceApi) -> None:
    @routes.post("/v1/strategies/<strategy_id>/pause")
    def pause(strategy_id: str) -> flask.Response:
        who = _operator()
        command = PauseStrategy(request_id=_id(), strategy_id=strategy_id, operator=who.operator, reason=who.reason)
        return _obey(api, command)

    @routes.post("/v1/strategies/<strategy_id>/resume")
    def resume(strategy_id: str) -> flask.Response:
        who = _operator()
        command = ResumeStrategy(request_id=_id(), strategy_id=strategy_id, operator=who.operator, reason=who.reason)
        return _obey(api, command)

    @routes.post("/v1/markets/<market_id>/resume")
    def resume_market(market_id: str) -> flask.Response:
        who = _operator()
        _require(who.reason, "reason")
        command = ResumeMarket(request_id=_id(), market_id=market_id.lower(), operator=who.operator, reason=who.reason)
        return _obey(api, command)


def _operator() -> Operator:
    who = body_as(Operator)
    _require(who.operator, "operator")
    return who


def _require(value: str, name: str) -> None:
    if not value.strip():
        raise BadRequest(f"The body needs {name!r}: it is recorded who did it and why.")


def _obey(api: ServiceApi, command: Command) -> flask.Response:
    outcome = api.command(command)
    if not outcome.ok:
        return answer({"ok": False, "error": outcome.detail}, 409)
    return answer({"ok": True, "detail": outcome.detail, "result": msgspec.Raw(outcome.body)})


def _id() -> str:
    return uuid.uuid4().hex
