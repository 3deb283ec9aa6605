"""One fault and the correction that waits for its end: what the tests of faults share."""

from __future__ import annotations

from typing import Any

from polymarket.sandbox.actions import Place, TransferIn, TransferOut
from polymarket.sandbox.faults import FaultSpec
from tests.support.live import Stage

SLOW_MS = 4000
"""Longer than a call may take, so that a slow answer is none."""

BROKEN = (
    "down",
    "slow",
    "http_425",
    "http_429",
    "http_503",
    "html_error",
    "malformed_json",
    "wrong_content_type",
)
"""No answer, or none that can be read."""

Delta = tuple[str, str, str]
"""Condition, subject and what became of it."""


class Case:
    """One fault and what waits for its end."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.service, self.control = stage.service, stage.control
        self.control.clear_faults()
        self.control.settings(page_size=100)
        stage.quiet()
        self.markets: list[dict[str, Any]] = self.control.books()["markets"]
        self._seen = self._keys()

    def token(self, market: int, outcome: int = 1) -> str:
        token: str = self.markets[market]["tokens"][outcome]
        return token

    def condition(self, market: int) -> str:
        condition: str = self.markets[market]["condition_id"]
        return condition

    def given_shares(self, market: int) -> None:
        """The wallet holds some of that market's second outcome, and the service knows."""
        if not self.control.tokens().get(self.token(market)):
            self.control.act(TransferIn(token_id=self.token(market), amount="2"))
            self.stage.quiet()
            self._seen = self._keys()

    def given_none(self, market: int) -> None:
        """The wallet holds none of it, and the service knows."""
        if self.control.tokens().get(self.token(market)):
            self.shares_leave(market)
            self.stage.quiet()
            self._seen = self._keys()

    def given_order(self, market: int) -> str:
        """An order rests, and the service knows it."""
        order: str = self.control.act(
            Place(token_id=self.token(market, 0), side="BUY", price="0.02", size="40", client="own")
        )["order_id"]
        self.stage.quiet()
        assert order in self.service.live_orders()
        self._seen = self._keys()
        return order

    def shares_arrive(self, market: int) -> None:
        self.control.act(TransferIn(token_id=self.token(market), amount="2"))
        self.stage.finalize()

    def shares_leave(self, market: int) -> None:
        """All of them: the position is closed."""
        held = self.control.tokens()[self.token(market)]
        self.control.act(TransferOut(token_id=self.token(market), amount=f"{held / 1e6:.6f}"))
        self.stage.finalize()

    def removed(self, market: int) -> Delta:
        return (self.condition(market), "position", "REMOVED")

    def added(self, market: int) -> Delta:
        return (self.condition(market), "position", "ADDED")

    def order_gone(self, market: int) -> Delta:
        """Other orders of the market rest on: their value fell, it did not become nothing."""
        return (self.condition(market), "open_orders", "UPDATED")

    def cycles(self, count: int) -> list[dict[str, Any]]:
        return [self.stage.cycle()["operations_report"] for _ in range(count)]

    def deltas(self) -> list[Delta]:
        """(condition, subject, what) of every settlement report since the case began."""
        rows = [row for row in self.service.settlements() if _key(row) not in self._seen]
        return sorted((row["market_id"], row["subject"], row["delta_type"]) for row in rows)

    def _keys(self) -> set[tuple[Any, ...]]:
        return {_key(row) for row in self.service.settlements()}

    def books_agree(self) -> bool:
        """Whether service and sandbox hold the same shares, to the base unit, and the same live orders."""
        books = self.control.books()
        tokens = {token: amount for token, amount in books["tokens"].items() if amount}
        return self.service.shares() == tokens and self.service.live_orders() == {row["id"] for row in books["orders"]}

    def met_all(self, count: int) -> None:
        """Every fault was met; end them."""
        played = self.control.clear_faults()
        assert len(played) == count
        assert all(fault.hits > 0 for fault in played), played


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return (row["synced_at_ms"], row["market_id"], row["subject"], row["event_type"])


def fault(target: str, kind: str, **given: Any) -> FaultSpec:
    return FaultSpec(target=target, kind=kind, latency_ms=SLOW_MS, **given)  # type: ignore[arg-type]
