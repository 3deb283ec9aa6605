"""The fee of an external trade that the chain's logs show (R-20), apart from its price."""

from __future__ import annotations

from typing import Any

import peewee as pw
from peewee_migrate import Migrator

from storage.migrations.m0001_initial import POSTGRESQL, SQLITE

COLUMN = 'ALTER TABLE "adjustments" ADD COLUMN "fee_micro" {integer} NOT NULL DEFAULT 0'


def migrate(migrator: Migrator, database: pw.Database, **_options: Any) -> None:
    """Add the column; in what was written before the fee is part of cost or proceeds."""
    types = SQLITE if isinstance(database, pw.SqliteDatabase) else POSTGRESQL
    migrator.sql(COLUMN.format_map(types))
