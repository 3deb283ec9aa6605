"""`explain` and its route: the journal told line by line, and held against what is stored."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from msgspec.structs import replace

import service.explain
from portfolio.entries import Cause
from portfolio.events import EntryMarked, EventRejected
from portfolio.facts import TradeStatus
from portfolio.market import Step, transition
from portfolio.outcomes import AdjustmentRow, IssueAction
from service.cli import explaining, main, output
from service.config import Config, load
from service.http import Servers
from tests.integration.service.books import FakeProcess, configured, decoded, json_of
from tests.integration.service.lives import Kept, a_life, an_event, spoil, stored
from tests.integration.storage import samples
from tests.unit.portfolio.markets import (
    CONDITION,
    EVENT,
    SECOND,
    SHARE,
    T0,
    YES,
    chain,
    leg,
    order,
)

pytestmark = pytest.mark.usefixtures("clean_environment")

TIMEOUT_S = 60


@pytest.mark.req("X-04", "L-10", "L-14")
def test_each_change_is_told_with_its_transaction_and_the_sums_are_what_is_stored(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    stored(tmp_path, a_life())
    story = json_of(capsys, "explain", "rain", "--json", "--config", configured(tmp_path))
    assert (story["wallet"], story["market_id"], story["adds_up"], story["problems"]) == ("main", CONDITION, True, [])
    told = [
        (line["cause"], line["outcome"], line["shares_micro"] // SHARE, (line["transaction_hash"] or "-")[-2:])
        for line in story["lines"]
        if line["shares_micro"]
    ]
    assert told == [
        ("SETTLED", "Yes", 10, "b1"),
        ("SETTLED", "No", 10, "-"),
        ("POSITION_MERGED", "Yes", -4, "03"),
        ("POSITION_MERGED", "No", -4, "03"),
        ("EXTERNAL_SALE", "Yes", -3, "05"),
        ("OBSERVED", "Yes", 2, "f1"),
        ("RESTATED", "Yes", -2, "f1"),
        ("REDEEMED", "Yes", -3, "07"),
    ]
    merged = next(line for line in story["lines"] if line["cause"] == "POSITION_MERGED")
    assert (merged["log_index"], merged["block_number"], merged["proof"]) == (3, 80_000_045, "transaction")
    failed = next(line for line in story["lines"] if line["kind"] == "failed")
    assert (failed["trade_id"], failed["transaction_hash"]) == ("f", "0x" + "f1" * 32)
    yes, no = story["positions"]
    assert (yes["outcome"], yes["shares_micro"], yes["realized_pnl_micro"]) == ("Yes", 0, 2_800_000)
    assert (no["shares_micro"], no["told"]["shares_micro"], no["difference"]["shares_micro"]) == (
        6 * SHARE,
        6 * SHARE,
        0,
    )
    last = [line for line in story["lines"] if line["outcome"] == "Yes" and line["seq"]][-1]
    assert (last["shares_after_micro"], last["realized_pnl_after_micro"]) == (0, 2_800_000)


@pytest.mark.req("X-04")
def test_the_table_shows_what_how_much_and_by_what(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    stored(tmp_path, a_life(), samples.issue(market_id=CONDITION, subject=YES, at_ms=T0))
    where = ("--config", str(configured(tmp_path)))
    assert main(["explain", CONDITION, *where]) == 0
    said = capsys.readouterr()
    assert said.err == f"Will it rain? ({CONDITION})\n"
    lines = said.out.splitlines()
    assert re.search(
        r"fill SETTLED; BUY 10.0 at 0.4, maker; order o1 +Yes +10.0 +10.0 +4.0 .*transaction 0xb1", said.out
    )
    assert re.search(r"adjustment POSITION_MERGED +Yes +-4.0 +6.0 .*, log 3, block 80000045 *$", said.out, re.MULTILINE)
    assert re.search(r"\bfailed; BUY 2.0 at 0.4, maker; .*transaction 0xf1.*; trade f *$", said.out, re.MULTILINE)
    assert re.search(r"\bissue SIZE_MATCHED_DECREASED +Yes +WARN: 40.000000 → 39.000000, late message", said.out)
    assert re.search(r"^No +6.0 +6.0 .* adds up *$", lines[-1])
    assert "0x" + "b1" * 32 not in said.out
    assert main(["explain", CONDITION, "--wide", "--limit", "2", *where]) == 0
    said = capsys.readouterr()
    assert "0x" + f"{7:064x}" in said.out
    assert re.search(r"the newest 2 of 1\d lines", said.err)


@pytest.mark.req("X-04")
def test_pauses_resumes_and_issues_stand_where_they_were_noted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A resume names no market: it is told where the market gave reason for the pause."""
    mine = {"market_id": CONDITION, "at_ms": T0 + 104 * SECOND}
    events = (
        samples.strategy_event(**mine, reason="drift"),
        samples.strategy_event(market_id="", event="resumed", at_ms=T0 + 110 * SECOND, operator="ada", reason="seen"),
        samples.strategy_event(market_id="", event="resumed", at_ms=T0 + 111 * SECOND, operator="bob"),
        samples.strategy_event(market_id="0xother", at_ms=T0 + 112 * SECOND),
    )
    found = samples.issue(**mine, type="POSITION_DRIFT", subject=YES, action=IssueAction.CORRECTED)
    stored(tmp_path, a_life(), *events, found)
    story = json_of(capsys, "explain", "rain", "--json", "--config", configured(tmp_path))
    notes = [line for line in story["lines"] if line["seq"] is None]
    paused, resumed = (line for line in notes if line["kind"] == "strategy")
    assert [paused["cause"], paused["proof"], paused["reason"]] == ["paused", "books", "drift"]
    assert [resumed["cause"], resumed["proof"], resumed["operator"]] == ["resumed", "operator", "ada"]
    assert [line["cause"] for line in notes][-3:] == ["paused", "resumed", "POSITION_DRIFT"]
    assert ("CORRECTED", "Yes") in {(line["reason"], line["outcome"]) for line in notes}
    times = [line["booked_at_ms"] for line in story["lines"]]
    assert times == sorted(times)
    assert all(line["shares_after_micro"] is None for line in notes)


