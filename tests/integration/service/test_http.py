"""The HTTP API over real sockets: who may do what, what is answered, and how errors look."""

from __future__ import annotations

import socket
import stat
from typing import Any

import pytest
import requests

from messages.control import (
    Backfill,
    MarkExternal,
    PauseStrategy,
    RecordTrade,
    ResumeMarket,
    ResumeStrategy,
    SetKillSwitch,
)
from portfolio.facts import Side
from service.client import ControlClient, NotRunning, Refused
from service.config import Config, ConfigError, Problem
from service.health import HealthFacts
from service.http import ListenFailed, Servers
from tests.integration.service.books import ZERO_TOKEN, FakeProcess
from tests.integration.storage import samples

TOKEN = {"Authorization": "Bearer let-me-in"}
TIMEOUT_S = 60
OPERATOR = {"operator": "alice", "reason": "reviewed"}


def url(servers: Servers, path: str) -> str:
    return f"http://127.0.0.1:{servers.tcp_port}{path}"


def got(servers: Servers, path: str, status: int = 200) -> Any:
    answer = requests.get(url(servers, path), timeout=TIMEOUT_S)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    return answer.json()


@pytest.mark.req("S-18", "D-25")
@pytest.mark.parametrize(
    ("facts", "status", "word"),
    [
        (HealthFacts(sync_interval_ms=30_000, cycle_age_ms=1), 200, "green"),
        (HealthFacts(sync_interval_ms=30_000, cycle_age_ms=1, rpc_up=False), 200, "degraded"),
        (HealthFacts(sync_interval_ms=30_000, cycle_age_ms=None), 503, "red"),
        (HealthFacts(sync_interval_ms=30_000, cycle_age_ms=60_001), 503, "red"),
    ],
)
def test_the_healthcheck_says_green_degraded_or_red_with_reasons(
    servers: Servers, process: FakeProcess, facts: HealthFacts, status: int, word: str
) -> None:
    process.facts = facts
    document = got(servers, "/internal/health/portfolio-sync", status)
    assert document["status"] == word
    assert bool(document["reasons"]) == (word != "green")


@pytest.mark.req("S-23")
def test_positions_come_with_the_names_of_the_interface_and_zero_ones_on_request(servers: Servers) -> None:
    rows = got(servers, "/v1/positions")
    assert [row["token_id"] for row in rows] == [samples.TOKEN]
    assert rows[0]["shares_micro"] == 400_000_000
    assert ZERO_TOKEN in {row["token_id"] for row in got(servers, "/v1/positions?all=true")}


@pytest.mark.req("S-23")
def test_lists_are_narrowed_by_wallet_market_and_time(servers: Servers) -> None:
    assert got(servers, "/v1/positions?wallet=other") == []
    assert len(got(servers, f"/v1/positions?market={samples.CONDITION.upper().replace('X', 'x')}")) == 1
    assert len(got(servers, f"/v1/fills?since_ms={samples.AT_MS}&limit=5")) == 1
    assert got(servers, f"/v1/fills?since_ms={samples.AT_MS + 9}") == []
    assert [row["order_id"] for row in got(servers, "/v1/orders")] == [samples.ORDER]
    assert len(got(servers, "/v1/orders?all=true")) == 2


@pytest.mark.req("S-23", "L-01", "X-15")
def test_fills_tell_who_saw_them_first_and_are_chosen_by_order_and_state(servers: Servers) -> None:
    (fill,) = got(servers, "/v1/fills")
    assert (fill["first_seen_by"], fill["first_seen_at_ms"]) == ("poll", samples.AT_MS)
    assert (fill["state"], fill["settled_micro"], fill["in_flight_micro"]) == ("OBSERVED", 0, 1)
    assert len(got(servers, f"/v1/fills?order={samples.ORDER}&state=observed&all=true")) == 1
    assert got(servers, "/v1/fills?order=0xother") == []
    assert got(servers, "/v1/fills?state=SETTLED") == []


