"""The state at an earlier entry, from the database or from a file; and the command that shows it (L-20)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from service.cli import main
from service.config import Config
from service.replaying import replay
from storage.errors import ChainBroken
from tests.replay.stories import config_file, spoil
from tests.support.system import WALLET, Harness

pytestmark = pytest.mark.req("L-20")


def shares(state: dict[str, Any]) -> dict[str, int]:
    return {row["token_id"]: row["shares_micro"] for row in state["positions"]}


def seq_of(harness: Harness, kind: str, number: int = 0) -> int:
    """The number of an entry of that kind."""
    return [entry.seq for entry in harness.journal() if entry.kind == kind][number]


def test_the_state_at_the_last_entry_is_the_stored_one(told: Harness, config: Config) -> None:
    state = replay(config, until=len(told.journal()))["state"]
    assert state["positions"] == told.queries.positions()
    assert state["orders"] == told.queries.orders()
    stored = told.queries.profits().positions
    assert state["pnl"]["total"] == {
        name: sum(row[name] for row in stored) for name in ("cost_basis_micro", "realized_pnl_micro", "fees_micro")
    }
    report = told.metrics.reports[-1]
    assert state["cash"]["cash_micro"] == report.onchain_balance_micro
    assert state["cash"]["reconciled_block"] == report.block_number
    assert list(state["gate"]["paused"]) == ["default"]


def test_the_state_before_a_change_is_without_it(told: Harness, config: Config) -> None:
    fill = seq_of(told, "fill_seen")
    before, after = (replay(config, until=seq)["state"] for seq in (fill - 1, fill))
    assert (before["fills"], after["fills"]) == (0, 1)
    assert shares(before) != shares(after)
    assert (before["gate"]["paused"], after["seq"]) == ({}, fill)
    entry = told.journal()[fill - 1]
    assert after["at_ms"] == entry.at_ms


def test_before_any_entry_there_is_nothing_and_cash_is_unknown(config: Config) -> None:
    """Unknown is not zero."""
    state = replay(config, until=0)["state"]
    assert (state["seq"], state["positions"], state["orders"]) == (0, [], [])
    assert state["cash"]["cash_micro"] is None


def test_a_file_gives_the_state_that_the_database_gives(exported: Path, config: Config) -> None:
    assert replay(config, journal_file=exported)["state"] == replay(config, until=10_000)["state"]


def test_an_empty_file_is_an_empty_wallet(tmp_path: Path, config: Config) -> None:
    file = tmp_path / "empty.jsonl"
    file.touch()
    assert replay(config, journal_file=file)["entries"] == 0


# -- the command --------------------------------------------------------------------------------------------------


def run(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> tuple[str, str]:
    capsys.readouterr()  # what the story logged
    assert main([str(argument) for argument in arguments]) == code
    said = capsys.readouterr()
    return said.out, said.err


def test_the_command_is_content_with_sound_books(
    capsys: pytest.CaptureFixture[str], told: Harness, tmp_path: Path
) -> None:
    out, err = run(capsys, "replay", "--config", config_file(told, tmp_path))
    assert "equal" in out
    assert err == ""


def test_the_command_shows_a_state_as_tables(capsys: pytest.CaptureFixture[str], told: Harness, tmp_path: Path) -> None:
    where = ("--config", config_file(told, tmp_path))
    out, err = run(capsys, "replay", "--until", len(told.journal()), *where)
    assert err.startswith("the state at 2025-05-09 ")
    for shown in ("paused default", "0xa", "order-new", "cash by the books, pUSD"):
        assert shown in out
    out, err = run(capsys, "replay", "--until", 0, *where)
    assert "unknown: no balance was read yet" in out
    assert "no positions then" in err


@pytest.mark.req("X-12")
def test_differences_and_a_changed_journal_are_exit_3(
    capsys: pytest.CaptureFixture[str], told: Harness, tmp_path: Path
) -> None:
    where = ("--config", config_file(told, tmp_path))
    spoil(told, "UPDATE journal SET at_ms = at_ms + 1 WHERE seq = 9 AND kind = 'cycle_closed'")
    spoil(told, "UPDATE journal SET payload = CAST(payload || ' ' AS BLOB) WHERE seq = 9")
    _, err = run(capsys, "replay", *where, code=3)
    assert "error: the journal was changed at entry 9" in err
    spoil(told, "UPDATE positions SET shares_micro = 1500000 WHERE token_id = '0xa-yes'")
    _, err = run(capsys, "replay", *where, code=3)
    assert "error: positions 0xa-yes in market 0xa: stored shares_micro is 1.5, entry " in err
    assert "the stored state is not what the journal gives (1 field or row, the earliest entry first)" in err


@pytest.mark.req("X-12", "D-17")
def test_a_journal_is_exported_once_and_read_back(
    capsys: pytest.CaptureFixture[str], told: Harness, exported: Path, tmp_path: Path
) -> None:
    where, file = ("--config", config_file(told, tmp_path)), tmp_path / "mine.jsonl"
    out, err = run(capsys, "replay", "--export", file, *where)
    assert (out, err) == ("", f"{len(told.journal())} entries are in {file}\n")
    assert file.read_bytes() == exported.read_bytes()
    out, _ = run(capsys, "replay", "--journal", file, "--json", *where)
    document = msgspec.json.decode(out)
    assert document["state"]["seq"] == len(told.journal())
    assert document["states"].keys() == told.rebuilt().digests().keys()
    _, err = run(capsys, "replay", "--export", file, *where, code=1)
    assert "is there already" in err


@pytest.mark.req("X-12")
def test_a_file_whose_chain_is_broken_is_refused(config: Config, exported: Path) -> None:
    lines = exported.read_bytes().splitlines(keepends=True)
    exported.write_bytes(b"".join([*lines[:3], *lines[4:]]))
    with pytest.raises(ChainBroken, match=rf"{WALLET}.*4"):
        replay(config, journal_file=exported)
