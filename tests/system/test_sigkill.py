"""kill -9 of the service, again and again, in every phase of its cycle, while the wallet is never quiet (L-02, D-11).

After the last restart nothing is missing and nothing is double: every trade of the sandbox's books is one fill, every
balance is the sandbox's to the base unit, every adjustment has one report, every alert was said at least once, and the
journal gives the stored state. Reports of cut cycles, and of no others, say so.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from messages.codec import decode
from polymarket.sandbox.amounts import parse_decimal
from polymarket.sandbox.options import ServerOptions, WorldOptions
from polymarket.sandbox.process import SandboxProcess
from portfolio.provisional import PROVISIONAL
from portfolio.views import ExternalView
from storage.database import open_readonly
from storage.journal import Journal
from tests.support.live import WALLET, LiveService, LiveSettings, NotInTimeError, Stage, until
from tests.system.activity import Activity
from tests.system.watching import AlertReceiver, Phase, Watch

KILLS, KILLS_MAX = 20, 40
PHASES = (Phase.FETCH, Phase.COMPARE, Phase.APPLY, Phase.COMMIT, Phase.DELIVERY)
STRIKE_WITHIN_S = 20.0


class Killer:
    """Lets a service live until it is in the wanted phase, and kills it there."""

    def __init__(self, service: LiveService, stage: Stage, receiver: AlertReceiver) -> None:
        self._service = service
        self._stage = stage
        self._receiver = receiver
        self._random = random.Random(5)
        self.hit: list[Phase] = []

    def strike(self, wanted: Phase) -> None:
        """Start it; kill it in that phase, or where it is when that takes too long."""
        self._receiver.release()
        self._service.start()
        watch = Watch(self._service, self._stage.control, self._receiver)
        if wanted is Phase.DELIVERY:
            self._receiver.hold()
        found = Phase.IDLE
        with contextlib.suppress(NotInTimeError):
            found = until(lambda: self._frozen_in(watch, wanted), str(wanted), within_s=STRIKE_WITHIN_S)
        if found is Phase.IDLE:
            watch.freeze()
            found = watch.look()
        self._service.kill()
        self.hit.append(found)

    def _frozen_in(self, watch: Watch, wanted: Phase) -> Phase | None:
        """The phase, with the process stopped in it; None to try again."""
        self._service.require_running()
        if not self._near(watch, wanted):
            return None
        if wanted is Phase.APPLY:
            return wanted if watch.step_until_half_durable(0.5) else None
        watch.freeze()
        if watch.look() is wanted:
            return wanted
        watch.thaw()
        return None

    def _near(self, watch: Watch, wanted: Phase) -> bool:
        """Whether now is a good moment to look, from what can be seen without stopping it."""
        if wanted is Phase.DELIVERY:
            return self._receiver.calls > 0
        reading = watch.follow()
        if wanted is Phase.FETCH:
            if reading:
                gevent.sleep(self._random.random() * 0.03)
            return bool(reading)
        if reading is not False:
            return False
        if wanted is not Phase.COMMIT:
            return True
        return watch.spin_until_writing(0.05)


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    """Twenty kills, a last restart, and quiet."""
    world = WorldOptions(seed=23, block_time_ms=250, finality_blocks=2, activity=False)
    receiver = AlertReceiver()
    settings = LiveSettings(sync_interval_s=1, settle_window_s=2, alert_urls=(receiver.url,))
    with SandboxProcess(world, ServerOptions(latency_ms=10)) as sandbox:
        service = LiveService(tmp_path_factory.mktemp("sigkill"), sandbox.info, settings)
        stage = Stage(sandbox, service)
        killer = Killer(service, stage, receiver)
        try:
            activity = Activity(sandbox.control, seed=7, every_s=0.12)
            service.start().ready()
            service.kill()
            wanted = itertools.cycle(PHASES)
            while len(killer.hit) < KILLS or (set(PHASES) - set(killer.hit) and len(killer.hit) < KILLS_MAX):
                killer.strike(next(wanted))
            activity.stop()
            receiver.release()
            service.start().ready()
            stage.quiet(within=40)
            yield Aftermath(stage, receiver, activity, killer.hit)
        finally:
            service.close()
            receiver.close()


class Aftermath:
    """What is left, and what it is to be compared with."""

    def __init__(self, stage: Stage, receiver: AlertReceiver, activity: Activity, hit: list[Phase]) -> None:
        self.stage, self.receiver, self.activity, self.hit = stage, receiver, activity, hit
        self.books = stage.control.books()
        self.own = self.books_address()

    def books_address(self) -> str:
        address: str = self.stage.service.info["wallet"]["address"]
        return address.lower()

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Rows of the stored tables, read beside the owner."""
        file = self.stage.service.folder / "books.db"
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as reader:
            reader.row_factory = sqlite3.Row
            return [dict(row) for row in reader.execute(sql)]

    def fills(self) -> list[dict[str, Any]]:
        """Fills of trades; what stood for them until they came is all replaced by now (D-03)."""
        rows = self.rows("SELECT * FROM fills")
        assert {row["state"] for row in rows if row["trade_id"] == PROVISIONAL} <= {"SUPERSEDED"}
        return [row for row in rows if row["trade_id"] != PROVISIONAL]

    def legs(self) -> Counter[tuple[str, ...]]:
        """(trade, order, token, side, shares) of every own leg of every trade that the exchange lists."""
        found: Counter[tuple[str, ...]] = Counter()
        for trade in self.books["trades"]:
            if trade["id"] in self.activity.unlisted:
                continue
            if trade["maker_address"].lower() == self.own:
                found[_leg(trade["id"], trade["taker_order_id"], trade, trade["size"])] += 1
            for leg in trade["maker_orders"]:
                if leg["maker_address"].lower() == self.own:
                    found[_leg(trade["id"], leg["order_id"], leg, leg["matched_amount"])] += 1
        return found


