"""What the writer takes and gives: decisions in, durable journal entries out (D-16, D-17, D-18)."""

from __future__ import annotations

import hashlib

import msgspec

from portfolio.outcomes import Outcome

GENESIS_HASH = "0" * 64
"""Previous hash of the first entry of a stream."""


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One message that changed something, with all it changed: becomes one transaction (L-02).

    ``payload`` is the encoded message as journaled; ``kind`` and ``schema`` name how to decode it. ``version`` is the
    deciding actor's state version after it. ``at_ms`` is the stamp the actor took the message with.
    """

    stream: str
    address: str
    kind: str
    schema: int
    version: int
    at_ms: int
    payload: bytes
    rows: tuple[Outcome, ...] = ()


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A decision as it stands on disk: numbered and chained per stream (D-17, X-12)."""

    stream: str
    seq: int
    address: str
    kind: str
    schema: int
    version: int
    at_ms: int
    payload: bytes
    previous_hash: str
    hash: str


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """Who owns a stream: the fencing number, and where its chain ends (D-17, R-12)."""

    stream: str
    owner: str
    epoch: int
    head_seq: int
    head_hash: str


class PendingAlert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert in the outbox that was not yet said."""

    key: str
    payload: bytes


def chain_hash(previous: str, seq: int, decision: Decision) -> str:
    """Hash of the entry that ``decision`` becomes: sha256(previous ‖ canonical header ‖ stored payload) (D-17).

    The payload is hashed as stored, never re-encoded.
    """
    header = msgspec.json.encode(
        (decision.stream, seq, decision.address, decision.kind, decision.schema, decision.version, decision.at_ms)
    )
    hashed = b"".join((previous.encode("ascii"), len(header).to_bytes(4, "big"), header, decision.payload))
    return hashlib.sha256(hashed).hexdigest()


def entry_hash(entry: JournalEntry) -> str:
    """Recompute the hash of a stored entry; differs from ``entry.hash`` when it was tampered with."""
    return chain_hash(
        entry.previous_hash,
        entry.seq,
        Decision(
            stream=entry.stream,
            address=entry.address,
            kind=entry.kind,
            schema=entry.schema,
            version=entry.version,
            at_ms=entry.at_ms,
            payload=entry.payload,
        ),
    )
