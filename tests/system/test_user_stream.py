"""Fills and orders by WebSocket, on whole processes: the service follows the sandbox's user channel through its faults.

Cycles are five minutes apart, so that what is in the books soon after it happened came by the channel, by the reading
behind a new subscription, or by the extra cycle that a fill makes due (R-34). Whatever the channel does, the books are
the sandbox's in the end, to the base unit, and each fill is there once (L-01, L-05, L-30).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from actors.streaming import GRACE_MS
from polymarket.sandbox.actions import Cancel, Resolve, SetPrice
from polymarket.sandbox.amounts import decimal_text
from polymarket.sandbox.faults import FaultSpec
from polymarket.sandbox.options import WorldOptions
from polymarket.sandbox.process import SandboxProcess
from portfolio.provisional import PROVISIONAL
from service.telemetry import EVENTS, STREAM_GAP, bucket
from tests.support.live import LiveService, LiveSettings, NotInTimeError, until
from tests.system.following import BLOCK_MS, CENT, Following, MetricsListener
from tests.system.oracle import Row

PAIRED, CLOSING = 2, 5
"""Markets by index: of the one the wallet holds both outcomes; the other is for the test that resolves it alone."""

CHEAPEST = 8
"""A market whose first outcome costs so little that all its quotes can be bought."""

BURSTS = (0, 1, 3, 4, 6)
"""Markets that everything happens in; their prices are far from the ends."""

FILLS_OF_A_BURST = 7
"""At least."""

MINUTE_MS = 60_000

MOST_TRIES = 30
"""Generous for one that waits longer each time; one that does not makes hundreds in a second."""


@pytest.fixture(scope="module")
def metrics() -> Iterator[MetricsListener]:
    listener = MetricsListener()
    yield listener
    listener.close()


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory, metrics: MetricsListener) -> Iterator[Following]:
    """A lively sandbox whose time the tests hold, and a service that opened its books there."""
    world = WorldOptions(seed=65, block_time_ms=BLOCK_MS, finality_blocks=2, retry_percent=10, fail_percent=10)
    settings = LiveSettings(sync_interval_s=300, statsd_port=metrics.port)
    with SandboxProcess(world) as sandbox:
        sandbox.control.pause()
        with LiveService(tmp_path_factory.mktemp("stream"), sandbox.info, settings) as service:
            service.ready()
            yield Following(sandbox, service)


@pytest.fixture
def stage(followed: Following) -> Following:
    """No fault plays, the stream is subscribed, and nothing is under way."""
    followed.control.clear_faults()
    followed.wait_connected()
    followed.to_present()
    followed.at_rest()
    return followed


def fault(kind: Any, **given: Any) -> FaultSpec:
    return FaultSpec(target="ws", kind=kind, **given)


TRADES_UNREADABLE = FaultSpec(target="clob", kind="malformed_json", path="data/trades")
"""No cycle and no look-up can show a trade: what is booked came by the channel."""


# -- what the channel alone shows -----------------------------------------------------------------------------------


@pytest.mark.req("L-01", "L-03", "L-05", "X-15", "S-01")
def test_a_fill_of_a_resting_order_is_in_the_books_in_flight_and_then_settled(stage: Following) -> None:
    order = stage.place(0, "40.5")["order_id"]
    before = stage.position(stage.token(0))
    with stage.control.playing(TRADES_UNREADABLE):
        trade = stage.fill(order, "7.000003", cross=True, retries=1)

        (row,) = until(lambda: stage.fills_of(trade), "the fill")

        assert (row["state"], row["role"], row["first_seen_by"]) == ("OBSERVED", "MAKER", "stream")
        assert (row["settled_micro"], row["in_flight_micro"]) == (0, 7_000_003)
        shown = until(lambda: _matched(stage, order), "the order's matched size")
        assert (shown["status"], shown["size_matched_micro"]) == ("LIVE", 7_000_003)
        position = stage.position(stage.token(0))
        assert position["in_flight_micro"] - before["in_flight_micro"] == 7_000_003
        assert position["settled_micro"] == before["settled_micro"]
        stage.blocks(6)
        (row,) = until(lambda: _in_state(stage, trade, "SETTLED"), "its settlement")
        assert (row["settled_micro"], row["in_flight_micro"]) == (7_000_003, 0)
        told = {(status, "stream") for status in ("MATCHED", "RETRYING", "MINED", "CONFIRMED")}
        until(lambda: stage.seen(trade) >= told, "every sight of it")
        assert stage.seen(trade) == told
    stage.agree()


@pytest.mark.req("L-01", "R-11", "R-20")
def test_a_taker_order_and_a_match_with_several_own_legs_are_booked_leg_by_leg(stage: Following) -> None:
    with stage.control.playing(TRADES_UNREADABLE):
        taken = stage.place(0, "12.345678", away=-3, order_type="FAK")
        (row,) = until(lambda: stage.fills_of(taken["trade_id"]), "the taker's fill")
        assert (row["role"], row["state"], row["first_seen_by"]) == ("TAKER", "OBSERVED", "stream")
        assert row["fee_micro"] > 0

        trade, orders = _match_of_several(stage)
        legs = stage.legs(trade)

        rows = until(lambda: _all_there(stage.fills_of(trade), len(legs)), "every leg")

        assert {(row["order_id"], row["token_id"], row["side"], row["size_micro"]) for row in rows} == legs
        both = {(stage.token(PAIRED), "BUY"), (stage.token(PAIRED, 1), "SELL")}
        assert both <= {(token, side) for order, token, side, _ in legs if order in orders}
        assert {(row["state"], row["role"], row["first_seen_by"]) for row in rows} == {("OBSERVED", "MAKER", "stream")}
        stage.blocks(6)
        until(lambda: _in_state(stage, trade, "SETTLED", len(legs)), "their settlement")
    stage.agree()


def _match_of_several(stage: Following) -> tuple[str, list[str]]:
    """The market falls through three orders at once: two that buy one outcome, one that sells the other."""
    condition, mark = stage.markets[PAIRED]["condition_id"], stage.price(PAIRED)
    orders = [
        stage.place(PAIRED, "11.000001", away=2)["order_id"],
        stage.place(PAIRED, "12.5", away=3)["order_id"],
        stage.place(PAIRED, "13.25", away=3, outcome=1, side="SELL")["order_id"],
    ]
    stage.control.act(SetPrice(condition_id=condition, price=decimal_text(mark - 6 * CENT)))
    trade = stage.control.books()["trades"][-1]["id"]
    stage.control.act(SetPrice(condition_id=condition, price=decimal_text(mark)))
    return trade, orders


ENDS = {
    "filled": ("MATCHED", 10_250_000, "", True),
    "cancelled": ("CANCELED", 0, "", True),
    "raced": ("CANCELED", 6_000_001, "", True),
    "not backed": ("CANCELED", 0, "NOT_ENOUGH_BALANCE", True),
    "expired": ("CANCELED", 0, "EXPIRED_ORDER", True),
    "resolved": ("CANCELED", 0, "MARKET_RESOLVED", True),
    "killed": ("CANCELED", 0, "order couldn't be fully filled. FOK orders are fully filled or killed.", True),
    "nothing to take": ("CANCELED", 0, "", True),
    "took a part": ("CANCELED", 20_000_000_000, "", True),
}
"""Status, matched size, reason, and whether it is closed, of each order of the test below."""


@pytest.mark.req("L-06", "L-07", "L-01")
def test_every_order_is_listed_with_its_end_and_the_reason(stage: Following) -> None:
    """What never rested and never traded is in no list of the exchange: only the channel shows it."""
    cheap = stage.price(CHEAPEST)
    stage.control.act(SetPrice(condition_id=stage.markets[CHEAPEST]["condition_id"], price=decimal_text(cheap)))
    placed = {
        "live": stage.place(0, "20"),
        "filled": stage.place(0, "10.25"),
        "cancelled": stage.place(0, "30"),
        "raced": stage.place(1, "40"),
        "not backed": stage.place(1, "25"),
        "expired": stage.place(3, "15", order_type="GTD", expires_s=stage.control.time().now_ms // 1000),
        "resolved": stage.place(CLOSING, "20"),
        "killed": stage.place(0, "25000", away=-1, order_type="FOK"),
        "nothing to take": stage.place(0, "20", order_type="FAK"),
        "took a part": stage.place(CHEAPEST, "20500", away=-1, order_type="FAK"),
    }
    names = {order["order_id"]: name for name, order in placed.items()}
    ids = {name: order_id for order_id, name in names.items()}
    stage.fill(ids["filled"])
    stage.fill(ids["raced"], "6.000001")
    stage.control.act(Cancel(order_id=ids["raced"]))
    stage.control.act(Cancel(order_id=ids["cancelled"]))
    stage.control.act(Cancel(order_id=ids["not backed"], status="CANCELED_NOT_ENOUGH_BALANCE"))
    live = until(lambda: _listed(stage.orders(), names).get("live"), "the order that stays")
    assert live == ("LIVE", 0, "", False)
    stage.control.act(Resolve(condition_id=stage.markets[CLOSING]["condition_id"], payouts=[1, 0]))
    stage.blocks(1)

    del names[ids["live"]]  # by now somebody may have taken it
    with contextlib.suppress(NotInTimeError):
        until(lambda: _listed(stage.orders(), names) == ENDS, "every end")
    assert _listed(stage.service.json_of("orders", "--all"), names) == ENDS
    shown = stage.service.command("orders", "--all", "--wide").stdout
    (line,) = (line for line in shown.splitlines() if ids["expired"] in line)
    assert "EXPIRED_ORDER" in line
    stage.agree()


def _listed(rows: list[Row], names: dict[str, str]) -> dict[str, tuple[str, int, str, bool]]:
    """By name: status, matched size, reason, and whether it is closed."""
    return {
        names[row["order_id"]]: (
            row["status"],
            row["size_matched_micro"],
            row["ended_because"],
            row["closed_at_ms"] is not None,
        )
        for row in rows
        if row["order_id"] in names
    }


# -- faults of the channel ------------------------------------------------------------------------------------------

HARMLESS = [
    fault("ws_double"),
    fault("ws_reorder", count=20),
    fault("ws_delay", latency_ms=400),
    fault("ws_garbage"),
    fault("ws_drop", path="order"),
    fault("ws_drop", path="trade/MATCHED"),
]
"""They lose no fill."""


@pytest.mark.req("L-30", "L-01", "L-05", "L-07", "S-20")
@pytest.mark.parametrize("played", HARMLESS, ids=lambda played: f"{played.kind} {played.path}".strip())
def test_messages_that_are_spoiled_change_nothing_in_the_end(
    stage: Following, metrics: MetricsListener, played: FaultSpec
) -> None:
    """The channel alone tells of every fill, however it tells it."""
    known, opened = set(stage.fills()), stage.connections()
    rejected = _counted(metrics, "stream_row_rejected")
    with stage.control.playing(TRADES_UNREADABLE):
        playing = stage.control.add_fault(played)
        for market in BURSTS[:3]:
            stage.burst(market)
            stage.blocks(8)
        stage.ended()
        until(stage.all_booked, "every fill")
        assert stage.control.hits(playing) > 0
        # Now, for of what happens from here on a cycle may tell first.
        fresh = [row for key, row in stage.fills().items() if key not in known and row["trade_id"] != PROVISIONAL]
        assert len(fresh) >= 3 * FILLS_OF_A_BURST
        assert {row["first_seen_by"] for row in fresh} == {"stream"}
        assert stage.connections() == opened

    stage.agree()

    if played.kind == "ws_garbage":
        until(lambda: _counted(metrics, "stream_row_rejected") > rejected, "the count of refused rows")
    else:
        assert _counted(metrics, "stream_row_rejected") == rejected


@pytest.mark.req("L-30", "L-01", "L-17", "S-20")
@pytest.mark.parametrize("kind", ["ws_close", "ws_unauthorized"])
def test_a_connection_that_is_ended_or_refused_is_made_again(stage: Following, kind: str) -> None:
    opened = stage.connections()
    ending = stage.control.add_fault(fault(kind))
    if kind == "ws_unauthorized":
        stage.control.add_fault(fault("ws_close"))
    until(lambda: stage.control.hits(ending), "the fault")
    stage.burst(BURSTS[0])
    stage.blocks(8)
    stage.control.clear_faults()

    until(lambda: stage.connections() > opened and stage.connected(), "another connection")

    until(stage.all_booked, "everything that happened meanwhile, without a cycle that was asked for")
    stage.agree()


@pytest.mark.req("L-30", "L-01", "L-17", "S-17", "S-18", "S-20")
@pytest.mark.parametrize("played", [fault("ws_freeze"), fault("ws_drop")], ids=lambda played: played.kind)
def test_silence_is_found_out_by_the_trade_list_its_gap_is_measured_and_the_stream_begun_again(
    stage: Following, metrics: MetricsListener, played: FaultSpec
) -> None:
    """The connection is open and answers PINGs all the while."""
    opened, missed = stage.connections(), _counted(metrics, "stream_missed_fill")
    playing = stage.control.add_fault(played)
    stage.burst(BURSTS[1])
    trade = stage.fill(stage.place(BURSTS[1], "10")["order_id"])
    stage.service.sync()
    (row,) = stage.fills_of(trade)
    assert row["first_seen_by"] == "poll"
    until(lambda: time.time() * 1000 > row["first_seen_at_ms"] + GRACE_MS, "the time that the stream is given")
    assert stage.connections() == opened
    degraded = gevent.spawn(until, lambda: _lost_fills(stage), "health that tells of the gap")

    stage.service.sync()

    assert degraded.get(timeout=60)["status"] == "degraded"
    until(lambda: _counted(metrics, "stream_missed_fill") > missed, "the count of missed fills")
    assert max(metrics.gauges[bucket(STREAM_GAP)]) >= GRACE_MS
    until(lambda: stage.connections() > opened, "another connection")
    assert stage.control.hits(playing) > 0
    stage.control.clear_faults()
    stage.agree()


def _lost_fills(stage: Following) -> Row | None:
    health = stage.service.health()
    return health if any("the user stream lost fills" in reason for reason in health["reasons"]) else None


# -- the plug -------------------------------------------------------------------------------------------------------


@pytest.mark.req("L-30", "L-01", "L-06", "L-17", "S-18", "S-20")
def test_pulling_the_plug_for_a_minute_loses_nothing(stage: Following) -> None:
    known = set(stage.fills())
    began_ms = stage.control.time().now_ms
    cut = stage.control.add_fault(fault("ws_cut"))
    until(lambda: not stage.connected(), "the cut")
    for market in BURSTS:
        stage.burst(market)
        stage.control.advance(MINUTE_MS // len(BURSTS))
    tries = until(lambda: stage.control.hits(cut) > 2 and stage.control.hits(cut), "some tries to connect")
    assert tries < MOST_TRIES
    reasons = " ".join(stage.service.health()["reasons"])
    assert "the user stream is not connected" in reasons
    assert stage.service.json_of("status")["sources"]["stream"]["up"] is False
    assert stage.control.time().now_ms - began_ms >= MINUTE_MS

    stage.control.clear_faults()

    stage.wait_connected()
    until(stage.all_booked, "everything that happened meanwhile, without a cycle that was asked for")
    stage.agree()
    assert len(set(stage.fills()) - known) > FILLS_OF_A_BURST * len(BURSTS)
    assert stage.service.json_of("status")["sources"]["stream"]["up"] is True


@pytest.mark.req("L-17", "L-01", "L-02", "L-30", "X-12")
def test_a_process_that_is_killed_while_the_plug_is_out_goes_on_without_loss(stage: Following) -> None:
    stage.burst(BURSTS[2])
    stage.control.add_fault(fault("ws_cut"))
    stage.burst(BURSTS[3])
    stage.service.kill()
    stage.burst(BURSTS[4])
    stage.blocks(20)

    stage.service.start().ready()

    until(stage.all_booked, "everything that happened meanwhile")
    assert not stage.connected()
    stage.burst(BURSTS[0])
    stage.blocks(8)
    stage.control.clear_faults()
    stage.wait_connected()
    until(stage.all_booked, "what happened since")
    stage.agree()
    document = stage.service.json_of("replay")
    assert (document["equal"], document["chain_broken_at"]) == (True, None)


# -- looking ----------------------------------------------------------------------------------------------------------


def _matched(stage: Following, order_id: str) -> Row | None:
    row = stage.order(order_id)
    return row if row["size_matched_micro"] else None


def _in_state(stage: Following, trade_id: str, state: str, legs: int = 1) -> list[Row] | None:
    return _all_there([row for row in stage.fills_of(trade_id) if row["state"] == state], legs)


def _all_there(rows: list[Row], legs: int) -> list[Row] | None:
    return rows if len(rows) == legs else None


def _counted(metrics: MetricsListener, event: str) -> int:
    return metrics.counted[bucket(EVENTS, event)]
