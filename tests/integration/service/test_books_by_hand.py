"""Recording, marking, backfilling and P&L with the real service against a sandbox, running and not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from actors.coordinator import EXTRA_CYCLE_MS
from polymarket.sandbox.actions import ExternalTrade, Redeem, Resolve, TransferOut
from polymarket.sandbox.faults import FaultSpec
from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.process import SandboxProcess
from tests.support.live import LiveService, LiveSettings, Stage, until

WHO = ("--by", "alice", "--reason", "by hand")
MICRO = 1_000_000


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess(WorldOptions(seed=41, block_time_ms=250, finality_blocks=2, activity=False)) as running:
        yield running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, sandbox: SandboxProcess) -> Iterator[LiveService]:
    """With long intervals: what is read is read because a test wants it."""
    made = LiveService(tmp_path_factory.mktemp("books"), sandbox.info, LiveSettings(sync_interval_s=120))
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture
def stage(sandbox: SandboxProcess, service: LiveService) -> Stage:
    """A running service that agrees with the sandbox."""
    sandbox.control.clear_faults()
    if service.exit_code is not None:
        service.start()
    service.ready()
    until(lambda: service.health()["facts"]["stream_connected"], "a subscription of the user stream")
    found = Stage(sandbox, service)
    found.quiet()
    return found


WITHOUT_LOGS = FaultSpec(target="rpc", kind="rpc_logs_refused")
"""What the chain's logs show needs nobody to say what it was."""


def no_extra_cycle_is_due(service: LiveService) -> bool:
    """One that a fill or a new subscription brought would have begun within a second of the last one (R-34)."""
    (last,) = service.get("/v1/reports?kind=operations&limit=1")
    return time.time() * 1000 > int(last["synced_at_ms"]) + 2 * EXTRA_CYCLE_MS


def markets(stage: Stage) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = stage.control.books()["markets"]
    return [row for row in rows if not row["neg_risk"]]


def trade_elsewhere(stage: Stage, market: int, *, listed: bool, size: str = "12.5") -> str:
    """The wallet's other client buys YES at 0.41 and pays no fee, settled in a final block; the token."""
    token: str = markets(stage)[market]["tokens"][0]
    trade = ExternalTrade(token_id=token, side="BUY", size=size, price="0.41", role="MAKER", listed=listed)
    stage.control.act(trade)
    stage.finalize()
    return token


def assert_sound(stage: Stage) -> None:
    """The books are the chain's, the journal gives the books, and every P&L is the sum over its entries."""
    assert stage.service.shares() == stage.control.tokens()
    assert stage.service.json_of("replay")["equal"]
    assert stage.service.json_of("pnl")["total"]["difference_micro"] == 0


def adjustments(stage: Stage, token: str) -> list[dict[str, Any]]:
    return [row for row in stage.service.json_of("adjustments") if row["token_id"] == token]


@pytest.mark.req("L-26", "X-12", "L-15", "D-12")
def test_a_recorded_trade_takes_the_place_of_the_change_that_was_inferred(stage: Stage) -> None:
    service, market = stage.service, markets(stage)[0]
    with stage.control.playing(WITHOUT_LOGS):
        token = trade_elsewhere(stage, 0, listed=False)
        stage.quiet()
    inferred = next(row for row in adjustments(stage, token) if row["cause"] != "OPENING")
    assert (inferred["size_micro"], inferred["estimated"], inferred["operator"]) == (12_500_000, True, "")
    trade = ("--outcome", "yes", "--side", "BUY", "--size", "12.5", "--price", "0.41")

    done = service.json_of("adjust", market["condition_id"], *trade, *WHO)

    assert done["before"] == done["after"], "the price was inferred from the cash, to the unit"
    assert done["after"]["shares_micro"] == service.shares()[token]
    recorded = next(row for row in adjustments(stage, token) if row["entry_id"] == done["entry_id"])
    named = ("cause", "size_micro", "cost_micro", "estimated", "operator", "reason")
    assert [recorded[name] for name in named] == ["EXTERNAL_BUY", 12_500_000, 5_125_000, False, "alice", "by hand"]
    assert inferred in adjustments(stage, token), "an entry is never edited"
    stage.quiet(within=1)
    assert_sound(stage)


@pytest.mark.req("L-26", "D-22")
def test_while_no_process_runs_a_trade_is_recorded_by_taking_the_lease(stage: Stage) -> None:
    service, market = stage.service, markets(stage)[1]
    known = service.settlements()
    assert service.stop() == 0
    token = trade_elsewhere(stage, 1, listed=False)
    arguments = ("--outcome", token, "--side", "buy", "--size", "12.5", "--price", "0.41", *WHO)

    done = service.command("adjust", market["condition_id"], *arguments)

    assert done.returncode == 0, done.stderr
    assert "manual:" in done.stdout
    service.start().ready()
    stage.quiet()
    assert [row["cause"] for row in adjustments(stage, token) if row["cause"] != "OPENING"] == ["EXTERNAL_BUY"]
    assert service.settlements() == known, "what was recorded is no drift"
    assert_sound(stage)


