"""What another version of the code makes of the same journal: that version runs itself (L-20, D-20, D-17)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from messages.codec import SCHEMA
from service.cli import main
from service.config import Config, load
from service.errors import ServiceError
from service.other_code import other_code
from storage.database import open_readonly
from tests.replay.golden_story import GOLDEN
from tests.replay.stories import CONFIG, config_file, config_of
from tests.support.live import ROOT
from tests.support.system import Harness

pytestmark = pytest.mark.req("L-20", "D-20", "D-17")

GOLDEN_JOURNAL = GOLDEN / f"schema-{SCHEMA}.jsonl"
PARTS = ("actors", "bin", "messages", "polymarket", "portfolio", "service", "storage")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A configuration whose database is never opened: the journal is a file."""
    file = tmp_path / "portfolio-sync.toml"
    file.write_text(CONFIG.format(url=f"sqlite:///{tmp_path}/none.db"), encoding="utf-8")
    return load(file, {"HOME": str(tmp_path)}, secrets_needed=False)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree of this version, as it would be unpacked."""
    made = tmp_path / "other version"
    for part in PARTS:
        shutil.copytree(ROOT / part, made / part, ignore=shutil.ignore_patterns("__pycache__"))
    return made


def add(tree: Path, file: str, text: str) -> Path:
    """Add lines at the end of a file of the tree: what they define anew counts."""
    with (tree / file).open("a", encoding="utf-8") as lines:
        lines.write(f"\n\n{text}\n")
    return tree


def rounding_up(tree: Path) -> Path:
    """A version that rounds the cost of what is sold up where this one rounds it down (R-13)."""
    return add(tree, "portfolio/units.py", "def floor_share(total, part, whole):\n    return -(-total * part // whole)")


def skipping(tree: Path, condition: str) -> Path:
    """A version that does nothing with some entries."""
    text = f"""
_apply = Books.apply


def _skip(self, entry):
    return () if {condition} else _apply(self, entry)


Books.apply = _skip
"""
    return add(tree, "service/replay.py", text)


SIGNED_BY_ANOTHER = """
_as_stored = as_stored


def as_stored(row):
    made = _as_stored(row)
    if type(row).__name__ == "WalletRow":
        made = tuple("another" if column == "signer_address" else value
                     for column, value in zip(TABLES[type(row)].columns, made))
    return made
