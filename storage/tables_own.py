"""Tables of our own beside the outbox: names begin with ``_``, and nobody else may rely on them (D-23)."""

from __future__ import annotations

import peewee as pw

from storage.tables import Outbox, Row


class Snapshots(Row):
    """What the books were after an entry; ``content`` names the states and where they stand."""

    stream = pw.TextField()
    seq = pw.BigIntegerField()
    hash = pw.TextField()
    format = pw.BigIntegerField()
    code = pw.TextField()
    at_ms = pw.BigIntegerField()
    digest = pw.TextField()
    content = pw.BlobField()
    checksum = pw.TextField()

    class Meta:
        table_name = "_snapshots"
        primary_key = pw.CompositeKey("stream", "seq")


class SnapshotStates(Row):
    """States of single actors by a hash of what is stored; one that did not change belongs to several snapshots."""

    stream = pw.TextField()
    key = pw.TextField()
    content = pw.BlobField()

    class Meta:
        table_name = "_snapshot_states"
        primary_key = pw.CompositeKey("stream", "key")


INTERNAL: tuple[type[Row], ...] = (Outbox, Snapshots, SnapshotStates)
"""Tables that promise nothing."""
