"""The first schema: every table of the interface, and the outbox."""

from __future__ import annotations

from typing import Any

import peewee as pw
from peewee_migrate import Migrator

SQLITE = {
    "text": "TEXT",
    "integer": "INTEGER",
    "boolean": "INTEGER",
    "blob": "BLOB",
    "options": " STRICT",
}
"""STRICT refuses a float or a text where an integer belongs; it knows no BOOLEAN, which is 0 or 1 there."""

POSTGRESQL = {
    "text": 'TEXT COLLATE "C"',
    "integer": "BIGINT",
    "boolean": "BOOLEAN",
    "blob": "BYTEA",
    "options": "",
}
"""Collation C orders by bytes, as SQLite does: the same rows in the same order on both."""

TABLES = (
    """
    CREATE TABLE "wallets" (
        "wallet" {text} NOT NULL,
        "address" {text} NOT NULL,
        "signer_address" {text} NOT NULL,
        "signature_type" {integer} NOT NULL,
        "updated_at_ms" {integer} NOT NULL,
        PRIMARY KEY ("wallet")
    ){options}
    """,
    """
    CREATE TABLE "markets" (
        "wallet" {text} NOT NULL,
        "condition_id" {text} NOT NULL,
        "market_id" {text} NOT NULL,
        "title" {text} NOT NULL,
        "slug" {text} NOT NULL,
        "neg_risk" {boolean} NOT NULL,
        "neg_risk_claimed" {boolean},
        "neg_risk_market_id" {text},
        "question_index" {integer},
        "closed" {boolean} NOT NULL,
        "halted" {boolean} NOT NULL,
        "halt_reason" {text} NOT NULL,
        "updated_at_ms" {integer} NOT NULL,
        PRIMARY KEY ("wallet", "condition_id")
    ){options}
    """,
    """
    CREATE TABLE "tokens" (
        "wallet" {text} NOT NULL,
        "token_id" {text} NOT NULL,
        "condition_id" {text} NOT NULL,
        "market_id" {text} NOT NULL,
        "outcome" {text} NOT NULL,
        "outcome_index" {integer} NOT NULL,
        "contract" {text} NOT NULL,
        PRIMARY KEY ("wallet", "token_id")
    ){options}
    """,
    """
    CREATE TABLE "positions" (
        "wallet" {text} NOT NULL,
        "token_id" {text} NOT NULL,
        "condition_id" {text} NOT NULL,
        "market_id" {text} NOT NULL,
        "outcome" {text} NOT NULL,
        "shares_micro" {integer} NOT NULL,
        "settled_micro" {integer} NOT NULL,
        "in_flight_micro" {integer} NOT NULL,
        "cost_basis_micro" {integer} NOT NULL,
        "realized_pnl_micro" {integer} NOT NULL,
        "fees_micro" {integer} NOT NULL,
        "neg_risk" {boolean} NOT NULL,
        "version" {integer} NOT NULL,
        "updated_at_ms" {integer} NOT NULL,
        PRIMARY KEY ("wallet", "token_id")
    ){options}
    """,
    """
    CREATE TABLE "orders" (
        "wallet" {text} NOT NULL,
        "order_id" {text} NOT NULL,
        "market_id" {text} NOT NULL,
        "condition_id" {text} NOT NULL,
        "token_id" {text} NOT NULL,
        "side" {text} NOT NULL,
        "price_micro" {integer} NOT NULL,
        "original_size_micro" {integer} NOT NULL,
        "size_matched_micro" {integer} NOT NULL,
        "status" {text} NOT NULL,
        "owner" {text} NOT NULL,
        "order_type" {text} NOT NULL,
        "created_at_ms" {integer} NOT NULL,
        "first_seen_at_ms" {integer} NOT NULL,
        "closed_at_ms" {integer},
        PRIMARY KEY ("wallet", "order_id")
    ){options}
    """,
    """
    CREATE TABLE "fills" (
        "wallet" {text} NOT NULL,
        "trade_id" {text} NOT NULL,
        "order_id" {text} NOT NULL,
        "market_id" {text} NOT NULL,
        "condition_id" {text} NOT NULL,
        "token_id" {text} NOT NULL,
        "side" {text} NOT NULL,
        "role" {text} NOT NULL,
        "price_micro" {integer} NOT NULL,
        "size_micro" {integer} NOT NULL,
        "amount_micro" {integer} NOT NULL,
        "fee_micro" {integer} NOT NULL,
        "realized_pnl_micro" {integer} NOT NULL,
        "state" {text} NOT NULL,
        "external" {boolean} NOT NULL,
        "owner" {text} NOT NULL,
        "transaction_hash" {text},
        "settled_by" {text} NOT NULL,
        "matched_at_ns" {integer} NOT NULL,
        "matched_at_ms" {integer} NOT NULL,
        "booked_at_ms" {integer} NOT NULL,
        "updated_at_ms" {integer} NOT NULL,
        PRIMARY KEY ("wallet", "trade_id", "order_id")
    ){options}
    """,
    """
    CREATE TABLE "fill_observations" (
        "wallet" {text} NOT NULL,
        "trade_id" {text} NOT NULL,
        "order_id" {text} NOT NULL,
        "status" {text} NOT NULL,
        "feed" {text} NOT NULL,
        "at_ms" {integer} NOT NULL,
        PRIMARY KEY ("wallet", "trade_id", "order_id", "status", "feed")
    ){options}
    """,
    """
    CREATE TABLE "adjustments" (
        "wallet" {text} NOT NULL,
        "entry_id" {text} NOT NULL,
        "market_id" {text} NOT NULL,
        "condition_id" {text} NOT NULL,
        "token_id" {text} NOT NULL,
        "cause" {text} NOT NULL,
        "size_micro" {integer} NOT NULL,
        "cost_micro" {integer} NOT NULL,
        "proceeds_micro" {integer} NOT NULL,
        "realized_pnl_micro" {integer} NOT NULL,
        "estimated" {boolean} NOT NULL,
        "evidence" {text} NOT NULL,
        "operator" {text} NOT NULL,
        "reason" {text} NOT NULL,
        "economic_at_ms" {integer} NOT NULL,
        "at_ms" {integer} NOT NULL,
        PRIMARY KEY ("wallet", "entry_id", "token_id")
    ){options}
    """,
    """
    CREATE TABLE "settlement_reports" (
        "wallet" {text} NOT NULL,
        "market_id" {text} NOT NULL,
        "synced_at_ms" {integer} NOT NULL,
        "subject" {text} NOT NULL,
        "event_type" {text} NOT NULL,
        "delta_type" {text} NOT NULL,
        "internal_size_micro" {integer} NOT NULL,
        "clob_size_micro" {integer} NOT NULL,
        "drift_micro" {integer} NOT NULL,
        "neg_risk" {boolean} NOT NULL,
        "action_taken" {text} NOT NULL,
        "cause" {text} NOT NULL,
        "evidence" {text} NOT NULL,
        "onchain_reconciled" {boolean} NOT NULL,
        "strategy_id" {text} NOT NULL,
        "cycle_id" {text} NOT NULL,
        "document" {text} NOT NULL,
        "retained_until_ms" {integer} NOT NULL,
        PRIMARY KEY ("wallet", "market_id", "synced_at_ms", "subject", "event_type")
    ){options}
    """,
    """
    CREATE TABLE "operations_reports" (
        "wallet" {text} NOT NULL,
        "cycle_id" {text} NOT NULL,
        "synced_at_ms" {integer} NOT NULL,
        "event_type" {text} NOT NULL,
        "status" {text} NOT NULL,
        "total_positions" {integer} NOT NULL,
        "synced_count" {integer} NOT NULL,
        "discrepancy_count" {integer} NOT NULL,
        "delta_count" {integer} NOT NULL,
        "pending_count" {integer} NOT NULL,
        "drift_max_micro" {integer} NOT NULL,
        "neg_risk_positions" {integer} NOT NULL,
        "onchain_balance_micro" {integer},
        "cash_unexplained_micro" {integer},
        "onchain_reconciled" {boolean} NOT NULL,
        "block_number" {integer},
        "sync_duration_ms" {integer} NOT NULL,
        "document" {text} NOT NULL,
        "retained_until_ms" {integer} NOT NULL,
        PRIMARY KEY ("wallet", "cycle_id")
    ){options}
    """,
    """
    CREATE TABLE "integrity_issues" (
        "digest" {text} NOT NULL,
        "wallet" {text} NOT NULL,
        "type" {text} NOT NULL,
        "severity" {text} NOT NULL,
        "action" {text} NOT NULL,
        "market_id" {text} NOT NULL,
        "subject" {text} NOT NULL,
        "before" {text} NOT NULL,
        "after" {text} NOT NULL,
        "cause" {text} NOT NULL,
        "cycle_id" {text} NOT NULL,
        "at_ms" {integer} NOT NULL,
        PRIMARY KEY ("digest")
    ){options}
    """,
    """
    CREATE TABLE "strategies" (
        "wallet" {text} NOT NULL,
        "strategy_id" {text} NOT NULL,
        "paused" {boolean} NOT NULL,
        "pause_reason" {text} NOT NULL,
        "paused_at_ms" {integer},
        "updated_at_ms" {integer} NOT NULL,
        PRIMARY KEY ("wallet", "strategy_id")
    ){options}
    """,
    """
    CREATE TABLE "strategy_events" (
        "digest" {text} NOT NULL,
        "wallet" {text} NOT NULL,
        "strategy_id" {text} NOT NULL,
        "event" {text} NOT NULL,
        "market_id" {text} NOT NULL,
        "operator" {text} NOT NULL,
        "reason" {text} NOT NULL,
        "at_ms" {integer} NOT NULL,
        PRIMARY KEY ("digest")
    ){options}
    """,
    """
    CREATE TABLE "journal" (
        "stream" {text} NOT NULL,
        "seq" {integer} NOT NULL,
        "address" {text} NOT NULL,
        "kind" {text} NOT NULL,
        "schema" {integer} NOT NULL,
        "version" {integer} NOT NULL,
        "at_ms" {integer} NOT NULL,
        "payload" {blob} NOT NULL,
        "previous_hash" {text} NOT NULL,
        "hash" {text} NOT NULL,
        PRIMARY KEY ("stream", "seq")
    ){options}
    """,
    """
    CREATE TABLE "cursors" (
        "wallet" {text} NOT NULL,
        "source" {text} NOT NULL,
        "value" {text} NOT NULL,
        "at_ms" {integer} NOT NULL,
        PRIMARY KEY ("wallet", "source")
    ){options}
    """,
    """
    CREATE TABLE "leases" (
        "stream" {text} NOT NULL,
        "owner" {text} NOT NULL,
        "epoch" {integer} NOT NULL,
        "head_seq" {integer} NOT NULL,
        "head_hash" {text} NOT NULL,
        "acquired_at_ms" {integer} NOT NULL,
        "released_at_ms" {integer},
        PRIMARY KEY ("stream")
    ){options}
    """,
    """
    CREATE TABLE "_outbox" (
        "key" {text} NOT NULL,
        "wallet" {text} NOT NULL,
        "payload" {blob} NOT NULL,
        "at_ms" {integer} NOT NULL,
        "delivered_at_ms" {integer},
        PRIMARY KEY ("key")
    ){options}
    """,
)

