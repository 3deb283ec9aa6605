"""The fee schedule that a fill was booked with (R-20), and why the exchange ended an order (L-06)."""

from __future__ import annotations

from typing import Any

import peewee as pw
from peewee_migrate import Migrator

from storage.migrations.m0001_initial import POSTGRESQL, SQLITE

COLUMNS = (
    'ALTER TABLE "fills" ADD COLUMN "fee_rate_micro" {integer}',
    'ALTER TABLE "fills" ADD COLUMN "fee_exponent" {integer}',
    """ALTER TABLE "orders" ADD COLUMN "ended_because" {text} NOT NULL DEFAULT ''""",
)


def migrate(migrator: Migrator, database: pw.Database, **_options: Any) -> None:
    """Add the columns; what was written before has no schedule and no reason."""
    types = SQLITE if isinstance(database, pw.SqliteDatabase) else POSTGRESQL
    for statement in COLUMNS:
        migrator.sql(statement.format_map(types))
