"""Who may write a stream: the lease row with its fencing number (D-17, R-12).

The database's lock (``lock``) says who is alive; the lease says who was last. Each acquire raises the epoch, and a
commit names the epoch it was acquired with, so that a former owner that still believes in itself is refused.
"""

from __future__ import annotations

from messages.ledger import GENESIS_HASH, Lease
from storage.database import Database, Transaction
from storage.errors import LeaseHeld, LeaseLost


class Leases:
    """The leases this process acquired. One per open database."""

    def __init__(self, database: Database) -> None:
        """``database`` must be opened as its owner."""
        self._database = database
        self._held: dict[str, Lease] = {}

    def acquire(self, stream: str, owner: str, now_ms: int) -> Lease:
        """Become the owner of ``stream``, with the next epoch and the head as stored.

        The same owner may acquire again, and fences its own earlier lease. Raises LeaseHeld when another owner in
        this process holds it; another process cannot have opened the database.
        """
        held = self._held.get(stream)
        if held is not None and held.owner != owner:
            raise LeaseHeld(f"Stream {stream!r}", held.owner, None)
        lease = self._database.write(lambda transaction: _take(transaction, stream, owner, now_ms))
        self._held[stream] = lease
        return lease

    def release(self, lease: Lease, now_ms: int) -> None:
        """Note that the owner left in order. Raises LeaseLost when the lease was not valid any more."""
        self._held.pop(lease.stream, None)
        changed = self._database.write(
            lambda transaction: transaction.execute(
                'UPDATE "leases" SET "released_at_ms" = ? WHERE "stream" = ? AND "epoch" = ?',
                (now_ms, lease.stream, lease.epoch),
            )
        )
        if changed != 1:
            raise LeaseLost(lease.stream, lease.epoch)


def _take(transaction: Transaction, stream: str, owner: str, now_ms: int) -> Lease:
    changed = transaction.execute(
        'UPDATE "leases" SET "owner" = ?, "epoch" = "epoch" + 1, "acquired_at_ms" = ?, "released_at_ms" = NULL'
        ' WHERE "stream" = ?',
        (owner, now_ms, stream),
    )
    if changed == 0:
        transaction.execute(
            'INSERT INTO "leases" ("stream", "owner", "epoch", "head_seq", "head_hash", "acquired_at_ms")'
            " VALUES (?, ?, 1, 0, ?, ?)",
            (stream, owner, GENESIS_HASH, now_ms),
        )
    ((epoch, head_seq, head_hash),) = transaction.fetch(
        'SELECT "epoch", "head_seq", "head_hash" FROM "leases" WHERE "stream" = ?', (stream,)
    )
    return Lease(stream=stream, owner=owner, epoch=epoch, head_seq=head_seq, head_hash=head_hash)
