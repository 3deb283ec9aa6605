"""What the books would be had some entries never been (L-20, D-20)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from messages.codec import SCHEMA, encode, kind_of_event
from messages.ledger import Decision, JournalEntry
from portfolio.entries import Cause
from portfolio.events import ChainSeen, DriftFound, Event, FillSeen, KillSwitchSet, MarketDefined, StrategyResumed
from portfolio.outcomes import AdjustmentRow, FillRow, OrderRow, PositionRow
from service.cli import main
from service.cli.replaying_output import NUMBERS_MAX
from service.config import Config
from service.diff import TOUCHED
from service.errors import ServiceError
from service.rebuilt import Kind, Rebuilt
from service.replaying import cash_of, record, replay, replayed
from service.what_if import without
from storage.database import open_database
from storage.journal import Journal, import_lines
from storage.lease import Leases
from storage.ledger import Ledger
from storage.stored import TABLES
from tests.replay.golden_story import GOLDEN
from tests.replay.stories import CONFIG, config_file
from tests.support.live import ROOT
from tests.support.system import WALLET, Harness
from tests.unit.portfolio.chain_facts import fact
from tests.unit.portfolio.markets import CENT, CONDITION, EVENT, SHARE, T0, leg, meta, question

pytestmark = pytest.mark.req("L-20", "D-20")

KINDS: tuple[Kind, ...] = (PositionRow, OrderRow, FillRow, AdjustmentRow)
GOLDEN_JOURNAL = GOLDEN / f"schema-{SCHEMA}.jsonl"


def shown(rebuilt: Rebuilt, kind: Kind) -> dict[tuple[str, ...], dict[str, Any]]:
    """Rows by key, without what says only that they were touched."""
    table = TABLES[kind]
    rows = (record(row) for row in rebuilt.rows(kind))
    return {tuple(row[name] for name in table.key): row for row in rows}


def untouched(rows: Mapping[tuple[str, ...], dict[str, Any]]) -> dict[tuple[str, ...], dict[str, Any]]:
    return {key: {name: row[name] for name in row if name not in TOUCHED} for key, row in rows.items()}


def changed(rebuilt: Rebuilt, document: dict[str, Any], kind: Kind) -> dict[tuple[str, ...], dict[str, Any]]:
    """The rows as they are, with the document's changes made to them; what it says of before must be so."""
    rows = shown(rebuilt, kind)
    for row in (row for market in document["markets"] for row in market[TABLES[kind].name]):
        key = tuple(row["key"].values())
        if row["gone"]:
            del rows[key]
        elif row["new"]:
            assert key not in rows
            rows[key] = row["row"]
        else:
            assert {name: rows[key][name] for name in row["changed"]} == {
                name: pair[0] for name, pair in row["changed"].items()
            }
            rows[key] = {**rows[key], **{name: pair[1] for name, pair in row["changed"].items()}}
    return untouched(rows)


def subsets(entries: Sequence[JournalEntry]) -> Iterator[set[int]]:
    """Each entry alone, and some together."""
    seqs = [entry.seq for entry in entries]
    yield from ({seq} for seq in seqs)
    yield from (set(seqs[start::7]) for start in range(7))


def file_of(folder: Path, events: Iterable[tuple[str, Event]]) -> Path:
    """An exported journal of these events, each with its address."""
    database = open_database(f"sqlite:///{folder}/made.db", owner="test", now_ms=T0)
    ledger = Ledger(database)
    ledger.hold(Leases(database).acquire(WALLET, "test", T0))
    decisions = [
        Decision(
            stream=WALLET,
            address=address,
            kind=kind_of_event(event),
            schema=SCHEMA,
            version=number,
            at_ms=T0 + number,
            payload=encode(event),
        )
        for number, (address, event) in enumerate(events, start=1)
    ]
    ledger.commit(decisions)
    file = folder / "made.jsonl"
    file.write_bytes(b"".join(Journal(database).export_lines(WALLET)))
    database.close()
    return file


def golden_definition() -> int:
    """The entry by which the golden journal's first market learns its tokens."""
    entries = import_lines(GOLDEN_JOURNAL.read_bytes().splitlines(keepends=True))
    return next(e.seq for e in entries if (e.kind, e.address) == ("market_defined", "market:main/0xa"))


