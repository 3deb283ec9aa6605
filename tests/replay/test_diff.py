"""What changed between two entries, per market and by which entries (L-20, X-04)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from service.cli import main
from service.config import Config
from service.diff import diff
from service.errors import ServiceError
from service.replaying import replay
from tests.replay.stories import config_file
from tests.support.system import Harness

pytestmark = pytest.mark.req("L-20", "X-04")


def whole(harness: Harness, config: Config, first: int = 0) -> dict[str, Any]:
    return diff(config, first, len(harness.journal()))


def market(document: dict[str, Any], market_id: str) -> dict[str, Any]:
    (found,) = (one for one in document["markets"] if one["market_id"] == market_id)
    return dict(found)


def test_from_the_beginning_every_row_is_new_and_as_it_is_stored(told: Harness, config: Config) -> None:
    document = whole(told, config)
    for name in ("positions", "orders", "fills", "adjustments"):
        found = [row for one in document["markets"] for row in one[name]]
        assert all(row["new"] for row in found)
        assert len(found) > 1
    positions = {row["row"]["token_id"]: row["row"] for one in document["markets"] for row in one["positions"]}
    stored = {row["token_id"]: row for row in told.queries.positions(include_zero=True)}
    assert positions == stored
    assert document["entries"] == len(told.journal())
    assert (document["from"], document["to"]["seq"]) == ({"seq": 0, "at_ms": None}, len(told.journal()))


def test_one_entry_changes_what_it_says_and_nothing_else(told: Harness, config: Config) -> None:
    entry = next(entry for entry in told.journal() if b'"trade_id":"trade-2"' in entry.payload)
    document = diff(config, entry.seq - 1, entry.seq)
    (one,) = document["markets"]
    assert [ref["seq"] for ref in one["entries"]] == [entry.seq]
    assert one["market_id"] == "0xa"
    assert [row["key"]["trade_id"] for row in one["fills"]] == ["trade-2"]
    (held,) = one["positions"]
    assert held["entries"] == [entry.seq]
    before, after = held["changed"]["shares_micro"]
    assert after - before == one["fills"][0]["row"]["size_micro"]
    assert held["changed"].keys().isdisjoint({"version", "updated_at_ms"})
    (was, now), cost = one["pnl"]["cost_basis_micro"], held["changed"]["cost_basis_micro"]
    assert now - was == cost[1] - cost[0] > 0
    assert (document["cash"], document["gate"], document["other_entries"]) == ({}, {"rows": []}, [])


def test_two_halves_add_up_to_the_whole(told: Harness, config: Config) -> None:
    last = len(told.journal())
    for cut in range(5, last, 5):
        for first, second in ((0, cut), (cut, last)):
            before, after = (replay(config, until=seq)["state"]["pnl"]["total"] for seq in (first, second))
            for name in before:
                pairs = [one["pnl"].get(name, [0, 0]) for one in diff(config, first, second)["markets"]]
                assert sum(now - was for was, now in pairs) == after[name] - before[name]


def test_a_pause_is_a_change_of_the_gate_with_its_entry(told: Harness, config: Config) -> None:
    drift = next(entry for entry in told.journal() if entry.kind == "drift_found")
    document = diff(config, drift.seq - 1, drift.seq)
    before, after = document["gate"]["paused"]
    assert (before, list(after)) == ({}, ["default"])
    (row,) = document["gate"]["rows"]
    assert (row["row"]["paused"], row["entries"]) == (True, [drift.seq])
    assert [ref["address"] for ref in document["other_entries"]] == ["gate:main"]


def test_cash_and_cycles_are_the_wallets(told: Harness, config: Config) -> None:
    document = whole(told, config)
    before, after = document["cash"]["cash_micro"]
    assert (before, after) == (None, told.metrics.reports[-1].onchain_balance_micro)
    assert document["cycles"] == sum(entry.kind == "cycle_closed" for entry in told.journal())
    assert [row["key"]["source"] for row in document["cursors"]] == ["clob.trades"]


def test_nothing_changes_between_an_entry_and_itself(told: Harness, config: Config) -> None:
    document = whole(told, config, first=len(told.journal()))
    assert (document["markets"], document["entries"], document["cash"]) == ([], 0, {})


def test_a_file_tells_the_same(told: Harness, config: Config, exported: Path) -> None:
    assert diff(config, 5, 20, exported) == diff(config, 5, 20)


def test_an_entry_behind_the_end_is_an_error(told: Harness, config: Config) -> None:
    last = len(told.journal())
    with pytest.raises(ServiceError, match=f"the journal ends at entry {last}, before {last + 1}"):
        diff(config, 0, last + 1)


# -- the command --------------------------------------------------------------------------------------------------


def test_the_command_shows_each_change_with_its_entries(
    capsys: pytest.CaptureFixture[str], told: Harness, tmp_path: Path
) -> None:
    where = ("--config", str(config_file(told, tmp_path)))
    capsys.readouterr()
    assert main(["diff", "0", str(len(told.journal())), *where]) == 0
    said = capsys.readouterr()
    assert said.err.startswith("from before any entry to entry ")
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert any(line.startswith("Market 0xa fill trade-1 of order-0xa BUY ") for line in lines), lines
    assert any("adjustment" in line and "POSITION_MERGED -50.0 shares" in line for line in lines)
    assert any(line.startswith("Market 0xb order order-new") and "LIVE, matched 0.0" in line for line in lines)
    assert any(line.startswith("wallet gate paused - default: ") for line in lines)
    drift = next(entry for entry in told.journal() if entry.kind == "drift_found")
    assert main(["diff", str(drift.seq), str(drift.seq), *where]) == 0
    assert "nothing changed" in capsys.readouterr().err


def test_the_wrong_way_round_is_a_usage_mistake(
    capsys: pytest.CaptureFixture[str], told: Harness, tmp_path: Path
) -> None:
    where = ("--config", str(config_file(told, tmp_path)))
    assert main(["diff", "9", "3", *where]) == 2
    assert "name the earlier entry first" in capsys.readouterr().err
    assert main(["diff", "0", "3", "--journal", str(tmp_path / "none"), *where]) == 1
    assert "is no file" in capsys.readouterr().err