INDEXES = (
    'CREATE INDEX "markets_market" ON "markets" ("wallet", "market_id")',
    'CREATE INDEX "positions_market" ON "positions" ("wallet", "market_id")',
    'CREATE INDEX "orders_open" ON "orders" ("wallet", "market_id") WHERE "closed_at_ms" IS NULL',
    'CREATE INDEX "fills_time" ON "fills" ("matched_at_ms")',
    'CREATE INDEX "adjustments_time" ON "adjustments" ("at_ms")',
    'CREATE INDEX "settlement_reports_time" ON "settlement_reports" ("synced_at_ms")',
    'CREATE INDEX "settlement_reports_retention" ON "settlement_reports" ("retained_until_ms")',
    'CREATE INDEX "operations_reports_time" ON "operations_reports" ("synced_at_ms")',
    'CREATE INDEX "operations_reports_retention" ON "operations_reports" ("retained_until_ms")',
    'CREATE INDEX "integrity_issues_time" ON "integrity_issues" ("at_ms")',
    'CREATE INDEX "strategy_events_time" ON "strategy_events" ("at_ms")',
    'CREATE INDEX "outbox_pending" ON "_outbox" ("at_ms", "key") WHERE "delivered_at_ms" IS NULL',
)


def migrate(migrator: Migrator, database: pw.Database, **_options: Any) -> None:
    """Make all tables and indexes."""
    types = SQLITE if isinstance(database, pw.SqliteDatabase) else POSTGRESQL
    for statement in (*TABLES, *INDEXES):
        migrator.sql(statement.format_map(types))
