"""``portfolio-sync run``: how it starts, how it stops, whom it refuses, and what it takes in while it runs."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from polymarket.sandbox.faults import FaultSpec
from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.process import SandboxProcess
from tests.support.live import LiveService, LiveSettings, until

STOPS_WITHIN_S = 30.0
"""Generous for a loaded machine; an idle one needs a second."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess(WorldOptions(seed=41, block_time_ms=250, finality_blocks=2, activity=False)) as running:
        yield running


@pytest.fixture
def service(tmp_path_factory: pytest.TempPathFactory, sandbox: SandboxProcess) -> Iterator[LiveService]:
    sandbox.control.clear_faults()
    made = LiveService(tmp_path_factory.mktemp("run"), sandbox.info, LiveSettings())
    try:
        yield made
    finally:
        made.close()


@pytest.mark.req("S-01", "S-14", "S-18")
def test_it_starts_turns_green_and_allows_trading_after_its_first_cycle(
    service: LiveService, sandbox: SandboxProcess
) -> None:
    service.start().ready()

    # The stream is subscribed when it is, before or after the first cycle.
    until(lambda: service.health()["status"] == "green", "a green health")
    assert service.command("health").returncode == 0
    status = service.json_of("status")
    assert (status["running"], status["gate"]["trade_allowed"]) == (True, True)
    assert status["last_cycle"]["status"] == "ok"
    assert {name: source["up"] for name, source in status["sources"].items() if name != "gamma"} == {
        "clob": True,
        "stream": True,
        "chain": True,
        "chain.logs": True,
        "data": True,
    }
    shares = {row["token_id"]: row["shares_micro"] for row in service.json_of("positions")}
    assert shares == sandbox.control.tokens()


@pytest.mark.req("S-01", "D-22")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(service: LiveService, number: signal.Signals) -> None:
    service.start().ready()
    before = time.monotonic()

    service.signal(number)

    assert service.wait_ended() == 0
    assert time.monotonic() - before < STOPS_WITHIN_S
    assert service.log()[-1]["event"] == "stopped"
    assert not (service.folder / "control.sock").exists()
    assert service.command("health").returncode == 1
    document = service.json_of("replay")
    assert (document["equal"], document["chain_broken_at"]) == (True, None)


@pytest.mark.req("S-01", "L-17", "L-19")
def test_a_restart_goes_on_where_it_stopped(service: LiveService) -> None:
    service.start().ready()
    positions = service.json_of("positions")
    assert service.stop() == 0

    service.start().ready()

    assert service.json_of("positions") == positions
    assert service.sync()["operations_report"]["delta_count"] == 0
    assert service.stop() == 0


@pytest.mark.req("L-18", "R-12", "D-22")
def test_a_second_process_on_the_same_database_is_told_who_owns_it(service: LiveService) -> None:
    service.start().ready()

    second = service.command("run")

    assert second.returncode == 1
    (line,) = second.stderr.splitlines()
    assert line.startswith("error: ")
    assert f"process {service.pid} on" in line
    assert "Traceback" not in second.stderr
    assert service.sync()["operations_report"]["status"] == "ok"


@pytest.mark.req("L-18", "D-22", "S-19")
def test_a_second_sync_runs_in_the_owner(service: LiveService) -> None:
    service.start().ready()

    done = service.command("sync", "--json")

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)["operations_report"]
    assert report["status"] == "ok"
    # Not the newest one: what the world did may have asked for another cycle since.
    synced_at_ms = {each["synced_at_ms"] for each in service.get("/v1/reports?kind=operations&limit=100")}
    assert report["synced_at_ms"] in synced_at_ms


@pytest.mark.req("S-10", "R-07", "D-25", "S-21")
def test_a_locked_value_in_a_reload_changes_nothing_and_is_said(service: LiveService) -> None:
    service.start().ready()
    service.write_config(LiveSettings(sync_interval_s=301, strategies={"other": ("0x" + "ab" * 32,)}))

    service.signal(signal.SIGHUP)

    (alert,) = until(lambda: service.events("PARAMETER_CHANGE_REQUIRES_APPROVAL"), "the rejection")
    assert "sync_interval_s" in alert["text"]
    assert "301" in alert["text"]
    assert [row["strategy_id"] for row in service.get("/v1/strategies")] == ["default"]
    assert service.sync()["operations_report"]["status"] == "ok"


@pytest.mark.req("S-10", "D-25")
def test_a_good_reload_is_taken_in(service: LiveService) -> None:
    service.start().ready()
    service.write_config(LiveSettings(strategies={"other": ("0x" + "ab" * 32,)}))

    service.signal(signal.SIGHUP)

    until(lambda: service.events("reloaded"), "the reload")
    assert {row["strategy_id"] for row in service.get("/v1/strategies")} == {"default", "other"}


@pytest.mark.req("S-12", "S-18", "S-21", "R-01")
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("wrong_chain_id", ("the RPC's chain id was 1, expected 137", "check polygon.rpc_url")),
        ("no_code", ("there was no contract at 0x", "check the addresses under polygon")),
    ],
)
def test_a_chain_that_is_not_ours_is_named_and_the_service_stays_up(
    service: LiveService, sandbox: SandboxProcess, kind: str, words: tuple[str, str]
) -> None:
    sandbox.control.add_fault(FaultSpec(target="rpc", kind=kind))  # type: ignore[arg-type]
    service.start()

    lines = until(lambda: service.events("source_misconfigured"), "the message")
    assert all(word in lines[0]["detail"] for word in words)
    until(lambda: _seen(service), "the first cycle")
    health = service.health()
    assert health["status"] in {"degraded", "red"}
    assert any("RPC" in reason for reason in health["reasons"])
    # Fills are booked when seen; what only the chain can show is not opened, and nobody trades on it.
    assert service.get("/v1/adjustments") == []
    assert not any(row["trade_allowed"] for row in service.get("/v1/strategies"))
    sandbox.control.clear_faults()
    service.sync()
    until(lambda: service.health()["status"] == "green", "a green health")
    assert service.shares() == sandbox.control.tokens()


def _seen(service: LiveService) -> bool:
    return bool(service.events("cycle")) and (service.folder / "control.sock").exists()


@pytest.mark.req("S-10", "S-16")
def test_a_wrong_configuration_ends_it_with_every_problem_at_once(service: LiveService) -> None:
    text = service.config.read_text(encoding="utf-8")
    service.config.write_text(
        text.replace("settle_window_s = 1", "settle_windw_s = 1").replace("timeout_ms = 3000", "timeout_ms = 9000"),
        encoding="utf-8",
    )

    done = service.command("run")

    assert done.returncode == 2
    assert "settle_windw_s" in done.stderr
    assert "settle_window_s" in done.stderr
    assert "timeout_ms" in done.stderr
    assert not (service.folder / "books.db").exists()


@pytest.mark.req("S-21")
def test_no_secret_reaches_log_or_database(service: LiveService) -> None:
    service.start().ready()
    wallet: dict[str, Any] = service.info["wallet"]
    assert service.stop() == 0

    for name in ("api_secret", "api_passphrase", "private_key"):
        for file in (service.log_file, *service.folder.glob("books.db*")):
            assert wallet[name].encode() not in Path(file).read_bytes(), (name, file)