@pytest.mark.req("L-26", "X-12", "L-15")
def test_an_inferred_change_is_marked_as_an_external_trade_once(stage: Stage) -> None:
    service = stage.service
    token = next(token for token, held in stage.control.tokens().items() if held > 5 * MICRO)
    with stage.control.playing(WITHOUT_LOGS):
        stage.control.act(TransferOut(token_id=token, amount="2.5"))
        stage.finalize()
        stage.quiet()
        entry = next(row for row in adjustments(stage, token) if row["cause"] == "TRANSFER_OUT")["entry_id"]
        # With its log read, the entry would give way to one that needs no operator.
        done = service.json_of("mark-external", entry, *WHO)

    assert (done["entry_id"], done["marked_entry_id"]) == (f"{entry}:external", entry)
    assert done["before"] == done["after"], "without a price it left at its own cost"
    marked = next(row for row in adjustments(stage, token) if row["entry_id"] == done["entry_id"])
    assert (marked["cause"], marked["size_micro"], marked["operator"]) == ("EXTERNAL_SALE", -2_500_000, "alice")
    again = service.command("mark-external", entry, "--price", "0.5", *WHO)
    assert (again.returncode, again.stdout) == (1, "")
    assert f"nothing was recorded: there is no standing adjustment {entry}" in again.stderr
    assert "portfolio-sync adjustments --market" in again.stderr
    assert_sound(stage)


@pytest.mark.req("L-17", "L-01", "D-22")
def test_a_backfill_books_what_was_missed_while_nothing_ran_and_only_once(stage: Stage) -> None:
    service = stage.service
    assert service.stop() == 0
    tokens = [trade_elsewhere(stage, market, listed=True, size="3.000001") for market in (2, 3)]
    condition = markets(stage)[2]["condition_id"]

    first = service.json_of("backfill", "--since", "1h", "--market", condition)
    rest = service.json_of("backfill", "--since", "1h")
    again = service.json_of("backfill", "--since", "1h")

    assert (first["condition_id"], first["legs"], first["booked_fills"]) == (condition, 1, 1)
    assert [done["booked_fills"] for done in (rest, again)] == [1, 0]
    assert rest["trades"] == again["trades"] >= 2
    fills = [row for row in service.json_of("fills") if row["token_id"] in tokens and row["price_micro"] == 410_000]
    assert {(row["first_seen_by"], row["size_micro"], row["state"]) for row in fills} == {
        ("backfill", 3_000_001, "SETTLED")
    }
    service.start().ready()
    stage.quiet()
    assert_sound(stage)


@pytest.mark.req("L-17", "D-22")
def test_the_running_process_backfills_what_its_stream_did_not_show(stage: Stage) -> None:
    service = stage.service
    until(lambda: no_extra_cycle_is_due(service), "a rest in which nothing is read")
    stage.control.add_fault(FaultSpec(target="ws", kind="ws_drop"))
    trade_elsewhere(stage, 4, listed=True)
    condition = markets(stage)[4]["condition_id"]

    done = service.command("backfill", "--since", "1h")

    assert done.returncode == 0, done.stderr
    assert "1 that were missing" in done.stdout
    assert done.stderr.startswith("reading trades since ")
    assert service.shares() == stage.control.tokens()
    assert service.json_of("backfill", "--since", "1h", "--market", condition)["booked_fills"] == 0
    stage.quiet()
    assert_sound(stage)


@pytest.mark.req("L-17", "S-11")
@pytest.mark.parametrize("runs", [True, False], ids=["running", "alone"])
def test_a_backfill_without_the_exchange_fails_and_says_what_to_do(stage: Stage, runs: bool) -> None:
    service = stage.service
    if not runs:
        assert service.stop() == 0
    stage.control.add_fault(FaultSpec(target="clob", kind="http_503"))

    done = service.command("backfill", "--since", "1h")

    assert (done.returncode, done.stdout) == (1, "")
    said = done.stderr.splitlines()[-1]
    assert said.startswith("error: the backfill did not come to its end: clob.trades throttled: ")
    assert "run the command again" in said


@pytest.mark.req("L-10", "X-15", "R-03")
def test_profit_and_loss_is_at_the_marks_of_the_running_process_and_unknown_without_one(stage: Stage) -> None:
    service, market = stage.service, markets(stage)[5]
    winner = market["tokens"][0]
    stage.control.act(Resolve(condition_id=market["condition_id"], payouts=[1, 0]))
    stage.finalize()
    stage.quiet()

    running = service.json_of("pnl", "--all")

    tokens = {token["token_id"]: token for row in running["markets"] for token in row["tokens"]}
    assert {name: token["shares_micro"] for name, token in tokens.items() if token["shares_micro"]} == service.shares()
    assert (tokens[winner]["mark_source"], tokens[winner]["mark_price_micro"]) == ("payout", MICRO)
    total = running["total"]
    assert total["unrealized_pnl_micro"] == total["value_micro"] - total["cost_basis_micro"]
    assert {token["mark_source"] for token in tokens.values() if token["shares_micro"]} == {"payout", "data_api"}
    stage.control.act(Redeem(condition_id=market["condition_id"]))
    stage.finalize()
    stage.quiet()
    redeemed = service.json_of("pnl", "--market", market["condition_id"])["markets"][0]
    assert (redeemed["shares_micro"], redeemed["unrealized_pnl_micro"]) == (0, 0)
    before = next(row for row in running["markets"] if row["market_id"] == market["condition_id"])
    gained = redeemed["realized_pnl_micro"] - before["realized_pnl_micro"]
    assert gained == before["unrealized_pnl_micro"], "what was unrealised at the payout is realised by redeeming"

    assert service.stop() == 0
    alone = service.json_of("pnl")
    assert alone["total"]["unrealized_pnl_micro"] is None
    assert "the service is not running" in alone["total"]["unknown_because"]
    assert alone["total"]["cost_basis_micro"] == total["cost_basis_micro"] - before["cost_basis_micro"]
