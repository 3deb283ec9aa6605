"""What the wallet's books must come to, by the sandbox's own list of trades: plain average cost, written apart (R-13).

It begins with what the service took over when it was opened, and knows nothing of feeds, orders or states: every own
leg of every trade since then that did not fail, in the order of matching, at the price of its makers (R-11, R-20).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from polymarket.sandbox.amounts import ONE, parse_decimal

BUY = "BUY"
FAILED = "FAILED"
CENT_OF_A_MILLI = 10
"""Fees are whole 0.00001 pUSD."""

Row = dict[str, Any]


@dataclass
class Holding:
    """Of one token, in 1e-6."""

    shares: int = 0
    cost: int = 0
    realized: int = 0
    fees: int = 0

    def take(self, part: Part) -> None:
        """A trade of it."""
        self.fees += part.fee
        if part.side == BUY:
            self.shares, self.cost = self.shares + part.size, self.cost + part.amount
            return
        assert part.size <= self.shares, "the sandbox lets nobody sell what he has not"
        removed = self.cost if part.size == self.shares else self.cost * part.size // self.shares
        self.shares, self.cost = self.shares - part.size, self.cost - removed
        self.realized += part.amount - removed


def booked(row: Row) -> Holding:
    """As a row of the service's positions has it."""
    return Holding(row["shares_micro"], row["cost_basis_micro"], row["realized_pnl_micro"], row["fees_micro"])


@dataclass(frozen=True)
class Part:
    """One own order's part in a trade; ``amount`` in pUSD without the fee."""

    trade: str
    order: str
    token: str
    side: str
    size: int
    amount: int
    fee: int
    failed: bool

    @property
    def key(self) -> tuple[str, str]:
        """Under which it is one fill (L-01)."""
        return self.trade, self.order


class Oracle:
    """``positions`` are the service's as it opened them, ``books`` the sandbox's at that moment."""

    def __init__(self, address: str, positions: Iterable[Row], books: Row) -> None:
        self._address = address.lower()
        self._before = {trade["id"] for trade in books["trades"]}
        self._opened = {row["token_id"]: row for row in positions}
        self._rates = {market["condition_id"]: Fraction(market["fee_rate_micro"], ONE) for market in books["markets"]}

    def parts(self, books: Row) -> list[Part]:
        """Every own leg of every trade since, in the order of matching."""
        fresh = [trade for trade in books["trades"] if trade["id"] not in self._before]
        fresh.sort(key=lambda trade: (int(trade["match_time_nano"]), trade["id"]))
        return [part for trade in fresh for part in sorted(self._parts(trade), key=lambda part: part.order)]

    def holdings(self, books: Row) -> dict[str, Holding]:
        """What is held of each token, and what came of it; tokens that were never touched are absent."""
        held = {token: booked(row) for token, row in self._opened.items()}
        for part in self.parts(books):
            if not part.failed:
                held.setdefault(part.token, Holding()).take(part)
        return held

    def _parts(self, trade: Row) -> Iterable[Part]:
        failed = trade["status"] == FAILED
        for leg in trade["maker_orders"]:
            if leg["maker_address"].lower() == self._address:
                size, price = _shares(leg), parse_decimal(leg["price"])
                amount = _pusd(size, price)
                yield Part(trade["id"], leg["order_id"], leg["asset_id"], leg["side"], size, amount, 0, failed)
        if trade["maker_address"].lower() == self._address:
            levels = [(_shares(leg), _price_for(leg, trade)) for leg in trade["maker_orders"]]
            amount = sum(_pusd(size, price) for size, price in levels)
            fee = sum(self._fee(size, price, trade["market"]) for size, price in levels)
            size = parse_decimal(trade["size"])
            order, token, side = trade["taker_order_id"], trade["asset_id"], trade["side"]
            yield Part(trade["id"], order, token, side, size, amount, fee, failed)

    def _fee(self, size: int, price: int, condition: str) -> int:
        chance = Fraction(price, ONE)
        return int(size * self._rates[condition] * chance * (1 - chance) / CENT_OF_A_MILLI) * CENT_OF_A_MILLI


def _shares(leg: Mapping[str, Any]) -> int:
    return parse_decimal(leg["matched_amount"])


def _pusd(size: int, price: int) -> int:
    return round(Fraction(size * price, ONE))


def _price_for(leg: Row, trade: Row) -> int:
    """What the taker's own token costs it at that maker."""
    price = parse_decimal(leg["price"])
    return price if leg["asset_id"] == trade["asset_id"] else ONE - price