def _leg(trade_id: str, order_id: str, row: dict[str, Any], size: str) -> tuple[str, ...]:
    return (trade_id, order_id, row["asset_id"], row["side"], str(parse_decimal(size)))


@pytest.mark.req("L-02", "D-11")
def test_every_phase_of_the_cycle_was_cut(aftermath: Aftermath) -> None:
    hits = Counter(aftermath.hit)
    assert len(aftermath.hit) >= KILLS
    assert set(PHASES) <= set(hits), hits
    assert {"FillOrder", "ExternalTrade", "TransferOut", "Split"} <= set(aftermath.activity.done)


@pytest.mark.req("L-01", "L-02", "L-17", "L-19", "D-21")
def test_every_trade_is_one_fill(aftermath: Aftermath) -> None:
    fills = aftermath.fills()
    booked = Counter(
        (row["trade_id"], row["order_id"], row["token_id"], row["side"], str(row["size_micro"])) for row in fills
    )
    assert booked == aftermath.legs()
    failed = {trade["id"] for trade in aftermath.books["trades"] if trade["status"] == "FAILED"}
    assert {row["trade_id"] for row in fills if row["state"] == "FAILED"} == failed


@pytest.mark.req("L-02", "R-11", "R-20")
def test_every_settled_trade_moved_the_cash_that_the_sandbox_says(aftermath: Aftermath) -> None:
    moved: Counter[str] = Counter()
    for row in aftermath.fills():
        if row["state"] == "FAILED":
            continue
        moved[row["trade_id"]] += row["amount_micro"] * (1 if row["side"] == "SELL" else -1) - row["fee_micro"]
    settled = {
        operation["trade_id"]: operation["cash"]["pusd"]
        for operation in aftermath.books["operations"]
        if operation["kind"] == "TRADE" and operation["trade_id"] not in aftermath.activity.unlisted
    }
    assert dict(moved) == settled


