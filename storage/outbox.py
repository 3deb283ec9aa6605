"""Alerts that are durable and not yet said: at least once, recognised by their key (D-18)."""

from __future__ import annotations

from collections.abc import Sequence

from messages.ledger import PendingAlert
from storage.database import Database, Transaction
from storage.tables import Outbox as Table


class Outbox:
    """The outbox of a database."""

    def __init__(self, database: Database) -> None:
        """Reading needs no ownership; marking does."""
        self._database = database

    def pending(self, limit: int) -> list[PendingAlert]:
        """Alerts that were not said, oldest first, at most ``limit``; ``payload`` is the alert as JSON."""
        query = (
            Table.select(Table.key, Table.payload)
            .where(Table.delivered_at_ms.is_null())
            .order_by(Table.at_ms, Table.key)
            .limit(limit)
            .tuples()
        )
        rows = self._database.read(lambda reader: list(query.execute(reader)))
        return [PendingAlert(key=key, payload=bytes(payload)) for key, payload in rows]

    def mark_delivered(self, keys: Sequence[str], now_ms: int) -> int:
        """Note that alerts were said; returns how many were not noted before. A second note changes nothing."""
        return self._database.write(lambda transaction: _mark(transaction, keys, now_ms))


def _mark(transaction: Transaction, keys: Sequence[str], now_ms: int) -> int:
    return sum(
        transaction.execute(
            'UPDATE "_outbox" SET "delivered_at_ms" = ? WHERE "key" = ? AND "delivered_at_ms" IS NULL', (now_ms, key)
        )
        for key in keys
    )
