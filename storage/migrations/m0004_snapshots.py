"""What books were at an entry of their journal: a row for each snapshot, and the states that snapshots share (D-23)."""

from __future__ import annotations

from typing import Any

import peewee as pw
from peewee_migrate import Migrator

from storage.migrations.m0001_initial import POSTGRESQL, SQLITE

TABLES = (
    """
    CREATE TABLE "_snapshots" (
        "stream" {text} NOT NULL,
        "seq" {integer} NOT NULL,
        "hash" {text} NOT NULL,
        "format" {integer} NOT NULL,
        "code" {text} NOT NULL,
        "at_ms" {integer} NOT NULL,
        "digest" {text} NOT NULL,
        "content" {blob} NOT NULL,
        "checksum" {text} NOT NULL,
        PRIMARY KEY ("stream", "seq")
    ){options}
    """,
    """
    CREATE TABLE "_snapshot_states" (
        "stream" {text} NOT NULL,
        "key" {text} NOT NULL,
        "content" {blob} NOT NULL,
        PRIMARY KEY ("stream", "key")
    ){options}
    """,
)


def migrate(migrator: Migrator, database: pw.Database, **_options: Any) -> None:
    """Make both tables; there is no snapshot yet, so the next start replays the whole journal."""
    types = SQLITE if isinstance(database, pw.SqliteDatabase) else POSTGRESQL
    for statement in TABLES:
        migrator.sql(statement.format_map(types))