"""
WORDED_ANEW = "_format = format_micro\n\n\ndef format_micro(value):\n    return 'about ' + _format(value)"


def run(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == code
    said = capsys.readouterr()
    return said.out, said.err


def test_the_same_code_gives_the_same_state(told: Harness, tmp_path: Path, tree: Path) -> None:
    document = other_code(config_of(told, tmp_path), tree)
    assert document["same"] is True
    assert document["digests"][0] == document["digests"][1]
    assert (document["markets"], document["cash"], document["gate"], document["counts"]) == ([], {}, {}, {})
    assert (document["states"], document["entries"]) == ({}, len(told.journal()))
    assert list(tree.rglob("__pycache__")) == [], "nothing is written into a tree that is somebody's"


@pytest.mark.req("R-13")
def test_a_rounding_that_differs_shows_in_its_markets_and_fields(config: Config, tree: Path) -> None:
    document = other_code(config, rounding_up(tree), journal_file=GOLDEN_JOURNAL)
    assert document["same"] is False
    (market,) = document["markets"]
    assert market["market_id"] == "0xa"
    (position,) = market["positions"]
    assert position["changed"].keys() == {"cost_basis_micro"}
    was, now = position["changed"]["cost_basis_micro"]
    assert was - now == 1
    was, now = market["pnl"]["cost_basis_micro"]
    assert was - now == 1
    assert (market["orders"], document["cash"], document["counts"]) == ([], {}, {})
    assert list(document["states"]) == ["market:main/0xa"]


def test_until_an_earlier_entry_both_stop_there(config: Config, tree: Path) -> None:
    document = other_code(config, rounding_up(tree), until=10, journal_file=GOLDEN_JOURNAL)
    assert (document["same"], document["to"]["seq"], document["entries"]) == (True, 10, 10)


@pytest.mark.req("L-01", "S-06")
def test_what_only_one_of_both_has_is_told_by_market_and_of_the_wallet(config: Config, tree: Path) -> None:
    kinds = ("drift_found", "market_resumed", "order_seen")
    skipping(tree, f"entry.kind in {kinds} or b'trade-6' in entry.payload or entry.address.endswith('/0xe')")
    document = other_code(config, tree, journal_file=GOLDEN_JOURNAL)
    before, after = document["gate"]["paused"]
    assert (list(before), list(after)) == (["maker"], [])
    before, after = document["counts"]["fills"]
    assert before - after == 1
    assert document["cash"].keys() == {"cash_micro"}
    markets = {market["market_id"]: market for market in document["markets"]}
    assert all((row["gone"], row["new"]) == (True, False) for row in markets["0xe"]["positions"])
    assert markets["0xe"]["pnl"]["cost_basis_micro"][1] == 0
    (order,) = markets["0xb"]["orders"]
    assert (order["key"], list(order["changed"])) == ({"order_id": "order-shown"}, ["first_seen_at_ms"])
    was, now = markets["0xa"]["halted"]
    assert (was, now.startswith("fill_seen could not be processed")) == ("", True)


def test_wordings_and_columns_that_only_one_of_both_has_are_no_difference(config: Config, tree: Path) -> None:
    add(tree, "portfolio/gate.py", WORDED_ANEW)
    columns = "_record = record\n\n\ndef record(row):\n    return {**_record(row), 'of_later': 1}"
    add(tree, "service/replaying.py", columns)
    document = other_code(config, tree, journal_file=GOLDEN_JOURNAL)
    assert (document["same"], list(document["states"])) == (True, ["gate:main"])
    assert document["digests"][0] == document["digests"][1]


# -- what cannot be compared --------------------------------------------------------------------------------------


def test_a_folder_that_is_no_tree_is_refused(config: Config, tmp_path: Path, tree: Path) -> None:
    with pytest.raises(ServiceError, match=r"is no tree of portfolio-sync: it has no bin/portfolio-sync$"):
        other_code(config, tmp_path)
    shutil.rmtree(tree / "messages")
    with pytest.raises(ServiceError, match=r"is no tree of portfolio-sync: it has no messages/codec\.py$"):
        other_code(config, tree)


def test_a_tree_that_does_not_run_is_refused_with_its_last_line(config: Config, tree: Path) -> None:
    add(tree, "messages/codec.py", "import of_another_time")
    with pytest.raises(ServiceError, match=r"runs here: ModuleNotFoundError: No module named 'of_another_time'$"):
        other_code(config, tree)


def test_a_version_that_knows_only_older_journals_is_told_from_one_that_fails(config: Config, tree: Path) -> None:
    add(tree, "messages/codec.py", f"SCHEMA = {SCHEMA - 1}")
    expected = f"reads journals up to schema {SCHEMA - 1}, and entry 1 \\(gate_configured\\) of this one has schema"
    with pytest.raises(ServiceError, match=expected):
        other_code(config, tree, journal_file=GOLDEN_JOURNAL)


def test_a_version_that_fails_is_told_with_its_last_line(config: Config, tree: Path) -> None:
    add(tree, "service/replaying.py", "def state_at(rebuilt):\n    raise KeyError('of its own')")
    with pytest.raises(ServiceError, match=r"cannot replay this journal \(exit code 1\): KeyError: 'of its own'$"):
        other_code(config, tree, journal_file=GOLDEN_JOURNAL)


def test_a_version_that_says_more_than_its_document_is_told_from_one_that_fails(config: Config, tree: Path) -> None:
    add(tree, "service/replaying.py", "print('a word of its own')")
    with pytest.raises(ServiceError, match="told its state in no JSON"):
        other_code(config, tree, journal_file=GOLDEN_JOURNAL)


def test_a_version_without_a_state_to_show_is_too_old(config: Config, tree: Path) -> None:
    text = "_replay = replay\n\n\ndef replay(*given):\n    return {**_replay(*given), 'state': None}"
    add(tree, "service/replaying.py", text)
    with pytest.raises(ServiceError, match="is too old to be compared: its replay shows no state"):
        other_code(config, tree, journal_file=GOLDEN_JOURNAL)


def test_the_other_version_learns_nothing_of_this_ones_configuration(
    config: Config, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process would fail on a key that it does not know, and it has no business with secrets."""
    monkeypatch.setenv("PORTFOLIO_SYNC__SYNC__OF_A_LATER_VERSION", "1")
    monkeypatch.setenv("PORTFOLIO_SYNC_MAIN_API_SECRET", "secret")
    refusing = "import os\n\nassert not [name for name in os.environ if name.startswith('PORTFOLIO_SYNC')]"
    add(tree, "service/replaying.py", refusing)
    assert other_code(config, tree, journal_file=GOLDEN_JOURNAL)["same"] is True


# -- the command --------------------------------------------------------------------------------------------------


def test_the_command_shows_both_versions_side_by_side(
    capsys: pytest.CaptureFixture[str], told: Harness, tmp_path: Path, tree: Path
) -> None:
    where = ("--config", config_file(told, tmp_path))
    out, err = run(capsys, "replay", "--code", tree, *where)
    assert (out, err.splitlines()[-1]) == ("", "the same state, to the last row of every table")
    rounding_up(tree)
    out, err = run(capsys, "replay", "--code", tree, "--journal", GOLDEN_JOURNAL, *where)
    heads, *lines = (" ".join(line.split()) for line in out.splitlines())
    assert heads == "market what field this version that version"
    assert "Market 0xa position Yes cost_basis, pUSD 1012.457049 1012.457048" in lines
    assert f"the version in {tree}, after entry " in err
    assert "actors whose state has another digest there: market:main/0xa" in err
    out, _ = run(capsys, "replay", "--code", tree, "--journal", GOLDEN_JOURNAL, "--json", *where)
    assert msgspec.json.decode(out)["code"] == str(tree)


def test_rows_that_differ_and_are_not_shown_are_not_passed_over(
    capsys: pytest.CaptureFixture[str], told: Harness, tmp_path: Path, tree: Path
) -> None:
    where = ("--config", config_file(told, tmp_path), "--journal", GOLDEN_JOURNAL)
    add(tree, "storage/stored.py", SIGNED_BY_ANOTHER)
    out, err = run(capsys, "replay", "--code", tree, *where)
    assert (out, "the same state, in all that `replay --until` shows; other rows differ\n" in err) == ("", True)


def test_nothing_is_left_behind_and_the_database_is_only_read(
    told: Harness, tree: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    opened: list[Any] = []

    def reading(url: str) -> Any:
        opened.append(url)
        return open_readonly(url)

    monkeypatch.setattr("service.replaying.open_readonly", reading)
    other_code(config_of(told, tmp_path), tree)
    assert list(scratch.iterdir()) == []
    assert opened == [told.url]