def test_what_it_shows_makes_of_the_books_exactly_those_of_the_other_entries(told: Harness, config: Config) -> None:
    """For every entry left out alone, and for many together: the oracle is a replay of the rest."""
    entries = told.journal()
    as_is = replayed(WALLET, entries, None)
    for left_out in subsets(entries):
        document = without(config, left_out)
        rest = replayed(WALLET, [entry for entry in entries if entry.seq not in left_out], None)
        for kind in KINDS:
            assert changed(as_is, document, kind) == untouched(shown(rest, kind)), (left_out, kind)
        pairs = document["cash"]
        assert {**cash_of(as_is), **{name: pair[1] for name, pair in pairs.items()}} == cash_of(rest)
        paused = document["gate"].get("paused", [None, list(as_is.books.gate.paused)])[1]
        assert sorted(paused) == sorted(rest.books.gate.paused)
        assert [ref["seq"] for ref in document["without"]] == sorted(left_out)


def test_without_a_fill_its_market_alone_is_another(told: Harness, config: Config) -> None:
    entry = next(entry for entry in told.journal() if b'"trade_id":"trade-3"' in entry.payload)
    document = without(config, [entry.seq])
    (market,) = document["markets"]
    assert market["market_id"] == "0xa"
    (fill,) = market["fills"]
    assert (fill["key"]["trade_id"], fill["gone"], fill["entries"]) == ("trade-3", True, [entry.seq])
    assert market["entries"][0]["seq"] == entry.seq
    assert document["cash"]["cash_micro"][1] - document["cash"]["cash_micro"][0] == (
        fill["row"]["size_micro"] * fill["row"]["price_micro"] // SHARE
    )
    assert document["breaks"] == []


def test_without_its_drift_no_strategy_is_paused(told: Harness, config: Config) -> None:
    drift = next(entry for entry in told.journal() if entry.kind == "drift_found")
    document = without(config, [drift.seq])
    before, after = document["gate"]["paused"]
    assert (list(before), after) == (["default"], {})
    (row,) = document["gate"]["rows"]
    assert (row["gone"], row["entries"]) == (True, [drift.seq])
    assert (document["markets"], document["cash"]) == ([], {})


def test_what_changes_nothing_in_the_end_shows_nothing(told: Harness, config: Config) -> None:
    cursor = next(entry for entry in told.journal() if entry.kind == "cursor_advanced")
    document = without(config, [cursor.seq])
    assert (document["markets"], document["cash"], document["breaks"]) == ([], {}, [])
    assert document["gate"] == {"rows": []}


def test_until_an_entry_later_ones_are_left_out_of_both(told: Harness, config: Config) -> None:
    fill = next(entry for entry in told.journal() if b'"trade_id":"trade-2"' in entry.payload)
    document = without(config, [fill.seq], fill.seq)
    (market,) = document["markets"]
    assert [row["gone"] for row in market["fills"]] == [True]
    assert (document["to"]["seq"], document["entries"]) == (fill.seq, fill.seq)
    with pytest.raises(ServiceError, match=rf"no entry {fill.seq}: it has entries 1 to {fill.seq - 1}$"):
        without(config, [fill.seq], fill.seq - 1)


def test_a_file_tells_the_same(told: Harness, config: Config, exported: Path) -> None:
    assert without(config, [7, 9], journal_file=exported) == without(config, [7, 9])


def test_the_state_as_it_is_stays_what_replay_shows(told: Harness, config: Config) -> None:
    before = replay(config, until=10_000)
    without(config, [3])
    assert replay(config, until=10_000) == before


def test_an_unknown_entry_is_named_with_what_there_is(told: Harness, config: Config, tmp_path: Path) -> None:
    last = len(told.journal())
    with pytest.raises(ServiceError, match=f"no entry {last + 1}, {last + 5}: it has entries 1 to {last}$"):
        without(config, [2, last + 5, last + 1])
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    with pytest.raises(ServiceError, match="no entry 1: it has none"):
        without(config, [1], journal_file=empty)


