"""Routes that change state: sync, backfill, strategies, markets, kill switch, reload (S-06, S-07, S-19, L-26).

What changes books or gates is a command to its actor, answered once it is durable; a refusal is 409. No route can set
a parameter: ``reload`` reads the file again, whose locked maxima are enforced there (S-10, S-21).
"""

from __future__ import annotations

import uuid
from typing import Annotated

import flask
import msgspec

from messages.control import (
    Backfill,
    Command,
    MarkExternal,
    PauseStrategy,
    RecordTrade,
    ResumeMarket,
    ResumeStrategy,
    SetKillSwitch,
)
from portfolio.facts import Side
from service.api import ServiceApi
from service.http.answers import BadRequest, answer, body_as

LATEST_S = 10**10
"""Beyond that it is no time in seconds, but in ms."""


class Operator(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who does it, and why; both go into the records."""

    operator: str = ""
    reason: str = ""


class Switch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The kill switch, wanted."""

    active: bool
    operator: str = ""
    reason: str = ""


class Traded(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A purchase or sale that was made elsewhere (L-26)."""

    token_id: str
    side: Side
    size_micro: int
    price_micro: int
    operator: str = ""
    reason: str = ""


class Marked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An inferred entry that was an external trade (L-26)."""

    entry_id: str
    price_micro: int | None = None
    operator: str = ""
    reason: str = ""


class Span(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Trades since a time in Unix seconds, of one condition or of all."""

    since_s: Annotated[int, msgspec.Meta(ge=0, le=LATEST_S)]
    condition_id: str = ""


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

    @routes.post("/v1/backfill")
    def backfill() -> flask.Response:
        body = body_as(Span)
        condition_id = body.condition_id.lower()
        return _obey(api, Backfill(request_id=_id(), since_s=body.since_s, condition_id=condition_id))

    _strategy_routes(routes, api)
    _market_routes(routes, api)
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


def _market_routes(routes: flask.Blueprint, api: ServiceApi) -> None:
    @routes.post("/v1/markets/<market_id>/resume")
    def resume_market(market_id: str) -> flask.Response:
        who = _operator()
        _require(who.reason, "reason")
        command = ResumeMarket(request_id=_id(), market_id=market_id.lower(), operator=who.operator, reason=who.reason)
        return _obey(api, command)

    @routes.post("/v1/markets/<market_id>/trades")
    def record_trade(market_id: str) -> flask.Response:
        body = body_as(Traded)
        _require_who(body)
        command = RecordTrade(request_id=_id(), market_id=market_id.lower(), **msgspec.structs.asdict(body))
        return _obey(api, command)

    @routes.post("/v1/markets/<market_id>/external")
    def mark_external(market_id: str) -> flask.Response:
        body = body_as(Marked)
        _require_who(body)
        command = MarkExternal(request_id=_id(), market_id=market_id.lower(), **msgspec.structs.asdict(body))
        return _obey(api, command)


def _require_who(body: Traded | Marked) -> None:
    _require(body.operator, "operator")
    _require(body.reason, "reason")


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
