"""`fills`, `orders` and `pnl`: who saw what first, what is settled, and what the markets earned."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from portfolio.entries import FillState
from portfolio.facts import OrderStatus, Side
from service.cli import main, reading, recording
from service.http import Servers
from tests.integration.service.books import configured, decoded, json_of, stored
from tests.integration.storage import samples

pytestmark = pytest.mark.usefixtures("clean_environment")


@pytest.mark.req("L-01", "L-03", "X-15")
def test_fills_say_who_saw_them_first_and_whether_they_are_settled(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settled = samples.fill(2, state=FillState.SETTLED, transaction_hash="0x" + "ab" * 32)
    superseded = samples.fill(3, trade_id="provisional", state=FillState.SUPERSEDED)
    stored(tmp_path, settled, superseded, samples.observation(2, feed="stream", at_ms=samples.AT_MS + 86_400_000))
    where = ["--config", str(configured(tmp_path))]
    newest, oldest = json_of(capsys, "fills", "--json", *where)
    assert (newest["first_seen_by"], newest["settled_micro"], newest["in_flight_micro"]) == ("stream", 1, 0)
    assert (oldest["first_seen_by"], oldest["settled_micro"], oldest["in_flight_micro"]) == ("poll", 0, 1)
    assert main(["fills", *where]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1][:8] for line in lines[2:]] == ["00000000", "00000000"]
    assert re.search(r"SETTLED +yes +stream 2025-05-10 12:00:00Z +0xababab…babab ", lines[2])
    assert re.search(r"OBSERVED +in flight +poll 12:00:00Z +- ", lines[3])
    assert len(json_of(capsys, "fills", "--json", "--all", *where)) == 3
    assert json_of(capsys, "fills", "--json", "--state", "settled", *where) == [newest]
    assert json_of(capsys, "fills", "--json", "--order", samples.ORDER.upper(), "--state", "FAILED", *where) == []
    assert json_of(capsys, "fills", "--json", "--since", "2025-05-09T12:00:00.002", *where) == [newest]


def test_the_states_and_sides_of_the_command_line_are_those_of_the_ledger() -> None:
    assert [each.value for each in reading.State] == [each.value for each in FillState]
    assert [each.value for each in recording.Side] == [each.value for each in Side]


@pytest.mark.req("L-06")
def test_orders_say_why_they_ended(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    ended = samples.order(order_id="0xended", status=OrderStatus.CANCELED, ended_because="MARKET_RESOLVED")
    stored(tmp_path, ended)
    where = ["--config", str(configured(tmp_path))]
    assert main(["orders", "--all", *where]) == 0
    assert "MARKET_RESOLVED" in capsys.readouterr().out
    assert main(["orders", *where]) == 0
    assert "ended_because" not in capsys.readouterr().out


@pytest.mark.req("L-10", "X-15")
def test_profit_and_loss_without_a_process_says_that_there_are_no_marks(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sound = {"cost_basis_micro": 208_000_000, "realized_pnl_micro": -5}
    zero = {**sound, "cost_basis_micro": 0, "shares_micro": 0, "settled_micro": 0, "in_flight_micro": 0}
    entry = samples.adjustment(entry_id="adj-2", token_id="99", realized_pnl_micro=-5)
    stored(tmp_path, samples.position(**sound), samples.position(token_id="99", **zero), entry)
    where = ["--config", str(configured(tmp_path))]
    document = json_of(capsys, "pnl", "--json", *where)
    assert document["total"]["realized_pnl_micro"] == -10
    assert document["total"]["unrealized_pnl_micro"] is None
    assert main(["pnl", *where]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[-1].split()[-1] == "unknown"
    assert said.err == (
        "unrealised P&L is unknown: the service is not running, and marks are in the running process alone\n"
    )
    assert main(["pnl", "--since", "3w", *where]) == 0
    assert capsys.readouterr().err.startswith("realised P&L and fees of what was booked since ")


@pytest.mark.req("L-10")
def test_profit_that_is_not_the_sum_over_its_entries_is_exit_3(capsys: pytest.CaptureFixture[str], books: Path) -> None:
    assert main(["pnl", "--json", "--config", str(books)]) == 3
    said = capsys.readouterr()
    # one token is 4 apart (-1 against -5), the other 1 (-1 against nothing)
    assert decoded(said.out)["markets"][0]["difference_micro"] == 5
    assert "are 0.000005 pUSD apart" in said.err
    assert "portfolio-sync replay" in said.err


@pytest.mark.req("L-10", "X-15")
def test_profit_and_loss_is_shown_at_the_marks_of_the_running_process(
    capsys: pytest.CaptureFixture[str], servers: Servers, config_file: Path
) -> None:
    document = json_of(capsys, "pnl", "--all", "--wallet", "main", "--json", "--config", config_file, code=3)
    held = document["markets"][0]["tokens"][0]
    assert (held["mark_price_micro"], held["value_micro"]) == (550_000, 220_000_000)
    assert document["total"]["unknown_because"] == ""
    assert main(["pnl", "--market", samples.CONDITION, "--since", "0", "--config", str(config_file)]) == 3
    assert re.search(r"Yes 0.55 by data_api \d+ min ago", capsys.readouterr().out)
