"""The wallet's own record of the sandbox: what every event did to its tokens and its cash.

Computed from the terms of each event, not from the chain's balances; so the two can be compared, and the service can be
compared with both. This is the oracle of tests (D-07).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from polymarket.sandbox.amounts import notional
from polymarket.sandbox.trading import BUY, Leg, Trade

PUSD, USDC_E, WCOL = "pusd", "usdc_e", "wcol"
TAKER, MAKER = "TAKER", "MAKER"


@dataclass(frozen=True, kw_only=True)
class Fill:
    """The wallet's part in a trade by one of its orders. ``cash`` is paid (+) or received (−), without the fee."""

    order_id: str
    owner: str
    role: str
    token: str
    side: str
    size: int
    cash: int
    fee: int = 0

    @property
    def shares(self) -> int:
        """Shares received (+) or given (−)."""
        return self.size if self.side == BUY else -self.size


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One thing that happened to the wallet on the chain, with its whole effect.

    ``tokens`` and ``cash`` are changes by token id and by bucket (``pusd``, ``usdc_e``, ``wcol``) in 1e-6.
    """

    kind: str
    at_ms: int
    block: int
    transaction_hash: str
    tokens: Mapping[str, int] = field(default_factory=dict)
    cash: Mapping[str, int] = field(default_factory=dict)
    condition_id: str = ""
    trade_id: str = ""
    fills: tuple[Fill, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


class Books:
    """Every operation of the wallet in the order of the chain."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._tokens: dict[str, int] = {}
        self._cash: dict[str, int] = {PUSD: 0, USDC_E: 0, WCOL: 0}

    def record(self, operation: Operation) -> None:
        """Take in what a sealed transaction did."""
        self.operations.append(operation)
        self._change(operation, 1)

    def undo(self, above: int) -> list[Operation]:
        """Take back every operation of a block after that one; returns these, the oldest first."""
        kept = bisect_right(self.operations, above, key=lambda operation: operation.block)
        gone = self.operations[kept:]
        del self.operations[kept:]
        for operation in gone:
            self._change(operation, -1)
        return gone

    def _change(self, operation: Operation, sign: int) -> None:
        for token, change in operation.tokens.items():
            self._tokens[token] = self._tokens.get(token, 0) + sign * change
        for bucket, change in operation.cash.items():
            self._cash[bucket] += sign * change

    @property
    def tokens(self) -> dict[str, int]:
        """Shares by token id; tokens that are gone are absent."""
        return {token: amount for token, amount in self._tokens.items() if amount}

    @property
    def cash(self) -> dict[str, int]:
        """Cash by bucket."""
        return dict(self._cash)


def fills_of(trade: Trade, address: str) -> tuple[Fill, ...]:
    """What a trade means for each order of the address in it: its taker order, and every maker leg of its own."""
    found = [_maker_fill(leg) for leg in trade.legs if leg.party.address == address]
    if trade.taker.address == address:
        found.append(_taker_fill(trade))
    return tuple(found)


def trade_operation(trade: Trade, address: str, block: int, at_ms: int) -> Operation:
    """The settled trade as an operation of the address."""
    fills = fills_of(trade, address)
    tokens: dict[str, int] = {}
    for fill in fills:
        tokens[fill.token] = tokens.get(fill.token, 0) + fill.shares
    return Operation(
        kind="TRADE",
        at_ms=at_ms,
        block=block,
        transaction_hash=trade.transaction_hash,
        tokens=tokens,
        cash={PUSD: -sum(fill.cash + fill.fee for fill in fills)},
        condition_id=trade.condition_id,
        trade_id=trade.trade_id,
        fills=fills,
    )


def leg_cash(leg: Leg) -> int:
    """pUSD that the maker of a leg pays (+) or receives (−)."""
    amount = notional(leg.size, leg.price)
    return amount if leg.side == BUY else -amount


def taker_cash(trade: Trade) -> int:
    """pUSD that the taker pays (+) or receives (−) over all legs, without the fee.

    On the taker's own token it is what the maker gets or gives; across tokens it completes the set to 1.
    """
    return sum(_taker_share(leg, trade) for leg in trade.legs)


def average_price(cash: int, size: int) -> int:
    """Cash per share in 1e-6, rounded down; 0 for no shares."""
    return abs(cash) * 1_000_000 // size if size else 0


def _taker_share(leg: Leg, trade: Trade) -> int:
    if leg.token == trade.token:
        return -leg_cash(leg)
    return leg.size - leg_cash(leg) if trade.side == BUY else -leg.size - leg_cash(leg)


def _maker_fill(leg: Leg) -> Fill:
    return Fill(
        order_id=leg.order_id,
        owner=leg.party.owner,
        role=MAKER,
        token=leg.token,
        side=leg.side,
        size=leg.size,
        cash=leg_cash(leg),
    )


def _taker_fill(trade: Trade) -> Fill:
    return Fill(
        order_id=trade.taker_order_id,
        owner=trade.taker.owner,
        role=TAKER,
        token=trade.token,
        side=trade.side,
        size=trade.size,
        cash=taker_cash(trade),
        fee=trade.taker_fee,
    )
