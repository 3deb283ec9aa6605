"""What is remembered of an RPC endpoint between reads."""

from __future__ import annotations

from polymarket.log_ranges import RangeSize

BATCH = 3000
"""Calls and tokens that one request carries, until the RPC refuses so many: 500 markets, both tokens and the payout of
each. At some 8,000 gas for each that is half of what nodes allow a call by default.
"""

ID_CHECKS = 100
"""Conditions whose token ids are checked at once: four calls each, and hashing onto the curve takes gas."""

CALLS = 128
"""JSON-RPC calls that one HTTP request carries: some hundred receipts beside the logs of a range."""


class EndpointMemory:
    """What was learnt of one endpoint by reading logs from it, until a read fails.

    ``calls`` is how many calls one HTTP request may carry (1: arrays are not taken), ``head`` the newest block it told,
    ``size`` how many blocks it takes in a request for logs; that one outlives failures.
    """

    def __init__(self) -> None:
        self.size = RangeSize()
        self.forget()

    def forget(self) -> None:
        """After a failure it may be another one: ask for the chain and the head again, and try arrays again."""
        self.chain_id: int | None = None
        self.calls = CALLS
        self.head = 0


class ChainMemory:
    """What was learnt of an RPC endpoint and holds from read to read, until a read fails.

    ``verified`` are the contracts whose code was seen, ``by_hash`` whether calls at a block hash (EIP-1898) work,
    ``batch`` how many calls and tokens one request may carry, ``id_checks`` of how many conditions it is asked for the
    token ids at once (0: it takes no such calls), ``finalized`` whether that tag works. All this is of the first
    endpoint. Of the reader of logs, ``answering`` is the place of the endpoint that it asks first.
    """

    def __init__(self) -> None:
        self.chain_id: int | None = None
        self.verified: set[str] = set()
        self.by_hash = True
        self.batch = BATCH
        self.id_checks = ID_CHECKS
        self.finalized = True
        self.answering = 0
        self._endpoints: dict[int, EndpointMemory] = {}

    def forget(self) -> None:
        """After a failure the endpoint may be another one: verify chain and contracts again."""
        self.chain_id = None
        self.verified = set()

    def endpoint(self, place: int) -> EndpointMemory:
        """What is remembered of the endpoint at that place of the list."""
        return self._endpoints.setdefault(place, EndpointMemory())
