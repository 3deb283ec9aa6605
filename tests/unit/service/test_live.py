"""The readable view: reports in words, each shown once, on a terminal or as plain lines."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from portfolio.outcomes import CycleStatus, DeltaType, OperationsReport
from portfolio.reports import render_operations, render_settlement
from service.live import CycleLines, Follower, Kind, Line, Panel, Plain, alert_line, cycle_line, delta_line, pause_line
from service.telemetry import NoMetrics
from storage.queries import ReportKind, Selection
from tests.integration.storage import samples


class FakeQueries:
    """Reports in the order a database gives them: newest first."""

    def __init__(self) -> None:
        self.stored: dict[ReportKind, list[dict[str, Any]]] = {ReportKind.SETTLEMENT: [], ReportKind.OPERATIONS: []}
        self.observations: list[dict[str, Any]] = []
        self.fill_rows: list[dict[str, Any]] = []

    def add(self, kind: ReportKind, document: dict[str, Any]) -> None:
        self.stored[kind].append(document)

    def reports(self, kind: ReportKind, selection: Selection) -> list[dict[str, Any]]:
        since = selection.since_ms or 0
        rows = [row for row in self.stored[kind] if row["synced_at_ms"] >= since]
        rows = [row for row in rows if selection.wallet in {None, row["wallet"]}]
        return sorted(rows, key=lambda row: -row["synced_at_ms"])

    def fill_observations(self, selection: Selection) -> list[dict[str, Any]]:
        rows = [row for row in self.observations if row["at_ms"] >= (selection.since_ms or 0)]
        return sorted(rows, key=lambda row: -row["at_ms"])

    def fills(self, selection: Selection) -> list[dict[str, Any]]:
        assert selection.limit is not None
        return self.fill_rows


def operations(at_ms: int, **changes: object) -> dict[str, Any]:
    return render_operations(samples.operations(synced_at_ms=at_ms, **changes))


def settlement(at_ms: int, **changes: object) -> dict[str, Any]:
    return render_settlement(samples.settlement(synced_at_ms=at_ms, **changes))


@pytest.mark.req("S-08")
def test_a_cycle_is_one_line_with_what_matters() -> None:
    line = cycle_line(7, operations(1, reasons=()))
    for words in ("cycle    7", "ok", "block 71234567", "positions    3", "11.6 pUSD", "312 ms"):
        assert words in line
    skipped = cycle_line(8, operations(1, status=CycleStatus.CLOB_UNAVAILABLE, block_number=None, reasons=("down",)))
    assert "clob_unavailable" in skipped
    assert "(down)" in skipped


@pytest.mark.req("L-14", "L-22")
def test_a_delta_names_sizes_drift_cause_and_evidence() -> None:
    line = delta_line(settlement(1))
    for words in ("UPDATED position", "400.0 → 388.4 pUSD", "drift 11.6", "EXTERNAL_SALE", "block 71234567"):
        assert words in line


@pytest.mark.req("L-14", "X-01")
def test_a_delta_shows_its_transaction_so_that_the_line_can_be_read() -> None:
    line = delta_line(settlement(1, evidence=f"transaction 0x{'ab' * 32}, log 3, block 9"))
    assert "(transaction 0xabababab…abab, log 3, block 9)" in line


@pytest.mark.req("R-26")
@pytest.mark.parametrize(("route", "word"), [("warn", "WARN"), ("page", "PAGE")])
def test_an_alert_is_told_with_its_loudness_and_code(route: str, word: str) -> None:
    line = alert_line(samples.alert(route=route))
    assert line.text == f"{word} PORTFOLIO_SYNC_DISCREPANCY: The books were 11.60 pUSD off."
    assert line.kind is Kind.ALERT


@pytest.mark.req("S-06")
def test_a_pause_says_why_and_how_to_resume() -> None:
    line = pause_line(settlement(1, event_type="PORTFOLIO_SYNC_STRATEGY_PAUSED", strategy_id="maker"))
    assert "strategy maker PAUSED" in line
    assert "resume-strategy --strategy-id maker" in line


def test_every_report_is_followed_once_and_findings_come_before_their_cycle() -> None:
    queries = FakeQueries()
    follower = Follower(queries)  # type: ignore[arg-type]
    queries.add(ReportKind.OPERATIONS, operations(10))
    queries.add(ReportKind.SETTLEMENT, settlement(10))
    queries.add(ReportKind.SETTLEMENT, settlement(10, event_type="PORTFOLIO_SYNC_STRATEGY_PAUSED"))
    assert [line.kind for line in follower.look()] == [Kind.DELTA, Kind.PAUSE, Kind.CYCLE]
    assert follower.look() == []
    queries.add(ReportKind.OPERATIONS, operations(20))
    queries.add(ReportKind.SETTLEMENT, settlement(10, market_id="0xother"))
    assert [line.kind for line in follower.look()] == [Kind.DELTA, Kind.CYCLE]
    assert follower.cycles == 2


def test_only_the_wanted_wallet_is_followed() -> None:
    queries = FakeQueries()
    queries.add(ReportKind.OPERATIONS, operations(10))
    assert Follower(queries, "other").look() == []  # type: ignore[arg-type]
    assert len(Follower(queries, samples.WALLET).look()) == 1  # type: ignore[arg-type]


def test_a_service_on_a_terminal_says_each_cycle_and_still_measures_it() -> None:
    class Measured(NoMetrics):
        def __init__(self) -> None:
            self.cycles = 0

        def cycle(self, report: OperationsReport) -> None:
            self.cycles += 1

    out, inner = io.StringIO(), Measured()
    lines = CycleLines(inner, out)
    lines.known_statuses(())
    lines.counted("late_answer")
    lines.positions_synced(DeltaType.ADDED, 1)
    lines.strategy_paused("maker")
    lines.cycle(samples.operations())
    lines.cycle(samples.operations())
    assert inner.cycles == 2
    assert [line[:22].split()[1:] for line in out.getvalue().splitlines()] == [["cycle", "1"], ["cycle", "2"]]


def test_plain_lines_carry_time_and_kind() -> None:
    out = io.StringIO()
    Plain(out).show(Line(kind=Kind.SCRIPT, at_ms=samples.AT_MS, text="the sandbox now merges"))
    assert out.getvalue() == "12:00:00  sandbox  the sandbox now merges\n"


def test_the_panel_shows_cycles_and_findings_in_place() -> None:
    out = io.StringIO()
    panel = Panel(Console(file=out, force_terminal=True, width=120, height=40), "demo")
    row = operations(samples.AT_MS)
    panel.show(Line(kind=Kind.CYCLE, at_ms=samples.AT_MS, text=cycle_line(1, row), row=row))
    panel.show(Line(kind=Kind.NOTE, at_ms=samples.AT_MS, text="something happened"))
    panel.close()
    shown = out.getvalue()
    for words in ("drift max pUSD", "71234567", "something happened"):
        assert words in shown


def observed(at_ms: int, status: str, feed: str) -> dict[str, Any]:
    return {"trade_id": "t1", "order_id": "o1", "status": status, "feed": feed, "at_ms": at_ms}


def booked(state: str, **given: Any) -> dict[str, Any]:
    """A stored fill, matched at 1,000 ms."""
    row = {"trade_id": "t1", "order_id": "o1", "side": "BUY", "size_micro": 10_000_000, "price_micro": 410_000}
    told = {"condition_id": "0xc0", "matched_at_ms": 1_000, "updated_at_ms": 1_200, "settled_by": "", "state": state}
    return {**row, **told, **given}


BY_LOG = {"settled_by": "transaction 0xaa, log 5, block 77", "updated_at_ms": 2_500}


@pytest.mark.req("L-01", "L-03")
def test_each_status_of_a_fill_is_told_once_by_the_feed_that_showed_it_first() -> None:
    queries = FakeQueries()
    queries.fill_rows = [booked("OBSERVED")]
    queries.observations = [observed(1_200, "MATCHED", "stream"), observed(1_900, "MATCHED", "poll")]
    follower = Follower(queries)  # type: ignore[arg-type]
    (line,) = follower.look()
    assert line.kind is Kind.FILL
    assert "10.0 at 0.41" in line.text
    assert "MATCHED   by stream" in line.text
    assert "0.2 s after the match" in line.text
    assert line.text.endswith("OBSERVED")
    assert line.row["status"] == "MATCHED"
    assert follower.look() == []
    queries.observations.append(observed(3_000, "CONFIRMED", "poll"))
    queries.fill_rows[0] = booked("SETTLED")
    assert [line.text.partition("→")[2].strip() for line in follower.look()] == ["SETTLED"]


@pytest.mark.req("X-01", "L-03")
def test_a_settlement_that_only_the_chain_has_shown_is_a_line_of_its_own() -> None:
    queries = FakeQueries()
    queries.fill_rows = [booked("OBSERVED")]
    queries.observations = [observed(1_200, "MATCHED", "stream")]
    follower = Follower(queries)  # type: ignore[arg-type]
    follower.look()
    assert follower.look() == []
    queries.fill_rows[0] = booked("SETTLED", **BY_LOG)
    (line,) = follower.look()
    assert (line.kind, line.at_ms) == (Kind.FILL, 2_500)
    assert "SETTLED   by chain       1.5 s after the match" in line.text
    assert line.text.endswith("→ SETTLED by its log in block 77")
    assert follower.look() == []
    queries.observations.append(observed(3_000, "CONFIRMED", "stream"))
    assert [line.text.partition("→")[2].strip() for line in follower.look()] == ["SETTLED"]


@pytest.mark.req("X-01", "L-03")
def test_where_the_log_came_before_the_exchanges_word_that_one_says_so() -> None:
    queries = FakeQueries()
    queries.fill_rows = [booked("SETTLED", **BY_LOG)]
    queries.observations = [observed(2_600, "MINED", "stream")]
    follower = Follower(queries)  # type: ignore[arg-type]
    (line,) = follower.look()
    assert line.text.endswith("→ SETTLED already, by its log in block 77")
    assert follower.look() == []


@pytest.mark.req("L-03", "R-10")
def test_a_failed_fill_is_told_as_reversed() -> None:
    queries = FakeQueries()
    queries.fill_rows = [booked("FAILED")]
    queries.observations = [observed(2_600, "FAILED", "stream")]
    (line,) = Follower(queries).look()  # type: ignore[arg-type]
    assert line.text.endswith("→ FAILED, reversed")


def test_a_low_terminal_shows_the_newest_findings_whole() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, height=20)
    panel = Panel(console, "demo")
    row = operations(samples.AT_MS)
    for number in range(9):
        panel.show(Line(kind=Kind.CYCLE, at_ms=samples.AT_MS, text=cycle_line(number, row), row=row))
        panel.show(Line(kind=Kind.NOTE, at_ms=samples.AT_MS, text=f"finding {number} " + "word " * 30))
    panel.close()
    picture = out.getvalue().rpartition("demo")[2]
    assert "finding 8" in picture
    assert "finding 0" not in picture
    assert picture.count("ok") == 5, "the newest cycles"
    assert len(picture.splitlines()) <= 20