@pytest.mark.req("S-23", "L-10")
def test_profit_and_loss_is_told_at_the_marks_of_the_process(servers: Servers) -> None:
    document = got(servers, f"/v1/pnl?market={samples.CONDITION}")
    (market,) = document["markets"]
    held = market["tokens"][0]
    assert (held["token_id"], held["value_micro"], held["mark_source"]) == (samples.TOKEN, 220_000_000, "data_api")
    assert document["total"]["unknown_because"] == ""
    assert document["since_ms"] is None
    assert got(servers, "/v1/pnl?since_ms=5")["since_ms"] == 5
    assert got(servers, "/v1/pnl?wallet=other&all=true")["markets"] == []


def test_reports_are_the_documents(servers: Servers) -> None:
    assert got(servers, "/v1/reports")[0]["report_kind"] == "OperationsReport"
    settlement = got(servers, "/v1/reports?kind=settlement")[0]
    assert (settlement["report_kind"], settlement["drift_pusd"]) == ("SettlementReport", 11.6)


@pytest.mark.parametrize("path", ["/v1/issues", "/v1/adjustments", "/v1/status", "/v1/portfolio", "/v1/dump"])
def test_every_reading_route_answers(servers: Servers, path: str) -> None:
    assert got(servers, path)


@pytest.mark.req("R-14")
def test_the_trade_gate_of_a_strategy_has_its_reasons(servers: Servers) -> None:
    gate = got(servers, "/v1/strategies/default")
    assert gate == {"strategy_id": "default", "trade_allowed": False, "reasons": ["paused: drift"]}
    assert "configured are default" in got(servers, "/v1/strategies/none", 404)["error"]


@pytest.mark.req("S-23", "R-06")
def test_exposure_is_told_per_market_event_and_strategy(servers: Servers) -> None:
    exposure = got(servers, "/v1/exposure")
    market = exposure["markets"][0]
    assert (market["size_micro"], market["worst_case_micro"]) == (400_000_000, 0)
    assert market["open_buy_micro"] == 31_200_000
    assert exposure["events"] == []
    assert [row["strategy_id"] for row in exposure["strategies"]] == ["default", "maker"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/v1/fills?limit=many", "'limit' must be a whole number"),
        ("/v1/fills?limit=10001", "at most 10000"),
        ("/v1/fills?sinse_ms=1", "Unknown parameter 'sinse_ms'"),
        ("/v1/positions?all=maybe", "'all' must be true or false"),
        ("/v1/reports?kind=daily", "settlement or operations"),
        ("/v1/fills?state=lost", "'state' must be one of PROVISIONAL"),
        ("/v1/pnl?state=lost", "Unknown parameter 'state'"),
    ],
)
def test_a_wrong_parameter_says_what_was_expected(servers: Servers, path: str, words: str) -> None:
    assert words in got(servers, path, 400)["error"]


@pytest.mark.parametrize("path", ["/metrics", "/", "/v2/positions"])
def test_what_is_not_there_is_said_as_json(servers: Servers, path: str) -> None:
    assert "Not Found" in got(servers, path, 404)["error"]


CHANGES = [
    "/v1/sync",
    "/v1/strategies/default/resume",
    "/v1/strategies/default/pause",
    f"/v1/markets/{samples.CONDITION}/resume",
    "/v1/kill-switch",
    "/v1/config/reload",
    "/v1/backfill",
    f"/v1/markets/{samples.CONDITION}/trades",
    f"/v1/markets/{samples.CONDITION}/external",
]
TRADE = {**OPERATOR, "token_id": samples.TOKEN, "side": "SELL", "size_micro": 5, "price_micro": 7}


@pytest.mark.req("S-21")
@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic let-me-in"}])
def test_nothing_is_changed_over_tcp_without_the_token(
    servers: Servers, process: FakeProcess, path: str, headers: dict[str, str]
) -> None:
    answer = requests.post(url(servers, path), json=OPERATOR, headers=headers, timeout=TIMEOUT_S)
    assert (answer.status_code, process.commands) == (401, [])
    assert "Bearer" in answer.json()["error"]


@pytest.mark.req("S-21")
def test_without_a_configured_token_nothing_is_changed_over_tcp_at_all(process: FakeProcess, config: Config) -> None:
    from service.http import create_app

    client = create_app(process, token=None, trusted=False).test_client()
    answer = client.post("/v1/sync", headers={"Authorization": "Bearer "})
    assert answer.status_code == 403
    assert "token_file" in answer.get_json()["error"]


