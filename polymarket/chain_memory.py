"""What is remembered of an RPC endpoint between reads."""

from __future__ import annotations

BATCH = 1000
"""Calls and tokens that one request carries, until the RPC refuses so many."""


class ChainMemory:
    """What was learnt of an RPC endpoint and holds from read to read, until a read fails.

    ``verified`` are the contracts whose code was seen, ``by_hash`` whether calls at a block hash (EIP-1898) work,
    ``batch`` how many calls and tokens one request may carry, ``finalized`` whether that tag works.
    """

    def __init__(self) -> None:
        self.chain_id: int | None = None
        self.verified: set[str] = set()
        self.by_hash = True
        self.batch = BATCH
        self.finalized = True

    def forget(self) -> None:
        """After a failure the endpoint may be another one: verify chain and contracts again."""
        self.chain_id = None
        self.verified = set()
