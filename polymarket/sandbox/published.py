"""Polymarket's own, published accounting of the wallet, as its Data API shows it: per token, and as of any block.

The method is theirs, not ours: splits and merges at 0.50, sales clamped to what was bought, transfers and fees ignored,
integer division. The service must cope with it as a rounded, late witness (D-13); it is no oracle.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace

from polymarket.sandbox.amounts import ONE
from polymarket.sandbox.books import Operation
from polymarket.sandbox.markets import Directory
from polymarket.sandbox.trading import BUY

_HALF = ONE // 2


@dataclass(frozen=True, kw_only=True)
class TokenView:
    """What is published about a token: tracked shares, average price, lifetime bought, realised P&L, fees (1e-6)."""

    amount: int = 0
    average: int = 0
    bought: int = 0
    realized: int = 0
    fees: int = 0
    first_ms: int = 0
    last_ms: int = 0

    def buy(self, price: int, size: int) -> TokenView:
        """Bought at a price: the average moves."""
        total = self.amount + size
        average = (self.average * self.amount + price * size) // total if total else 0
        return replace(self, amount=total, average=average, bought=self.bought + size)

    def sell(self, price: int, size: int) -> TokenView:
        """Sold at a price: P&L is realised on at most what is tracked."""
        clamped = min(size, self.amount)
        realized = self.realized + clamped * (price - self.average) // ONE
        return replace(self, amount=self.amount - clamped, realized=realized)


class Published:
    """Views by token, after each block that changed them, and every operation."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._blocks: dict[str, list[int]] = {}
        self._views: dict[str, list[TokenView]] = {}

    def tokens(self) -> list[str]:
        """Every token that was ever touched."""
        return list(self._views)

    def view(self, token: str, at: int) -> TokenView | None:
        """The token after block ``at``; None where it was not touched by then."""
        index = bisect_right(self._blocks.get(token, []), at)
        return self._views[token][index - 1] if index else None

    def operations_until(self, at: int) -> list[Operation]:
        """Every operation up to block ``at``, the oldest first."""
        return self.operations[: bisect_right(self.operations, at, key=lambda operation: operation.block)]

    def record(self, operation: Operation, directory: Directory) -> None:
        """Take in what a sealed transaction did."""
        self.operations.append(operation)
        for token in operation.tokens:
            before = self._latest(token)
            after = self._step(operation, token, before, directory)
            first = before.first_ms or operation.at_ms
            self._put(token, operation.block, replace(after, first_ms=first, last_ms=operation.at_ms))

    def undo(self, above: int) -> None:
        """Take back all that was published of blocks after that one, as a reorganised indexer does."""
        del self.operations[bisect_right(self.operations, above, key=lambda operation: operation.block) :]
        for token in list(self._blocks):
            kept = bisect_right(self._blocks[token], above)
            del self._blocks[token][kept:], self._views[token][kept:]
            if not kept:
                del self._blocks[token], self._views[token]

    def _step(self, operation: Operation, token: str, view: TokenView, directory: Directory) -> TokenView:
        change = operation.tokens[token]
        match operation.kind:
            case "TRADE":
                return _trade(operation, token, view)
            case "SPLIT":
                return view.buy(_HALF, change)
            case "MERGE":
                return view.sell(_HALF, -change)
            case "REDEEM":
                return view.sell(directory.by_token[token].price_of(token), view.amount)
            case "CONVERSION":
                price = self._conversion_price(operation.tokens) if change > 0 else view.average
                return view.buy(price, change) if change > 0 else view.sell(price, -change)
            case _:
                return view

    def _conversion_price(self, tokens: Mapping[str, int]) -> int:
        """The price that each YES received is booked at: what the NO cost beyond the cash, over the YES (§5.5)."""
        given = [self._latest(token).average for token, change in tokens.items() if change < 0]
        received = sum(1 for change in tokens.values() if change > 0)
        return (sum(given) - ONE * (len(given) - 1)) // received

    def _latest(self, token: str) -> TokenView:
        views = self._views.get(token)
        return views[-1] if views else TokenView()

    def _put(self, token: str, block: int, view: TokenView) -> None:
        self._blocks.setdefault(token, []).append(block)
        self._views.setdefault(token, []).append(view)


def _trade(operation: Operation, token: str, view: TokenView) -> TokenView:
    for fill in operation.fills:
        if fill.token == token:
            price = abs(fill.cash) * ONE // fill.size
            stepped = view.buy(price, fill.size) if fill.side == BUY else view.sell(price, fill.size)
            view = replace(stepped, fees=stepped.fees + fill.fee)
    return view