@pytest.mark.req("L-13", "L-04", "S-03")
def test_every_balance_is_the_sandboxs_to_the_base_unit(aftermath: Aftermath) -> None:
    rows = {row["token_id"]: row for row in aftermath.rows("SELECT * FROM positions") if row["shares_micro"]}
    assert {token: row["shares_micro"] for token, row in rows.items()} == {
        token: amount for token, amount in aftermath.books["tokens"].items() if amount
    }
    assert all(row["in_flight_micro"] == 0 for row in rows.values())
    assert aftermath.books["consistent"]


@pytest.mark.req("L-06", "L-13")
def test_the_live_orders_are_the_exchanges(aftermath: Aftermath) -> None:
    assert aftermath.stage.service.live_orders() == {row["id"] for row in aftermath.books["orders"]}


@pytest.mark.req("X-10")
def test_all_cash_is_accounted_for(aftermath: Aftermath) -> None:
    report = aftermath.stage.cycle()["operations_report"]
    assert report["cash_unexplained"] == 0
    assert parse_decimal(str(report["onchain_balance"])) == sum(aftermath.books["cash"].values())


@pytest.mark.req("S-08", "R-25", "D-24")
def test_every_adjustment_has_exactly_one_report(aftermath: Aftermath) -> None:
    reports = aftermath.rows("SELECT * FROM settlement_reports WHERE event_type = 'POSITION_DELTA'")
    keys = Counter((row["market_id"], row["synced_at_ms"], row["subject"]) for row in reports)
    assert max(keys.values()) == 1
    positions = Counter((row["cycle_id"], row["market_id"]) for row in reports if row["subject"] == "position")
    adjustments = aftermath.rows("SELECT * FROM adjustments WHERE cause != 'RESTATED'")
    # By the chain's log where one shows it, else by the cycle that inferred it.
    logged = [row for row in adjustments if row["entry_id"].startswith("chain:")]
    shown = {row["entry_id"]: [one for one in reports if row["evidence"] in one["evidence"]] for row in logged}
    assert {len(found) for found in shown.values()} <= {1}
    inferred = [row for row in adjustments if row["entry_id"] not in shown]
    missing = {
        (row["entry_id"].split(":")[0], row["condition_id"])
        for row in inferred
        if positions[row["entry_id"].split(":")[0], row["condition_id"]] != 1
    }
    assert adjustments
    assert missing == set()


@pytest.mark.req("X-12", "L-20", "D-17", "D-20")
def test_the_journal_gives_the_stored_state(aftermath: Aftermath) -> None:
    document = aftermath.stage.service.json_of("replay")
    assert (document["equal"], document["chain_broken_at"]) == (True, None)
    assert document["stored_digest"] is not None


@pytest.mark.req("S-05", "D-18")
def test_every_alert_was_said_at_least_once(aftermath: Aftermath) -> None:
    until(lambda: not aftermath.rows("SELECT * FROM _outbox WHERE delivered_at_ms IS NULL"), "all alerts delivered")
    outbox = aftermath.rows("SELECT * FROM _outbox")
    logged = {row.get("key") for row in aftermath.stage.service.log()}
    sent = [row for row in outbox if json.loads(row["payload"])["route"] != "log"]
    assert sent
    assert {row["key"] for row in sent} <= set(aftermath.receiver.keys)
    assert {row["key"] for row in outbox} <= logged


@pytest.mark.req("D-11", "S-08")
def test_each_cycle_that_changed_something_has_one_report_and_only_cut_ones_say_aborted(aftermath: Aftermath) -> None:
    reports = {row["cycle_id"]: row for row in aftermath.rows("SELECT * FROM operations_reports")}
    database = open_readonly(aftermath.stage.service.storage_url)
    try:
        entries = list(Journal(database).read(WALLET))
    finally:
        database.close()
    events = [decode(entry.payload, entry.kind, entry.schema) for entry in entries]
    viewed = {event.cycle_id for event in events if isinstance(event, ExternalView)}
    aborted = {cycle for cycle, row in reports.items() if row["status"] == "aborted"}
    assert viewed <= set(reports)
    assert aborted <= viewed
    assert 0 < len(aborted) <= len(aftermath.hit)
    assert len({row["synced_at_ms"] for row in reports.values()}) == len(reports)
