"""Readers of the CLOB: open orders, the fate of one order, trades, the server's clock.

Sans-I/O. The SDK's page loop is not used: it reuses one signature for all pages, fails on a missing cursor and starts
over on an empty one (R-15). Here each page is signed when it is sent. The heartbeat is never sent (R-17).
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import msgspec

from messages.reads import (
    OrderAnswer,
    OrdersAnswer,
    ReadOpenOrders,
    ReadOrder,
    ReadTrades,
    TradesAnswer,
)
from polymarket.paging import Gathered, Listing, gather
from polymarket.payloads import RejectedRow, decode_clob_page, decode_single, decode_time, parse_order, parse_trade
from polymarket.reading import Findings, ReadContext, ReadResult, Trace, conclude, expect_json, expect_ok, is_unknown
from polymarket.requests import HttpRequest, HttpResponse, ReadError, Signing, Steps
from polymarket.settings import PolymarketSettings
from portfolio.facts import FailureKind, OpenOrder, Source, Trade

_FIRST_CURSOR = "MA=="
_ORDERS_PATH = "/data/orders"
_ORDER_PATH = "/data/order/"
_TRADES_PATH = "/data/trades"


def read_open_orders(settings: PolymarketSettings, read: ReadOpenOrders, context: ReadContext) -> Steps[ReadResult]:
    """All open orders of the wallet's API key, by order id, no id twice (L-08, L-29)."""
    listing = Listing[OpenOrder](
        request=_paged(settings, read.wallet, _ORDERS_PATH, ()),
        decode=decode_clob_page,
        parse=parse_order,
        key=lambda order: order.order_id,
        newer=lambda one, other: other if other.size_matched_micro >= one.size_matched_micro else one,
        verify=True,
    )

    def body(trace: Trace) -> Steps[Findings]:
        found = yield from gather(trace, listing)
        orders = tuple(found.rows[key] for key in sorted(found.rows))
        return Findings(
            rows=orders,
            answer=OrdersAnswer(orders=orders),
            parameters=(("wallet", read.wallet),),
            pages=found.pages,
            rejected=found.rejected,
            doubts=_doubts(found),
        )

    return conclude(Source.CLOB_ORDERS, context, body)


def read_order(settings: PolymarketSettings, read: ReadOrder, context: ReadContext) -> Steps[ReadResult]:
    """The order, or None where the CLOB itself says that it does not know it (L-06).

    An order that is there but unreadable is a failure, never None: None is a statement of the exchange.
    """
    path = _ORDER_PATH + quote(read.order_id, safe="")
    request = HttpRequest(
        label="GET /data/order/{id}",
        url=settings.clob_url.rstrip("/") + path,
        signing=Signing(wallet=read.wallet, path=path),
    )

    def body(trace: Trace) -> Steps[Findings]:
        (reply,) = yield from trace.try_all((request,))
        order = None if is_unknown(reply) else _single_order(request, expect_ok(request, reply), read.order_id)
        return Findings(
            rows=() if order is None else (order,),
            answer=OrderAnswer(order_id=read.order_id, order=order),
            parameters=(("wallet", read.wallet), ("order_id", read.order_id)),
        )

    return conclude(Source.CLOB_ORDER, context, body)


def read_trades(settings: PolymarketSettings, read: ReadTrades, context: ReadContext) -> Steps[ReadResult]:
    """Trades matched at or after ``after_s``, oldest first, of one market or of one id where the read says so.

    Never filtered by token: that acts on the taker's order and hides own maker fills matched against the other one.
    Whether ``after`` includes its own second is documented nowhere, so the second before is asked for: a trade more is
    harmless, one less is a missed fill.
    """
    after = (("after", str(read.after_s - 1)),) if read.after_s > 0 else ()
    market = (("market", read.condition_id),) if read.condition_id else ()
    one = (("id", read.trade_id),) if read.trade_id else ()
    listing = Listing[Trade](
        request=_paged(settings, read.wallet, _TRADES_PATH, (*after, *market, *one)),
        decode=decode_clob_page,
        parse=parse_trade,
        key=lambda trade: trade.trade_id,
        newer=lambda one, other: other if other.updated_at_ms >= one.updated_at_ms else one,
        verify=False,
    )

    def body(trace: Trace) -> Steps[Findings]:
        found = yield from gather(trace, listing)
        trades = tuple(sorted(found.rows.values(), key=lambda trade: (trade.matched_at_ns, trade.trade_id)))
        return Findings(
            rows=trades,
            answer=TradesAnswer(trades=trades),
            parameters=(("wallet", read.wallet), ("after_s", str(read.after_s)), *market, *one),
            pages=found.pages,
            rejected=found.rejected,
            doubts=_doubts(found),
        )

    return conclude(Source.CLOB_TRADES, context, body)


class ServerTime(msgspec.Struct, frozen=True, kw_only=True):
    """The CLOB's clock beside ours: ``server_ms`` was shown between ``started_at_ms`` and ``completed_at_ms``."""

    server_ms: int
    started_at_ms: int
    completed_at_ms: int


def read_server_time(settings: PolymarketSettings, context: ReadContext) -> Steps[ServerTime]:
    """The CLOB's clock, to tell whether our signatures would be expired. Ends in :class:`ReadError` if it fails."""
    request = HttpRequest(label="GET /time", url=settings.clob_url.rstrip("/") + "/time")
    trace = Trace(context)
    response = yield from trace.ask(request)
    return ServerTime(
        server_ms=expect_json(request, response, decode_time),
        started_at_ms=response.started_at_ms,
        completed_at_ms=response.completed_at_ms,
    )


def _paged(
    settings: PolymarketSettings, wallet: str, path: str, params: tuple[tuple[str, str], ...]
) -> Callable[[str | None, int], HttpRequest]:
    def request(cursor: str | None, attempt: int) -> HttpRequest:
        del attempt  # authenticated answers are not cached
        return HttpRequest(
            label=f"GET {path}",
            url=settings.clob_url.rstrip("/") + path,
            params=(*params, ("next_cursor", cursor or _FIRST_CURSOR)),
            signing=Signing(wallet=wallet, path=path),
        )

    return request


def _single_order(request: HttpRequest, response: HttpResponse, order_id: str) -> OpenOrder | None:
    raw = expect_json(request, response, decode_single)
    if raw is None:
        return None
    order = parse_order(raw)
    if isinstance(order, RejectedRow):
        raise ReadError(FailureKind.MALFORMED, f"{request.label}: order {order.row_id} was rejected: {order.reason}")
    if order.order_id != order_id.lower():
        raise ReadError(
            FailureKind.MALFORMED, f"{request.label}: the order was {order.order_id[:20]}, expected {order_id[:20]}"
        )
    return order


def _doubts(found: Gathered[OpenOrder] | Gathered[Trade]) -> tuple[str, ...]:
    return (found.moved,) if found.moved else ()