@pytest.mark.req("L-21")
def test_a_rule_that_breaks_without_an_entry_is_a_result(config: Config) -> None:
    """Without the metadata nothing opens the books of the market: what is merged later was never held."""
    defined = golden_definition()
    document = without(config, [defined], journal_file=GOLDEN_JOURNAL)
    (broken,) = document["breaks"]
    assert broken["market_id"] == "0xa"
    assert broken["text"] == "breaks INV-03 0xa-yes: expected >= 0, was -50000000, which halts the market"
    (halted,) = (market["halted"] for market in document["markets"])
    assert halted[0] == ""
    idle = {ref["seq"] for ref in document["without_effect"]}
    assert idle
    assert idle.isdisjoint({defined, broken["entry"]["seq"]})


@pytest.mark.req("D-19")
def test_what_cannot_be_processed_without_an_entry_halts_its_market_as_it_would_have(
    config: Config, tmp_path: Path
) -> None:
    """A malformed repetition is harmless behind the log that it repeats, and is rejected without it."""
    market = f"market:{WALLET}/{EVENT}"
    log = fact(Cause.CONVERTED, 0, {"n0": -SHARE, "y1": SHARE}, condition_id="0xc0")
    empty = msgspec.structs.replace(log, hint=msgspec.structs.replace(log.hint, legs=()))
    events: tuple[tuple[str, Event], ...] = (
        (market, MarketDefined(metas=(question(0), question(1)), question_count=2)),
        (market, ChainSeen(facts=(log,), final_block=1)),
        (market, ChainSeen(facts=(empty,), final_block=1)),
        (f"gate:{WALLET}", KillSwitchSet(active=True, operator="ada", reason="")),
    )
    file = file_of(tmp_path, events)
    assert without(config, [3], journal_file=file)["markets"] == []
    document = without(config, [2], journal_file=file)
    (broken,) = document["breaks"]
    assert (broken["entry"]["seq"], broken["market_id"]) == (3, EVENT)
    assert broken["text"].startswith("halts the market: chain_seen could not be processed: ")
    (shown_market,) = document["markets"]
    before, after = shown_market["halted"]
    assert (before, after.startswith("chain_seen could not be processed")) == ("", True)
    assert document["entries"] == len(events)


def test_an_order_that_is_refused_then_is_said_to_be_without_effect(config: Config, tmp_path: Path) -> None:
    gate = f"gate:{WALLET}"
    drift = DriftFound(
        cycle_id="c1",
        market_id="0xa",
        condition_ids=("0xa",),
        drift_micro=600 * SHARE,
        internal_size_micro=0,
        clob_size_micro=600 * SHARE,
        neg_risk=False,
        causes=("UNTRACKED_INCREASE",),
        evidence="",
        onchain_reconciled=True,
        synced_at_ms=T0,
    )
    resumed = StrategyResumed(strategy_id="default", operator="ada", reason="looked at it")
    file = file_of(tmp_path, ((gate, drift), (gate, resumed)))
    document = without(config, [1], journal_file=file)
    assert [ref["seq"] for ref in document["without_effect"]] == [2]


# -- the command --------------------------------------------------------------------------------------------------


def run(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> tuple[str, str]:
    capsys.readouterr()  # what the story logged
    assert main([str(argument) for argument in arguments]) == code
    said = capsys.readouterr()
    return said.out, said.err


def test_the_command_shows_both_sides_with_the_entries_that_part_them(
    capsys: pytest.CaptureFixture[str], told: Harness, tmp_path: Path
) -> None:
    where = ("--config", config_file(told, tmp_path))
    fill = next(entry for entry in told.journal() if b'"trade_id":"trade-3"' in entry.payload)
    out, err = run(capsys, "replay", "--without", fill.seq, *where)
    assert err.startswith(f"without entry {fill.seq} (fill_seen of market:main/0xa, 2025-05-09 ")
    heads, *lines = (" ".join(line.split()) for line in out.splitlines())
    assert heads == "market what field as it is without entries"
    assert any(line.startswith("Market 0xa fill trade-3 of ") and "BUY 40.0 at 0.5" in line for line in lines), lines
    assert any(line.startswith("Market 0xa position Yes shares ") for line in lines)
    assert any(line.startswith("wallet cash cash, pUSD ") for line in lines)
    out, _ = run(capsys, "replay", "--without", fill.seq, "--without", 2, "--json", *where)
    assert [ref["seq"] for ref in msgspec.json.decode(out)["without"]] == [2, fill.seq]


def test_the_command_tells_what_breaks_and_what_has_no_effect(
    capsys: pytest.CaptureFixture[str], told: Harness, tmp_path: Path
) -> None:
    where = ("--config", config_file(told, tmp_path), "--journal", GOLDEN_JOURNAL)
    out, err = run(capsys, "replay", "--without", golden_definition(), *where)
    assert ") then breaks INV-03 0xa-yes: expected >= 0, was -50000000, which halts the market\n" in err
    assert "then without effect: " in err
    assert "UNTRACKED_REDUCTION -7.0 shares" in out
    assert "halted" in out


def test_a_cursor_that_would_stand_elsewhere_is_shown(
    capsys: pytest.CaptureFixture[str], told: Harness, tmp_path: Path
) -> None:
    where = ("--config", config_file(told, tmp_path))
    cursors = [entry.seq for entry in told.journal() if entry.kind == "cursor_advanced"]
    out, _ = run(capsys, "replay", "--without", cursors[-1], *where)
    assert "cursor clob.trades" in out
    out, err = run(capsys, "replay", "--without", cursors[0], "--until", cursors[0] - 1, *where, code=1)
    assert (out, f"it has entries 1 to {cursors[0] - 1}" in err) == ("", True)


def test_nothing_different_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], told: Harness, tmp_path: Path
) -> None:
    cycle = next(entry for entry in told.journal() if entry.kind == "cycle_closed" and entry.seq > 20)
    out, err = run(capsys, "replay", "--without", cycle.seq, "--config", config_file(told, tmp_path))
    assert out == ""
    assert f"nothing would be different after entry {len(told.journal())} of 2025-05-09 " in err


