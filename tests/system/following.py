"""A service that follows the user channel of a lively sandbox, a trader who does everything, and both books compared.

The sandbox's time is in the tests' hand: `at once` many things happen at one moment of it, and `blocks` let them settle
while the ambient trading goes on. What is compared is compared at rest, when every match of the sandbox has ended.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from gevent.server import DatagramServer

from polymarket.sandbox.actions import Cancel, FillOrder, Place
from polymarket.sandbox.amounts import decimal_text, parse_decimal
from polymarket.sandbox.process import SandboxProcess
from storage.database import open_readonly
from storage.queries import Queries
from tests.integration.sandbox.conftest import clob_get
from tests.support.live import LiveService, NotInTimeError, Stage, until
from tests.system.oracle import FAILED, Holding, Oracle, Row, booked

BLOCK_MS = 200
CENT = 10_000
ENDED = ("CONFIRMED", FAILED)
LOOKS = 12
"""Cycles that rest may take: a difference is applied at its second look."""

LONGEST_SETTLING = 400
"""Blocks within which everything ends; the ambient trading begins anew in some of them."""


class MetricsListener:
    """Where StatsD's packets go: ``counted`` sums counters, ``gauges`` holds every value of each gauge that came."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()
        self.gauges: dict[str, list[float]] = {}
        self._server = DatagramServer(("127.0.0.1", 0), self._take)
        self._server.start()

    @property
    def port(self) -> int:
        """As ``[statsd] port`` takes it."""
        return int(self._server.server_port or 0)

    def close(self) -> None:
        """Stop listening."""
        self._server.stop(timeout=1)

    def _take(self, packet: Any, _sender: Any) -> None:
        for line in packet.decode().splitlines():
            name, value, kind = re.split(r"[:|]", line)[:3]
            if kind == "c":
                self.counted[name] += int(value)
            elif kind == "g":
                self.gauges.setdefault(name, []).append(float(value))


