"""What the wallet's tokens cost and earned by the world's own record, where the rules alone decide it (R-13).

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
    """Shares of a token, what they cost, what those that were given brought beyond their cost, and fees paid."""

    shares: int = 0
    cost: int = 0
    realized: int = 0
    fees: int = 0
    known: bool = True

    def take(self, shares: int, cost: int) -> None:
        """Shares come."""
        self.shares += shares
        self.cost += cost

    def give(self, shares: int) -> int:
        """Shares leave at cost, which is returned; where there are not so many nothing is known from here on."""
        if shares > self.shares:
            self.known = False
            return 0
        removed = self.cost if shares == self.shares else self.cost * shares // self.shares
        self.shares -= shares
        self.cost -= removed
        return removed

    def sell(self, shares: int, proceeds: int) -> None:
        """Shares leave for what they bring."""
        self.realized += proceeds - self.give(shares)


def costs(world: World, opened_ms: int) -> dict[str, Held]:
    """By token id, those where it is determined. What is from before ``opened_ms`` is an opening (R-23)."""
    ledger = _Ledger(world)
    unknown: set[str] = set()
    for operation in world.books.operations:
        if operation.kind not in _PRICED or operation.at_ms < opened_ms or _is_unlabelled(world, operation):
            unknown.update(_all_of(world, operation))
    for operation, part in _moves(world):
        if part is None:
            ledger.take(operation)
        else:
            ledger.fill(part)
    return {token: held for token, held in ledger.held.items() if held.known and token not in unknown}


def _is_unlabelled(world: World, operation: Operation) -> bool:
    """Of Protocol V2 the events of its modules are not known: what they do looks like transfers."""
    versions = {world.directory.by_token[token].version for token in operation.tokens}
    return operation.kind != "TRADE" and "v2" in versions


def _all_of(world: World, operation: Operation) -> Iterator[str]:
    """The tokens of a whole event, where an operation touches one of them."""
    for token in operation.tokens:
        market = world.directory.by_token[token]
        for other in world.directory.event_of[market.condition_id].markets:
            yield from other.tokens


def _moves(world: World) -> Iterator[tuple[Operation, Fill | None]]:
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
        yield operation, part


class _Ledger:
    """Takes one change after the other."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.held: dict[str, Held] = {}

    def _of(self, token: str) -> Held:
        return self.held.setdefault(token, Held())

    def fill(self, fill: Fill) -> None:
        held = self._of(fill.token)
        held.fees += fill.fee
        if fill.side == BUY:
            held.take(fill.size, fill.cash)
        else:
            held.sell(fill.size, -fill.cash)

    def take(self, operation: Operation) -> None:
        if operation.kind == "MERGE":
            self._merge(operation)
            return
        for token, shares in operation.tokens.items():
            if shares >= 0:
                half = shares // 2
                self._of(token).take(shares, shares - half if self._index(token) == 0 else half)
            elif operation.kind == "REDEEM":
                self._of(token).sell(-shares, self._payout(token, -shares))
            else:
                self._of(token).give(-shares)

    def _merge(self, operation: Operation) -> None:
        """Proceeds are parted in proportion to the cost of what was merged, what is left over goes to YES."""
        yes, no = sorted(operation.tokens, key=self._index)
        shares = -operation.tokens[yes]
        removed = self._of(yes).give(shares), self._of(no).give(shares)
        whole = sum(removed)
        for_no = shares * removed[1] // whole if whole else shares // 2
        self._of(yes).realized += shares - for_no - removed[0]
        self._of(no).realized += for_no - removed[1]

    def _index(self, token: str) -> int:
        return self._world.directory.by_token[token].index_of(token)

    def _payout(self, token: str, shares: int) -> int:
        payouts = self._world.directory.by_token[token].payouts or (0, 0)
        return shares * payouts[self._index(token)] // sum(payouts)