def test_of_many_entries_the_first_are_named_and_the_others_counted(
    capsys: pytest.CaptureFixture[str], config: Config, tmp_path: Path
) -> None:
    """A purchase moves the average of every sale behind it."""
    market = f"market:{WALLET}/{CONDITION}"
    legs = (leg(f"t{number}", price=40 * CENT + number, at_ms=T0 + number) for number in range(NUMBERS_MAX + 5))
    events: tuple[tuple[str, Event], ...] = (
        (market, MarketDefined(metas=(meta(),))),
        *((market, FillSeen(leg=one, feed="poll")) for one in legs),
    )
    file = file_of(tmp_path, events)
    out, _ = run(capsys, "replay", "--without", 2, "--journal", file, "--config", tmp_path / "portfolio-sync.toml")
    shares = next(line for line in out.splitlines() if " shares " in line)
    assert shares.split()[-3:] == ["and", "5", "more"]
    assert [int(number) for number in re.findall(r"(\d+)(?:,| and)", shares)] == list(range(2, NUMBERS_MAX + 2))
    document = without(config, [2], journal_file=file)
    assert document["markets"][0]["positions"][0]["entries"] == list(range(2, NUMBERS_MAX + 7))


def test_two_questions_at_once_are_a_usage_mistake(
    capsys: pytest.CaptureFixture[str], told: Harness, tmp_path: Path
) -> None:
    where = ("--config", config_file(told, tmp_path))
    for more in (("--code", tmp_path), ("--export", tmp_path / "new.jsonl")):
        _, err = run(capsys, "replay", "--without", 3, *more, *where, code=2)
        assert "ask one at a time" in err
    assert not (tmp_path / "new.jsonl").exists()
    _, err = run(capsys, "replay", "--without", 0, *where, code=2)
    assert "--without" in err


# -- the guide ----------------------------------------------------------------------------------------------------

GUIDE = (ROOT / "docs" / "howto" / "replay-an-incident.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"^ {4}portfolio-sync (replay [^\n]*)\n\n<!-- replayed -->\n\n((?: {4}[^\n]*\n)+)", re.MULTILINE)


@pytest.mark.parametrize(("command", "shown_there"), EXAMPLE.findall(GUIDE))
def test_the_guide_shows_what_the_command_says(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    shown_there: str,
) -> None:
    monkeypatch.chdir(ROOT)
    file = tmp_path / "portfolio-sync.toml"
    file.write_text(CONFIG.format(url=f"sqlite:///{tmp_path}/none.db"), encoding="utf-8")
    out, err = run(capsys, *command.split(), "--config", file)
    said = [line.split() for line in (err + out).splitlines()]
    assert [line.split() for line in shown_there.splitlines()] == said


def test_the_guide_has_examples_that_are_looked_at() -> None:
    assert len(EXAMPLE.findall(GUIDE)) == 2
