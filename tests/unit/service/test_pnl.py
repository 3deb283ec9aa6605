"""Profit and loss: realised by the books, unrealised at marks, unknown where there is none, and the check of L-10."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.board import SyncShown
from portfolio.cycle import PriceSource, ReferencePrice
from portfolio.units import MICRO
from portfolio.wallet import WalletState
from service import pnl
from service.api import Mark
from service.cli import output, profit
from storage.queries import EntrySums, Profits, Selection
from tests.integration.storage import samples

NOW_MS = samples.AT_MS
CENT = MICRO // 100
OTHER = samples.hexadecimal(7)


def position(token_id: str, shares: int, cost: int, **changes: Any) -> dict[str, Any]:
    row = samples.position(
        token_id=token_id,
        shares_micro=shares,
        settled_micro=shares,
        in_flight_micro=0,
        cost_basis_micro=cost,
        realized_pnl_micro=0,
        fees_micro=0,
    )
    return msgspec.structs.asdict(msgspec.structs.replace(row, **changes))


class Books:
    """Positions whose entries add up, but where a test says otherwise."""

    def __init__(self, *positions: dict[str, Any], **changes: Any) -> None:
        entries = {
            (row["wallet"], row["token_id"]): EntrySums(
                market_id=row["market_id"],
                realized_pnl_micro=row["realized_pnl_micro"],
                fees_micro=row["fees_micro"],
            )
            for row in positions
        }
        titles = {("main", samples.CONDITION): "Will it rain?", ("main", OTHER): "Will it snow?"}
        found = Profits(positions=positions, entries=entries, since=None, titles=titles)
        self.found = msgspec.structs.replace(found, **changes)

    def profits(self, _selection: Selection) -> Profits:
        return self.found


def document(books: Books, marks: dict[str, Mark] | None, **options: Any) -> dict[str, Any]:
    selection = Selection(since_ms=options.pop("since_ms", None))
    return pnl.document(books, marks, selection, **options)  # type: ignore[arg-type]


def mark(price: int, source: str = "data_api", at_ms: int = NOW_MS) -> Mark:
    return Mark(price_micro=price, source=source, at_ms=at_ms)


@pytest.mark.req("L-10", "R-20", "X-15")
def test_a_market_shows_cost_realised_fees_and_what_its_shares_are_worth_at_marks() -> None:
    yes = position("1", 30 * MICRO, 12 * MICRO, realized_pnl_micro=5 * MICRO, fees_micro=MICRO)
    no = position("2", 10 * MICRO, 7 * MICRO, settled_micro=4 * MICRO, in_flight_micro=6 * MICRO)
    shown = document(Books(yes, no), {"1": mark(45 * CENT), "2": mark(55 * CENT, "metadata", NOW_MS - 9)})
    (market,) = shown["markets"]
    amounts = {name: value for name, value in market.items() if name.endswith("_micro")}
    assert amounts == {
        "shares_micro": 40 * MICRO,
        "settled_micro": 34 * MICRO,
        "in_flight_micro": 6 * MICRO,
        "cost_basis_micro": 19 * MICRO,
        "realized_pnl_micro": 5 * MICRO,
        "fees_micro": MICRO,
        "realized_after_fees_micro": 4 * MICRO,
        "difference_micro": 0,
        "value_micro": 19_000_000,
        "unrealized_pnl_micro": 0,
    }
    assert (market["title"], market["mark_source"]) == ("Will it rain?", "data_api, metadata")
    assert market["mark_at_ms"] == NOW_MS - 9
    assert [token["unrealized_pnl_micro"] for token in market["tokens"]] == [1_500_000, -1_500_000]
    assert {name: shown["total"][name] for name in amounts} == amounts
    assert (shown["total"]["markets"], shown["total"]["unknown_because"]) == (1, "")


@pytest.mark.req("L-10", "R-03")
def test_what_has_no_mark_is_unknown_and_so_is_the_total() -> None:
    held = position("1", MICRO, CENT)
    unmarked = position("2", MICRO, CENT, market_id=OTHER, condition_id=OTHER)
    empty = position("3", 0, 0, realized_pnl_micro=8, market_id="third", condition_id="third")
    shown = document(Books(held, unmarked, empty), {"1": mark(CENT)})
    assert [row["unrealized_pnl_micro"] for row in shown["markets"]] == [None, 0, 0]
    assert (shown["total"]["unrealized_pnl_micro"], shown["total"]["value_micro"]) == (None, None)
    assert shown["total"]["realized_pnl_micro"] == 8
    assert "for 1 of 2 markets that hold shares" in shown["total"]["unknown_because"]


@pytest.mark.req("L-10", "R-03")
def test_without_a_process_nothing_has_a_mark_and_it_says_why() -> None:
    shown = document(Books(position("1", MICRO, CENT)), None)
    assert shown["markets"][0]["mark_source"] is None
    assert shown["total"]["unrealized_pnl_micro"] is None
    assert shown["total"]["unknown_because"] == pnl.NOT_RUNNING
    assert document(Books(position("1", 0, 0)), None, everything=True)["total"]["unrealized_pnl_micro"] == 0


@pytest.mark.req("L-10")
def test_a_payout_of_nothing_is_a_mark_and_no_unknown() -> None:
    shown = document(Books(position("1", MICRO, 40 * CENT)), {"1": mark(0, "payout")})
    assert shown["total"]["unrealized_pnl_micro"] == -40 * CENT


def test_a_market_that_never_earned_or_held_anything_is_shown_only_on_request() -> None:
    books = Books(position("1", 0, 0), position("2", 0, 0, fees_micro=1, market_id=OTHER, condition_id=OTHER))
    assert [row["market_id"] for row in document(books, {})["markets"]] == [OTHER]
    assert len(document(books, {}, everything=True)["markets"]) == 2


@pytest.mark.req("D-01", "R-13")
def test_the_questions_of_an_event_are_one_market() -> None:
    first = position("1", MICRO, CENT, realized_pnl_micro=-3, market_id="event")
    second = position("2", MICRO, CENT, realized_pnl_micro=3, market_id="event", condition_id=OTHER)
    (market,) = document(Books(first, second), {})["markets"]
    assert (market["title"], market["realized_pnl_micro"]) == ("Will it rain?, and 1 more", 0)


@pytest.mark.req("L-10")
def test_since_a_time_realised_and_fees_are_those_of_what_was_booked_since() -> None:
    since = {("main", "1"): EntrySums(market_id=samples.MARKET, realized_pnl_micro=2, fees_micro=1)}
    held = position("1", MICRO, CENT, realized_pnl_micro=9, fees_micro=4)
    shown = document(Books(held, since=since), {"1": mark(2 * CENT)}, since_ms=NOW_MS)
    (market,) = shown["markets"]
    earned = ("realized_pnl_micro", "fees_micro", "realized_after_fees_micro", "difference_micro")
    assert [market[name] for name in earned] == [2, 1, 1, 0]
    assert (market["cost_basis_micro"], market["unrealized_pnl_micro"]) == (CENT, CENT)
    assert shown["since_ms"] == NOW_MS


@pytest.mark.req("L-10")
def test_positions_and_entries_that_are_apart_are_told_token_by_token() -> None:
    rows = [position(token, 0, 0, realized_pnl_micro=realized) for token, realized in (("1", 5), ("2", -5))]
    entries = {("main", token): EntrySums(market_id=samples.MARKET) for token in ("1", "2")}
    (market,) = pnl.wrong(document(Books(*rows, entries=entries), {}))
    assert market["difference_micro"] == 10
    assert pnl.wrong(document(Books(*rows), {})) == []


@pytest.mark.req("L-10")
def test_entries_without_a_position_are_apart_too() -> None:
    entries = {("main", "9"): EntrySums(market_id=OTHER, realized_pnl_micro=4)}
    (market,) = pnl.wrong(document(Books(entries=entries), {}))
    assert (market["market_id"], market["difference_micro"], market["realized_pnl_micro"]) == (OTHER, 4, 0)


@pytest.mark.req("R-03")
def test_marks_are_the_prices_of_the_market_that_are_at_most_an_hour_old() -> None:
    prices = {source.value: ReferencePrice(price_micro=CENT, source=source) for source in PriceSource}
    shown = SyncShown(
        wallet=WalletState(wallet="main"), prices=prices, priced_at_ms=NOW_MS, metadata_at_ms=NOW_MS - 5_000
    )
    marks = pnl.marks_of(shown, NOW_MS)
    assert {token: (each.source, each.at_ms) for token, each in marks.items()} == {
        "payout": ("payout", NOW_MS),
        "data_api": ("data_api", NOW_MS),
        "metadata": ("metadata", NOW_MS - 5_000),
    }
    an_hour_later = NOW_MS + pnl.MARK_MAX_AGE_MS
    assert set(pnl.marks_of(shown, an_hour_later)) == {"payout", "data_api"}
    assert set(pnl.marks_of(shown, an_hour_later + 1)) == {"payout"}


# -- on a terminal ------------------------------------------------------------------------------------------------


def shown_at(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, books: Books, **marks: Mark
) -> tuple[list[str], str]:
    for module in (output, profit):
        monkeypatch.setattr(module, "terminal_width", lambda: width)
    profit.show(document(books, {name.removeprefix("t"): each for name, each in marks.items()}), NOW_MS, wide=False)
    said = capsys.readouterr()
    return [line.rstrip() for line in said.out.splitlines()], said.err


def books() -> Books:
    held = position("1", 1234567 * MICRO + 1, 500_000 * MICRO, realized_pnl_micro=-1, fees_micro=2)
    return Books(held, position("2", MICRO, CENT, market_id=OTHER, condition_id=OTHER))


@pytest.mark.req("L-10", "X-15")
def test_the_table_ends_with_a_total_under_a_rule(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = {"t1": mark(50 * CENT, at_ms=NOW_MS - 12_000), "t2": mark(MICRO, "payout")}
    lines, said = shown_at(250, capsys, monkeypatch, books(), **marks)
    names, units, *rows, rule, total = lines
    assert " ".join(names.split()) == "held settled in flight cost value realised fees after fees unrealised"
    assert units.split() == ["market", "id", "mark", *["shares"] * 3, *["pUSD"] * 6]
    assert "Yes 1.0 by payout  " in rows[0]
    assert "Yes 0.5 by data_api 12 s ago" in rows[1]
    assert set(rule.strip()) == {"─", " "}
    numbers = "1234568.000001 1234568.000001 0.0 500000.01 617284.5 -0.000001 0.000002 -0.000003 117284.49"
    assert total.split() == ["total", *numbers.split()]
    assert len(total) == len(units) == max(map(len, lines))
    assert said == ""


@pytest.mark.req("L-10", "X-15")
@pytest.mark.parametrize("width", [80, 140])
def test_on_a_narrow_terminal_what_belongs_together_stands_below_each_other(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    lines, said = shown_at(width, capsys, monkeypatch, books(), t1=mark(50 * CENT))
    assert max(map(len, lines)) <= width
    shown = " ".join(lines).split()
    assert shown.count("1234567.000001") == 2
    assert {"1234568.000001", "500000.01", "-0.000001", "0.000002", "-0.000003", "unknown", "117283.5"} <= set(shown)
    assert "no source shows a price younger than an hour for 1 of 2 markets" in said


def test_no_market_at_all_is_said_and_shows_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    profit.show(document(Books(), {}), NOW_MS, wide=False)
    assert capsys.readouterr() == ("", "no markets\n")
