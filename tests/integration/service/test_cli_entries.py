"""`adjust`, `mark-external` and `backfill`: what goes to the process, what is refused, and what is shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from messages.control import Backfill, MarkExternal, RecordTrade
from portfolio.facts import Side
from service.cli import backfilling, main
from service.http import Servers
from tests.integration.service.books import FakeProcess, configured, json_of, stored
from tests.integration.storage import samples

pytestmark = pytest.mark.usefixtures("clean_environment")

WHO = ["--by", "alice", "--reason", "by hand"]
ADJUST = ["adjust", "RAIN-zurich", "--outcome", "yes", "--side", "buy", "--size", "12.5", "--price", "0.41", *WHO]


@pytest.mark.req("L-26", "D-22")
@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["adjust", "rain-zuerich", *ADJUST[2:]], "did you mean rain-zurich?"),
        ([*ADJUST, "--outcome", "maybe"], "it has Yes"),
        ([*ADJUST, "--outcome", "12345"], "has no outcome '12345'"),
        (["mark-external", "adj-9", *WHO], "has no entry 'adj-9'"),
        (["backfill", "--since", "1h", "--market", "rain"], "knows no market 'rain'"),
    ],
)
def test_what_cannot_be_recorded_is_one_line_that_says_what_to_do(
    capsys: pytest.CaptureFixture[str], books: Path, arguments: list[str], why: str
) -> None:
    assert main([*arguments, "--config", str(books)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert why in said.err
    assert "portfolio-sync " in said.err or "it has Yes" in said.err
    assert len(said.err.splitlines()) == 1


def test_an_entry_of_several_tokens_is_not_marked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    stored(tmp_path, samples.adjustment(token_id="2"))
    assert main(["mark-external", "adj-1", *WHO, "--config", str(configured(tmp_path))]) == 1
    assert "moved 2 tokens" in capsys.readouterr().err


@pytest.mark.req("L-26", "X-12")
@pytest.mark.parametrize(
    ("option", "text", "why"),
    [
        ("--size", "1e3", "no plain decimal number"),
        ("--size", "0.0000001", "finer than 1e-6"),
        ("--price", "1", "not below 1"),
        ("--by", " ", "--by is empty"),
        ("--reason", "", "--reason is empty"),
        ("--side", "HOLD", "is not one of"),
    ],
)
def test_what_is_typed_wrongly_is_exit_2(
    capsys: pytest.CaptureFixture[str], books: Path, option: str, text: str, why: str
) -> None:
    assert main([*ADJUST, option, text, "--config", str(books)]) == 2
    assert why in capsys.readouterr().err


@pytest.mark.req("L-26", "X-12", "D-22")
def test_manual_entries_go_to_the_running_process(
    capsys: pytest.CaptureFixture[str], servers: Servers, process: FakeProcess, config_file: Path
) -> None:
    where = ["--json", "--config", str(config_file)]
    done = json_of(capsys, *ADJUST, *where)
    marked = json_of(capsys, "mark-external", "adj-1", "--price", "0.5", *WHO, *where)
    assert process.commands == [
        RecordTrade(
            request_id=process.commands[0].request_id,
            market_id=samples.CONDITION,
            token_id=samples.TOKEN,
            side=Side.BUY,
            size_micro=12_500_000,
            price_micro=410_000,
            operator="alice",
            reason="by hand",
        ),
        MarkExternal(
            request_id=process.commands[1].request_id,
            market_id=samples.CONDITION,
            entry_id="adj-1",
            price_micro=500_000,
            operator="alice",
            reason="by hand",
        ),
    ]
    assert (done["entry_id"], done["outcome"], done["title"]) == ("done", "Yes", "Will it rain in Zürich?")
    assert done["before"] == done["after"]
    assert done["before"]["shares_micro"] == 400_000_000
    assert (marked["entry_id"], marked["marked_entry_id"]) == ("done", "adj-1")
    assert main([*ADJUST, "--config", str(config_file)]) == 0
    said = capsys.readouterr()
    assert re.search(r"^before +400.0 +300.0 +100.0 ", said.out, re.MULTILINE)
    assert said.err.startswith("the position is the same as before")


@pytest.mark.req("L-26")
@pytest.mark.parametrize(
    ("more", "agreed", "asked", "code"), [([], True, 1, 0), ([], False, 1, 1), (["--yes"], False, 0, 0)]
)
def test_on_a_terminal_an_adjustment_is_asked_for_once_more(
    servers: Servers,
    process: FakeProcess,
    config_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: list[str],
    agreed: bool,
    asked: int,
    code: int,
) -> None:
    questions: list[str] = []

    def confirm(text: str, *, err: bool) -> bool:
        assert err, "a question is talk"
        questions.append(text)
        return agreed

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", confirm)
    assert main([*ADJUST, *more, "--config", str(config_file)]) == code
    assert (
        questions == ["Record in 'Will it rain in Zürich?': BUY of 12.5 Yes at 0.41 pUSD, 5.125 pUSD in all?"] * asked
    )
    assert len(process.commands) == (code == 0)


@pytest.mark.req("L-26")
def test_a_refused_entry_says_that_nothing_was_recorded_and_where_to_look(
    capsys: pytest.CaptureFixture[str], servers: Servers, process: FakeProcess, config_file: Path
) -> None:
    process.refusal = "there is no standing adjustment adj-1"
    assert main(["mark-external", "adj-1", *WHO, "--config", str(config_file)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: nothing was recorded: there is no standing adjustment adj-1; ")
    assert f"portfolio-sync adjustments --market {samples.CONDITION} --wide" in said


BACKFILLED = b'{"type":"backfill_done","trades":7,"pages":2,"legs":5,"new_legs":3,"unresolved":%b}'


@pytest.mark.req("L-17", "D-22")
def test_a_backfill_goes_to_the_running_process_and_tells_what_it_found(
    capsys: pytest.CaptureFixture[str], servers: Servers, process: FakeProcess, config_file: Path
) -> None:
    process.body = BACKFILLED % b"[]"
    since = ["backfill", "--since", "2025-05-09T12:00Z"]
    assert json_of(capsys, *since, "--market", "rain-zurich", "--json", "--config", config_file) == {
        "since_ms": samples.AT_MS,
        "condition_id": samples.CONDITION,
        "trades": 7,
        "pages": 2,
        "legs": 5,
        "new_legs": 3,
        "unresolved": [],
        "booked_fills": 0,
    }
    new = "0x" + "7e" * 32
    assert main([*since, "--market", new, "--config", str(config_file)]) == 0
    said = capsys.readouterr()
    assert "7 in 2 page(s)" in said.out
    assert said.err == f"reading trades of {new} since 2025-05-09 12:00:00Z\n"
    asked = [(each.since_s, each.condition_id) for each in process.commands if isinstance(each, Backfill)]
    assert asked == [(samples.AT_MS // 1000, samples.CONDITION), (samples.AT_MS // 1000, new)]


@pytest.mark.req("L-17")
def test_a_backfill_that_could_not_book_everything_failed(
    capsys: pytest.CaptureFixture[str], servers: Servers, process: FakeProcess, config_file: Path
) -> None:
    process.body = BACKFILLED % b'["0xnew"]'
    assert main(["backfill", "--since", "2h", "--config", str(config_file)]) == 1
    assert "no metadata yet for 0xnew" in capsys.readouterr().err
    process.refusal = "clob_trades timeout: nothing came"
    assert main(["backfill", "--since", "2h", "--config", str(config_file)]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: the backfill did not come to its end: clob_trades timeout: nothing came. ")
    assert "run the command again" in said


@pytest.mark.req("L-17")
def test_on_a_terminal_a_backfill_shows_how_far_it_is(
    servers: Servers,
    process: FakeProcess,
    config_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    process.body = BACKFILLED % b"[]"
    monkeypatch.setattr(backfilling, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("storage.queries.Queries.booked_since", lambda *_: 3)
    assert main(["backfill", "--since", "0", "--config", str(config_file)]) == 0
    said = capsys.readouterr()
    assert "reading trades since 1970-01-01 00:00:00Z: 3 missing fill(s) booked so far" in said.err
    assert "3 that were missing" in said.out
