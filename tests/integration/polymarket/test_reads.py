"""The port's adapter: every read is answered exactly once, whatever happens (D-06)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import gevent.event
import msgspec
import pytest
import structlog.testing

from messages.reads import (
    OrdersAnswer,
    Read,
    ReadBalances,
    ReadCompleted,
    ReadFailed,
    ReadMarkets,
    ReadOpenOrders,
    ReadOrder,
    ReadPositions,
    ReadReceipt,
    ReadTrades,
)
from polymarket.reading import ReadResult
from polymarket.reads import PolymarketReads
from polymarket.settings import PolymarketSettings
from portfolio.facts import FailureKind, Source
from tests.integration.polymarket.channel import DEADLINE_S
from tests.integration.polymarket.conftest import Connection, Server, now_ms
from tests.unit.polymarket.script import order_row

EVERY_READ: dict[Source, Read] = {
    Source.CLOB_ORDERS: ReadOpenOrders(wallet="main"),
    Source.CLOB_ORDER: ReadOrder(wallet="main", order_id="0x1"),
    Source.CLOB_TRADES: ReadTrades(wallet="main", after_s=0),
    Source.DATA_POSITIONS: ReadPositions(wallet="main"),
    Source.GAMMA_MARKETS: ReadMarkets(wallet="main", condition_ids=("0x1",)),
    Source.CHAIN_BALANCES: ReadBalances(wallet="main", tokens=()),
    Source.CHAIN_RECEIPT: ReadReceipt(wallet="main", transaction_hash="0x1"),
}


class Inbox:
    """Collects replies and waits for so many of them."""

    def __init__(self) -> None:
        self.replies: list[ReadResult] = []
        self._more = gevent.event.Event()

    def put(self, result: ReadResult) -> None:
        self.replies.append(result)
        self._more.set()

    def wait(self, count: int = 1) -> list[ReadResult]:
        while len(self.replies) < count:
            assert self._more.wait(DEADLINE_S), "no reply came"
            self._more.clear()
        return self.replies


@pytest.fixture
def reads(settings: PolymarketSettings) -> Iterator[PolymarketReads]:
    adapter = PolymarketReads(settings, now_ms)
    yield adapter
    adapter.close(timeout_s=5)


def ask(reads: PolymarketReads, read: Read) -> ReadResult:
    inbox = Inbox()
    reads.request(read, inbox.put, "c-9")
    (result,) = inbox.wait()
    assert result.correlation == "c-9"
    return result


@pytest.mark.req("D-06", "S-11")
@pytest.mark.parametrize("source", EVERY_READ)
@pytest.mark.parametrize(
    ("status", "body", "content_type", "kind"),
    [
        ("200 OK", b"<!DOCTYPE html><html>maintenance</html>", "text/html", FailureKind.MALFORMED),
        ("200 OK", b"\x00\xff\xfe", "application/json", FailureKind.MALFORMED),
        ("200 OK", b"[" * 100_000, "application/json", FailureKind.MALFORMED),
        ("500 Internal Server Error", b"{}", "application/json", FailureKind.UNREACHABLE),
        ("401 Unauthorized", b"{}", "application/json", FailureKind.UNAUTHORIZED),
    ],
    ids=["html", "bytes", "deep", "500", "401"],
)
def test_a_source_that_talks_nonsense_fails_every_read_by_its_kind(
    source: Source,
    status: str,
    body: bytes,
    content_type: str,
    kind: FailureKind,
    server: Server,
    reads: PolymarketReads,
) -> None:
    server.handler = lambda connection: connection.answer(body, status, content_type=content_type)
    result = ask(reads, EVERY_READ[source])
    assert isinstance(result, ReadFailed), result
    assert (result.source, result.kind) == (source, kind)


@pytest.mark.req("S-11", "S-15")
@pytest.mark.parametrize("source", EVERY_READ)
def test_a_source_that_is_silent_fails_every_read_with_a_timeout(
    source: Source, server: Server, hasty: PolymarketSettings
) -> None:
    server.handler = lambda _connection: gevent.event.Event().wait()
    result = ask(PolymarketReads(hasty, now_ms), EVERY_READ[source])
    assert isinstance(result, ReadFailed)
    assert (result.source, result.kind) == (source, FailureKind.TIMEOUT)


def serve_orders(connection: Connection) -> None:
    """Pages of 100 of 250 orders, for whoever signed the request."""
    line = connection.head.split(b"\r\n", 1)[0].decode()
    assert b"POLY_SIGNATURE" in connection.head
    cursor = line.partition("next_cursor=")[2].partition(" ")[0].partition("&")[0].replace("%3D", "=")
    start = int(base64.b64decode(cursor))
    rows = [order_row(number) for number in range(start, min(250, start + 100))]
    following = "LTE=" if start + 100 >= 250 else base64.b64encode(str(start + 100).encode()).decode()
    connection.answer(json.dumps({"data": rows, "next_cursor": following, "count": len(rows)}).encode())


@pytest.mark.req("L-29", "R-15")
def test_orders_of_several_pages_are_read_over_the_wire(server: Server, reads: PolymarketReads) -> None:
    server.handler = serve_orders
    result = ask(reads, ReadOpenOrders(wallet="main"))
    assert isinstance(result, ReadCompleted)
    assert isinstance(result.answer, OrdersAnswer)
    assert [int(order.order_id, 16) for order in result.answer.orders] == list(range(250))
    assert (result.certificate.pages, len(server.heads)) == (3, 5)


@pytest.mark.req("S-15")
def test_many_reads_at_once_are_each_answered_once(server: Server, settings: PolymarketSettings) -> None:
    server.handler = serve_orders
    adapter = PolymarketReads(msgspec.structs.replace(settings, timeout_ms=30_000), now_ms)
    inbox = Inbox()
    for number in range(60):
        adapter.request(ReadOpenOrders(wallet="main"), inbox.put, f"c-{number}")
    replies = inbox.wait(60)
    adapter.close(timeout_s=5)
    assert sorted(reply.correlation for reply in replies) == sorted(f"c-{number}" for number in range(60))
    assert {type(reply) for reply in replies} == {ReadCompleted}
    assert server.busiest <= 50


@pytest.mark.req("D-06")
def test_an_unexpected_error_is_told_as_a_failure_and_logged_with_its_traceback(reads: PolymarketReads) -> None:
    with structlog.testing.capture_logs() as logs:
        result = ask(reads, ReadPositions(wallet="nobody"))
    assert isinstance(result, ReadFailed)
    assert (result.source, result.kind) == (Source.DATA_POSITIONS, FailureKind.MALFORMED)
    assert [(log["event"], log["exc_info"]) for log in logs] == [("read_crashed", True)]
