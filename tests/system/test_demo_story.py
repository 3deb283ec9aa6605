"""What happens to a wallet behind a service's back, each thing found, named and told within three cycles (L-13…L-15).

The sandbox does it, the installed command line tells it. What the wallet's own orders do is told by the user stream, as
the demo shows it. The chain's logs are the evidence; without them a cause is an inference from balances and cash, and
is marked so. A trade of another client is in the exchange's list, and its id is the evidence.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from polymarket.sandbox.actions import (
    AnyAction,
    Convert,
    Deposit,
    ExternalTrade,
    FillOrder,
    Merge,
    Redeem,
    Resolve,
    Split,
    TransferIn,
    TransferOut,
)
from polymarket.sandbox.faults import FaultSpec
from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.process import SandboxProcess
from service.live import Follower, Kind, Line
from storage.database import open_readonly
from storage.queries import Queries
from tests.support.live import LiveService, LiveSettings, Stage, until

FOUND_WITHIN = 3
"""Cycles: two looks at different blocks, and one that was under way."""

MAKER, SOLD, PAIRED, WON, GIVEN, EVENT = 0, 1, 2, 3, 5, (6, 7, 8)
"""Markets by index: what the wallet holds of them at the start is told in the sandbox's genesis."""

ONE = 1_000_000


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A service whose first market belongs to a strategy of its own."""
    with SandboxProcess(WorldOptions(seed=31, block_time_ms=250, finality_blocks=2, activity=False)) as sandbox:
        maker = sandbox.control.books()["markets"][MAKER]["condition_id"]
        settings = LiveSettings(strategies={"market-maker": (maker,)})
        with LiveService(tmp_path_factory.mktemp("story"), sandbox.info, settings) as service:
            service.ready()
            yield Stage(sandbox, service)


class Story:
    """One thing that happens, and the reports of it."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.service, self.control = stage, stage.service, stage.control
        stage.quiet()
        self.markets: list[dict[str, Any]] = self.control.books()["markets"]
        self.began_at_ms = self.now_ms()

    def now_ms(self) -> int:
        """The moment after the last cycle."""
        return max(int(row["synced_at_ms"]) for row in self.service.get("/v1/reports?kind=operations")) + 1

    def settlements(self) -> list[dict[str, Any]]:
        """Reports of changes since the story began."""
        found: list[dict[str, Any]] = self.service.json_of("reports", "--kind", "settlement")
        return [row for row in found if row["synced_at_ms"] >= self.began_at_ms]

    def token(self, market: int, outcome: int) -> str:
        token: str = self.markets[market]["tokens"][outcome]
        return token

    def worth(self, market: int, outcome: int, pusd: int) -> str:
        """So many whole shares that they are worth at least so much."""
        price = self.markets[market]["price_micro"]
        return str(-(-pusd * ONE // (price if outcome == 0 else ONE - price)))

    def happens(self, action: AnyAction) -> dict[str, Any]:
        done = self.control.act(action)
        self.stage.finalize()
        return done

    def told(self) -> dict[str, Any]:
        """The one report of a position that follows within three cycles; the balances agree."""
        for _ in range(FOUND_WITHIN):
            self.stage.cycle()
        found = [row for row in self.settlements() if row["event_type"] == "POSITION_DELTA"]
        (report,) = (row for row in found if row["subject"] == "position")
        stored = {row["token_id"]: row["shares_micro"] for row in self.service.json_of("positions")}
        assert stored == {token: amount for token, amount in self.control.tokens().items() if amount}
        return report

    def adjustments(self, cause: str) -> dict[str, dict[str, Any]]:
        """By token, those since the story began."""
        rows = self.service.json_of("adjustments")
        return {row["token_id"]: row for row in rows if row["cause"] == cause and row["at_ms"] >= self.began_at_ms}

    def issues(self, kind: str) -> list[dict[str, Any]]:
        """Those since the story began."""
        rows = self.service.json_of("issues")
        return [row for row in rows if row["type"] == kind and row["at_ms"] >= self.began_at_ms]


@pytest.mark.req("L-01", "L-03", "X-01", "X-07", "X-15", "S-08")
def test_a_fill_is_shown_from_its_match_over_its_log_to_the_exchanges_last_word(stage: Stage) -> None:
    story = Story(stage)
    order = story.control.books()["orders"][0]["id"]
    database = open_readonly(story.service.storage_url)
    follower = Follower(Queries(database))
    follower.look()
    story.control.pause()
    try:
        # The extra cycle that the fill brings reads no trades, or it could be the first to tell.
        with story.control.playing(FaultSpec(target="clob", kind="malformed_json", path="data/trades")):
            trade = story.control.act(FillOrder(order_id=order, size="10.5"))["trade_id"]
            matched = _lines_until(follower, trade, "MATCHED")
            block = story.control.mine()
            settled = _lines_until(follower, trade, f"by its log in block {block}")
            story.control.mine(3)
            confirmed = _lines_until(follower, trade, "CONFIRMED")
    finally:
        story.control.resume()
        database.close()

    assert [line.text.split()[-1] for line in matched] == ["OBSERVED"]
    # Which of the two comes first, the stream's word or the log, is the network's.
    assert settled[-1].text.partition("→")[2].split()[0] == "SETTLED"
    by_stream = [line for line in (*matched, *settled, *confirmed) if "by stream" in line.text]
    assert [line.row["status"] for line in by_stream] == ["MATCHED", "MINED", "CONFIRMED"]
    assert confirmed[-1].text.split()[-1] == "SETTLED"
    assert all(" 10.5 at " in line.text for line in by_stream)
    (fill,) = story.service.json_of("fills", "--order", order)
    assert (fill["first_seen_by"], fill["state"]) == ("stream", "SETTLED")
    assert (fill["settled_micro"], fill["in_flight_micro"]) == (10_500_000, 0)


def _lines_until(follower: Follower, trade_id: str, words: str) -> list[Line]:
    """Lines about that trade, up to one that says so."""
    told: list[Line] = []

    def shown() -> bool:
        told.extend(line for line in follower.look() if line.kind is Kind.FILL and line.row["trade_id"] == trade_id)
        return any(words in line.text for line in told)

    until(shown, f"a line about the fill with {words!r}; the lines so far: {told}")
    return told


@pytest.mark.req("L-14", "L-15", "R-21", "R-22")
@pytest.mark.parametrize(("side", "cause"), [("SELL", "EXTERNAL_SALE"), ("BUY", "EXTERNAL_BUY")])
def test_a_trade_of_another_client_is_told_by_its_id(stage: Stage, side: str, cause: str) -> None:
    story = Story(stage)
    token = story.token(SOLD, 1)
    trade = story.happens(ExternalTrade(token_id=token, side=side, size="25.5", price="0.5"))

    report = story.told()

    assert (report["market_id"], report["cause"]) == (story.markets[SOLD]["condition_id"], cause)
    assert trade["trade_id"] in report["evidence"]
    (fill,) = (row for row in story.service.json_of("fills") if row["trade_id"] == trade["trade_id"])
    assert (fill["side"], fill["size_micro"], fill["price_micro"]) == (side, 25_500_000, 500_000)
    assert fill["external"]
    assert story.adjustments(cause) == {}


def node(story: Story, logs: str) -> contextlib.AbstractContextManager[object]:
    """A node that shows the chain's logs, or refuses them."""
    refused = FaultSpec(target="rpc", kind="rpc_logs_refused")
    return contextlib.nullcontext() if logs == "shown" else story.control.playing(refused)


def _is_proven(evidence: str) -> bool:
    """Whether the evidence names the log; else it must say that it is inferred."""
    assert ("inferred" in evidence) != evidence.startswith("transaction 0x")
    return "inferred" not in evidence


@pytest.mark.req("X-01", "L-14", "L-15", "R-13", "R-05")
@pytest.mark.parametrize("logs", ["shown", "refused"])
@pytest.mark.parametrize(("side", "cause"), [("SELL", "EXTERNAL_SALE"), ("BUY", "EXTERNAL_BUY")])
def test_a_trade_in_no_list_is_told_by_its_log_or_inferred_from_balance_and_cash(
    stage: Stage, side: str, cause: str, logs: str
) -> None:
    story = Story(stage)
    token = story.token(SOLD, 1)
    with node(story, logs):
        cash = sum(story.control.cash().values())
        story.happens(ExternalTrade(token_id=token, side=side, size="12", price="0.4", listed=False))

        report = story.told()

    moved = sum(story.control.cash().values()) - cash
    row = story.adjustments(cause)[token]
    assert (report["cause"], _is_proven(report["evidence"])) == (cause, logs == "shown")
    assert (row["size_micro"], row["estimated"]) == ((-12 if side == "SELL" else 12) * ONE, logs != "shown")
    # The chain's log names the fee; what is inferred is what the cash did in all.
    assert (row["fee_micro"] > 0) == (logs == "shown")
    assert (row["proceeds_micro"] or -row["cost_micro"]) - row["fee_micro"] == moved


@pytest.mark.req("X-01", "L-14", "L-15", "R-13", "R-22", "R-05")
@pytest.mark.parametrize("logs", ["shown", "refused"])
@pytest.mark.parametrize(("kind", "cause", "sign"), [(Merge, "POSITION_MERGED", -1), (Split, "POSITION_SPLIT", 1)])
def test_a_merge_and_a_split_are_told_by_their_logs_or_by_both_outcomes_and_the_cash(
    stage: Stage, kind: type[Merge | Split], cause: str, sign: int, logs: str
) -> None:
    story = Story(stage)
    with node(story, logs):
        story.happens(kind(condition_id=story.markets[PAIRED]["condition_id"], amount="100"))

        report = story.told()

    rows = story.adjustments(cause)
    assert (report["cause"], _is_proven(report["evidence"])) == (cause, logs == "shown")
    assert {row["size_micro"] for row in rows.values()} == {sign * 100 * ONE}
    assert set(rows) == {story.token(PAIRED, 0), story.token(PAIRED, 1)}
    assert sum(row["proceeds_micro"] for row in rows.values()) == (100 * ONE if sign < 0 else 0)
    assert {row["type"] for row in story.issues("POSITION_DRIFT")} == {"POSITION_DRIFT"}


@pytest.mark.req("L-14", "L-15", "R-13")
def test_a_redemption_is_told_with_its_payout(stage: Stage) -> None:
    story = Story(stage)
    condition, token = story.markets[WON]["condition_id"], story.token(WON, 0)
    held = story.control.tokens()[token]
    story.happens(Resolve(condition_id=condition, payouts=[1, 0]))
    story.stage.quiet()
    story.happens(Redeem(condition_id=condition))

    report = story.told()

    row = story.adjustments("REDEEMED")[token]
    assert (report["market_id"], report["cause"], report["delta_type"]) == (condition, "REDEEMED", "REMOVED")
    assert (row["size_micro"], row["proceeds_micro"]) == (-held, held)
    position = next(row for row in story.service.json_of("positions", "--all") if row["token_id"] == token)
    assert (position["shares_micro"], position["cost_basis_micro"]) == (0, 0)
    assert position["realized_pnl_micro"] > 0


@pytest.mark.req("L-14", "L-15", "R-06", "R-13", "D-01")
def test_a_conversion_is_one_event_of_all_its_questions(stage: Stage) -> None:
    story = Story(stage)
    first = story.markets[EVENT[0]]
    story.happens(TransferIn(token_id=story.token(EVENT[0], 1), amount="40"))
    story.stage.quiet()
    story.began_at_ms = story.now_ms()
    story.happens(Convert(neg_risk_market_id=first["neg_risk_market_id"], questions=[0], amount="40"))
    for _ in range(FOUND_WITHIN):
        story.stage.cycle()

    rows = story.adjustments("CONVERTED")

    given, taken = {story.token(EVENT[0], 1)}, {story.token(index, 0) for index in EVENT[1:]}
    assert {token for token, row in rows.items() if row["size_micro"] == -40 * ONE} == given
    assert {token for token, row in rows.items() if row["size_micro"] == 40 * ONE} == taken
    assert {row["market_id"] for row in rows.values()} == {first["neg_risk_market_id"]}
    assert len({row["entry_id"] for row in rows.values()}) == 1
    reports = story.settlements()
    assert {row["cause"] for row in reports} == {"CONVERTED"}
    assert {row["market_id"] for row in reports} == {story.markets[index]["condition_id"] for index in EVENT}


@pytest.mark.req("X-10", "L-14", "R-26")
def test_a_deposit_is_carried_with_its_transaction_and_alerts_nobody(stage: Stage) -> None:
    story = Story(stage)
    story.happens(Deposit(amount="321.5"))
    assert story.stage.cycle()["operations_report"]["cash_unexplained"] == 0

    (issue,) = story.issues("CASH_MOVED")

    before, after = (Decimal(issue[name]) for name in ("before", "after"))
    assert after - before == Decimal("321.5")
    assert (issue["severity"], issue["action"]) == ("INFO", "LOGGED")
    assert issue["cause"].startswith("DEPOSIT: transaction 0x")
    assert story.issues("CASH_UNEXPLAINED") == []


@pytest.mark.req("X-10", "R-26", "L-22", "R-05")
def test_without_logs_a_deposit_is_cash_without_a_cause(stage: Stage) -> None:
    story = Story(stage)
    with node(story, "refused"):
        story.happens(Deposit(amount="321.5"))
        for _ in range(FOUND_WITHIN):
            story.stage.cycle()
        source = story.service.json_of("status")["sources"]["chain.logs"]
        health = story.service.health()

    assert (source["up"], "causes are inferred" in source["detail"], health["status"]) == (False, True, "degraded")
    (issue,) = story.issues("CASH_UNEXPLAINED")

    before, after = (Decimal(issue[name]) for name in ("before", "after"))
    assert after - before == Decimal("321.5")
    assert (issue["severity"], issue["action"]) == ("WARN", "LOGGED")
    (alert,) = _alerts(story, "PORTFOLIO_SYNC_CASH_UNEXPLAINED")
    assert (alert["drift_pusd"], alert["route"]) == ("321.5", "warn")
    assert story.stage.cycle()["operations_report"]["cash_unexplained"] == 0


@pytest.mark.req("S-05", "S-06", "S-19", "D-25", "D-26", "R-14")
@pytest.mark.parametrize("program", ["portfolio-sync", "polytraders"])
def test_drift_above_500_pusd_pages_and_pauses_until_somebody_resumes_by_name(stage: Stage, program: str) -> None:
    story = Story(stage)
    token = story.token(MAKER, 0)
    story.happens(TransferIn(token_id=token, amount=story.worth(MAKER, 0, 400)))
    story.told()
    story = Story(stage)
    story.happens(TransferOut(token_id=token, amount=story.worth(MAKER, 0, 650)))

    report = story.told()

    assert report["cause"] == "TRANSFER_OUT"
    assert report["drift_pusd"] > 500
    (page,) = _alerts(story, "PORTFOLIO_SYNC_CRITICAL_DISCREPANCY")
    assert page["route"] == "page"
    paused = [row for row in story.settlements() if row["event_type"] == "PORTFOLIO_SYNC_STRATEGY_PAUSED"]
    assert "market-maker" in {row["strategy_id"] for row in paused}
    strategy = _strategy(story, "market-maker")
    assert (strategy["paused"], strategy["trade_allowed"]) == (True, False)
    assert "drift" in strategy["pause_reason"]
    assert _strategy(story, "default")["trade_allowed"]
    assert "strategies paused: market-maker" in " ".join(story.service.health()["reasons"])
    assert story.stage.cycle()["operations_report"]["paused_strategies"] == ["market-maker"]

    command = ("resume-strategy", "--strategy-id", "market-maker", "--reviewed-by", "Ada", "--reason", "moved by hand")
    words = ("gov", "portfolio", *command) if program == "polytraders" else command
    done = story.service.command(*words, program=program)

    assert (done.returncode, done.stderr) == (0, "strategy market-maker is resumed\n")
    strategy = _strategy(story, "market-maker")
    assert (strategy["paused"], strategy["trade_allowed"]) == (False, True)


def _strategy(story: Story, name: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = story.service.json_of("strategies")
    return next(row for row in rows if row["strategy_id"] == name)


def _alerts(story: Story, code: str) -> list[dict[str, Any]]:
    """Lines of the log that said this since the story began; alerts of a cycle carry its time in their key."""

    def said() -> list[dict[str, Any]] | None:
        rows = [row for row in story.service.events(code) if _cycle_ms(row) >= story.began_at_ms]
        return rows or None

    return until(said, f"an alert {code}")


def _cycle_ms(row: dict[str, Any]) -> int:
    return int(str(row["key"]).split(":")[0].rpartition("-")[2])