@pytest.mark.req("S-06", "S-07", "R-29")
def test_commands_reach_the_process_with_operator_and_reason(servers: Servers, process: FakeProcess) -> None:
    bodies: list[dict[str, Any]] = [OPERATOR, OPERATOR, OPERATOR, {**OPERATOR, "active": True}]
    for path, body in zip(CHANGES[1:5], bodies, strict=True):
        answer = requests.post(url(servers, path), json=body, headers=TOKEN, timeout=TIMEOUT_S)
        assert answer.json() == {"ok": True, "detail": "done", "result": [1]}
    kinds = [type(command) for command in process.commands]
    assert kinds == [ResumeStrategy, PauseStrategy, ResumeMarket, SetKillSwitch]
    assert all(command.operator == "alice" and command.reason == "reviewed" for command in process.commands)  # type: ignore[union-attr]
    assert len({command.request_id for command in process.commands}) == 4


@pytest.mark.req("L-26", "L-17", "X-12")
def test_manual_entries_and_backfills_reach_the_process_as_they_were_asked_for(
    servers: Servers, process: FakeProcess
) -> None:
    bodies: list[dict[str, Any]] = [
        {"since_s": 1_746_792_000, "condition_id": samples.CONDITION.upper().replace("X", "x")},
        TRADE,
        {**OPERATOR, "entry_id": "adj-1"},
    ]
    for path, body in zip(CHANGES[6:], bodies, strict=True):
        answer = requests.post(url(servers, path), json=body, headers=TOKEN, timeout=TIMEOUT_S)
        assert answer.json() == {"ok": True, "detail": "done", "result": [1]}
    ids = [command.request_id for command in process.commands]
    named = {"market_id": samples.CONDITION, **OPERATOR}
    assert process.commands == [
        Backfill(request_id=ids[0], since_s=1_746_792_000, condition_id=samples.CONDITION),
        RecordTrade(request_id=ids[1], token_id=samples.TOKEN, side=Side.SELL, size_micro=5, price_micro=7, **named),
        MarkExternal(request_id=ids[2], entry_id="adj-1", price_micro=None, **named),
    ]


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/v1/backfill", {}, "since_s"),
        ("/v1/backfill", {"since_s": -1}, "since_s"),
        ("/v1/backfill", {"since_s": samples.AT_MS}, "since_s"),
        (CHANGES[7], {**TRADE, "operator": " "}, "needs 'operator'"),
        (CHANGES[7], {**TRADE, "reason": ""}, "needs 'reason'"),
        (CHANGES[7], {**TRADE, "size_micro": "12.5"}, "size_micro"),
        (CHANGES[7], {**TRADE, "price_micro": 0.41}, "price_micro"),
        (CHANGES[7], {**TRADE, "side": "HOLD"}, "side"),
        (CHANGES[8], {**OPERATOR, "entry_id": "adj-1", "price": "0.4"}, "price"),
        (CHANGES[8], {"entry_id": "adj-1", "operator": "alice"}, "needs 'reason'"),
        ("/v1/strategies/default/resume", {}, "needs 'operator'"),
        (f"/v1/markets/{samples.CONDITION}/resume", {"operator": "alice"}, "needs 'reason'"),
        ("/v1/kill-switch", {"operator": "alice"}, "active"),
        ("/v1/kill-switch", {"operator": "alice", "active": "yes"}, "active"),
        ("/v1/strategies/default/pause", {"operator": "alice", "why": "x"}, "why"),
    ],
)
def test_a_body_that_cannot_be_used_says_why(
    servers: Servers, process: FakeProcess, path: str, body: dict[str, Any], words: str
) -> None:
    answer = requests.post(url(servers, path), json=body, headers=TOKEN, timeout=TIMEOUT_S)
    assert (answer.status_code, process.commands) == (400, [])
    assert words in answer.json()["error"]