@pytest.mark.req("X-04", "L-10")
@pytest.mark.parametrize(
    ("statement", "why"),
    [
        (
            "UPDATE positions SET shares_micro = 7000000 WHERE token_id = 'no'",
            "lines add up to shares 6.0, stored is 7.0",
        ),
        ("UPDATE positions SET cost_basis_micro = 1 WHERE token_id = 'no'", "cost basis 2.4, stored is 0.000001"),
        (
            "UPDATE fills SET fee_micro = 5 WHERE trade_id = 'y'",
            "fill y of o1 is not as the journal gives it: fee_micro 5",
        ),
        ("DELETE FROM fills WHERE trade_id = 'f'", "fill f of o1 is in the journal and not stored"),
        ("UPDATE adjustments SET entry_id = 'x' WHERE cause = 'REDEEMED'", "adjustment x of yes is stored and in no"),
        ("DELETE FROM positions", "Yes (yes): the lines add up to realized pnl 2.8, stored is 0.0"),
    ],
)
def test_a_story_that_does_not_add_up_is_exit_3_and_says_where(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, statement: str, why: str
) -> None:
    stored(tmp_path, a_life())
    spoil(tmp_path, statement)
    where = ("--config", str(configured(tmp_path)))
    assert main(["explain", "rain", *where]) == 3
    said = capsys.readouterr()
    assert why in said.err
    assert "the story does not add up to what is stored" in said.err
    assert ("DOES NOT ADD UP" in said.out) == ("positions" in statement)
    story = json_of(capsys, "explain", "rain", "--json", *where, code=3)
    assert story["adds_up"] is False
    assert any(why in problem for problem in story["problems"])


