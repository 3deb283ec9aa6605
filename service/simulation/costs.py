"""What the wallet's tokens cost by the world's own record, where the rules alone decide it (R-13).

Computed without the service's arithmetic. What the rules leave to a mark or a Data API (an opening, a transfer in), or
spread over an event (a conversion), makes the cost of all that follows there undetermined, and it is not compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from polymarket.sandbox.books import Fill, Operation
from polymarket.sandbox.trading import BUY
from polymarket.sandbox.world import World

_NS_PER_MS = 1_000_000
_MS_PER_S = 1000
_KNOWN = frozenset({"TRADE", "SPLIT", "MERGE", "REDEEM", "TRANSFER_OUT"})
_PRICED = _KNOWN | {"DEPOSIT", "WITHDRAWAL"}


@dataclass
class Held:
    """Shares of a token and what they cost."""

    shares: int = 0
    cost: int = 0

    def give(self, shares: int) -> bool:
        """Shares leave at cost; False where there are not so many."""
        if shares > self.shares:
            return False
        self.cost -= self.cost if shares == self.shares else self.cost * shares // self.shares
        self.shares -= shares
        return True


@dataclass(frozen=True, kw_only=True)
class _Move:
    """One change of one token; ``cost`` is what it brought, and nothing for shares that leave."""

    token: str
    shares: int
    cost: int


def costs(world: World, opened_ms: int) -> dict[str, int]:
    """Cost by token id, of those where it is determined. What is from before ``opened_ms`` is an opening (R-23)."""
    held: dict[str, Held] = {}
    unknown: set[str] = set()
    for operation in world.books.operations:
        if operation.kind not in _PRICED or operation.at_ms < opened_ms:
            unknown.update(_all_of(world, operation))
    for move in _moves(world):
        token = held.setdefault(move.token, Held())
        if move.shares >= 0:
            token.shares += move.shares
            token.cost += move.cost
        elif not token.give(-move.shares):
            unknown.add(move.token)
    return {token: one.cost for token, one in held.items() if token not in unknown}


def _all_of(world: World, operation: Operation) -> Iterator[str]:
    """The tokens of a whole event, where an operation touches one of them."""
    for token in operation.tokens:
        market = world.directory.by_token[token]
        for other in world.directory.event_of[market.condition_id].markets:
            yield from other.tokens


def _moves(world: World) -> Iterator[_Move]:
    """All changes in economic order: a fill at its match, all else at its block and by its place in that (D-02).

    The match of a trade that is in no list can be known to nobody but the exchange: it is at its block too.
    """
    timed: list[tuple[int, int, Operation, Fill | None]] = []
    for place, operation in enumerate(world.books.operations):
        block_ns = operation.at_ms // _MS_PER_S * _MS_PER_S * _NS_PER_MS
        if operation.kind != "TRADE":
            timed.append((block_ns, place, operation, None))
        for fill in operation.fills:
            trade = world.exchange.trades[operation.trade_id]
            timed.append((trade.matched_ns if trade.listed else block_ns, place, operation, fill))
    for _, _, operation, part in sorted(timed, key=lambda row: row[:2]):
        yield from _of_operation(world, operation) if part is None else _of_fill(part)


def _of_fill(fill: Fill) -> Iterator[_Move]:
    yield _Move(token=fill.token, shares=fill.shares, cost=fill.cash if fill.side == BUY else 0)


def _of_operation(world: World, operation: Operation) -> Iterator[_Move]:
    for token, shares in operation.tokens.items():
        half = shares // 2
        is_first = world.directory.by_token[token].index_of(token) == 0
        yield _Move(token=token, shares=shares, cost=shares - half if is_first else half)