def test_a_refused_command_is_a_conflict_with_the_reason(servers: Servers, process: FakeProcess) -> None:
    process.refusal = "strategy default is not paused"
    answer = requests.post(
        url(servers, "/v1/strategies/default/resume"), json=OPERATOR, headers=TOKEN, timeout=TIMEOUT_S
    )
    assert (answer.status_code, answer.json()["error"]) == (409, "strategy default is not paused")


def test_a_process_that_cannot_answer_is_unavailable(servers: Servers, process: FakeProcess) -> None:
    process.stopping = True
    answer = requests.post(url(servers, "/v1/sync"), headers=TOKEN, timeout=TIMEOUT_S)
    assert (answer.status_code, answer.json()["error"][:11]) == (503, "the process")


def test_an_unexpected_error_is_said_without_its_details(
    servers: Servers, process: FakeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("with-a-secret")

    monkeypatch.setattr(process, "describe", broken)
    document = got(servers, "/v1/dump", 500)
    assert "RuntimeError" in document["error"]
    assert "with-a-secret" not in document["error"]


def test_a_large_body_is_refused(servers: Servers) -> None:
    answer = requests.post(url(servers, "/v1/kill-switch"), data=b"x" * 70_000, headers=TOKEN, timeout=TIMEOUT_S)
    assert answer.status_code == 413


@pytest.mark.req("S-10")
def test_a_rejected_reload_lists_its_problems(servers: Servers, process: FakeProcess, config: Config) -> None:
    code = "PARAMETER_CHANGE_REQUIRES_APPROVAL"
    process.reload_error = ConfigError([Problem(place="file", key="sync.sync_interval_s", text="too long", code=code)])
    client = ControlClient(config.service.control_socket)
    with pytest.raises(Refused, match="the old one stays in force") as caught:
        client.post("/v1/config/reload")
    assert caught.value.problems[0]["code"] == code
    answer = requests.post(url(servers, "/v1/config/reload"), headers=TOKEN, timeout=TIMEOUT_S)
    assert (answer.status_code, answer.json()["problems"][0]["key"]) == (422, "sync.sync_interval_s")


@pytest.mark.req("D-22")
def test_the_control_socket_is_its_owners_alone_and_needs_no_token(
    servers: Servers, process: FakeProcess, config: Config
) -> None:
    path = config.service.control_socket
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert ControlClient(path).post("/v1/kill-switch", {"active": False, **OPERATOR})["ok"]
    assert isinstance(process.commands[0], SetKillSwitch)


@pytest.mark.req("D-22")
def test_the_control_socket_goes_with_the_servers(servers: Servers, config: Config) -> None:
    servers.stop()
    assert not config.service.control_socket.exists()
    with pytest.raises(NotRunning, match="portfolio-sync run"):
        ControlClient(config.service.control_socket).get("/v1/status")


@pytest.mark.req("D-22", "L-18")
def test_a_second_process_on_the_same_state_directory_is_refused(
    servers: Servers, process: FakeProcess, config: Config
) -> None:
    with pytest.raises(ListenFailed, match="another process runs with this state_dir"):
        Servers(process, config).start()
    assert ControlClient(config.service.control_socket).get("/v1/dump")


@pytest.mark.req("D-22")
def test_the_socket_of_a_killed_process_is_replaced(process: FakeProcess, config: Config) -> None:
    path = config.service.control_socket
    path.parent.mkdir()
    left_behind = socket.socket(socket.AF_UNIX)
    left_behind.bind(str(path))
    left_behind.close()
    listening = Servers(process, config)
    listening.start()
    try:
        assert ControlClient(path).get("/v1/dump")
    finally:
        listening.stop()


def test_a_port_in_use_says_so_and_leaves_nothing_behind(
    servers: Servers, process: FakeProcess, config: Config
) -> None:
    import msgspec

    http = msgspec.structs.replace(config.http, bind=("127.0.0.1", servers.tcp_port or 0))
    service = msgspec.structs.replace(config.service, state_dir=config.service.state_dir / "other")
    second = msgspec.structs.replace(config, http=http, service=service)
    with pytest.raises(ListenFailed, match="choose another port"):
        Servers(process, second).start()
    assert not second.service.control_socket.exists()