@pytest.mark.req("X-04", "L-10")
def test_rows_without_a_journal_are_no_story(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    book = Kept()
    stored(tmp_path, book, samples.position(market_id=CONDITION, condition_id=CONDITION, token_id=YES))
    assert main(["explain", "rain", "--config", str(configured(tmp_path))]) == 3
    assert "Yes (yes): the lines add up to shares 0.0, stored is 400.0" in capsys.readouterr().err


@pytest.mark.req("X-04")
def test_an_unknown_market_is_an_error_that_offers_the_nearest_name(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    stored(tmp_path, a_life())
    assert main(["explain", "rian", "--config", str(configured(tmp_path))]) == 1
    said = capsys.readouterr()
    assert (said.out, len(said.err.splitlines())) == ("", 1)
    assert "knows no market 'rian' (did you mean rain?)" in said.err


@pytest.mark.req("X-04", "L-10")
def test_an_entry_whose_rows_are_not_what_it_gave_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As an error in the transition would show itself: a step that leaves the row of a redemption out."""

    def careless(*given: Any) -> Step:
        step = transition(*given)
        rows = (row for row in step.rows if not (isinstance(row, AdjustmentRow) and row.cause is Cause.REDEEMED))
        return replace(step, rows=tuple(rows))

    monkeypatch.setattr(service.explain, "transition", careless)
    book = a_life()
    stored(tmp_path, book)
    assert main(["explain", "rain", "--config", str(configured(tmp_path))]) == 3
    last = len(book.decisions)
    assert (
        f"token yes: from journal entry {last} on, its lines do not add up to what it gave" in capsys.readouterr().err
    )


@pytest.mark.req("X-04", "D-17")
def test_what_is_behind_the_head_is_not_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Entries that a running process adds while the story is read are the next story's."""
    stored(tmp_path, a_life())
    where = ("--config", configured(tmp_path))
    whole = json_of(capsys, "explain", "rain", "--json", *where)["lines"]
    spoil(tmp_path, "UPDATE leases SET head_seq = 3")
    story = json_of(capsys, "explain", "rain", "--json", *where, code=3)
    told = [line for line in story["lines"] if line["seq"]]
    assert [line["seq"] for line in told] == [line["seq"] for line in whole if line["seq"] and line["seq"] <= 3]


@pytest.mark.req("X-04")
def test_a_name_of_two_markets_is_an_error_that_lists_them(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    other = samples.market(condition_id="0xdd", market_id="0xdd", slug="rain")
    stored(tmp_path, a_life(), other)
    assert main(["explain", "rain", "--config", str(configured(tmp_path))]) == 1
    assert "rain has 2 questions" in capsys.readouterr().err


@pytest.mark.req("X-04")
def test_a_long_story_is_whole_and_fits_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each amount stands above the total after it, and no digit is cut off."""
    book = Kept()
    for number in range(60):
        book.see(leg(f"t{number}", order_id=f"o{number}", external=number == 7))
    book.tell(EventRejected(kind="fill_seen", detail="of no known shape"))
    book.show(order("o-new", size_matched_micro=2 * SHARE))
    stored(tmp_path, book)
    where = ("--config", str(configured(tmp_path)))
    for module in (explaining, output):
        monkeypatch.setattr(module, "terminal_width", lambda: 80)
    assert main(["explain", "rain", *where]) == 0
    said = capsys.readouterr()
    assert f"Will it rain? ({CONDITION}, halted: fill_seen could not be processed" in said.err
    lines = said.out.splitlines()
    headings = [word for line in lines[:3] for word in line.split()]
    assert headings[:4] == ["shares", "cost", "realised", "proceeds"]
    assert headings[-8:] == ["happened", "what", "outcome", "shares", "pUSD", "pUSD", "pUSD", "by"]
    assert sum(bool(re.search(r" Yes +10.0 +4.0 +0.0 +0.0 ", line)) for line in lines) == 60
    assert any(re.search(r" 600.0 +240.0 +0.0 +0.0 ", line) for line in lines)
    assert sum("another" in line for line in lines) == 1
    assert "trade provisional" not in " ".join(said.out.split())
    assert re.search(r"^Yes +602.0 +0.0 +241.2 .* adds up *$", lines[-1])


@pytest.mark.req("X-04", "L-15", "L-26")
def test_what_is_inferred_and_what_a_person_recorded_say_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    book = Kept()
    book.see(leg("y", status=TradeStatus.CONFIRMED))
    book.look(chain(40, yes=10 * SHARE))
    book.look_twice({YES: 15 * SHARE})
    (inferred,) = book.entries()
    book.tell(EntryMarked(entry_id=inferred.entry_id, price_micro=300_000, operator="ada", reason="a trade of mine"))
    stored(tmp_path, book)
    assert main(["explain", "rain", "--config", str(configured(tmp_path))]) == 0
    out = capsys.readouterr().out
    assert re.search(r"UNTRACKED_INCREASE; estimated; superseded since .* inferred *$", out, re.MULTILINE)
    assert re.search(r"EXTERNAL_BUY .*; by ada; a trade of mine *$", out, re.MULTILINE)
    assert re.search(r"fill SETTLED; .* trade y; no transaction told *$", out, re.MULTILINE)


@pytest.mark.req("X-04", "D-17")
def test_an_entry_of_a_later_version_cannot_be_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    stored(tmp_path, a_life())
    spoil(tmp_path, "UPDATE journal SET schema = 99 WHERE seq = 2")
    assert main(["explain", "rain", "--config", str(configured(tmp_path))]) == 1
    assert "journal entry 2 cannot be told: " in capsys.readouterr().err


@pytest.mark.req("X-04", "D-01")
@pytest.mark.parametrize(
    ("name", "tokens", "trades"),
    [(EVENT, ["y0", "n1"], {"a", "b"}), ("0xc0", ["y0"], {"a"}), ("0xc1", ["n1"], {"b"})],
)
def test_of_an_event_one_question_or_all_are_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, tokens: list[str], trades: set[str]
) -> None:
    stored(tmp_path, an_event())
    story = json_of(capsys, "explain", name.upper().replace("X", "x"), "--json", "--config", configured(tmp_path))
    assert story["adds_up"]
    assert [held["token_id"] for held in story["positions"]] == tokens
    assert {line["trade_id"] for line in story["lines"] if line["kind"] == "fill"} == trades
    assert ("FILL_EXPIRED" in {line["cause"] for line in story["lines"]}) == ("b" in trades)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load(configured(tmp_path, '[http]\nbind = "127.0.0.1:0"\n'), {"HOME": "/"}, secrets_needed=False)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[FakeProcess]:
    fake = FakeProcess(stored(tmp_path, a_life()))
    yield fake
    fake.database.close()


@pytest.mark.req("X-04", "S-18")
def test_the_route_tells_the_same_story(capsys: pytest.CaptureFixture[str], servers: Servers, tmp_path: Path) -> None:
    def got(path: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{servers.tcp_port}/v1/explain/{path}", timeout=TIMEOUT_S)

    told = json_of(capsys, "explain", "rain", "--json", "--config", tmp_path / "portfolio-sync.toml")
    assert decoded(got(CONDITION).content) == told
    assert decoded(got("rain?limit=2&wallet=main").content)["lines"] == told["lines"][-2:]
    unknown = got("snow")
    assert (unknown.status_code, "knows no market 'snow'" in unknown.json()["error"]) == (404, True)
    assert got("rain?limit=0").status_code == 400
    assert got("rain?since_ms=1").status_code == 400