class Following(Stage):
    """The stage of the tests of the user stream. From here on the sandbox's time stands still between the steps."""

    def __init__(self, sandbox: SandboxProcess, service: LiveService) -> None:
        super().__init__(sandbox, service)
        self.books = self.control.books()
        self.markets: list[Row] = self.books["markets"]
        self._oracle = Oracle(service.info["wallet"]["address"], _positions(self.service).values(), self.books)
        self._ended: dict[str, Row] = {}

    # -- the sandbox ----------------------------------------------------------------------------------------------

    def token(self, market: int, outcome: int = 0) -> str:
        """An outcome token."""
        token: str = self.markets[market]["tokens"][outcome]
        return token

    def price(self, market: int, outcome: int = 0) -> int:
        """Its mark now, in 1e-6."""
        mid = next(row for row in self.control.books()["markets"] if row["tokens"][0] == self.token(market))
        price: int = mid["price_micro"] if outcome == 0 else 1_000_000 - mid["price_micro"]
        return price

    def place(self, market: int, size: str, *, away: int = 5, outcome: int = 0, **more: Any) -> dict[str, Any]:
        """An order of the strategy, a BUY so many cents below the mark (a negative number is above), or as told."""
        side = more.pop("side", "BUY")
        price = self.price(market, outcome) + (away if side == "SELL" else -away) * CENT
        action = Place(token_id=self.token(market, outcome), side=side, price=decimal_text(price), size=size, **more)
        return self.control.act(action)

    def fill(self, order_id: str, size: str = "", **more: Any) -> str:
        """A stranger takes of a resting order; the trade's id."""
        trade: str = self.control.act(FillOrder(order_id=order_id, size=size, **more))["trade_id"]
        return trade

    def to_present(self) -> None:
        """What happens from here on is dated after the subscription, also in the whole seconds of a trade's row.

        The sandbox's time stands still between the steps, and has run ahead of ours where much happened.
        """
        self.control.resume()
        self.control.pause()
        self.control.advance(1000)

    def blocks(self, count: int) -> None:
        """Time passes, and blocks come."""
        self.control.advance(count * BLOCK_MS)

    def burst(self, market: int) -> None:
        """Fills and partial fills of every fate, cancels and a kill, all at one moment: they settle in later blocks."""
        rests = self.place(market, "40.123457")["order_id"]
        self.fill(rests, "7.000003")
        self.fill(rests, "8.5", cross=True, retries=1)
        self.fill(rests, "3.25", fail=True, hash_at_match=True)
        whole = self.place(market, "11.75", away=4, outcome=1)["order_id"]
        self.fill(whole, delay_blocks=2)
        lost = self.place(market, "9.000007", away=3)["order_id"]
        self.fill(lost, "6.000001", retries=1, fail=True, dropped=True)
        raced = self.place(market, "21.5", away=6)["order_id"]
        self.fill(raced, "5.000001", cross=True)
        self.control.act(Cancel(order_id=raced))
        self.place(market, "12.345678", away=-3, order_type="FAK", retries=1)
        self.place(market, "25000", away=-1, order_type="FOK")
        self._sell(market)

    def _sell(self, market: int) -> None:
        """What was bought leaves again in parts, so that there is profit and loss."""
        held = self.control.tokens().get(self.token(market), 0)
        if held >= parse_decimal("30"):
            offer = self.place(market, "14.111113", side="SELL", away=4)["order_id"]
            self.fill(offer, "9.000001")
            self.fill(offer, "2.5", cross=True, fail=True)

    # -- the service ----------------------------------------------------------------------------------------------

    def fills(self) -> dict[tuple[str, str], Row]:
        """Every fill by its key, provisional notices too."""
        rows = self.service.get("/v1/fills?limit=1000&all=1")
        found = {(row["trade_id"], row["order_id"]): row for row in rows}
        assert len(found) == len(rows) < 1000
        return found

    def fills_of(self, trade_id: str) -> list[Row]:
        """Its legs as booked."""
        return [row for (trade, _), row in self.fills().items() if trade == trade_id]

    def seen(self, trade_id: str) -> set[tuple[str, str]]:
        """(status, feed) of every sight of a trade that told something new."""
        database = open_readonly(self.service.storage_url)
        try:
            rows = Queries(database).fill_observations()
        finally:
            database.close()
        return {(row["status"], row["feed"]) for row in rows if row["trade_id"] == trade_id}

    def position(self, token: str) -> Row:
        """As it stands in the books."""
        return _positions(self.service).get(token, {})

    def order(self, order_id: str) -> Row:
        """As it stands in the books, empty where it is unknown."""
        return next((row for row in self.orders() if row["order_id"] == order_id), {})

    def orders(self) -> list[Row]:
        """All that were ever seen."""
        return list(self.service.get("/v1/orders?all=1"))

    def connected(self) -> bool:
        """Whether the stream is subscribed."""
        return bool(self.service.health()["facts"]["stream_connected"])

    def wait_connected(self) -> None:
        """It connects by itself."""
        until(self.connected, "a subscription of the user stream")

    def connections(self) -> int:
        """Subscriptions so far."""
        return len(self.service.events("user_stream_opened"))

    # -- both -----------------------------------------------------------------------------------------------------

    def at_rest(self) -> Row:
        """Every match has ended and is final, and a cycle finds nothing to do any more; the sandbox's books then."""
        for _ in range(LOOKS):
            books = self.ended()
            report = self.service.sync()["operations_report"]
            waits = any(report[name] for name in ("pending_count", "delta_count", "cash_unexplained"))
            if report["status"] == "ok" and not waits:
                return books
            self.blocks(1)
        raise NotInTimeError(f"rest: not within {LOOKS} cycles")

    def ended(self) -> Row:
        """Time passes until every match has ended; the sandbox's books then."""
        for _ in range(LONGEST_SETTLING):
            books = self.control.books()
            if all(trade["status"] in ENDED for trade in books["trades"]):
                return books
            self.blocks(1)
        raise NotInTimeError(f"the end of every match: not within {LONGEST_SETTLING} blocks")

    def legs(self, trade_id: str) -> set[tuple[str, str, str, int]]:
        """Order, token, side and shares of every own leg of a trade, by the sandbox's list."""
        parts = [part for part in self._oracle.parts(self.control.books()) if part.trade == trade_id]
        return {(part.order, part.token, part.side, part.size) for part in parts}

    def all_booked(self) -> bool:
        """Whether every own leg of every trade is a fill by now."""
        return {part.key for part in self._oracle.parts(self.control.books())} <= set(self.fills())

    def agree(self) -> Row:
        """Positions, cost, profit and loss, fees, fills and orders are the sandbox's to the base unit."""
        books = self.at_rest()
        assert books["consistent"]
        assert self.service.health()["facts"]["halted_markets"] == []
        assert self.service.events("PORTFOLIO_SYNC_INVARIANT_BREACH") == []
        self._positions_agree(books)
        self._fills_agree(books)
        self._orders_agree(books)
        return books

    def _positions_agree(self, books: Row) -> None:
        rows, held = _positions(self.service), self._oracle.holdings(books)
        assert {token: booked(row) for token, row in rows.items()} == {**dict.fromkeys(rows, Holding()), **held}
        tokens = {token: amount for token, amount in books["tokens"].items() if amount}
        assert {token: row["settled_micro"] for token, row in rows.items() if row["settled_micro"]} == tokens
        assert {row["in_flight_micro"] for row in rows.values()} == {0}

    def _fills_agree(self, books: Row) -> None:
        """Each own leg of each trade is there once, with its own terms and fate, and nothing is provisional."""
        parts = self._oracle.parts(books)
        assert Counter(part.key for part in parts).most_common(1)[0][1] == 1
        keys = {part.trade for part in parts}
        ours = {key: row for key, row in self.fills().items() if key[0] in keys or row["state"] == "PROVISIONAL"}
        assert {
            key: (row["side"], row["size_micro"], row["amount_micro"], row["fee_micro"], row["state"])
            for key, row in ours.items()
        } == {
            part.key: (part.side, part.size, part.amount, part.fee, FAILED if part.failed else "SETTLED")
            for part in parts
        }

    def _orders_agree(self, books: Row) -> None:
        """Every order that is known is what the exchange says of it, and every live one is known."""
        assert self.service.live_orders() == {row["id"] for row in books["orders"]}
        rows = {row["order_id"]: row for row in self.orders()}
        theirs = {order_id: self._exchanges(order_id) for order_id in rows}
        assert {
            order_id: (_status(row), row["size_matched_micro"], row["closed_at_ms"] is None)
            for order_id, row in rows.items()
        } == {
            order_id: (row["status"], parse_decimal(row["size_matched"]), row["status"] == "LIVE")
            for order_id, row in theirs.items()
        }

    def _exchanges(self, order_id: str) -> Row:
        """The order as the exchange has it; one that has ended stays as it is."""
        row: Row = self._ended.get(order_id) or clob_get(self.sandbox, f"/data/order/{order_id}").json()
        if row["status"] != "LIVE":
            self._ended[order_id] = row
        return row


def _positions(service: LiveService) -> dict[str, Row]:
    return {row["token_id"]: row for row in service.get("/v1/positions?all=1")}


def _status(row: Row) -> str:
    """As the exchange writes it."""
    return f"{row['status']}_{row['ended_because']}" if row["ended_because"] else str(row["status"])
