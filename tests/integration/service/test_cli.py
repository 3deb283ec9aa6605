"""The command line: help, exit codes, what goes to stdout and what to stderr, and the JSON of the read commands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from messages.control import PauseStrategy, ResumeMarket, ResumeStrategy, SetKillSwitch
from service.cli import main, polytraders
from service.cli.application import build
from service.http import Servers
from tests.integration.service.books import FakeProcess, configured, json_of
from tests.integration.storage import samples

pytestmark = pytest.mark.usefixtures("clean_environment")

ROOT = Path(__file__).parents[3]
COMMANDS = [
    "run",
    "sync",
    "demo",
    "sandbox",
    "status",
    "positions",
    "orders",
    "fills",
    "adjustments",
    "explain",
    "issues",
    "reports",
    "strategies",
    "pnl",
    "adjust",
    "mark-external",
    "backfill",
    "force-sync",
    "pause-strategy",
    "resume-strategy",
    "resume-market",
    "kill-switch",
    "dump",
    "replay",
    "verify",
    "diff",
    "simulate",
    "health",
]
EVERY = [*([name] for name in COMMANDS), ["config", "check"], ["config", "show"], ["config", "reload"]]


# -- help ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", EVERY, ids=" ".join)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_has_help_with_an_example(
    capsys: pytest.CaptureFixture[str], command: list[str], flag: str
) -> None:
    assert main([*command, flag]) == 0
    shown = capsys.readouterr().out
    assert re.search(rf"Example: portfolio-sync {' '.join(command)}\b", shown), shown


@pytest.mark.parametrize("command", EVERY, ids=" ".join)
def test_help_tells_the_default_of_every_option(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    assert main([*command, "-h"]) == 0
    lines = capsys.readouterr().out.splitlines()
    starts = [number for number, line in enumerate(lines) if re.match(r"│ [* ]* *--", line)]
    assert starts
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        block = " ".join(lines[start:end])
        assert "--help" in block or "[default: " in block or "[required]" in block, block


@pytest.mark.req("S-19")
def test_help_lists_every_command_of_this_version_and_no_other() -> None:
    names = [command.name or command.callback.__name__ for command in build().registered_commands if command.callback]
    assert sorted(names) == sorted(COMMANDS)


def test_help_is_fast() -> None:
    """Under 0.5 s on a quiet machine; here only that nothing heavy is imported for it."""
    heavy = "{'pydantic_settings', 'peewee', 'psycopg2', 'flask', 'web3', 'statsd', 'apprise', 'structlog', 'requests'}"
    code = (
        f"import sys; from service.cli import main; main(['status', '-h']); print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_nothing_is_coloured_where_there_is_no_terminal(books: Path) -> None:
    for arguments in (["positions", "--config", str(books)], ["positions", "-h"], ["positionz"]):
        code = f"import sys; from service.cli import main; sys.exit(main({arguments!r}))"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
        assert b"\x1b" not in done.stdout + done.stderr


# -- exit codes and errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["positionz"],
        ["positions", "--limits"],
        ["fills", "--limit", "x"],
        ["resume-strategy"],
        ["kill-switch", "maybe"],
        ["fills", "--state", "lost"],
        ["fills", "--since", "soon"],
        ["fills", "--since", "2h", "--since-ms", "1"],
        ["pnl", "--since", "2999-01-01"],
        ["backfill"],
        ["backfill", "--since", "yesterday"],
        ["adjust", "rain-zurich"],
        ["mark-external", "adj-1", "--by", "alice", "--reason", "x", "--price", "1e-1"],
    ],
)
def test_a_usage_mistake_is_exit_2_on_stderr(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err


def test_a_mistyped_command_names_the_one_that_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["postions"]) == 2
    assert "positions" in capsys.readouterr().err


def test_a_missing_database_is_one_line_with_the_remedy(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["positions", "--config", str(configured(tmp_path))]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert "portfolio-sync run" in said.err


@pytest.mark.parametrize("command", [["force-sync"], ["dump"], ["config", "reload"]], ids=" ".join)
@pytest.mark.req("D-22")
def test_commands_that_need_the_running_process_say_so(
    capsys: pytest.CaptureFixture[str], books: Path, command: list[str]
) -> None:
    assert main([*command, "--config", str(books)]) == 1
    assert "No running process" in capsys.readouterr().err


@pytest.mark.req("S-10")
def test_a_rejected_configuration_is_exit_2_and_names_its_code(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = configured(tmp_path, "[sync]\nsync_interval_s = 400\n")
    for command in (["run"], ["config", "check"], ["status"]):
        assert main([*command, "--config", str(file)]) == 2
        assert "ConfigError: PARAMETER_CHANGE_REQUIRES_APPROVAL: " in capsys.readouterr().err


def test_config_is_taken_before_and_behind_the_command(capsys: pytest.CaptureFixture[str], books: Path) -> None:
    before = json_of(capsys, "--config", books, "config", "show", "--json")
    behind = json_of(capsys, "config", "show", "--json", "--config", books)
    assert before == behind
    assert before["file"] == str(books)


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip()


# -- configuration ------------------------------------------------------------------------------------------------


def test_config_check_lists_problems_as_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = configured(tmp_path, "[sync]\nsync_intervall_s = 20\n")
    document = json_of(capsys, "config", "check", "--json", "--config", file, code=2)
    assert not document["ok"]
    keys = [problem["key"] for problem in document["problems"]]
    assert keys[0] == "sync.sync_intervall_s"
    assert "PORTFOLIO_SYNC_MAIN_API_KEY" in keys


def test_config_check_passes_and_warns(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("KEY", "SECRET", "PASSPHRASE"):
        monkeypatch.setenv(f"PORTFOLIO_SYNC_MAIN_API_{part}", "value-of-secret")
    file = configured(tmp_path, "[sync]\nsync_interval_s = 60\n")
    assert main(["config", "check", "--config", str(file)]) == 0
    said = capsys.readouterr()
    assert "no problems" in said.out
    assert "warning: sync.sync_interval_s" in said.err
    assert main(["config", "show", "--config", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "sync.sync_interval_s = 60" in shown
    assert "value-of-secret" not in shown


# -- read commands ------------------------------------------------------------------------------------------------

FIELDS = {
    "positions": "wallet market_id condition_id token_id outcome shares_micro settled_micro in_flight_micro"
    " cost_basis_micro realized_pnl_micro neg_risk updated_at_ms",
    "orders": "wallet market_id condition_id token_id order_id side price_micro original_size_micro size_matched_micro"
    " status created_at_ms",
    "fills": "wallet market_id token_id order_id trade_id side price_micro size_micro fee_micro state transaction_hash"
    " matched_at_ms",
    "adjustments": "wallet market_id token_id cause size_micro cost_micro realized_pnl_micro estimated evidence at_ms",
    "issues": "type severity action wallet market_id before after cause at_ms",
    "strategies": "strategy_id paused pause_reason paused_at_ms trade_allowed reasons",
}


@pytest.mark.req("S-23")
@pytest.mark.parametrize("command", FIELDS)
def test_a_read_command_prints_an_array_with_the_fields_of_the_interface(
    capsys: pytest.CaptureFixture[str], books: Path, command: str
) -> None:
    rows = json_of(capsys, command, "--json", "--config", books)
    assert len(rows) == 1
    assert set(FIELDS[command].split()) <= set(rows[0])
    amounts = [value for name, value in rows[0].items() if name.endswith("_micro") and value is not None]
    assert amounts == [] or {type(value) for value in amounts} == {int}


@pytest.mark.parametrize("command", [*FIELDS, "reports", "status"])
def test_a_read_command_prints_a_table_for_people(
    capsys: pytest.CaptureFixture[str], books: Path, command: str
) -> None:
    assert main([command, "--config", str(books)]) == 0
    said = capsys.readouterr()
    assert len(said.out.splitlines()) >= 2
    assert said.err == ""


def test_tables_show_amounts_as_decimals_and_ids_in_full_on_request(
    capsys: pytest.CaptureFixture[str], books: Path
) -> None:
    main(["positions", "--config", str(books)])
    short = capsys.readouterr().out
    main(["positions", "--wide", "--config", str(books)])
    wide = capsys.readouterr().out
    assert "400.0" in short
    assert samples.CONDITION not in short
    assert samples.CONDITION in wide


@pytest.mark.req("L-29")
def test_zero_positions_and_closed_orders_come_only_with_all(capsys: pytest.CaptureFixture[str], books: Path) -> None:
    for command in ("positions", "orders"):
        assert len(json_of(capsys, command, "--json", "--all", "--config", books)) == 2


@pytest.mark.req("S-08")
@pytest.mark.parametrize(("kind", "name"), [("settlement", "SettlementReport"), ("operations", "OperationsReport")])
def test_reports_print_the_documents(capsys: pytest.CaptureFixture[str], books: Path, kind: str, name: str) -> None:
    rows = json_of(capsys, "reports", "--kind", kind, "--json", "--config", books)
    assert [row["report_kind"] for row in rows] == [name]
    assert main(["reports", "--kind", "operations", "--json", "--config", str(books)]) == 0
    assert '"drift_pusd_max": 11.6' in capsys.readouterr().out


@pytest.mark.req("R-14", "S-14")
def test_without_a_process_the_state_is_shown_and_nothing_may_trade(
    capsys: pytest.CaptureFixture[str], books: Path
) -> None:
    status = json_of(capsys, "status", "--json", "--config", books)
    assert {"version", "wallets", "last_cycle", "sources", "gate"} <= set(status)
    assert status["last_cycle"]["status"] == "ok"
    assert status["gate"]["trade_allowed"] is False
    strategies = json_of(capsys, "strategies", "--json", "--config", books)
    assert (strategies[0]["paused"], strategies[0]["trade_allowed"]) == (True, False)
    assert json_of(capsys, "health", "--json", "--config", books, code=1)["status"] == "red"


# -- as owner, where no process runs ---------------------------------------------------------------------------------


@pytest.mark.req("D-22", "S-06", "S-07", "L-20")
def test_without_a_process_the_gate_is_changed_by_taking_the_lease(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    where = ["--config", str(configured(tmp_path))]
    who = ["--reviewed-by", "alice", "--reason", "checked"]
    assert main(["pause-strategy", "--strategy-id", "default", *who, *where]) == 0
    assert main(["kill-switch", "on", *who, *where]) == 0
    capsys.readouterr()
    assert json_of(capsys, "strategies", "--json", *where)[0]["pause_reason"] == "by alice: checked"
    assert json_of(capsys, "kill-switch", "status", "--json", *where) == {"active": True}
    assert main(["resume-strategy", "--strategy-id", "default", *who, *where]) == 0
    assert main(["resume-strategy", "--strategy-id", "default", *who, *where]) == 1
    assert "error: strategy default is not paused" in capsys.readouterr().err
    assert json_of(capsys, "replay", "--json", *where)["equal"]
    assert main(["replay", *where]) == 0


def test_replay_wants_a_journal_that_is_there(capsys: pytest.CaptureFixture[str], books: Path, tmp_path: Path) -> None:
    assert main(["replay", "--journal", str(tmp_path / "none.jsonl"), "--config", str(books)]) == 1
    assert "is no file" in capsys.readouterr().err


# -- with a running process -----------------------------------------------------------------------------------------


@pytest.mark.req("S-14", "D-22")
def test_status_and_strategies_ask_the_running_process(
    capsys: pytest.CaptureFixture[str], servers: Servers, config_file: Path
) -> None:
    status = json_of(capsys, "status", "--json", "--config", config_file)
    assert status["running"]
    assert status["sources"]["clob"]["up"] is True
    assert status["gate"]["reasons"] == ["paused: drift"]
    rows = json_of(capsys, "strategies", "--json", "--config", config_file)
    assert rows[0]["reasons"] == ["paused: drift"]
    assert json_of(capsys, "health", "--json", "--config", config_file)["status"] == "green"


@pytest.mark.req("S-06", "S-07", "S-19", "R-29")
def test_operators_commands_go_to_the_running_process(
    capsys: pytest.CaptureFixture[str], servers: Servers, process: FakeProcess, config_file: Path
) -> None:
    who = ["--reviewed-by", "alice", "--reason", "checked", "--config", str(config_file)]
    assert main(["pause-strategy", "--strategy-id", "a.b-c", *who]) == 0
    assert main(["resume-strategy", "--strategy-id", "a.b-c", *who]) == 0
    assert main(["resume-market", samples.CONDITION, *who]) == 0
    assert main(["kill-switch", "on", *who]) == 0
    kinds = [type(command) for command in process.commands]
    assert kinds == [PauseStrategy, ResumeStrategy, ResumeMarket, SetKillSwitch]
    assert all(command.operator == "alice" for command in process.commands)  # type: ignore[union-attr]
    assert capsys.readouterr().out == "on\n"
    assert json_of(capsys, "kill-switch", "status", "--json", "--config", config_file) == {"active": True}


@pytest.mark.req("S-19")
def test_the_documents_names_are_the_same_commands(
    capsys: pytest.CaptureFixture[str], servers: Servers, process: FakeProcess, config_file: Path
) -> None:
    below = ["gov", "portfolio"]
    resume = ["resume-strategy", "--strategy-id", "default", "--reviewed-by", "alice", "--config", str(config_file)]
    assert polytraders([*below, *resume]) == 0
    assert main([*below, *resume]) == 0
    assert [type(command) for command in process.commands] == [ResumeStrategy, ResumeStrategy]
    assert polytraders([*below, "force-sync", "--config", str(config_file)]) == 0


def test_a_refusal_is_a_failure_with_its_reason(
    capsys: pytest.CaptureFixture[str], servers: Servers, process: FakeProcess, config_file: Path
) -> None:
    process.refusal = "strategy default is not paused"
    arguments = ["resume-strategy", "--strategy-id", "default", "--reviewed-by", "alice", "--config", str(config_file)]
    assert main(arguments) == 1
    assert capsys.readouterr().err == "error: strategy default is not paused\n"


@pytest.mark.req("S-19")
@pytest.mark.parametrize("command", ["force-sync", "sync"])
@pytest.mark.parametrize(("status", "found", "code"), [("ok", 0, 0), ("ok", 1, 3), ("clob_unavailable", 0, 1)])
def test_a_cycle_of_the_running_process_is_printed_and_judged(
    capsys: pytest.CaptureFixture[str],
    servers: Servers,
    process: FakeProcess,
    config_file: Path,
    command: str,
    status: str,
    found: int,
    code: int,
) -> None:
    process.cycle["operations_report"].update(status=status, discrepancy_count=found)
    document = json_of(capsys, command, "--json", "--config", config_file, code=code)
    assert set(document) == {"operations_report", "settlement_reports", "issues"}
    assert main([command, "--config", str(config_file)]) == code


def test_dump_and_reload_print_what_the_process_says(
    capsys: pytest.CaptureFixture[str], servers: Servers, config_file: Path
) -> None:
    assert json_of(capsys, "dump", "--config", config_file) == {"gate:main": {"paused": {}}}
    assert json_of(capsys, "config", "reload", "--json", "--config", config_file) == {"applied": True}
